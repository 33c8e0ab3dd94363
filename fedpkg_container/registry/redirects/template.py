# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates of front end configurations, and the pattern for paths of blobs."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

from fedpkg_container.model.nvr import REPOSITORY_COMPONENT
from fedpkg_container.registry.catalog.policy import CONTENT_SECURITY_POLICY

#: Maximum length of a repository name, characters.
LONGEST_NAME = 255

_NAME = rf"{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*"
_ALGORITHM = r"[A-Za-z0-9]+(?:[+._-][A-Za-z0-9]+)*"
_ENCODED = r"[A-Za-z0-9=_-]+"

#: Pattern for the decoded path of a blob. It ends in ``\z``: ``$`` would also match before a newline (%0A).
BLOB = rf"^/v2/(?=.{{1,{LONGEST_NAME}}}/blobs/[^/]+\z){_NAME}/blobs/{_ALGORITHM}:{_ENCODED}\z"

#: Comment in place of the rule for the mirror's files.
NO_TREE = """\
# There is no rule for blobs that the mirror does not have yet ([redirects] tree): they are redirected too.
"""

#: Path of the catalog, and headers of its files.
CATALOG = "/catalog/"
CATALOG_HEADERS = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Template(string.Template):
    """Template of a configuration, or of a part of one.

    A placeholder alone on a line can be replaced by several lines, which get its indentation; the line is removed if
    the value is empty. Several empty lines are reduced to one.
    """

    delimiter = "@"

    def fill(self, **values: str) -> str:
        """Return the text with all placeholders replaced."""
        lines = []
        for line in self.template.splitlines():
            alone = re.fullmatch(r"( *)@([a-z_]+)", line)
            if not alone:
                lines.append(type(self)(line).substitute(values))
            elif values[alone[2]]:
                lines += [
                    f"{alone[1]}{value_line}" if value_line else "" for value_line in values[alone[2]].splitlines()
                ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n")) + "\n"


def joined(parts: Iterable[str]) -> str:
    """Join the non-empty parts of a configuration with empty lines."""
    return "\n".join(part for part in parts if part)
