"""Texts with ``@name`` where a value goes: ``$`` and ``%`` are what the web servers' variables begin with."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable


class Template(string.Template):
    """A configuration, or a part of it.

    A value of several lines gets the indentation of the place where it goes. A line whose value is empty is left out,
    and of empty lines in a row one stays.
    """

    delimiter = "@"

    def fill(self, **values: str) -> str:
        """The text with its values; each placeholder must get one."""
        lines = []
        for line in self.template.splitlines():
            alone = re.fullmatch(r"( *)@([a-z_]+)", line)
            if not alone:
                lines.append(type(self)(line).substitute(values))
            elif values[alone[2]]:
                lines += [f"{alone[1]}{each}" if each else "" for each in values[alone[2]].splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n")) + "\n"


def joined(parts: Iterable[str]) -> str:
    """Parts of a configuration with an empty line between them; those that are empty are left out."""
    return "\n".join(part for part in parts if part)
