# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about external repositories."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls import tags
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now, condition, entry, require_permission
from fedpkg_container.box.hub.parameters import Lookup, QueryOptions, verify_name

_EXTERNAL_REPOS = (
    "SELECT external_repos.id AS external_repo_id, external_repos.name AS external_repo_name, url, priority,"
    " merge_mode, tag_external_repos.arches AS arches, tags.id AS tag_id, tags.name AS tag_name FROM tag_external_repos"
    " JOIN external_repos ON external_repos.id = external_repo_id JOIN tags ON tags.id = tag_id"
)


@call("createExternalRepo", used_by="koji add-external-repo")
def create_external_repo(name: str, url: str) -> Row:
    """Add an external repository."""
    require_permission("admin")
    verify_name(name)
    if database().one("SELECT id FROM external_repos WHERE name = ?", name):
        raise koji.GenericError(f'An external repo named "{name}" already exists')
    url = url if url.endswith("/") else f"{url}/"
    return {"id": database().insert("external_repos", name=name, url=url), "name": name, "url": url}


@call("addExternalRepoToTag", used_by="koji add-external-repo")
def add_external_repo_to_tag(
    tag_info: Lookup, repo_info: Lookup, priority: int, merge_mode: str | None = "koji", arches: str | None = None
) -> None:
    """Add an external repository to a tag."""
    require_permission("tag")
    merge_mode = merge_mode or "koji"
    if merge_mode not in koji.REPO_MERGE_MODES:
        raise koji.GenericError(f"No such merge mode: {merge_mode}")
    tag, repo = tags.known_tag(tag_info), entry("external_repo", repo_info)
    known = database().all(f"{_EXTERNAL_REPOS} WHERE tag_id = ?", tag["id"])
    if any(row["external_repo_id"] == repo["id"] for row in known):
        raise koji.GenericError(f"tag {tag['name']} already associated with external repo {repo['name']}")
    values = {"external_repo_id": repo["id"], "priority": priority, "merge_mode": merge_mode, "arches": arches}
    database().insert("tag_external_repos", tag_id=tag["id"], **values)
    database().event(tag["id"])


@call("removeExternalRepoFromTag", used_by="koji remove-external-repo")
def remove_external_repo_from_tag(tag_info: Lookup, repo_info: Lookup) -> None:
    """Remove an external repository from a tag."""
    require_permission("tag")
    tag, repo = tags.known_tag(tag_info), entry("external_repo", repo_info)
    where = "tag_id = ? AND external_repo_id = ?"
    if not database().one(f"SELECT id FROM tag_external_repos WHERE {where}", tag["id"], repo["id"]):
        raise koji.GenericError(f"external repo {repo['name']} not associated with tag {tag['name']}")
    database().execute(f"DELETE FROM tag_external_repos WHERE {where}", tag["id"], repo["id"])
    database().event(tag["id"])


@call("listExternalRepos", used_by="koji list-external-repos")
def list_external_repos(
    info: Lookup | None = None, url: str | None = None, event: int | None = None, queryOpts: QueryOptions | None = None
) -> object:
    """External repositories: all, one, or those of a URL."""
    assert_now(event)
    clauses, values = ["1"], []
    if info is not None:
        column, value = condition(info)
        clauses.append(f"{column} = ?")
        values.append(value)
    if url:
        clauses.append("url = ?")
        values.append(url)
    rows = database().all(f"SELECT * FROM external_repos WHERE {' AND '.join(clauses)} ORDER BY id", *values)
    return query_options(rows, queryOpts)


@call("getExternalRepo", used_by="koji edit-external-repo, rpminfo")
def get_external_repo(info: Lookup, strict: bool = False, event: int | None = None) -> Row | None:
    """An external repository."""
    assert_now(event)
    column, value = condition(info)
    row = database().one(f"SELECT * FROM external_repos WHERE {column} = ?", value)
    if row is None and strict:
        raise koji.GenericError(f"No such repo: {info}")
    return row


def _known(info: Any) -> Row:
    row = get_external_repo(info, strict=True)
    assert row is not None
    return row


@call("editExternalRepo", used_by="koji edit-external-repo")
def edit_external_repo(info: Lookup, name: str | None = None, url: str | None = None) -> None:
    """Change the name or URL of an external repository."""
    require_permission("admin")
    repo = _known(info)
    if name and name != repo["name"]:
        verify_name(name)
        if other := get_external_repo(name):
            raise koji.GenericError(f'name "{name}" is already taken by external repo {other["id"]}')
        database().update("external_repos", repo["id"], name=name)
    if url and url != repo["url"]:
        database().update("external_repos", repo["id"], url=url if url.endswith("/") else f"{url}/")
        for row in database().all("SELECT tag_id FROM tag_external_repos WHERE external_repo_id = ?", repo["id"]):
            database().event(row["tag_id"])


@call("deleteExternalRepo", used_by="koji remove-external-repo")
def delete_external_repo(info: Lookup) -> None:
    """Delete an external repository, and remove it from all tags."""
    require_permission("admin")
    repo = _known(info)
    for row in get_tag_external_repos(repo_info=repo["id"]):
        remove_external_repo_from_tag(row["tag_id"], repo["id"])
    database().execute("DELETE FROM external_repos WHERE id = ?", repo["id"])


@call("getTagExternalRepos", used_by="koji taginfo, list-external-repos, add-external-repo and others")
def get_tag_external_repos(
    tag_info: Lookup | None = None, repo_info: Lookup | None = None, event: int | None = None
) -> list[Row]:
    """External repositories of tags: those of one tag, the tags of one repository, or all; by priority."""
    assert_now(event)
    tag_id = tags.known_tag(tag_info)["id"] if tag_info else None
    repo_id = _known(repo_info)["id"] if repo_info else None
    rows = database().all(f"{_EXTERNAL_REPOS} ORDER BY priority")
    return [row for row in rows if tag_id in (None, row["tag_id"]) and repo_id in (None, row["external_repo_id"])]


@call("editTagExternalRepo", used_by="koji edit-external-repo --tag")
def edit_tag_external_repo(
    tag_info: Lookup,
    repo_info: Lookup,
    priority: int | None = None,
    merge_mode: str | None = None,
    arches: str | None = None,
) -> bool:
    """Change how a tag uses an external repository; return whether anything changed."""
    require_permission("tag")
    tag, repo = tags.known_tag(tag_info), _known(repo_info)
    existing = get_tag_external_repos(tag["id"], repo["id"])
    if not existing:
        raise koji.GenericError(f"external repo {repo['name']} not associated with tag {tag['name']}")
    wanted = {"priority": priority, "merge_mode": merge_mode, "arches": arches}
    changes = {key: value for key, value in wanted.items() if value is not None and value != existing[0][key]}
    if changes:
        remove_external_repo_from_tag(tag["id"], repo["id"])
        add_external_repo_to_tag(tag["id"], repo["id"], **{key: existing[0][key] for key in wanted} | changes)
    return bool(changes)


@call("getExternalRepoList", used_by="the builder plugin")
def get_external_repo_list(tag_info: Lookup, event: int | None = None) -> list[Row]:
    """External repositories of a tag and its ancestors, without duplicates, nearest first."""
    assert_now(event)
    repos: dict[int, Row] = {}
    for tag_id in tags.inheritance_order(tags.known_tag(tag_info)["id"]):
        for row in database().all(f"{_EXTERNAL_REPOS} WHERE tag_id = ? ORDER BY priority", tag_id):
            repos.setdefault(row["external_repo_id"], row)
    return list(repos.values())
