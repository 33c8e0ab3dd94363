"""What calls have in common: who may, how a row is named, what may become a path.

The texts of the refusals are Koji's: they are part of the interface.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import database
from fedpkg_container.box.hub.kinds import shown, xml_text

#: Koji's names of the tables that ``entry`` looks into; they stand in its refusals.
_TABLES = {
    "tag": "tags",
    "external_repo": "external_repos",
    "package": "packages",
    "channels": "channels",
    "content_generator": "content_generators",
}


_COMPONENT = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9_.+~^-]{0,254}")
#: Bytes of a path below a directory, and of one of its components.
_MAX_PATH, _MAX_COMPONENT = 2048, 255


def require_login() -> int:
    """The id of the user who is calling; refuses the anonymous."""
    context.session.assertLogin()
    return int(context.session.user_id)


def require_permission(name: str) -> None:
    """Refuse those who have neither the permission nor ``admin``."""
    context.session.assertPerm(name)


def require_package_policy() -> None:
    """Refuse those whom Koji's default policy for package lists refuses."""
    require_login()
    if not (context.session.hasPerm("admin") or context.session.hasPerm("tag")):
        reason = "Only admin/tag can do this via default policy"
        raise koji.ActionNotAllowed(f"policy violation (package_list): {reason}")


def condition(info: Any) -> tuple[str, Any]:
    """What selects the row that a client means: a column (``id`` or ``name``) and its value.

    :param info: an id, a name, or a dictionary with either
    """
    key = info
    if isinstance(info, dict):
        key = info["name"] if info.get("id") is None else info["id"]
    if isinstance(key, int):
        return "id", int(key)
    if isinstance(key, str):
        return "name", key
    raise koji.ParameterError(f"Invalid name or id value: {info}")


def find(table: str, info: Any) -> Row | None:
    """The row of a table that a client means, or None."""
    column, value = condition(info)
    return database().one(f"SELECT * FROM {table} WHERE {column} = ?", value)


def entry(name: str, info: Any) -> Row:
    """A row that must exist.

    :param name: Koji's name of the table
    """
    row = find(_TABLES[name], info)
    if row is None:
        raise koji.GenericError(f"No such entry in table {name}: {info}")
    return row


def path_component(text: str, what: str) -> str:
    """A name that becomes one component of a path.

    :param what: what it names, for the refusal
    :raises koji.GenericError: it would lead elsewhere, or is no name that a package, version, arch or tag has
    """
    if not _COMPONENT.fullmatch(text):
        raise koji.GenericError(f"Invalid {what}: {shown(text)}")
    return text


def relative_path(text: str, what: str) -> str:
    """A path below a directory, normalized; empty for the directory itself.

    :raises koji.GenericError: it would lead elsewhere, to a hidden file, or no file system has it
    """
    parts = os.path.normpath(text).split("/") if text else []
    problem = os.path.isabs(text) or len(os.fsencode(text)) > _MAX_PATH or xml_text(text) != text
    if problem or any(part.startswith(".") or len(os.fsencode(part)) > _MAX_COMPONENT for part in parts if part != "."):
        raise koji.GenericError(f"Invalid {what}: {shown(text)}")
    return "/".join(part for part in parts if part != ".")


def one_row(row: Row | None) -> Row:
    """The row that a query had to find."""
    if row is None:
        raise koji.GenericError("query returned no rows")
    return row


def assert_now(event: Any) -> None:
    """Refuse a question about the past: this hub keeps no history."""
    if event is not None:
        raise koji.GenericError(f"This hub keeps no history: cannot answer for event {event}")


def open_to_workers(path: Path) -> None:
    """Let workers of builders, which are other users, read a file or directory of topdir: RPMs and repositories."""
    topdir = Path(koji.pathinfo.topdir)
    for each in (path, *path.parents):
        if each == topdir or topdir not in each.parents:
            return
        each.chmod(0o755 if each.is_dir() else 0o644)
