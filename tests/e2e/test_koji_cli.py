# SPDX-License-Identifier: GPL-2.0-or-later
"""``koji container-build``: the koji program with our plugin, against a box."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import koji
import koji.xmlrpcplus
import pytest

from fedpkg_container.box.box import PLUGINS, Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN, PACKAGER
from fedpkg_container.box.shell import environment
from fedpkg_container.hub.session import log_out
from tests.support import preloaded
from tests.support.box_hub import submitting_box
from tests.support.packager import Packager
from tests.support.waiting import PATIENCE

PLUGIN = PLUGINS / "cli" / "cli_containerbuild.py"
SOURCE = "git+https://src.example.org/container/hello#1"
POLICY = "[policy]\nbuild_container =\n    bool scratch :: allow\n    all :: deny Only scratch builds\n"
KOJI = Path(sys.executable).with_name("koji")
#: Starts koji as one that is installed below another prefix.
ELSEWHERE = (
    "import runpy, sys; sys.prefix = sys.argv.pop(1); del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run(env: Mapping[str, str], *command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command's outputs and exit status, without a terminal."""
    return preloaded.run([*map(str, command)], env=env, cwd=cwd or Path.cwd(), timeout=PATIENCE)


@dataclass(frozen=True)
class Person:
    """A user of the koji command."""

    box: Box
    environment: dict[str, str]

    def koji(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.environment, KOJI, *arguments)

    def build(self, *options: str, target: str = site.TARGET, source: str = SOURCE) -> subprocess.CompletedProcess[str]:
        """``koji container-build`` with all that it must be given."""
        return self.koji("container-build", "--git-branch", "rawhide", *options, target, source)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A packager of a box that allows scratch builds alone."""
    with submitting_box(tmp_path_factory.mktemp("policy"), configuration=POLICY) as box:
        session = box.session(ADMIN)
        session.createTag("locked-tag", locked=True)
        session.createBuildTarget("locked", site.BUILD_TAG, "locked-tag")
        log_out(session)
        yield Person(box, environment(box))


def _request(person: Person, said: str) -> tuple[dict[str, Any], list[Any]]:
    """The task that a command reports to have created."""
    found = re.search(r"^Created task: (\d+)$", said, re.MULTILINE)
    assert found, said
    session = person.box.session(ADMIN)
    task = session.getTaskInfo(int(found[1]), request=True)
    log_out(session)
    return task, task["request"]


def test_a_build_that_is_waited_for(packager: Packager) -> None:
    commit = packager.commit(packager.dockerfile("RUN true"))
    host = f"127.0.0.1:{packager.box.layout.ports.distgit_anonymous}"
    source = f"git+http://{host}/container/{packager.name}#{commit}"
    options = ("--scratch", "--wait", "--git-branch", "rawhide")
    done = run(packager.environment, KOJI, "container-build", *options, site.TARGET, source)
    assert done.returncode == 0, done.stdout + done.stderr
    task = re.match(r"Created task: (\d+)\nWatching tasks", done.stdout)
    assert task, done.stdout
    result = done.stdout.partition(f"\nTask Result ({task[1]}):\n")[2]
    assert "\nkoji_builds:\nrepositories:\n    " in result
    assert f"/{packager.name}@sha256:" in result.splitlines()[-1]


def test_files_of_builds_are_downloaded(box: Box, tmp_path: Path) -> None:
    env = environment(box)
    session = box.session(PACKAGER)
    (pages,) = session.listTagged(site.BUILD_TAG, package="hello-web-pages", latest=True)
    (image,) = session.listBuilds(type="image", queryOpts={"order": "build_id", "limit": 1})
    names = {archive["filename"] for archive in session.listArchives(image["build_id"], type="image")}
    names |= {f"{rpm['nvr']}.{rpm['arch']}.rpm" for rpm in session.listRPMs(buildID=pages["build_id"])}
    log_out(session)
    for arguments in ((pages["nvr"],), ("--type", "image", image["nvr"])):
        done = run(env, KOJI, "download-build", "--noprogress", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == names
    assert len(names) > 1


def test_what_is_sent(person: Person) -> None:
    options = ("--scratch", "--arch-override", "x86_64,aarch64", "--background", "--nowait", "--release", "7")
    more = ("--repo-url", "https://x/a.repo", "--repo-url", "https://x/b.repo", "--userdata", '{"a": [1]}')
    done = person.build(*options, *more, "--koji-parent-build", "base-1-1", "--channel-override", "default")
    task, (source, target, sent) = _request(person, done.stdout)
    assert done.returncode == 0
    assert (source, target, task["priority"]) == (SOURCE, site.TARGET, 25)
    assert sent == {
        "scratch": True,
        "arch_override": "x86_64 aarch64",
        "git_branch": "rawhide",
        "release": "7",
        "yum_repourls": ["https://x/a.repo", "https://x/b.repo"],
        "userdata": {"a": [1]},
        "koji_parent_build": "base-1-1",
    }


def test_in_the_background_nothing_is_waited_for(person: Person) -> None:
    done = person.build("--scratch")
    assert done.returncode == 0
    assert done.stdout == f"Created task: {_request(person, done.stdout)[0]['id']}\n"
    assert person.build("--scratch", "--quiet").stdout == ""


def test_wrong_usage_ends_before_the_hub_is_asked(person: Person) -> None:
    done = person.build("--scratch", "--isolated")
    assert done.returncode == 2
    assert done.stderr.endswith("\nkoji: error: Build cannot be both isolated and scratch\n")


@pytest.mark.parametrize(
    ("target", "said"), [("nosuch", "Unknown build target: nosuch"), ("locked", "Destination tag locked-tag is locked")]
)
def test_a_target_that_cannot_be_built_for(person: Person, target: str, said: str) -> None:
    done = person.build(target=target)
    assert done.returncode == 2
    assert f"koji: error: {said}" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "ActionNotAllowed: policy violation (build_container): Only scratch builds [rule: all :: deny]"),
        (("--isolated",), "GenericError: buildContainer: an isolated build requires a release"),
        (
            ("--scratch", "--compose-id", "1"),
            "GenericError: buildContainer: option compose_ids is not supported",
        ),
        (("--scratch", "--replace-dependency", "pip:a:1"), "option dependency_replacements is not supported"),
        (("--scratch", "--userdata", "[]"), "GenericError: buildContainer: userdata: [] is not of type 'object'"),
        (("--scratch", "--channel-override", "nosuch"), "GenericError: No such channel: nosuch"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_what_the_hub_refuses_it_says_itself(person: Person, options: tuple[str, ...], said: str) -> None:
    done = person.build(*options)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_flatpaks_are_sent_and_refused_by_the_hub(person: Person) -> None:
    done = person.koji("flatpak-build", "--scratch", "--git-branch", "stable", site.TARGET, SOURCE)
    assert done.returncode == 1
    assert "option flatpak is not supported: it requires a module build service" in done.stderr


def test_a_locked_tag_takes_scratch_builds(person: Person) -> None:
    assert person.build("--scratch", target="locked").returncode == 0


def _own(person: Person, directory: Path) -> dict[str, str]:
    """A home like the person's, whose profile names no directory of plugins."""
    profile = configparser.ConfigParser(interpolation=None)
    profile.read(Path(person.environment["HOME"]) / ".koji" / "config")
    del profile["koji"]["plugin_paths"]
    (directory / ".koji" / "plugins").mkdir(parents=True)
    with (directory / ".koji" / "config").open("w") as file:
        profile.write(file)
    return {**person.environment, "HOME": str(directory)}


