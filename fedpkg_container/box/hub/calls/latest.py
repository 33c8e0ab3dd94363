# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about the builds and RPMs that a tag provides, and about builds without a tag."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls import builds
from fedpkg_container.box.hub.calls.rpms import rpm_info
from fedpkg_container.box.hub.calls.tagging import list_tagged
from fedpkg_container.box.hub.calls.tags import get_tag, known_tag
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now
from fedpkg_container.box.hub.parameters import ArchList, BuildLookup, Count, Lookup, QueryOptions


@call("getLatestBuilds", used_by="koji latest-build, wait-repo")
def get_latest_builds(
    tag: Lookup, event: int | None = None, package: str | None = None, type: str | None = None,  # noqa: A002
) -> list[Row]:  # fmt: skip
    """The latest build of each package, or of one, in a tag and its ancestors."""
    known_tag(tag)
    return list_tagged(tag, event, inherit=True, latest=1, package=package, type=type)


@call("listTaggedRPMS", used_by="koji list-tagged --rpms")
def list_tagged_rpms(
    tag: Lookup, event: int | None = None, inherit: bool = False, latest: Count = False, package: str | None = None,
    arch: ArchList | None = None, rpmsigs: bool = False, owner: str | None = None, type: str | None = None,  # noqa: A002
    strict: bool = True, extra: bool = True,
) -> list[list[Row]]:  # fmt: skip
    """The RPMs of the builds in a tag, and these builds."""
    assert_now(event)
    if get_tag(tag, strict=strict) is None:
        return []
    tagged = list_tagged(tag, inherit=inherit, latest=latest, package=package, owner=owner, type=type)
    arches = [arch] if isinstance(arch, str) else arch
    rows: list[Row] = []
    for build in tagged:
        for row in database().all("SELECT * FROM rpms WHERE build_id = ? ORDER BY id", build["build_id"]):
            if arches is None or row["arch"] in arches:
                rows.append({**rpm_info(row), **({"sigkey": None} if rpmsigs else {})})
    return [rows, tagged]


@call("getLatestRPMS", used_by="koji latest-build --arch")
def get_latest_rpms(
    tag: Lookup, package: str | None = None, arch: ArchList | None = None, event: int | None = None,
    rpmsigs: bool = False, type: str | None = None,  # noqa: A002
) -> list[list[Row]]:  # fmt: skip
    """The RPMs of the latest builds in a tag and its ancestors, and these builds."""
    return list_tagged_rpms(tag, event, inherit=True, latest=1, package=package, arch=arch, rpmsigs=rpmsigs, type=type)


@call("untaggedBuilds", used_by="koji list-untagged")
def untagged_builds(name: str | None = None, queryOpts: QueryOptions | None = None) -> object:
    """Complete builds without a tag."""
    rows = database().all(
        "SELECT builds.id AS id, packages.name AS name, version, release FROM builds"
        " JOIN packages ON packages.id = package_id"
        " WHERE state = ? AND NOT EXISTS (SELECT 1 FROM tag_builds WHERE build_id = builds.id) ORDER BY builds.id",
        builds.COMPLETE,
    )
    return query_options([row for row in rows if name in (None, row["name"])], queryOpts)


@call("buildReferences", used_by="koji list-untagged --show-references")
def build_references(build: BuildLookup, limit: int | None = None, lazy: bool = False) -> dict[str, Any]:
    """References to a build: its tags, and images that contain its RPMs."""
    build_id = builds.known_build(build)["id"]
    tags = database().all(
        "SELECT tags.id AS id, tags.name AS name FROM tag_builds JOIN tags ON tags.id = tag_id WHERE build_id = ?",
        build_id,
    )
    images = database().all(
        "SELECT DISTINCT archive_id FROM archive_rpms JOIN rpms ON rpms.id = rpm_id WHERE build_id = ?", build_id
    )
    return {"tags": tags[:limit], "rpms": [], "component_of": [row["archive_id"] for row in images][:limit],
            "archives": []}  # fmt: skip


_SEARCHED = {
    "package": "SELECT id, name FROM packages",
    "build": "SELECT builds.id AS id, packages.name || '-' || version || '-' || release AS name FROM builds"
    " JOIN packages ON packages.id = package_id",
    "tag": "SELECT id, name FROM tags",
    "target": "SELECT id, name FROM targets",
    "user": "SELECT id, name FROM users",
    "host": "SELECT id, name FROM hosts",
    "rpm": "SELECT id, name || '-' || version || '-' || release || '.' || arch || '.rpm' AS name FROM rpms",
}


@call("search", used_by="koji search")
def search(terms: str, type: str, matchType: str, queryOpts: QueryOptions | None = None) -> object:  # noqa: A002
    """Packages, builds, tags, targets, users, hosts or RPMs by name: exact, or a pattern (``glob``)."""
    if not terms:
        raise koji.GenericError("empty search terms")
    if type not in _SEARCHED:
        raise koji.GenericError(f"No such search type: {type}")
    if matchType == "regexp":
        raise koji.GenericError("This hub does not search by regular expressions")
    query = f"SELECT * FROM ({_SEARCHED[type]})"
    if matchType == "glob":
        escaped = "".join(f"\\{char}" if char in "\\%_" else char for char in terms)
        pattern = escaped.replace("?", "_").replace("*", "%")
        return query_options(database().all(f"{query} WHERE name LIKE ? ESCAPE '\\' ORDER BY id", pattern), queryOpts)
    return query_options(database().all(f"{query} WHERE name = ? ORDER BY id", terms), queryOpts)
