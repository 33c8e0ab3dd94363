# SPDX-License-Identifier: GPL-2.0-or-later
"""Views of ``container-status``: what, where and why; JSON by its schema; at most four requests."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.overview import MAX_TASKS
from fedpkg_container.hub.selection import MAX_PAGES, MAX_SELECTED_BUILDS
from tests.support.status_client import Status
from tests.support.status_hub import CREATED, NOW, StatusHub, build, host, task

FAULT = (
    'building the image for x86_64 failed: building at STEP "RUN grep -q a: b": while running runtime: exit status 1'
)


@pytest.fixture
def hub() -> StatusHub:
    return StatusHub()


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch, hub: StatusHub) -> Status:
    return Status(monkeypatch, hub)


def _flat(text: str) -> str:
    """Text with single spaces."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def _failed_build(hub: StatusHub) -> None:
    options = {"git_branch": "rawhide", "isolated": True, "release": "3.1"}
    hub.tasks = [
        task(7, "FAILED", request=[*task(7, "FREE")["request"][:2], options]),
        task(8, "FAILED", parent=7, label="x86_64", request=[{}]),
    ]  # fmt: skip
    hub.results = {7: "x86_64: no", 8: FAULT}
    hub.output = {8: {"x86_64.log": b"a\n"}}


def test_failed_task(hub: StatusHub, status: Status) -> None:
    _failed_build(hub)
    text = _flat(status.run("7"))
    assert text.startswith("✘ isolated build of container/web failed on builder-1 50 s task 7\n✘ x86_64 failed on")
    for line in (
        "source git+https://src.example/container/web",
        f"commit {'a' * 40}",
        "branch rawhide",
        "target target",
        "options release=3.1",
        "owner me",
        "url https://koji.example/koji/taskinfo?taskID=7",
        f"task 8 createContainer (x86_64) failed on builder-1: {FAULT}",
        "step RUN grep -q a: b",
        "logs: fedpkg container-status 7 --logs --failed",
    ):
        assert f"\n{line}" in text, line
    assert "(5 min ago)" in text
    fields = status.json("7")
    assert len(hub.requests) <= 4
    assert (fields["failed_task_id"], fields["isolated"], fields["nvr"]) == (8, True, None)
    assert fields["instruction"] == "RUN grep -q a: b"
    assert fields["options"] == {"release": "3.1"}


def test_subtask_has_the_source_of_its_build(hub: StatusHub, status: Status) -> None:
    _failed_build(hub)
    assert status.json("8")["repository"] == "container/web"
    assert status.run("8").startswith("✘ 8 createContainer (x86_64)  failed on builder-1")


def test_line_of_the_dockerfile(hub: StatusHub, status: Status) -> None:
    hub.tasks, hub.results = (
        [task(7, "FAILED")],
        {7: "building the image for x86_64 failed: Dockerfile:12: RUN a: b: exit status 1"},
    )
    assert "\nstep Dockerfile:12: RUN a: b\n" in _flat(status.run("7"))
    hub.results = {7: "Dockerfile:3: COPY needs two arguments"}
    fields = status.json("7")
    assert (fields["dockerfile_line"], fields["instruction"]) == (3, None)


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ([host(1)], "there is no builder for aarch64 in channel container-binary"),
        ([host(1, arches="aarch64", enabled=False)],
         "every builder for aarch64 in channel container-binary is disabled: builder-1"),
        ([host(1, arches="aarch64", update_ts=None)], "no builder for aarch64 has ever checked in with the hub"),
        ([host(1, arches="aarch64", update_ts=NOW - 780)],
         "no builder for aarch64 has checked in with the hub for 13 min"),
        ([host(1, arches="aarch64", ready=False)],
         "no builder for aarch64 accepts tasks, e.g. for lack of memory or disk space: builder-1"),
        ([host(1, arches="aarch64", task_load=2.0)], "every builder for aarch64 is at capacity: builder-1"),
        ([host(n, arches="aarch64", enabled=n > 1) for n in range(1, 7)],
         "the hub has not assigned it yet; available: builder-2, builder-3, builder-4 and 2 more"),
    ],
)  # fmt: skip
def test_why_a_task_waits(hub: StatusHub, status: Status, hosts: list[dict[str, Any]], reason: str) -> None:
    hub.tasks = [task(7, "OPEN"), task(8, "FREE", parent=7, label="aarch64", arch="aarch64")]
    hub.hosts = hosts
    text = _flat(status.run("7"))
    assert f"\n○ aarch64 waiting for a builder (free) 5 min task 8\nwaits because {reason}\n" in text
    (waiting,) = status.json("7")["waiting"]
    assert (waiting["task_id"], waiting["reason"], waiting["channel"]) == (8, reason, "container-binary")
    assert len(hub.requests) <= 4


