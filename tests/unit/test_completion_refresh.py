# SPDX-License-Identifier: GPL-2.0-or-later
"""Background refresh of the completion values from a hub."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.completion import cache, refresh
from fedpkg_container.completion.values import Completer, Context
from fedpkg_container.errors import FedpkgContainerError, LostContactError
from tests.support.box_hub import RunningHub, running_hub
from tests.support.checkouts import make_checkout
from tests.support.leftovers import eventually
from tests.support.tabs import clean_environment, tab

pytestmark = pytest.mark.programs

#: Seconds for a refresh in the background.
TIMEOUT = 240
SOURCE = "git+https://pkgs.example.org/container/hello#0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub with targets, builds of hello-container, and two tasks of the packager, one of them canceled."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        admin, packager = _session(running, running.admin), _session(running, running.packager)
        for name in ("f43-container-candidate", "rawhide-container-candidate"):
            admin.createTag(f"{name}-build", arches="x86_64")
            admin.createTag(name)
            admin.createBuildTarget(name, f"{name}-build", name)
        for release in ("1", "2"):
            admin.createEmptyBuild("hello-container", "1.0", release, None)
        admin.createEmptyBuild("other-container", "1.0", "1", None)
        packager.buildContainer(SOURCE, "f43-container-candidate", {"git_branch": "f43"})
        packager.cancelTask(packager.buildContainer(SOURCE, "rawhide-container-candidate", {"git_branch": "main"}))
        for session in (admin, packager):
            session.logout()
        yield running


def _session(hub: RunningHub, credential: str) -> Any:
    session = koji.ClientSession(hub.url, {"serverca": hub.ca})
    session.ssl_login(cert=credential, serverca=hub.ca)
    return session


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of a new user; the test process has the same HOME and cache."""
    environment = clean_environment(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, environment[name])
    return environment


def _profile(environment: dict[str, str], server: str, **options: str) -> None:
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    (Path(environment["HOME"]) / ".koji" / "config").write_text(f"[koji]\nserver = {server}\n{lines}")


@pytest.fixture
def context(environment: dict[str, str], hub: RunningHub, tmp_path: Path) -> Context:
    """Context of a checkout of container/hello with the packager's profile."""
    _profile(environment, hub.url, serverca=hub.ca, cert=hub.packager, authtype="ssl")
    return Context("fedpkg", "koji", path=str(make_checkout(tmp_path / "hello")))


def _offered(kind: str, context: Context) -> list[str]:
    return list(Completer(kind, context=context)())


def test_values_from_the_hub(context: Context) -> None:
    refresh.refresh(context, "hello-container")
    assert _offered("targets", context) == ["f43-container-candidate", "rawhide-container-candidate"]
    assert _offered("arches", context) == ["x86_64"]
    assert _offered("nvrs", context) == ["hello-container-1.0-2", "hello-container-1.0-1"]
    ((task, description),) = Completer("tasks", context=context)().items()
    assert task.isdigit()
    assert description == "hello for f43-container-candidate"


