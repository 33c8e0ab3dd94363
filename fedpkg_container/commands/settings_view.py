"""How settings and values are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import say

if TYPE_CHECKING:
    from fedpkg_container.distgit.effective import Setting

#: Characters of a value in the table; longer ones push the origin to the right.
WIDEST = 48


def show_table(settings: Sequence[Setting]) -> None:
    """Settings in three columns: key, value, origin."""
    rows = [
        (each.key, "-" if each.value is None else in_one_line(as_text(each.value)), each.origin) for each in settings
    ]
    keys = max(len(key) for key, _, _ in rows)
    values = min(max(len(value) for _, value, _ in rows), WIDEST)
    for key, value, origin in rows:
        say(f"{in_one_line(key):{keys}}  {value:{values}}  {in_one_line(origin)}")


def as_text(value: Any) -> str:
    """A value as a person reads it: lists of words without commas, the rest as YAML."""
    from fedpkg_container.distgit.yaml_edit import render

    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(each, str) and each and not set(each) & set(" \t\n") for each in value
    ):
        return " ".join(value)
    return render(value)


def in_one_line(text: str) -> str:
    """A text without newlines and rows of spaces."""
    return " ".join(text.split())