def test_builders_of_the_channel(hub: StatusHub, status: Status) -> None:
    hub.tasks = [task(7, "FREE")]
    hub.hosts = [host(1, task_load=1.5), host(2, enabled=False, arches="aarch64 x86_64", update_ts=NOW - 7300)]
    text = _flat(status.run("7"))
    assert "\nbuilders of channel container-binary\nbuilder-1 x86_64 enabled seen just now load 1.5 of 2.0\n" in text
    assert "\nbuilder-2 aarch64 x86_64 disabled seen 2 h ago load 0.0 of 2.0\n" in text


def test_disabled_channel(hub: StatusHub, status: Status) -> None:
    hub.tasks, hub.channel["enabled"] = [task(7, "FREE")], False
    assert "\nwaits because channel container-binary is disabled\n" in _flat(status.run("7"))


def test_assigned_task(hub: StatusHub, status: Status) -> None:
    hub.tasks = [task(7, "ASSIGNED", host_id=1)]
    assert "\nwaits because builder-1 was assigned and has not started it yet\n" in _flat(status.run("7"))


@pytest.mark.parametrize(
    ("repo", "creating", "text"),
    [
        ({"id": 12, "create_ts": NOW - 7300}, [], "of f43-build: 12, created 2 h ago"),
        (None, [], "of f43-build: there is none, and no task is creating one"),
        (None, ["f43-build"], "of f43-build: task 5 is creating the next repository"),
        ({"id": 12}, ["f42-build"], "of f43-build: 12"),
    ],
)
def test_awaited_repository(
    hub: StatusHub, status: Status, repo: dict[str, Any] | None, creating: list[str], text: str
) -> None:
    hub.tasks = [task(7, "FREE"), *(task(5, "OPEN", method="newRepo", request=[tag, {}]) for tag in creating)]
    hub.repo = repo
    assert f"\nrepository {text}\n" in _flat(status.run("7"))
    assert status.json("7")["yum_repository"]["tag"] == "f43-build"
    assert len(hub.requests) <= 4


def test_task_that_waits_for_a_repository(hub: StatusHub, status: Status) -> None:
    hub.tasks = [task(7, "OPEN", method="waitrepo", request=["f43-build", None])]
    text = _flat(status.run("7"))
    assert text.startswith("● 7 waitrepo running on builder-1 (open)")
    assert "\nrepository of f43-build: there is none" in text
    assert status.json("7")["source"] is None


def test_pod_that_has_not_started(hub: StatusHub, status: Status) -> None:
    hub.tasks = [task(7, "OPEN"), task(8, "OPEN", parent=7, label="x86_64", request=[{}])]
    hub.output = {8: {"x86_64.log": b"a\nwaiting: no node has enough memory\n"}}
    assert "\nwaits because no node has enough memory\n" in _flat(status.run("7"))
    assert status.json("7")["waiting"][0]["builders"] == []
    assert len(hub.requests) <= 4


def test_completed_task(hub: StatusHub, status: Status) -> None:
    hub.tasks, hub.builds = [task(7, "CLOSED")], [build(3, "COMPLETE", task_id=7)]
    hub.results = {7: {"repositories": ["r.io/web:1"], "koji_builds": ["3"]}}
    text = _flat(status.run("7"))
    assert text.startswith("✔ scratch build of container/web completed on builder-1 (closed)")
    assert "\nbuilt web-container-1-3 (build 3) in 50 s\nr.io/web:1\n" in text
    fields = status.json("7")
    assert (fields["nvr"], fields["build_id"], fields["pull_specs"]) == ("web-container-1-3", 3, ["r.io/web:1"])
    assert len(hub.requests) <= 4


def _package(hub: StatusHub) -> None:
    """Two builds, one of which failed, a failed scratch build, and a running build."""
    hub.tasks = [
        task(7, "FAILED", completion_ts=NOW),
        task(9, "FAILED", completion_ts=NOW - 8 * 86400),
        task(11, "OPEN", create_ts=NOW - 60),
        task(12, "FREE", parent=11, label="aarch64", arch="aarch64"),
        task(21, "FAILED", request=[*task(7, "FREE")["request"][:2], {"git_branch": "f43"}]),
    ]
    hub.builds = [
        build(1, "COMPLETE"),
        build(2, "FAILED", extra={"container_koji_task_id": 21, "submitter": "me"}),
        build(3, "BUILDING", extra={"container_koji_task_id": 11}),
    ]
    hub.results = {7: "no parent", 9: "long ago", 21: FAULT}


