# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the koji program that packagers and release engineers use: packages, tags, builds and tasks."""

from __future__ import annotations

import re
from typing import Any

import koji
import pytest

from tests.contract.images import ImageImporter
from tests.contract.koji_program import Program
from tests.contract.support import assert_refused, new_name
from tests.contract.tasks import Target, TaskBench


@pytest.fixture
def build(importer: ImageImporter, target: Target, admin: Any, packager_name: str) -> dict[str, Any]:
    """A build whose package the destination tag lists, with this tag."""
    made = importer.imported("1")
    admin.packageListAdd(target.dest_tag_name, made["name"], packager_name)
    admin.tagBuildBypass(target.dest_tag_name, made["nvr"])
    return made


def _listing(program: Program, tag: str, package: str) -> dict[str, Any] | None:
    """The tag's entry for a package."""
    found: list[dict[str, Any]] = program.sessions["admin"].listPackages(tagID=tag, pkgID=package, inherited=True)
    return found[0] if found else None


def test_a_package_is_blocked_and_unblocked(koji_program: Program, target: Target, build: dict[str, Any]) -> None:
    tag, name = target.dest_tag_name, build["name"]
    koji_program("block-pkg", tag, name)
    blocked = _listing(koji_program, tag, name)
    assert blocked
    assert blocked["blocked"] is True
    koji_program("unblock-pkg", tag, name)
    unblocked = _listing(koji_program, tag, name)
    assert unblocked
    assert (unblocked["blocked"], unblocked["owner_id"]) == (False, blocked["owner_id"])
    with assert_refused(1000, f"package {name} NOT blocked in tag {tag}"):
        koji_program("unblock-pkg", tag, name)


def test_a_package_that_is_blocked_by_inheritance(
    koji_program: Program, target: Target, build: dict[str, Any], admin: Any
) -> None:
    child = new_name("child")
    koji_program("add-tag", "--parent", target.dest_tag_name, child)
    koji_program("block-pkg", target.dest_tag_name, build["name"])
    koji_program("unblock-pkg", child, build["name"])
    found = [_listing(koji_program, tag, build["name"]) for tag in (child, target.dest_tag_name)]
    assert [each and each["blocked"] for each in found] == [False, True]


def test_a_package_is_removed_and_gets_another_owner(
    koji_program: Program, target: Target, build: dict[str, Any], admin: Any
) -> None:
    tag, name = target.dest_tag_name, build["name"]
    owner = admin.getLoggedInUser()["name"]
    koji_program("set-pkg-owner", owner, tag, name)
    koji_program("set-pkg-arches", "x86_64,s390x", tag, name)
    found = _listing(koji_program, tag, name)
    assert found
    assert found["owner_name"] == owner
    assert set(re.split("[ ,]", found["extra_arches"])) == {"x86_64", "s390x"}
    koji_program("remove-pkg", "--force", tag, name)
    assert _listing(koji_program, tag, name) is None
    with assert_refused(1000, f"cannot update: tag {tag} has no data for package {name}"):
        koji_program("set-pkg-owner", owner, tag, name)


def test_only_some_users_change_package_lists(koji_program: Program, target: Target, build: dict[str, Any]) -> None:
    for command in ("unblock-pkg", "remove-pkg"):
        with assert_refused(1004, re.compile("policy violation")):
            koji_program(command, target.dest_tag_name, build["name"], user="packager")


def test_a_tag_is_locked(
    koji_program: Program, target: Target, build: dict[str, Any], admin: Any, packager: Any
) -> None:
    tag = target.dest_tag_name
    koji_program("lock-tag", tag)
    assert admin.getTag(tag)["perm"] == "admin"
    assert "\nRequired permission: 'admin'\n" in koji_program("taginfo", tag)
    with assert_refused(1004, "tag requires admin permission"):
        packager.untagBuild(tag, build["nvr"])
    koji_program("unlock-tag", tag)
    assert admin.getTag(tag)["perm"] is None
    koji_program("lock-tag", "--master", tag)
    assert "LOCKED\n" in koji_program("taginfo", tag)
    with assert_refused(1004, "tag is locked"):
        packager.untagBuild(tag, build["nvr"])
    koji_program("unlock-tag", tag)
    assert admin.getTag(tag)["locked"] is False


def test_information_about_tags(koji_program: Program, target: Target, build: dict[str, Any]) -> None:
    child = new_name("child")
    koji_program("add-tag", "--parent", target.dest_tag_name, "--arches", "x86_64", child)
    output = koji_program("taginfo", child, target.build_tag_name)
    assert f"Tag: {child} [" in output
    assert "Arches: x86_64\n" in output
    assert f"{target.dest_tag_name} [{target.dest_tag}]" in output
    assert f"Targets that build from this tag:\n  {target.name}\n" in output
    assert target.dest_tag_name in koji_program("list-tags", "--package", build["name"])
    assert target.dest_tag_name in koji_program("list-tags", "--build", build["nvr"])
    assert target.dest_tag_name in koji_program("list-tag-inheritance", child)
    assert koji_program("list-groups", child) == ""


