"""Templates of front-end configurations, and the pattern of paths that are blobs."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

from fedpkg_container.model.nvr import REPOSITORY_COMPONENT

#: The longest name of a repository, characters.
LONGEST_NAME = 255

_NAME = rf"{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*"
_ALGORITHM = r"[A-Za-z0-9]+(?:[+._-][A-Za-z0-9]+)*"
_ENCODED = r"[A-Za-z0-9=_-]+"

#: The decoded path of a blob. It ends in ``\z``: before a newline at the end, which came as %0A, ``$`` would match too.
BLOB = rf"^/v2/(?=.{{1,{LONGEST_NAME}}}/blobs/[^/]+\z){_NAME}/blobs/{_ALGORITHM}:{_ENCODED}\z"


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