@pytest.mark.parametrize("word", ["web", "web-container", "container/web"])
def test_package_without_a_checkout(hub: StatusHub, status: Status, word: str) -> None:
    _package(hub)
    text = _flat(status.run(word))
    assert len(hub.requests) <= 4
    assert text.splitlines()[0] == "web-container"
    assert "\nrunning\n● web-container-1-3 running on builder-1 (open)" in text
    assert "\nwaits because there is no builder for aarch64 in channel container-binary\n" in text
    assert f"\nf43\n✘ web-container-1-2 failed 3 min ago by me task 21\n{FAULT}\n" in text
    assert f"\nrawhide\n✘ scratch build of {'a' * 12} failed just now by me task 7\nno parent\n" in text
    assert "\nunknown branch\n✔ web-container-1-1 complete 3 min ago by me in stable" in text
    assert "long ago" not in text
    fields = status.json(word)
    assert [entry["nvr"] for entry in fields["builds"]] == ["web-container-1-2", "web-container-1-1", None]
    assert [entry["reason"] for entry in fields["builds"]] == [FAULT, None, "no parent"]
    assert [entry["nvr"] for entry in fields["running"]] == ["web-container-1-3"]


def test_selections_of_a_package(hub: StatusHub, status: Status) -> None:
    _package(hub)

    def shown(*arguments: str) -> list[int | None]:
        return [entry["task_id"] for entry in status.json("web", *arguments)["builds"]]

    assert shown("--failed") == [21, 9, 7]
    assert shown("--branch", "f43") == [21]
    assert shown("--limit", "1") == [21]
    assert shown("--failed", "--since", "1m") == [7]
    assert shown("--since", "1m") == [7]
    assert len(hub.requests) <= 4
    assert status.run("web", "--branch", "f40").endswith("no such builds\n")


def test_builds_that_were_not_searched(hub: StatusHub, status: Status) -> None:
    others = [build(number, "COMPLETE", task_id=None) for number in range(10, 10 + MAX_SELECTED_BUILDS)]
    hub.builds = [build(1, "FAILED"), *others]
    text, fields = status.run("web", "--branch", "f43"), status.json("web", "--branch", "f43")
    assert fields["searched_since"] == {"builds": CREATED + 10, "tasks": None}
    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(CREATED + 10))
    message = f"builds created before {date} were not searched; use --limit N or --since TIME to search further"
    assert text == f"web-container\nno such builds\n{message}\n"
    assert len(hub.requests) <= 4
    for complete in (("--failed",), ("--branch", "f43", "--limit", "200"), ("--limit", "3"), ()):
        assert "not searched" not in status.run("web", *complete), complete
        assert status.json("web", *complete)["searched_since"] == {"builds": None, "tasks": None}
    assert status.json("web", "--since", "9d", "--limit", "3")["searched_since"]["builds"] is None, "three suffice"


@pytest.mark.parametrize("options", [("--limit", "3"), ("--since", "9d"), ("--failed", "--since", "9d")])
def test_further_pages_are_searched(hub: StatusHub, status: Status, options: tuple[str, ...]) -> None:
    """Builds of the branch are on the third page, and a failed task of one of them on the first."""
    numbers = range(10, 10 + 2 * MAX_SELECTED_BUILDS)
    wanted = [build(number, "FAILED", task_id=number) for number in (1, 2, 3)]
    hub.builds = [*wanted, *(build(number, "FAILED", task_id=None) for number in numbers)]
    request = [*task(7, "FREE")["request"][:2], {"git_branch": "f43"}]
    hub.tasks = [task(number, "FAILED", request=request) for number in (1, 2, 3)]
    entries = status.json("web", "--branch", "f43", *options)
    assert [entry["nvr"] for entry in entries["builds"]] == [f"web-container-1-{number}" for number in (3, 2, 1)]
    assert entries["searched_since"] == {"builds": None, "tasks": None}