def test_inheritance_is_changed(koji_program: Program, target: Target, admin: Any) -> None:
    child, other = new_name("child"), new_name("other")
    for name in (child, other):
        koji_program("add-tag", name)
    koji_program("add-tag-inheritance", "--priority", "5", child, target.dest_tag_name)
    koji_program("add-tag-inheritance", "--priority", "9", child, other)
    assert [(link["name"], link["priority"]) for link in admin.getInheritanceData(child)] == [
        (target.dest_tag_name, 5),
        (other, 9),
    ]
    koji_program("edit-tag-inheritance", "--priority", "1", child, other)
    assert [link["name"] for link in admin.getInheritanceData(child)] == [other, target.dest_tag_name]
    assert koji_program.run("edit-tag-inheritance", "--priority", "5", child, other)[0] == 1
    with assert_refused(1000, re.compile(r"cannot have the same priority value \(5\)")):
        admin.setInheritanceData(child, {**admin.getInheritanceData(child)[0], "priority": 5})
    koji_program("remove-tag-inheritance", child, other)
    assert [link["name"] for link in admin.getInheritanceData(child)] == [target.dest_tag_name]


def test_targets_and_tags_are_removed(koji_program: Program, target: Target, build: dict[str, Any], admin: Any) -> None:
    other, renamed = new_name("other"), new_name("renamed")
    koji_program("add-tag", other)
    koji_program("edit-target", "--rename", renamed, "--dest-tag", other, target.name)
    assert admin.getBuildTarget(renamed)["dest_tag_name"] == other
    assert admin.getBuildTarget(target.name) is None
    koji_program("remove-tag", target.dest_tag_name)
    assert admin.getTag(target.dest_tag_name) is None
    assert admin.getBuild(build["nvr"])
    assert build["nvr"] in koji_program("list-untagged", build["name"])
    koji_program("remove-target", renamed)
    assert admin.getBuildTarget(renamed) is None
    koji_program("add-target", target.name, target.build_tag_name, other)
    koji_program("remove-tag", other)
    assert admin.getBuildTarget(target.name) is None


def test_a_tag_is_cloned(koji_program: Program, target: Target, build: dict[str, Any], admin: Any) -> None:
    clone = new_name("clone")
    koji_program("edit-tag", "--arches", "x86_64", "--extra", "a=b", "--perm", "admin", target.dest_tag_name)
    koji_program("clone-tag", "--all", target.dest_tag_name, clone)
    keys = ("arches", "extra", "perm", "locked")
    copied, source = admin.getTag(clone), admin.getTag(target.dest_tag_name)
    assert [copied[key] for key in keys] == [source[key] for key in keys]
    assert [tagged["nvr"] for tagged in admin.listTagged(clone)] == [build["nvr"]]
    with assert_refused(1000, "Target tag already exists"):
        admin.snapshotTag(target.dest_tag_name, clone)


@pytest.mark.since("1.35")
def test_a_repository_is_awaited(koji_program: Program, target: Target, host: Any) -> None:
    assert koji_program.sessions["admin"].repo.get(target.build_tag_name) is None
    repo_id, _ = host.host.repoInit(target.build_tag_name)
    host.host.repoDone(repo_id, {})
    assert f"Got repo {repo_id}\n" in koji_program("wait-repo", target.build_tag_name)
    assert f"Got repo {repo_id}\n" in koji_program("wait-repo", "--target", target.name)


def test_the_calls_of_the_hub(koji_program: Program) -> None:
    assert re.search(r"^getTag\(tagInfo, strict=False", koji_program("list-api"), re.MULTILINE)
    assert koji_program("list-api", "getTag").startswith("getTag(tagInfo, strict=False")
    assert koji_program.run("list-api", "no-such-method")[0]


def test_the_latest_builds(koji_program: Program, target: Target, build: dict[str, Any], admin: Any) -> None:
    tag, name = target.dest_tag_name, build["name"]
    output = koji_program("latest-build", "--quiet", tag, name)
    assert output.split()[:2] == [build["nvr"], tag]
    assert build["nvr"] in koji_program("latest-build", "--all", tag)
    assert koji_program("latest-build", "--quiet", tag, "no-such-package") == ""
    assert koji_program("latest-build", "--quiet", "--arch", "x86_64", tag, name) == ""
    assert build["nvr"] in koji_program("list-tagged", tag)
    assert build["nvr"] in koji_program("list-builds", "--package", name)
    assert koji_program("list-tagged", "--rpms", tag) == ""
    with assert_refused(1000, re.compile("No such")):
        koji_program("latest-build", "no-such-tag", name)


def test_a_search(koji_program: Program, target: Target, build: dict[str, Any], packager_name: str) -> None:
    for kind, name in (
        ("package", build["name"]),
        ("build", build["nvr"]),
        ("tag", target.dest_tag_name),
        ("target", target.name),
        ("user", packager_name),
    ):
        assert koji_program("search", kind, name) == f"{name}\n"
    assert build["name"] in koji_program("search", "package", f"{build['name'][:-4]}*")
    assert koji_program("search", "package", build["name"].replace("-", "_")) == ""


