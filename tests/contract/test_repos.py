"""Repositories of a build tag."""

from __future__ import annotations

from typing import Any

import koji

from tests.contract import shapes
from tests.contract.support import refused
from tests.contract.tasks import Target


def test_no_repo(target: Target, anonymous: Any) -> None:
    assert anonymous.getRepo(target.build_tag) is None
    assert anonymous.getRepo(target.build_tag_name) is None


def test_repo_of_a_missing_tag(anonymous: Any) -> None:
    with refused(1000, "No such entry in table tag: contract-no-tag"):
        anonymous.getRepo("contract-no-tag")


def test_a_repo_that_is_being_made(target: Target, host: Any) -> None:
    repo_id, event_id = host.host.repoInit(target.build_tag_name)
    info = host.repoInfo(repo_id)
    assert set(info) == shapes.REPO
    assert (info["id"], info["create_event"], koji.REPO_STATES[info["state"]]) == (repo_id, event_id, "INIT")
    assert (info["tag_id"], info["tag_name"]) == (target.build_tag, target.build_tag_name)
    assert (info["dist"], info["task_id"]) == (False, None)
    assert host.getRepo(target.build_tag) is None


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
    with refused(1000, f"Repo {repo_id} not in INIT state (got {koji.REPO_READY})"):
        host.host.repoDone(repo_id, {})


def test_a_repo_for_a_missing_tag(host: Any) -> None:
    with refused(1000, "No such tagInfo: 'contract-no-tag'"):
        host.host.repoInit("contract-no-tag")


def test_a_missing_repo(anonymous: Any) -> None:
    assert anonymous.repoInfo(2**31 - 2) is None
    with refused(1000, "query returned no rows"):
        anonymous.repoInfo(2**31 - 2, strict=True)
