# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates of ``--format``: text with the values of fields, ``{{.nvr}} {{json .tags}}``; nothing else is evaluated."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Mapping

from fedpkg_container.errors import UsageError
from fedpkg_container.text import printable_line

_PLACEHOLDER = re.compile(r"\{\{\s*(?P<json>json\s+)?\.(?P<field>\w+)\s*\}\}", re.ASCII)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\\": "\\"}
_ESCAPE = re.compile(r"\\[nt\\]")
#: Fields that are times in seconds since the epoch.
TIMES = frozenset({"created", "started", "completed"})


class Template:
    """A parsed template.

    :param fields: names of the fields that exist
    :raises UsageError: if the template is invalid or names an unknown field
    """

    def __init__(self, text: str, fields: Collection[str]) -> None:
        self._parts: list[tuple[str, str, bool]] = []
        position = 0
        for match in _PLACEHOLDER.finditer(text):
            self._add_text(text[position : match.start()])
            if match["field"] not in fields:
                raise UsageError(
                    f"argument --format: unknown field {match['field']!r}",
                    solution=f"use one of {', '.join(sorted(fields))}",
                )
            self._parts.append(("", match["field"], bool(match["json"])))
            position = match.end()
        self._add_text(text[position:])

    def _add_text(self, text: str) -> None:
        if "{{" in text or "}}" in text:
            raise UsageError(
                f"argument --format: invalid template near {printable_line(text)!r}",
                solution="write fields as {{.nvr}} or {{json .nvr}}",
            )
        if text:
            self._parts.append((_ESCAPE.sub(lambda match: _ESCAPES[match[0]], text), "", False))

    def render(self, values: Mapping[str, object]) -> str:
        """Return the text with the values of one item."""
        return "".join(
            text if not field else json.dumps(values[field], default=str) if as_json else _plain(field, values[field])
            for text, field, as_json in self._parts
        )


def _plain(field: str, value: object) -> str:
    """Return a value as text: nothing for null, times in UTC, lists separated by commas."""
    if value is None:
        return ""
    if field in TIMES and isinstance(value, (int, float)):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(printable_line(str(item)) for item in value)
    return json.dumps(value, default=str) if isinstance(value, Mapping) else printable_line(str(value))
