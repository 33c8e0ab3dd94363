# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of container-build."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out
from tests.support.packager import Packager
from tests.support.waiting import PATIENCE

REFUSED = 3
PROFILE = ".koji/config"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "progress.schema.json").read_text())


def _tasks(box: Box) -> int:
    session = box.session(ADMIN)
    number: int = session.listTasks(queryOpts={"countOnly": True})
    log_out(session)
    return number


def _nowhere(profile: str) -> str:
    """A Koji profile whose hub does not respond."""
    return re.sub(r"(server = https://127.0.0.1:)\d+", r"\g<1>1", profile)


@contextmanager
def _changed(packager: Packager, name: str, change: Callable[[str], str]) -> Iterator[None]:
    """Change a file in the packager's home during the block."""
    path = Path(packager.environment["HOME"]) / name
    before = path.read_text()
    path.write_text(change(before))
    try:
        yield
    finally:
        path.write_text(before)


def test_dry_run_prints_the_request(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    before = _tasks(box)
    done = packager.build("--dry-run", "--background")
    assert done.returncode == 0
    assert f"would submit a build of {packager.name}-container-1.0-1\n" in done.stdout
    request = r"    target +rawhide-container-candidate\n    arches +x86_64\n    priority +\+5\n"
    assert re.search(request, done.stdout)
    assert _tasks(box) == before


def test_a_clone_made_by_fedpkg(packager: Packager, tmp_path: Path) -> None:
    packager.run("fedpkg", "clone", f"container/{packager.name}", "cloned", cwd=tmp_path)
    cloned = replace(packager, checkout=tmp_path / "cloned")
    cloned.commit(cloned.dockerfile("RUN true"))
    assert cloned.build("--dry-run").returncode == 0


def test_offline_dry_run_sends_no_requests(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    with _changed(packager, PROFILE, _nowhere):
        assert packager.build("--dry-run", "--offline").returncode == 0
        asked = packager.build("--dry-run")
    assert asked.returncode == 5


def test_invalid_server_in_the_profile(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    with _changed(
        packager, PROFILE, lambda text: re.sub("server = .*", "server = https://127.0.0.1:port/kojihub", text)
    ):
        done = [packager.build("--dry-run"), packager.build("--scratch")]
    for each in done:
        assert each.returncode == 2
        assert "invalid server URL in the Koji profile: https://127.0.0.1:port/kojihub" in each.stderr


def test_findings_of_files_and_hub_are_printed_together(packager: Packager) -> None:
    packager.commit(packager.dockerfile("COPY nosuch /x", "RUN true"))
    done = packager.build("--target", "nosuch", "--repo-url", "not an address")
    assert done.returncode == REFUSED
    for code in ("copy-missing", "target", "repo-url"):
        assert f"[{code}]" in done.stderr
    assert "error: not submitted: 3 errors\n" in done.stderr


def test_findings_are_shown_if_the_hub_is_down(packager: Packager) -> None:
    packager.commit(packager.dockerfile("COPY nosuch /x"))
    with _changed(packager, PROFILE, _nowhere):
        done = packager.build("--dry-run")
    assert done.returncode == REFUSED
    assert "[copy-missing]" in done.stderr
    assert "checks of the hub skipped: " in done.stderr


def test_strict_treats_warnings_as_errors(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true", without="summary"))
    assert packager.build("--dry-run").returncode == 0
    done = packager.build("--dry-run", "--strict")
    assert done.returncode == REFUSED
    assert "error: there is no label summary [label-advised]" in done.stderr
    assert packager.build("--dry-run", "--strict", "--skip-check", "label-advised").returncode == 0


def test_skip_unknown_check(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build("--skip-check", "lable-advised")
    assert done.returncode == 2
    assert "did you mean label-advised?" in done.stderr


def test_findings_as_json(packager: Packager) -> None:
    packager.commit(packager.dockerfile("COPY nosuch /x"))
    done = packager.build("--progress", "json")
    assert done.returncode == REFUSED
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["event"], each.get("code"), each.get("line")) for each in events] == [
        ("finding", "copy-missing", 9),
        ("error", None, None),
    ]
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [("--dry-run",), ("--scratch", "--nowait"), ("--local",)])
def test_json_of_every_mode_matches_the_schema(
    packager: Packager, storage: dict[str, str], arguments: tuple[str, ...]
) -> None:
    packager.commit(packager.dockerfile("RUN true", without="summary"))
    done = packager.build("--progress", "json", *arguments, env=storage)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for each in events:
        jsonschema.validate(each, SCHEMA)
    last = {"--dry-run": "request", "--scratch": "submitted", "--local": "image"}[arguments[0]]
    assert [each["event"] for each in events][-1] == last
    assert done.stderr == ""


def test_invalid_setting_is_reported_before_submission(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    before = _tasks(box)
    setting = "\n[fedpkg.container-build]\nprogress_interval = often\n"
    with _changed(packager, ".config/rpkg/fedpkg.conf", lambda text: text + setting):
        done = packager.build("--scratch")
    assert done.returncode == 2
    assert "progress_interval = often: must be a number of seconds" in done.stderr
    assert _tasks(box) == before


def test_task_info(packager: Packager, box: Box, tmp_path: Path) -> None:
    commit = packager.commit(packager.dockerfile("RUN true"))
    info = tmp_path / "task.json"
    options = ("--task-info", str(info), "--userdata", '{"a": 1}', "--build-release", "7")
    done = packager.build("--nowait", *options)
    assert done.returncode == 0, done.stderr
    written = json.loads(info.read_text())
    assert f"Created task: {written['task_id']}\n" in done.stdout
    assert written["nvr"] == f"{packager.name}-container-1.0-7"
    assert written["source"].endswith(f"/container/{packager.name}#{commit}")
    assert written["options"] == {"git_branch": "rawhide", "release": "7", "userdata": {"a": 1}}
    assert list(tmp_path.glob(".task.json*")) == []
    box.session(ADMIN).cancelTask(written["task_id"])


def test_unwritable_task_info_is_reported_before_submission(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    before = _tasks(box)
    done = packager.build("--scratch", "--nowait", "--task-info", "/nosuch/directory/file")
    assert done.returncode == 2
    assert "--task-info: cannot write /nosuch/directory/file: No such file or directory" in done.stderr
    assert _tasks(box) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--offline",), "--offline: only allowed with argument --dry-run"),
        (("--scratch", "--arches"), "--arches: expected at least one architecture"),
        (("--local", "--nowait"), "--local: not allowed with argument --nowait"),
        (("--local", "--compose-id", "1"), "--local: not allowed with argument --compose-id"),
        (("--hub-timeout", "soon"), "'soon' is not a number of seconds"),
        (("--progress", "loud"), "invalid choice: 'loud'"),
    ],
)
def test_wrong_usage(packager: Packager, arguments: tuple[str, ...], message: str) -> None:
    done = packager.build(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_platforms_that_exclude_every_architecture(packager: Packager) -> None:
    files = {"container.yaml": "platforms:\n  only: s390x\n"}
    packager.commit(packager.dockerfile("RUN true"), files=files)
    done = packager.build("--scratch")
    assert done.returncode == REFUSED
    message = "platforms in container.yaml excludes every architecture of the build tag (x86_64)"
    assert f"container.yaml: error: {message} [arches]" in done.stderr


@pytest.fixture
def storage(packager: Packager, tmp_path: Path) -> dict[str, str]:
    """A separate local image storage."""
    configuration = tmp_path / "storage.conf"
    graph, run = tmp_path / "graph", tmp_path / "run"
    lines = ["[storage]", 'driver = "overlay"', f'graphroot = "{graph}"', f'runroot = "{run}"']
    lines.append(f'rootless_storage_path = "{graph}"')  # of an ordinary user
    configuration.write_text("\n".join(lines) + "\n")
    return {"CONTAINERS_STORAGE_CONF": str(configuration), "XDG_STATE_HOME": str(tmp_path / "state")}


def test_local_build_of_the_working_tree_without_network(packager: Packager, box: Box, storage: dict[str, str]) -> None:
    no_network = "RUN ! cat /proc/net/route | grep -q eth; wc -l < /proc/net/route"
    packager.commit(packager.dockerfile("COPY page /page", no_network, "RUN cat /page"), push=False)
    (packager.checkout / "page").write_text("not committed\n")
    before = _tasks(box)
    done = packager.build("--local", env=storage)
    assert done.returncode == 0, done.stderr
    name = f"localhost/{packager.name}:1.0-local"
    assert "\nnot committed\n" in done.stdout
    assert "network none" in done.stdout
    assert f"run it: podman run --rm -it {name}\n" in done.stdout
    assert "using the repository of build tag rawhide-container-build: " in done.stderr
    images = packager.run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}", env=storage).stdout.split()
    assert images == [name]
    assert _tasks(box) == before


def test_local_build_without_hub_and_registry(packager: Packager, box: Box, storage: dict[str, str]) -> None:
    """The base image is in local storage, under a name whose registry does not exist."""
    base = "registry.invalid/base:1"
    packager.run("buildah", "pull", "--quiet", packager.base, env=storage)
    packager.run("buildah", "tag", packager.base, base, env=storage)
    packager.commit(packager.dockerfile("RUN echo made here", base=base))
    home = Path(packager.environment["HOME"])
    elsewhere = packager.checkout.parent / "home"
    shutil.copytree(home, elsewhere, symlinks=True, ignore=shutil.ignore_patterns("hello-*", ".cache"))
    profile = elsewhere / ".koji" / "config"
    profile.write_text(_nowhere(profile.read_text()))
    done = packager.build("--local", env={**storage, "HOME": str(elsewhere)})
    assert done.returncode == 0, done.stderr
    assert "\nmade here\n" in done.stdout
    assert "not using the repository of target rawhide-container-candidate's build tag: cannot reach" in done.stderr


def test_failed_local_build_leaves_nothing(packager: Packager, storage: dict[str, str], tmp_path: Path) -> None:
    packager.commit(packager.dockerfile("RUN exit 3"))
    done = packager.build("--local", env=storage)
    assert done.returncode == 1
    assert "exit status 3" in done.stderr
    assert list((tmp_path / "state" / "fedpkg-container" / "local" / "builds").iterdir()) == []


def test_missing_repo_file(packager: Packager, storage: dict[str, str]) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build("--local", "--repo-url", "http://127.0.0.1:1/x.repo", env=storage)
    assert done.returncode == REFUSED
    assert "cannot read http://127.0.0.1:1/x.repo as a .repo file" in done.stderr


@pytest.mark.slow
def test_two_watched_builds_at_once(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN sleep 1"))
    options = (("--progress", "quiet"), ("--progress", "quiet", "--arches", "x86_64"))
    started = [packager.start("--scratch", *more) for more in options]
    outputs = [process.communicate(timeout=PATIENCE)[0].splitlines() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert len({lines[0] for lines in outputs}) == 2
    for lines in outputs:
        assert len(lines) == 2
        assert f"/{packager.name}@sha256:" in lines[1]