def test_pages_end_with_the_limit(hub: StatusHub, status: Status) -> None:
    hub.tasks = [task(7, "FAILED", completion_ts=NOW)]
    hub.builds = [build(number, "COMPLETE", task_id=7) for number in range(10, 10 + 3 * MAX_SELECTED_BUILDS)]
    assert len(status.json("web", "--branch", "rawhide", "--limit", "5")["builds"]) == 5
    assert len(hub.requests) <= 4
    hub.builds = [build(number, "COMPLETE") for number in range(10, 10 + (MAX_PAGES + 1) * MAX_SELECTED_BUILDS)]
    fields = status.json("web", "--branch", "f43", "--since", "9d")
    assert fields["searched_since"]["builds"] == CREATED + 10 + MAX_SELECTED_BUILDS
    assert status.run("web", "--branch", "f43", "--since", "9d").endswith(" were not searched\n")


def test_tasks_that_were_not_searched(hub: StatusHub, status: Status) -> None:
    failed = [task(number, "FAILED", create_ts=CREATED + number) for number in range(10, 10 + MAX_TASKS)]
    hub.tasks = [task(1, "FAILED"), *failed]
    assert "tasks without an NVR created before " in status.run("web", "--failed")
    assert status.json("web", "--failed")["searched_since"] == {"builds": None, "tasks": CREATED + 10}
    assert status.json("--mine", "--branch", "f43")["searched_since"] == {"builds": None, "tasks": CREATED + 10}
    assert "tasks without an NVR created before " in status.run("--mine", "--branch", "f43")
    for complete in (("web",), ("--mine",), ("--mine", "--branch", "rawhide", "--limit", "5"),
                     ("--mine", "--branch", "f43", "--limit", "5"), ("web", "--failed", "--since", "9d")):  # fmt: skip
        assert "not searched" not in status.run(*complete), complete


def test_own_builds_of_further_pages(hub: StatusHub, status: Status) -> None:
    request = [*task(7, "FREE")["request"][:2], {"git_branch": "f43"}]
    hub.tasks = [task(1, "FAILED", request=request), *(task(n, "FAILED") for n in range(10, 10 + 2 * MAX_TASKS))]
    for options in (("--limit", "2"), ("--since", "9d")):
        entries = status.json("--mine", "--branch", "f43", *options)
        assert [entry["task_id"] for entry in entries["ended"]] == [1], options
    assert len(status.json("--mine", "--since", "9d")["ended"]) == 2 * MAX_TASKS + 1, "not only the newest 10"
    assert len(status.json("--mine")["ended"]) == 10


def test_own_builds(hub: StatusHub, status: Status) -> None:
    _package(hub)
    text = _flat(status.run("--mine"))
    assert len(hub.requests) <= 4
    assert "running\n● build of container/web, rawhide" in text.replace("scratch build", "build")
    assert "\nended\n✘ build of container/web, f43 failed 4 min ago by me task 21\n" in text
    assert [entry["task_id"] for entry in status.json("--mine", "--limit", "1")["ended"]] == [21]
    assert [entry["task_id"] for entry in status.json("--mine", "--branch", "f43")["ended"]] == [21]
    hub.tasks = []
    assert status.run("--mine") == "you have no container builds\n"


@pytest.mark.parametrize("word", ["web-container-1-2", "2"])
def test_failed_build(hub: StatusHub, status: Status, word: str) -> None:
    _package(hub)
    text = _flat(status.run(word))
    assert len(hub.requests) <= 4
    assert text.startswith("✘ web-container-1-2 failed 3 min ago\n")
    for line in (f"reason {FAULT}", "step RUN grep -q a: b", "target target", "branch f43",
                 "logs: fedpkg container-status 21 --logs --failed"):  # fmt: skip
        assert f"\n{line}" in text, line
    assert status.json(word)["state"] == "FAILED"


def _image(number: int, label: str) -> dict[str, Any]:
    """An archive of an image."""
    docker = {"repositories": ["r.io/web@sha256:1"], "config": {"config": {"Labels": {"summary": label}}}}
    return {"id": number, "size": 4_000_000 * number, "extra": {"image": {"arch": "x86_64"}, "docker": docker}}


