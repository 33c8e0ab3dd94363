# SPDX-License-Identifier: GPL-2.0-or-later
"""What only a real Koji shows: its own plugins beside ours, its repositories, its koji command."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import koji
import pytest

from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN, PACKAGER
from fedpkg_container.engines.workspace import mounts_below
from tests.stock.box import StockBox
from tests.support.leftovers import eventually, nothing_left
from tests.support.packager import Packager
from tests.support.steps import submit, task_processes, wait_for_line

INSTALL = "RUN dnf install -y hello-web-pages && test -s /usr/share/hello-web/index.html"


def test_hub_and_kojid_loaded_their_own_plugins_and_ours(box: StockBox) -> None:
    methods = {each["name"] for each in box.session(ADMIN)._listapi()}
    assert {"runroot", "buildContainer"} <= methods
    log = box.builder(box.layout.builders[0]).log.read_text()
    assert "Loading plugin: save_failed_tree" in log
    assert "Loading plugin: builder_containerbuild" in log
    assert "Traceback" not in log.partition("Loading plugin")[2].partition("open task")[0]


def test_the_call_is_listed(box: StockBox) -> None:
    assert "buildContainer(src" in box.koji("list-api", "buildContainer")


def test_the_channel_has_the_builder(box: StockBox) -> None:
    listed = box.koji("list-hosts", "--channel", "container-binary", "--quiet")
    assert re.match(rf"{box.layout.builders[0]} +Y +Y ", listed), listed


def test_kojid_made_the_repository_and_dnf_installs_from_it(packager: Packager, box: StockBox) -> None:
    session = box.session(ADMIN)
    task = session.getTaskInfo(session.getRepo(site.BUILD_TAG)["task_id"])
    assert (task["method"], koji.TASK_STATES[task["state"]]) == ("newRepo", "CLOSED")
    packager.commit(packager.dockerfile(INSTALL))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    (archive,) = session.listArchives(buildID=build["id"], type="image")
    installed = {rpm["name"]: rpm for rpm in session.listRPMs(imageID=archive["id"])}
    assert installed["hello-web-pages"]["build_id"] == session.getBuild("hello-web-pages-1.0-1")["id"]


def test_what_koji_shows_of_a_build(packager: Packager, box: StockBox, tmp_path: Path) -> None:
    packager.commit(packager.dockerfile("RUN echo printed by a step"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    nvr = f"{packager.name}-container-1.0-1"
    shown = box.koji("buildinfo", nvr)
    assert "State: COMPLETE" in shown
    assert f"Tags: {site.DEST_TAG}" in shown
    assert re.search(r"^Task: \d+ buildContainer", shown, re.MULTILINE)
    assert re.search(rf"^Source: git\+http://.*/container/{packager.name}#[0-9a-f]{{40}}$", shown, re.MULTILINE)
    assert "Image archives:" in shown
    task_id = box.session(ADMIN).getBuild(nvr)["task_id"]
    assert "State: closed" in box.koji("taskinfo", str(task_id))
    box.koji("download-logs", "--recurse", "--dir", str(tmp_path), str(task_id))
    logs = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "printed by a step" in logs
    listed = box.koji("list-tagged", "--latest", "--quiet", site.DEST_TAG, f"{packager.name}-container")
    assert nvr in listed


def test_the_task_result_is_upstreams(packager: Packager, box: StockBox) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    session = box.session(ADMIN)
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    result = session.getTaskResult(build["task_id"])
    assert result["koji_builds"] == [str(build["id"])]
    assert result["repositories"] == build["extra"]["image"]["index"]["pull"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"git_branch": "rawhide", "no_such": True}, "no_such"),
        ({"git_branch": "rawhide", "scratch": True, "isolated": True}, "isolated"),
        ({"git_branch": "rawhide", "compose_ids": ["one"]}, "compose_ids"),
        ({}, "git_branch"),
    ],
)
def test_wrong_options_are_refused_before_a_task_exists(box: StockBox, options: dict[str, object], said: str) -> None:
    session = box.session(PACKAGER)
    before = session.listTasks(queryOpts={"countOnly": True})
    with pytest.raises(koji.GenericError, match=said) as refused:
        session.buildContainer("git+https://example.com/container/x#main", site.TARGET, options)
    assert refused.value.faultCode == koji.GenericError.faultCode
    assert session.listTasks(queryOpts={"countOnly": True}) == before


def test_our_koji_command(packager: Packager, box: StockBox) -> None:
    commit = packager.commit(packager.dockerfile("RUN true"))
    address = f"git+http://127.0.0.1:{box.layout.ports.distgit_anonymous}/container/{packager.name}#{commit}"
    options = ["--scratch", "--git-branch", site.BRANCH, "--wait"]
    said = box.koji("container-build", *options, site.TARGET, address, user=PACKAGER)
    assert "Task Result (" in said


def test_a_source_that_is_not_allowed_fails_the_task(box: StockBox) -> None:
    session = box.session(PACKAGER)
    task_id = session.buildContainer(
        "git+https://example.com/container/x#main", site.TARGET, {"git_branch": "main", "scratch": True}
    )
    eventually(lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["FAILED"], lambda: task_id)
    fault = session.getTaskResult(task_id, raise_fault=False)
    assert "is not in the list of allowed SCMs" in fault["faultString"]


@pytest.mark.parametrize("whom", ["the daemon alone", "all of its processes"])
def test_kojid_is_stopped_in_the_middle_of_a_build(packager: Packager, box: StockBox, whom: str) -> None:
    """The second is what systemd does."""
    packager.commit(packager.dockerfile("RUN sleep 8", release="1"))
    task_id = submit(packager)
    arch_task = wait_for_line(box, task_id, "RUN sleep")
    (name,) = box.layout.builders
    handlers = task_processes(box, task_id) + task_processes(box, arch_task)
    assert len(handlers) >= 2
    box.builder(name).ask_to_stop()
    for pid in handlers if whom == "all of its processes" else []:
        os.kill(pid, signal.SIGTERM)
    box.builder(name).stop()
    box.start_builder(name)
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskResult(task_id, raise_fault=False)),
        seconds=120,
    )
    assert session.getBuild(f"{packager.name}-container-1.0-1")["state"] == koji.BUILD_STATES["COMPLETE"]
    nothing_left(box)


def test_kojid_has_no_mount_left(box: StockBox) -> None:
    """kojid lives in a separate mount namespace, which the other tests do not see."""
    nothing_left(box)
    name = box.layout.builders[0]
    assert mounts_below(box.layout.builder(name) / "state", box.builder(name).pid or 0) == []
