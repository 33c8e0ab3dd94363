"""External repositories of tags: the hub keeps their addresses, and kojid would merge what they say of packages."""

from __future__ import annotations

import koji

from fedpkg_container.box.hub.calls import tags
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now, entry, require_permission
from fedpkg_container.box.hub.parameters import Lookup, verify_name

_REPOS = (
    "SELECT external_repos.id AS external_repo_id, external_repos.name AS external_repo_name, url, priority,"
    " merge_mode, tag_external_repos.arches AS arches, tags.id AS tag_id, tags.name AS tag_name FROM tag_external_repos"
    " JOIN external_repos ON external_repos.id = external_repo_id JOIN tags ON tags.id = tag_id"
)


@call("createExternalRepo", used_by="koji add-external-repo")
def create_external_repo(name: str, url: str) -> Row:
    """Note an external repository."""
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
    """Have repositories of a tag made with what is in an external one."""
    require_permission("tag")
    merge_mode = merge_mode or "koji"
    if merge_mode not in koji.REPO_MERGE_MODES:
        raise koji.GenericError(f"No such merge mode: {merge_mode}")
    tag, repo = tags.known_tag(tag_info), entry("external_repo", repo_info)
    known = database().all(f"{_REPOS} WHERE tag_id = ?", tag["id"])
    if any(row["external_repo_id"] == repo["id"] for row in known):
        raise koji.GenericError(f"tag {tag['name']} already associated with external repo {repo['name']}")
    values = {"external_repo_id": repo["id"], "priority": priority, "merge_mode": merge_mode, "arches": arches}
    database().insert("tag_external_repos", tag_id=tag["id"], **values)
    database().event(tag["id"])


@call("removeExternalRepoFromTag", used_by="koji remove-external-repo")
def remove_external_repo_from_tag(tag_info: Lookup, repo_info: Lookup) -> None:
    """Have repositories of a tag made without an external one."""
    require_permission("tag")
    tag, repo = tags.known_tag(tag_info), entry("external_repo", repo_info)
    where = "tag_id = ? AND external_repo_id = ?"
    if not database().one(f"SELECT id FROM tag_external_repos WHERE {where}", tag["id"], repo["id"]):
        raise koji.GenericError(f"external repo {repo['name']} not associated with tag {tag['name']}")
    database().execute(f"DELETE FROM tag_external_repos WHERE {where}", tag["id"], repo["id"])
    database().event(tag["id"])


@call("getExternalRepoList", used_by="the builder plugin")
def get_external_repo_list(tag_info: Lookup, event: int | None = None) -> list[Row]:
    """The external repositories of a tag and of those that it inherits from, each once, the nearest first."""
    assert_now(event)
    found: dict[int, Row] = {}
    for tag_id in tags.inheritance_order(tags.known_tag(tag_info)["id"]):
        for row in database().all(f"{_REPOS} WHERE tag_id = ? ORDER BY priority", tag_id):
            found.setdefault(row["external_repo_id"], row)
    return list(found.values())
