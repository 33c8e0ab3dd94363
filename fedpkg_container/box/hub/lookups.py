"""What calls have in common: who may, how a row is named, which numbers are numbers.

The texts of the refusals are Koji's: they are part of the interface.
"""

from __future__ import annotations

from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import database

#: Koji's names of the tables that ``entry`` looks into; they stand in its refusals.
_TABLES = {
    "tag": "tags",
    "external_repo": "external_repos",
    "package": "packages",
    "channels": "channels",
    "content_generator": "content_generators",
}


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


def integer(value: Any) -> int:
    """A number that a client sent, perhaps as text."""
    if value is None:
        raise koji.ParameterError(f"Invalid type, expected type {int}")
    try:
        return int(value)
    except (TypeError, ValueError):
        raise koji.ParameterError(f"Invalid type for value '{value}': {type(value)}, expected type {int}") from None


def condition(info: Any) -> tuple[str, Any]:
    """What selects the row that a client means: a column (``id`` or ``name``) and its value.

    :param info: an id, a name, or a dictionary with either
    """
    key = info
    if isinstance(info, dict):
        key = info["id"] if "id" in info else info.get("name")
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


def one_row(row: Row | None) -> Row:
    """The row that a query had to find."""
    if row is None:
        raise koji.GenericError("query returned no rows")
    return row


def assert_now(event: Any) -> None:
    """Refuse a question about the past: this hub keeps no history."""
    if event is not None:
        raise koji.GenericError(f"This hub keeps no history: cannot answer for event {event}")