def test_without_the_plugin_there_is_no_such_command(person: Person, tmp_path: Path) -> None:
    assert "Unknown command: container-build" in run(_own(person, tmp_path), KOJI, "container-build").stderr


def test_linked_into_a_persons_plugins(person: Person, tmp_path: Path) -> None:
    env = _own(person, tmp_path)
    (tmp_path / ".koji" / "plugins" / PLUGIN.name).symlink_to(PLUGIN)
    assert re.search(r"container-build +Build a container image", run(env, KOJI, "help", "build").stdout)
    done = run(env, KOJI, "container-build", "--scratch", "--git-branch", "rawhide", site.TARGET, SOURCE)
    assert _request(person, done.stdout)


def test_linked_into_the_systems_plugins(person: Person, tmp_path: Path) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    directory = tmp_path / "usr" / "lib" / version / "site-packages" / "koji_cli_plugins"
    directory.mkdir(parents=True)
    (directory / PLUGIN.name).symlink_to(PLUGIN)
    command = (sys.executable, "-c", ELSEWHERE, str(tmp_path / "usr"), KOJI)
    env = _own(person, tmp_path / "home")
    done = run(env, *command, "container-build", "--scratch", "--git-branch", "rawhide", site.TARGET, SOURCE)
    assert _request(person, done.stdout), done.stderr


def test_a_task_that_fails_fails_the_command(person: Person) -> None:
    session, builder = person.box.session(PACKAGER), person.box.session(person.box.layout.builders[0])
    newest = _newest(session)
    command = (KOJI, "container-build", "--scratch", "--wait", "--git-branch", "rawhide", site.TARGET, SOURCE)
    process = subprocess.Popen(
        command, env=person.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE
    while (task := _newest(session)) == newest:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    builder.exclusiveSession(force=True)
    builder.host.openTask(task)
    builder.host.failTask(task, koji.xmlrpcplus.dumps(koji.xmlrpcplus.Fault(1005, "no such base image")))
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "no such base image" in output
    assert "Task Result" not in output
    for each in (session, builder):
        log_out(each)


def _newest(session: Any) -> int:
    """The newest task."""
    found = session.listTasks({"method": "buildContainer"}, {"order": "-id", "limit": 1})
    return int(found[0]["id"]) if found else 0
