# SPDX-License-Identifier: GPL-2.0-or-later
"""Yum repositories of build tags."""

from __future__ import annotations

import re
from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.support import assert_refused, new_name
from tests.contract.tasks import Target


def test_no_repo(target: Target, anonymous: Any) -> None:
    assert anonymous.getRepo(target.build_tag) is None
    assert anonymous.getRepo(target.build_tag_name) is None


def test_repo_of_a_missing_tag(anonymous: Any) -> None:
    with assert_refused(1000, "No such entry in table tag: contract-no-tag"):
        anonymous.getRepo("contract-no-tag")


@pytest.mark.since("1.35")
def test_a_repo_that_is_being_made(target: Target, host: Any) -> None:
    repo_id, event_id = host.host.repoInit(target.build_tag_name)
    info = host.repoInfo(repo_id)
    assert set(info) == shapes.REPO
    assert (info["id"], info["create_event"], koji.REPO_STATES[info["state"]]) == (repo_id, event_id, "INIT")
    assert (info["tag_id"], info["tag_name"]) == (target.build_tag, target.build_tag_name)
    assert (info["dist"], info["task_id"]) == (False, None)
    assert host.getRepo(target.build_tag) is None


@pytest.mark.since("1.35")
def test_a_repo_that_is_ready(target: Target, host: Any) -> None:
    repo_id, _ = host.host.repoInit(target.build_tag_name)
    assert host.host.repoDone(repo_id, {}) is None
    info = host.getRepo(target.build_tag_name)
    assert set(info) == shapes.REPO
    assert (info["id"], koji.REPO_STATES[info["state"]]) == (repo_id, "READY")
    assert isinstance(info["create_ts"], float)
    assert info == host.repoInfo(repo_id)


def test_the_newest_repo_is_given(target: Target, host: Any) -> None:
    made = []
    for _ in range(2):
        made.append(host.host.repoInit(target.build_tag_name)[0])
        host.host.repoDone(made[-1], {})
    assert host.getRepo(target.build_tag)["id"] == made[-1]


def test_a_repo_that_is_done_twice(target: Target, host: Any) -> None:
    repo_id, _ = host.host.repoInit(target.build_tag_name)
    host.host.repoDone(repo_id, {})
    with assert_refused(1000, f"Repo {repo_id} not in INIT state (got {koji.REPO_READY})"):
        host.host.repoDone(repo_id, {})


def test_a_repo_for_a_missing_tag(host: Any) -> None:
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        host.host.repoInit("contract-no-tag")


def test_a_missing_repo(anonymous: Any) -> None:
    assert anonymous.repoInfo(2**31 - 2) is None
    with assert_refused(1000, "query returned no rows"):
        anonymous.repoInfo(2**31 - 2, strict=True)


def request_of(session: Any, target: Target, **options: Any) -> dict[str, Any]:
    """Request a repo; cancel the task that the hub may have created for it."""
    answer: dict[str, Any] = session.repo.request(target.build_tag, **options)
    if answer["request"] and answer["request"]["task_id"]:
        session.cancelTask(answer["request"]["task_id"])
    return answer


@pytest.mark.since("1.35")
def test_a_request(target: Target, packager: Any) -> None:
    answer = request_of(packager, target, min_event="last")
    request = answer["request"]
    assert (answer["repo"], answer["duplicate"]) == (None, False)
    assert set(request) >= {"id", "active", "min_event", "repo_id", "task_id", "task_state", "tries"}
    assert (request["active"], request["repo_id"]) == (True, None)
    assert request["min_event"] == packager.tagLastChangeEvent(target.build_tag)
    assert packager.repo.checkRequest(request["id"])["repo"] is None


@pytest.mark.since("1.35")
def test_a_request_that_a_repo_fulfils(target: Target, host: Any, packager: Any) -> None:
    repo_id, _ = host.host.repoInit(target.build_tag_name)
    host.host.repoDone(repo_id, {})
    answer = request_of(packager, target, min_event="last")
    assert answer == {"repo": host.repoInfo(repo_id), "request": None, "duplicate": False}


@pytest.mark.since("1.35")
def test_a_request_that_a_repo_is_too_old_for(target: Target, host: Any, admin: Any) -> None:
    repo_id, _ = host.host.repoInit(target.build_tag_name)
    host.host.repoDone(repo_id, {})
    before = admin.tagLastChangeEvent(target.build_tag)
    admin.editTag2(target.build_tag_name, arches="x86_64")
    assert admin.tagLastChangeEvent(target.build_tag) > before
    assert request_of(admin, target, min_event="last")["repo"] is None


@pytest.mark.since("1.35")
def test_requests_that_are_refused(target: Target, packager: Any, anonymous: Any) -> None:
    with assert_refused(1004, "you must be logged in for this operation"):
        anonymous.repo.request(target.build_tag)
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        packager.repo.request("contract-no-tag")
    with assert_refused(1000, "No such request"):
        packager.repo.checkRequest(2**31 - 2)


@pytest.mark.since("1.35")
def test_last_change_of_a_missing_tag(anonymous: Any) -> None:
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        anonymous.tagLastChangeEvent("contract-no-tag")


@pytest.mark.since("1.35")
def test_a_task_for_a_repo_by_a_packager(target: Target, packager: Any, packager_name: str) -> None:
    with assert_refused(1004, f"regen-repo permission required (logged in as {packager_name})"):
        packager.newRepo(target.build_tag_name)


@pytest.fixture
def external(admin: Any) -> Any:
    """An external repository not used by any tag."""
    return admin.createExternalRepo(new_name("external"), "https://elsewhere.example.org/$arch")


def test_external_repos_of_a_tag(target: Target, admin: Any, anonymous: Any, external: Any) -> None:
    assert set(external) == {"id", "name", "url"}
    assert external["url"] == "https://elsewhere.example.org/$arch/", "with a slash at its end"
    assert anonymous.getExternalRepoList(target.build_tag) == []
    assert admin.addExternalRepoToTag(target.build_tag_name, external["name"], 10) is None
    (listed,) = anonymous.getExternalRepoList(target.build_tag)
    assert listed == anonymous.getExternalRepoList(target.build_tag_name)[0]
    assert listed == {
        "external_repo_id": external["id"],
        "external_repo_name": external["name"],
        "url": external["url"],
        "priority": 10,
        "merge_mode": "koji",
        "arches": None,
        "tag_id": target.build_tag,
        "tag_name": target.build_tag_name,
    }
    assert admin.removeExternalRepoFromTag(target.build_tag_name, external["name"]) is None
    assert anonymous.getExternalRepoList(target.build_tag) == []


def test_external_repos_that_are_refused(target: Target, admin: Any, packager: Any, external: Any) -> None:
    name = external["name"]
    with assert_refused(1000, f'An external repo named "{name}" already exists'):
        admin.createExternalRepo(name, "https://elsewhere.example.org/")
    admin.addExternalRepoToTag(target.build_tag, name, 10)
    with assert_refused(1000, f"tag {target.build_tag_name} already associated with external repo {name}"):
        admin.addExternalRepoToTag(target.build_tag, name, 20)
    admin.removeExternalRepoFromTag(target.build_tag, name)
    with assert_refused(1000, f"external repo {name} not associated with tag {target.build_tag_name}"):
        admin.removeExternalRepoFromTag(target.build_tag, name)
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        admin.getExternalRepoList("contract-no-tag")
    for call in (packager.createExternalRepo, packager.removeExternalRepoFromTag):
        with assert_refused(1004, re.compile("permission required")):
            call(target.build_tag_name, name)
