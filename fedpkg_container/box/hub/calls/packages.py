"""Packages and which tags list them."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls import users
from fedpkg_container.box.hub.calls.tags import inheritance_order, known_tag, tag_row
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database, require_login, require_permission


def package_id(name: str) -> int:
    """The id of a package, which is made when there is none of that name."""
    found = database().value("SELECT id FROM packages WHERE name = ?", name)
    return int(found) if found else database().insert("packages", name=name)


def package_list(tag_id: int, *, inherit: bool = True) -> dict[int, Row]:
    """The packages of a tag, blocked ones included, by their ids; the nearest tag of the inheritance decides."""
    found: dict[int, Row] = {}
    for ancestor in inheritance_order(tag_id) if inherit else [tag_id]:
        rows = database().all(
            "SELECT tag_packages.*, packages.name AS package_name, tags.name AS tag_name, users.name AS owner_name"
            " FROM tag_packages JOIN packages ON packages.id = package_id JOIN tags ON tags.id = tag_id"
            " JOIN users ON users.id = owner WHERE tag_id = ? ORDER BY package_name",
            ancestor,
        )
        for row in rows:
            found.setdefault(row["package_id"], _listed(row))
    return found


def _listed(row: Row) -> Row:
    return {
        "package_id": row["package_id"],
        "package_name": row["package_name"],
        "tag_id": row["tag_id"],
        "tag_name": row["tag_name"],
        "owner_id": row["owner"],
        "owner_name": row["owner_name"],
        "extra_arches": row["extra_arches"],
        "blocked": bool(row["blocked"]),
    }


@call("packageListAdd", used_by="the box's set-up; koji add-pkg; contract tests")
def package_list_add(
    taginfo: Any, pkginfo: str, owner: Any = None, block: bool | None = None, extra_arches: str | None = None,
    force: bool = False, update: bool = False,
) -> None:  # fmt: skip
    """List a package in a tag."""
    require_login()
    require_permission("tag")
    _set(known_tag(taginfo)["id"], pkginfo, owner=owner, blocked=bool(block), extra_arches=extra_arches)


@call("packageListBlock", used_by="koji block-pkg; contract tests")
def package_list_block(taginfo: Any, pkginfo: str, force: bool = False) -> None:
    """Block a package in a tag."""
    require_login()
    require_permission("tag")
    tag = known_tag(taginfo)
    known = package_list(tag["id"]).get(package_id(pkginfo))
    _set(tag["id"], pkginfo, owner=known and known["owner_id"], blocked=True, extra_arches=None)


def _set(tag_id: int, name: str, *, owner: Any, blocked: bool, extra_arches: str | None) -> None:
    from koji.context import context

    owner_id = users.known_user(owner)["id"] if owner else context.session.user_id
    database().execute(
        "INSERT OR REPLACE INTO tag_packages VALUES (?, ?, ?, ?, ?)",
        tag_id, package_id(name), owner_id, int(blocked), extra_arches,
    )  # fmt: skip
    database().event()


@call("checkTagPackage", used_by="the builder plugin; koji call")
def check_tag_package(tag: Any, pkg: str) -> bool:
    """Whether a package is listed in a tag and not blocked."""
    row, package = tag_row(tag), database().value("SELECT id FROM packages WHERE name = ?", pkg)
    if row is None or package is None:
        return False
    listed = package_list(row["id"]).get(package)
    return listed is not None and not listed["blocked"]


@call("getPackageConfig", used_by="the client's preflight")
def get_package_config(tag: Any, pkg: str, event: int | None = None) -> Row | None:
    """How a tag lists a package; None when it does not."""
    row, package = tag_row(tag), database().value("SELECT id FROM packages WHERE name = ?", pkg)
    return package_list(row["id"]).get(package) if row and package else None


@call("getPackageID", used_by="koji list-builds; the client")
def get_package_id(name: str, strict: bool = False) -> int | None:
    """The id of a package."""
    found: int | None = database().value("SELECT id FROM packages WHERE name = ?", name)
    if found is None and strict:
        raise koji.GenericError(f"No such package: {name!r}")
    return found


@call("listPackages", used_by="koji list-pkgs; contract tests")
def list_packages(
    tagID: Any = None, userID: Any = None, pkgID: Any = None, prefix: str | None = None, inherited: bool = False,
    with_dups: bool = False, event: int | None = None, queryOpts: Row | None = None, with_owners: bool = True,
    with_blocked: bool = True,
) -> Any:  # fmt: skip
    """The packages of a tag."""
    if tagID is None:
        rows = database().all("SELECT id AS package_id, name AS package_name FROM packages ORDER BY name")
    else:
        rows = list(package_list(known_tag(tagID)["id"], inherit=inherited).values())
    if pkgID is not None:
        rows = [row for row in rows if pkgID in (row["package_id"], row["package_name"])]
    if not with_blocked:
        rows = [row for row in rows if not row.get("blocked")]
    return query_options(rows, queryOpts)
