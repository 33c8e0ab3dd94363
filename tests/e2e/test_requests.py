# SPDX-License-Identifier: GPL-2.0-or-later
"""The requests to the hub: their number, and what happens when a response is lost."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.hub.calls.users import set_password
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.layout import ADMIN, PACKAGER
from fedpkg_container.errors import LostContactError, RefusedError
from fedpkg_container.hub.submit import submit
from fedpkg_container.model.build import BuildRequest
from tests.support.packager import Packager
from tests.support.proxy import lossy_proxy
from tests.support.waiting import PATIENCE


def _calls(box: Box, who: str = PACKAGER) -> list[str]:
    """The calls of a user, in order."""
    lines = box.layout.access_log.read_text().splitlines()
    return [line.split()[2] for line in lines if line.split()[1] == who]


def test_submitting_takes_four_requests(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    before = len(_calls(box))
    assert packager.build("--scratch", "--nowait").returncode == 0
    assert [call for call in _calls(box)[before:] if call != "logout"] == [
        "sslLogin",
        "getBuildTarget",
        "multiCall",
        "buildContainer",
    ]


def test_submitting_with_a_password_takes_four_requests(packager: Packager, box: Box) -> None:
    hub = Database(box.layout.database)
    with hub.transaction():
        set_password(hub, PACKAGER, "a secret")
    profile = Path(packager.environment["HOME"]) / ".koji" / "config"
    certificates = profile.read_text()
    profile.write_text(re.sub("authtype = ssl\ncert = .*\n", "authtype = password\n", certificates))
    packager.commit(packager.dockerfile("RUN true"))
    before = len(_calls(box, "-"))  # the log names those who have a certificate
    try:
        done = packager.run(
            "fedpkg", "--user", PACKAGER, "--password", "a secret", "container-build", "--scratch", "--nowait"
        )
    finally:
        profile.write_text(certificates)
    assert "Created task" in done.stdout
    assert "a secret" not in done.stdout + done.stderr
    calls = _calls(box, "-")[before:]
    assert calls[calls.index("login") : calls.index("buildContainer") + 1] == [
        "login",
        "getBuildTarget",
        "multiCall",
        "buildContainer",
    ]


def test_following_takes_one_request_a_tick(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 3"))
    before = len(_calls(box))
    assert packager.build("--scratch").returncode == 0
    calls = _calls(box)[before:]
    watching = calls[calls.index("buildContainer") + 1 :]
    assert set(watching) <= {"multiCall", "logout"}


def _request() -> BuildRequest:
    return BuildRequest(
        "git+https://127.0.0.1/container/lost#1", site.TARGET, {"git_branch": "rawhide", "scratch": True}
    )


def _session(box: Box, port: int) -> koji.ClientSession:
    authority = str(box.authority.certificate_path)
    session = koji.ClientSession(
        f"https://127.0.0.1:{port}/kojihub", {"serverca": authority, "max_retries": 0, "anon_retry": False}
    )
    session.ssl_login(str(box.credentials(PACKAGER)), None, authority)
    return session


def test_a_lost_answer_never_submits_twice(box: Box) -> None:
    admin = box.session(ADMIN)
    with lossy_proxy(box.layout.ports.hub) as proxy:
        session = _session(box, proxy.port)
        before = {task["id"] for task in admin.listTasks({"method": "buildContainer"})}
        proxy.armed = True
        task_id = submit(session, _request())
        assert proxy.lost == 1
    made = {task["id"] for task in admin.listTasks({"method": "buildContainer"})} - before
    assert made == {task_id}
    admin.cancelTask(task_id)


def test_a_hub_that_is_gone_before_the_answer(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedpkg_container.hub.submit.SEARCH_TIMEOUT", 0.5)
    monkeypatch.setattr("fedpkg_container.hub.submit.SEARCH_INTERVAL", 0.1)
    with lossy_proxy(box.layout.ports.hub) as proxy:
        session = _session(box, proxy.port)
        proxy.target = 1
        session.rsession.close()
        with pytest.raises(LostContactError, match="did not respond"):
            submit(session, _request())


def test_the_hub_refuses_bad_options_before_a_task_exists(box: Box) -> None:
    session = box.session(PACKAGER)
    before = session.listTasks(queryOpts={"countOnly": True})
    options: Any = {"git_branch": "rawhide", "colour": "red"}
    bad = BuildRequest("git+https://127.0.0.1/x#1", site.TARGET, options)
    with pytest.raises(RefusedError, match=r"unknown option \('colour' was unexpected\)"):
        submit(session, bad)
    assert session.listTasks(queryOpts={"countOnly": True}) == before


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_detaches_and_the_build_goes_on(packager: Packager, box: Box, number: signal.Signals) -> None:
    packager.commit(packager.dockerfile("RUN sleep 300"))
    process = packager.start("--scratch")
    assert process.stdout is not None
    task_id = int(process.stdout.readline().split()[2])
    while "RUN sleep" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"task {task_id} is still running" in said
    assert f"fedpkg container-status --watch {task_id}" in said
    assert f"fedpkg container-status --cancel {task_id}" in said
    assert "Traceback" not in said
    assert box.session(ADMIN).getTaskInfo(task_id)["state"] == koji.TASK_STATES["OPEN"]


def test_an_interrupt_right_after_the_submission(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 300"))
    process = packager.start("--scratch")
    assert process.stdout is not None
    task_id = int(process.stdout.readline().split()[2])
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"interrupted; task {task_id} is still running" in said
    box.session(ADMIN).cancelTask(task_id)


def test_a_reader_that_goes_away_is_no_error(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN sleep 2"))
    done = packager.run("sh", "-c", "fedpkg container-build --scratch | head -n 2", check=False)
    assert done.returncode == 0
    assert done.stderr == ""