def test_a_task_is_resubmitted(koji_program: Program, bench: TaskBench, packager: Any) -> None:
    task_id = bench.canceled_task()
    output = koji_program("resubmit", "--nowait", task_id, user="packager")
    found = re.search(rf"Resubmitted task {task_id} as new task (\d+)", output)
    assert found, output
    new, old = (packager.getTaskInfo(bench.remember(each), request=True) for each in (int(found[1]), task_id))
    for key in ("method", "request", "arch", "channel_id", "priority", "owner"):
        assert new[key] == old[key]
    assert koji.TASK_STATES[new["state"]] == "FREE"
    with assert_refused(1000, "only canceled or failed tasks may be resubmitted"):
        packager.resubmitTask(new["id"])


def test_only_top_level_tasks_of_ones_own_are_resubmitted(bench: TaskBench, host: Any) -> None:
    task_id = bench.open_task()
    child = bench.child(task_id)
    bench.admin.cancelTask(task_id)
    with assert_refused(1000, "only top-level tasks may be resubmitted"):
        bench.packager.resubmitTask(child)
    with assert_refused(1000, "only the task owner or an admin may resubmit a task"):
        host.resubmitTask(task_id)


def test_the_priority_of_a_task(koji_program: Program, bench: TaskBench, admin: Any) -> None:
    task_id = bench.open_task()
    child = bench.child(task_id)
    koji_program("set-task-priority", "--priority", "5", task_id)
    assert admin.getTaskInfo(task_id)["priority"] == 5
    koji_program("set-task-priority", "--recurse", "--priority", "4", task_id)
    assert admin.getTaskInfo(child)["priority"] == 4
    with assert_refused(1000, "Finished task's priority can't be updated"):
        admin.setTaskPriority(bench.canceled_task(), 5)


def test_builds_are_moved(
    koji_program: Program, bench: TaskBench, target: Target, build: dict[str, Any], admin: Any, packager_name: str
) -> None:
    other = new_name("other")
    admin.createTag(other)
    admin.packageListAdd(other, build["name"], packager_name)
    for arguments in ((build["nvr"],), ("--all", build["name"])):
        options = [each for each in arguments if each.startswith("-")]
        words = [each for each in arguments if not each.startswith("-")]
        status, output, _ = koji_program.run("move-build", "--nowait", *options, target.dest_tag_name, other, *words)
        assert not status, output
        task = admin.listTasks({"method": "tagBuild", "decode": True}, {"order": "-id", "limit": 1})[0]
        bench.remember(task["id"])
        assert task["request"][3] == target.dest_tag


def test_external_repositories(koji_program: Program, target: Target, admin: Any) -> None:
    name, renamed = new_name("repo"), new_name("repo")
    koji_program("add-external-repo", "-t", target.build_tag_name, "-p", "5", name, "https://example.org/a")
    assert "https://example.org/a/" in koji_program("list-external-repos")
    assert name in koji_program("list-external-repos", "--tag", target.build_tag_name)
    assert name in koji_program("taginfo", target.build_tag_name)
    koji_program("edit-external-repo", "--name", renamed, "--url", "https://example.org/b", name)
    koji_program("edit-external-repo", "--tag", target.build_tag_name, "--priority", "7", renamed)
    (link,) = admin.getTagExternalRepos(target.build_tag_name)
    assert (link["external_repo_name"], link["url"], link["priority"]) == (renamed, "https://example.org/b/", 7)
    koji_program("remove-external-repo", "--alltags", renamed)
    assert admin.getTagExternalRepos(target.build_tag_name) == []
    koji_program("remove-external-repo", renamed)
    assert admin.getExternalRepo(renamed) is None


def test_information_about_builds_tasks_and_hosts(
    koji_program: Program, bench: TaskBench, build: dict[str, Any], host_name: str, target: Target, packager_name: str
) -> None:
    task_id = bench.free_task()
    assert f"BUILD: {build['nvr']} [" in koji_program("buildinfo", build["nvr"])
    assert "Changelog:\n" not in koji_program("buildinfo", "--changelog", build["nvr"])
    assert f"Task: {task_id}\n" in koji_program("taskinfo", task_id)
    assert host_name in koji_program("list-hosts")
    assert f"Name: {host_name}\n" in koji_program("hostinfo", host_name)
    assert str(task_id) in koji_program("list-tasks", "--method", "buildContainer")
    assert target.name in koji_program("list-targets")
    assert "DEFAULT" in koji_program("list-volumes")
    assert "No notifications" in koji_program("list-notifications", "--user", packager_name)
    assert "container-binary" in koji_program("list-channels")
    assert build["name"] in koji_program("list-pkgs", "--tag", target.dest_tag_name)
    assert build["nvr"] in koji_program("list-history", "--tag", target.dest_tag_name)
    assert "You are using the hub at" in koji_program("moshimoshi")