def test_contents_and_changes_of_a_build(hub: StatusHub, status: Status) -> None:
    parent = {"image": {"parent_image_builds": {"base:1": {"id": 9, "nvr": "base-1-9"}}, "parent_build_id": 9}}
    hub.builds = [
        build(1, "COMPLETE"),
        build(2, "COMPLETE", extra={"typeinfo": parent}),
        build(9, "COMPLETE", nvr="base-1-9"),
    ]
    hub.archives = {1: [_image(1, "a")], 2: [_image(2, "b")]}
    hub.rpms = {1: [{"nvr": "bash-1-1", "arch": "x86_64", "name": "bash"}],
                2: [{"nvr": "bash-2-1", "arch": "x86_64", "name": "bash"},
                    {"nvr": "zlib-1-1", "arch": "x86_64", "name": "zlib"}]}  # fmt: skip
    fields = status.json("web-container-1-2")
    assert len(hub.requests) <= 4
    assert fields["rpms"] == ["bash-2-1.x86_64", "zlib-1-1.x86_64"]
    assert fields["images"][0]["labels"] == {"summary": "b"}
    assert fields["parents"] == [{"image": "base:1", "nvr": "base-1-9", "is_base": True, "newest": "base-1-9"}]
    assert status.run("web-container-1-2", "--rpms") == "bash-2-1.x86_64\nzlib-1-1.x86_64\n"
    changes = status.json("web-container-1-2", "--diff", "web-container-1-1")
    assert (changes["added"], changes["upgraded"]) == (["zlib-1-1.x86_64"], {"bash": ["1-1.x86_64", "2-1.x86_64"]})
    assert "  ~ bash 1-1.x86_64 → 2-1.x86_64\n" in status.run("2", "--diff", "1")


def test_several_words(hub: StatusHub, status: Status) -> None:
    _package(hub)
    assert [view["view"] for view in status.json("7", "web", "web-container-1-1")] == ["task", "package", "build"]


def test_cancel(hub: StatusHub, status: Status) -> None:
    hub.tasks = [task(7, "OPEN"), task(8, "FREE"), task(9, "CLOSED"), task(10, "OPEN", owner=6)]
    assert _flat(status.run("--cancel", "7")) == "✘ task 7 canceled"
    assert len(hub.requests) <= 4
    assert '"state": "CANCELED"' in status.run("--cancel", "8", "--format", "json")
    hub.tasks.append(task(11, "FREE"))
    assert status.json("--cancel", "11")["tasks"][0]["state"] == "CANCELED"
    with pytest.raises(RefusedError, match=r"ended tasks cannot be canceled: 9 \(closed\)"):
        status.run("--cancel", "10", "9")
    with pytest.raises(RefusedError, match="did not cancel task 10: Cannot cancel task, not owner"):
        status.run("--cancel", "10")
    with pytest.raises(RefusedError, match="the hub has no task 99"):
        status.run("--cancel", "99")


def test_logs_of_failed_tasks(hub: StatusHub, status: Status) -> None:
    _failed_build(hub)
    hub.tasks.append(task(9, "CLOSED", parent=7, label="aarch64", request=[{}]))
    hub.output |= {9: {"aarch64.log": b"b\n"}, 7: {"build.log": b"c\n"}}
    assert status.run("7", "--logs", "--failed") == "a\n"
    assert len(hub.requests) <= 4
    hub.tasks = [task(9, "CLOSED")]
    with pytest.raises(RefusedError, match="neither task 9 nor one of its subtasks has failed"):
        status.run("9", "--logs", "--failed")


def test_text_of_the_hub_cannot_control_the_terminal(hub: StatusHub, status: Status) -> None:
    evil = "a\x1b[2J\u202e"
    request = [f"git+https://user:secret@src.example/{evil}#{evil}", evil, {"git_branch": evil, evil: evil}]
    hub.tasks = [
        task(7, "FREE", request=request, owner_name=evil),
        task(8, "FAILED", parent=7, label=evil, method=evil, request=[evil]),
        task(9, "FAILED", request=request, completion_ts=NOW),
    ]
    hub.hosts = [host(1, name=evil, arches=evil)]
    hub.channel["name"] = evil
    hub.results = {8: evil, 9: evil}
    image = {"typeinfo": {"image": {"index": {"pull": [evil]}}}}
    hub.builds = [
        build(7, "COMPLETE", nvr=evil, extra=image),
        build(6, "COMPLETE", source=evil, extra={"submitter": evil}),
    ]
    for words in (("7",), ("8",), ("9",), ("6",), ("web",), ("--mine",), ("web", "--format", "{{.owner}} {{.branch}}")):
        text = status.run(*words)
        assert not set(text) & set("\x1b\u202e"), words
        assert "secret" not in text
    assert "secret" not in status.run("7", "--json")
