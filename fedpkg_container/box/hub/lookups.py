# SPDX-License-Identifier: GPL-2.0-or-later
"""Common code of calls: permissions, lookup of rows, validation of paths.

The error texts are Koji's: they are part of the interface.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import database
from fedpkg_container.box.hub.kinds import shown, xml_text

#: Koji's names of the tables that ``entry`` searches, for its errors.
_TABLES = {
    "tag": "tags",
    "external_repo": "external_repos",
    "package": "packages",
    "channels": "channels",
    "content_generator": "content_generators",
    "permissions": "permission_names",
}


_COMPONENT = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9_.+~^-]{0,254}")
#: Maximum bytes of a path below a directory, and of one component.
_MAX_PATH, _MAX_COMPONENT = 2048, 255


def require_login() -> int:
    """ID of the calling user; refuses anonymous callers."""
    context.session.assertLogin()
    return int(context.session.user_id)


def require_permission(name: str) -> None:
    """Refuse callers without the permission or ``admin``."""
    context.session.assertPerm(name)


def require_package_policy() -> None:
    """Refuse users whom Koji's default policy for package lists refuses."""
    require_login()
    if not (context.session.hasPerm("admin") or context.session.hasPerm("tag")):
        reason = "Only admin/tag can do this via default policy"
        raise koji.ActionNotAllowed(f"policy violation (package_list): {reason}")


def condition(info: object) -> tuple[str, object]:
    """Column (``id`` or ``name``) and value that select a client's row.

    :param info: ID, name, or a dictionary with either
    """
    key = info
    if isinstance(info, dict):
        key = info["name"] if info.get("id") is None else info["id"]
    if isinstance(key, int):
        return "id", int(key)
    if isinstance(key, str):
        return "name", key
    raise koji.ParameterError(f"Invalid name or id value: {info}")


def find(table: str, info: object) -> Row | None:
    """The matching row of a table, or None."""
    column, value = condition(info)
    return database().one(f"SELECT * FROM {table} WHERE {column} = ?", value)


def entry(name: str, info: object) -> Row:
    """A row that must exist.

    :param name: Koji's name of the table
    """
    row = find(_TABLES[name], info)
    if row is None:
        raise koji.GenericError(f"No such entry in table {name}: {info}")
    return row


def path_component(text: str, what: str) -> str:
    """Check a name that becomes one path component.

    :param what: what it names, for errors
    :raises koji.GenericError: it is unsafe, or not valid for a package, version, architecture or tag
    """
    if not _COMPONENT.fullmatch(text):
        raise koji.GenericError(f"Invalid {what}: {shown(text)}")
    return text


def relative_path(text: str, what: str) -> str:
    """Normalize a path below a directory; empty for the directory itself.

    :raises koji.GenericError: it leads outside, to a hidden file, or is too long for file systems
    """
    parts = os.path.normpath(text).split("/") if text else []
    problem = os.path.isabs(text) or len(os.fsencode(text)) > _MAX_PATH or xml_text(text) != text
    if problem or any(part.startswith(".") or len(os.fsencode(part)) > _MAX_COMPONENT for part in parts if part != "."):
        raise koji.GenericError(f"Invalid {what}: {shown(text)}")
    return "/".join(part for part in parts if part != ".")


def one_row(row: Row | None) -> Row:
    """The row of a query; required."""
    if row is None:
        raise koji.GenericError("query returned no rows")
    return row


def assert_now(event: object) -> None:
    """Refuse queries about the past: this hub stores no history."""
    if event is not None:
        raise koji.GenericError(f"This hub keeps no history: cannot answer for event {event}")


def open_to_workers(path: Path) -> None:
    """Make a file or directory of topdir (RPMs, repositories) readable for workers of builders: other users."""
    topdir = Path(koji.pathinfo.topdir)
    for each in (path, *path.parents):
        if each == topdir or topdir not in each.parents:
            return
        each.chmod(0o755 if each.is_dir() else 0o644)
