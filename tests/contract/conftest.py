# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the contract tests.

Against the box, which is started for the session: python -m pytest tests/contract

Against any other hub: set CONTRACT_HUB_URL, CONTRACT_HUB_ADMIN, CONTRACT_HUB_PACKAGER and CONTRACT_HUB_HOST
(each account `user:password` or the path of a PEM file with certificate and key), and CONTRACT_HUB_CA where a
private authority signed the hub's certificate. CONTRACT_HUB_LEVEL, ``1.35``, leaves out what only newer hubs answer.
That hub needs the plugin hub_containerbuild, the channel container-binary, the policies of policy.conf, and the host
enabled with arch x86_64; no builder may run as that host meanwhile. The tests create everything else under separate
names and leave no task open and no NVR reserved.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Any: koji has no types.
from typing import Any

import koji
import pytest

from tests.contract.images import ImageImporter
from tests.contract.koji_program import Program
from tests.contract.support import Connect, HubAccess, call_with_number, log_in, new_name, unauthenticated
from tests.contract.tasks import Target, TaskBench

CHANNEL = "container-binary"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of features newer than the hub under test."""
    level = os.environ.get("CONTRACT_HUB_LEVEL")
    for item in items if level else []:
        mark = item.get_closest_marker("since")
        if mark and _number(mark.args[0]) > _number(level or ""):
            item.add_marker(pytest.mark.skip(reason=f"Koji {mark.args[0]} and newer"))


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


@pytest.fixture(scope="session")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubAccess]:
    """The hub under test."""
    if os.environ.get("CONTRACT_HUB_URL"):
        yield HubAccess.from_environment(os.environ)
        return
    from tests.support.box_hub import running_hub

    policies = (Path(__file__).parent / "policy.conf").read_text()
    with running_hub(tmp_path_factory.mktemp("box-hub"), configuration=policies) as box:
        yield HubAccess(url=box.url, ca=box.ca, admin=box.admin, packager=box.packager, host=box.host)


@pytest.fixture(scope="session")
def anonymous(access: HubAccess) -> Any:
    return unauthenticated(access)


@pytest.fixture(scope="session")
def admin(access: HubAccess) -> Iterator[Any]:
    yield from _logged_in(access, access.admin)


@pytest.fixture(scope="session")
def packager(access: HubAccess) -> Iterator[Any]:
    yield from _logged_in(access, access.packager)


@pytest.fixture(scope="session")
def packager_name(packager: Any) -> str:
    name: str = packager.getLoggedInUser()["name"]
    return name


@pytest.fixture(scope="session")
def host(access: HubAccess, admin: Any) -> Iterator[Any]:
    """The builder's session: exclusive, as required for builders, and not ready for other tasks."""
    for session in _logged_in(access, access.host):
        session.exclusiveSession(force=True)
        name = session.host.getHost()["name"]
        if CHANNEL not in [channel["name"] for channel in admin.listChannels(name)]:
            admin.addHostToChannel(name, CHANNEL)
        session.host.updateHost(0.0, False)
        session.host.freeTasks([task["id"] for task in session.host.getHostTasks()])
        yield session


@pytest.fixture(scope="session")
def host_name(host: Any) -> str:
    name: str = host.host.getHost()["name"]
    return name


@pytest.fixture
def connect(access: HubAccess) -> Iterator[Connect]:
    """Return a function that opens sessions by credential; they are closed after the test."""
    opened: list[Any] = []

    def _connect(credential: str) -> Any:
        session = unauthenticated(access)
        log_in(session, access, credential)
        opened.append(session)
        return session

    yield _connect
    for session in opened:
        if session.logged_in:
            # Without a number, as tests number their calls themselves; and some have ended the session.
            with suppress(koji.AuthError):
                call_with_number(access, session, None, "logout")
            # Or it would log out again when it is collected, perhaps in the middle of another one's TLS handshake.
            session.setSession(None)


@pytest.fixture
def target(admin: Any) -> Target:
    """A new build target with x86_64 and aarch64 in its build tag."""
    name = new_name("target")
    build_tag = admin.createTag(f"{name}-build", arches="x86_64 aarch64")
    dest_tag = admin.createTag(f"{name}-dest")
    admin.createBuildTarget(name, f"{name}-build", f"{name}-dest")
    return Target(name, build_tag, f"{name}-build", dest_tag, f"{name}-dest")


@pytest.fixture
def bench(admin: Any, packager: Any, host: Any, host_name: str) -> Iterator[TaskBench]:
    """Creates tasks of the packager, assigns them to the host, and cancels unfinished ones after the test."""
    bench = TaskBench(admin, packager, host, host_name)
    yield bench
    bench.clear()


@pytest.fixture(scope="session")
def generator(admin: Any, packager_name: str) -> str:
    """A content generator accessible to the packager, but not to the admin."""
    name = new_name("cg")
    admin.grantCGAccess(packager_name, name, create=True)
    return name


@pytest.fixture
def koji_program(
    admin: Any, packager: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Program:
    """The koji program, logged in already."""
    monkeypatch.setattr("koji_cli.commands.activate_session", lambda *_: None)
    return Program(admin, packager, capsys)


@pytest.fixture
def importer(admin: Any, packager: Any, generator: str) -> Iterator[ImageImporter]:
    """Reserves and imports image builds as the packager; remaining reservations are released."""
    importer = ImageImporter(packager, generator)
    yield importer
    for build_id in importer.reserved:
        admin.cancelBuild(build_id)


def _logged_in(access: HubAccess, credential: str) -> Iterator[Any]:
    session = unauthenticated(access)
    log_in(session, access, credential)
    yield session
    session.logout()