def test_two_requests_without_a_login(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    send = koji.ClientSession._sendCall

    def record(self: Any, handler: str, headers: Any, request: Any) -> Any:
        sent.append(request.decode() if isinstance(request, bytes) else request)
        return send(self, handler, headers, request)

    monkeypatch.setattr(koji.ClientSession, "_sendCall", record)
    refresh.refresh(context, "hello-container")
    assert len(sent) == 2
    assert all("multiCall" in request and "ogin" not in request for request in sent)


def test_no_tasks_for_an_unknown_user(context: Context, environment: dict[str, str], hub: RunningHub) -> None:
    _profile(environment, hub.url, serverca=hub.ca)
    refresh.refresh(context, "")
    assert _offered("tasks", context) == []
    assert _offered("targets", context) == ["f43-container-candidate", "rawhide-container-candidate"]


def test_given_user_and_user_unknown_to_the_hub(context: Context, environment: dict[str, str], hub: RunningHub) -> None:
    _profile(environment, hub.url, serverca=hub.ca, authtype="kerberos")
    refresh.refresh(context, "", "nobody-of-that-name")
    assert _offered("tasks", context) == []
    refresh.refresh(context, "", "packager")
    assert len(_offered("tasks", context)) == 1
    refresh.refresh(context, "")
    assert len(_offered("tasks", context)) == 1


def test_cache_is_kept_when_the_hub_is_unreachable(context: Context, environment: dict[str, str]) -> None:
    refresh.refresh(context, "hello-container")
    before = Path(context.hub_file).read_text()
    _profile(environment, "http://127.0.0.1:9/kojihub")
    with pytest.raises(LostContactError):
        refresh.refresh(context, "hello-container")
    assert Path(context.hub_file).read_text() == before
    with pytest.raises(FedpkgContainerError, match="Koji profile nonsense"):
        refresh.refresh(Context("fedpkg", "nonsense"), "")


def test_hostile_responses_are_not_offered(context: Context) -> None:
    session: Any = _Hostile()
    values = refresh._fetch(session, "hello-container", "me")
    cache.write(context.hub_file, values)
    cache.write(context.package_file("hello-container"), {"nvrs": values["nvrs"]})
    for kind in ("targets", "nvrs", "tasks", "arches"):
        for value, description in Completer(kind, context=context)().items():
            assert value.isprintable()
            assert description.isprintable()
    assert _offered("targets", context) == ["good target"]


class _Hostile:
    """A hub session whose responses contain escape sequences."""

    def multicall(self, **_: bool) -> _Hostile:
        return self

    def __enter__(self) -> _Hostile:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        bad = "\x1b]0;owned\x07\n\u202e"
        tags = {"build_tag_name": bad, "dest_tag_name": bad}
        rows = {
            "getBuildTargets": [{"name": bad, **tags}, {"name": "good target", **tags}],
            "listHosts": [{"arches": f"x86_64 {bad}"}, {"arches": None}],
            "listBuilds": [{"nvr": bad, "completion_time": bad}, {"nvr": "a-1-1", "completion_time": None}],
            "getUser": {"id": 1},
            "listTasks": [{"id": 1, "request": [bad, bad]}, {"id": bad, "request": None}, {"id": 3, "request": [1]}],
        }
        return lambda **_: type("Call", (), {"result": rows[name]})() if name != "getUser" else None

    def getUser(self, _name: str) -> Any:
        return type("Call", (), {"result": {"id": 1}})()


def test_completion_refreshes_the_cache(context: Context, environment: dict[str, str]) -> None:
    directory = Path(context.path)
    assert tab("fedpkg container-build --target ", environment, directory)[0] == ["rawhide-container-candidate"]
    eventually(lambda: Path(context.package_file("hello-container")).exists(), lambda: "no refresh", TIMEOUT)
    offered, loaded = tab("fedpkg container-build --target ", environment, directory)
    assert offered == ["f43-container-candidate", "rawhide-container-candidate"]
    assert not loaded & {"koji", "requests", "git", "socket", "pyrpkg"}


def test_completion_does_not_wait_for_the_hub(environment: dict[str, str], tmp_path: Path) -> None:
    """The hub accepts connections but does not respond within the time limit of a completion."""
    directory = make_checkout(tmp_path / "hello")
    requested = threading.Event()
    release = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requested.set()
            release.wait(TIMEOUT)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _profile(environment, f"http://127.0.0.1:{server.server_address[1]}/kojihub")
        for _ in range(2):
            assert tab("fedpkg container-build --target ", environment, directory)[0] == ["rawhide-container-candidate"]
        assert requested.wait(TIMEOUT), "the background process sent no request"
        assert tab("fedpkg container-build --target ", environment, directory)[0] == ["rawhide-container-candidate"]
    finally:
        release.set()
        server.shutdown()


def test_when_a_refresh_is_due(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("fedpkg_container.process.start", lambda command, **_: started.append(command))
    assert refresh.refresh_if_stale(context)
    assert not refresh.refresh_if_stale(context), "another was started recently"
    assert refresh.refresh_if_stale(context, user="me", now=True)
    assert started[1][-4:] == ["fedpkg", "koji", "hello-container", "me"]
    attempt = Path(refresh._attempt_file(context, "hello-container"))
    os.utime(attempt, (time.time() - refresh.RETRY_INTERVAL - 1,) * 2)
    for file in (context.hub_file, context.package_file("hello-container")):
        cache.write(file, {})
    assert not refresh.refresh_if_stale(context), "the cache is new"
    os.utime(context.hub_file, (time.time() - refresh.MAX_AGE - 1,) * 2)
    assert refresh.refresh_if_stale(context)
    assert not refresh.refresh_if_stale(Context("fedpkg", "")), "a site without a hub"


def test_only_one_refresh_at_a_time(context: Context) -> None:
    with refresh._alone(context) as first, refresh._alone(context) as second:
        assert (first, second) == (True, False)
        refresh.main(["fedpkg", "koji", "hello-container", ""])
        assert not Path(context.hub_file).exists()
    refresh.main(["fedpkg", "koji", "hello-container", ""])
    assert json.loads(Path(context.hub_file).read_text())["targets"]


def test_refresh_prints_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fedpkg_container.completion.refresh", "fedpkg", "nonsense", "", ""],
        cwd="/", capture_output=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_modules_in_the_checkout_are_not_imported(context: Context, environment: dict[str, str]) -> None:
    """Modules in the checkout must not shadow those of Python."""
    directory = Path(context.path)
    tab("fedpkg container-build --target ", environment, directory)
    eventually(lambda: Path(context.package_file("hello-container")).exists(), lambda: "no refresh", TIMEOUT)
    for path in (*Path(context.hub_file).parent.glob("attempts/*"), Path(context.hub_file)):
        path.unlink()
    for name in ("json", "koji", "argparse"):
        (directory / f"{name}.py").write_text("open(__file__ + '.ran', 'w')\nraise SystemExit\n")
    assert tab("fedpkg container-build --target ", environment, directory)[0] == ["rawhide-container-candidate"]
    eventually(lambda: Path(context.hub_file).exists(), lambda: "no refresh", TIMEOUT)
    assert not list(directory.glob("*.ran"))
