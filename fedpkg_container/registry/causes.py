"""Why a connection failed, out of what requests and urllib3 say of it."""

from __future__ import annotations

import re

from fedpkg_container.text import printable_line

_CAUSES = re.compile(
    r"(?P<certificate>certificate verify failed: .+?) \(_ssl"
    r"|\[Errno -?[0-9]+\] (?P<error>[\w' -]+)"
    r"|Error\([0-9]+, '(?P<aborted>[\w -]+)'"
    r"|: (?P<late>Read timed out)"
    r"|'(?P<broken>Connection broken)"
)
LONGEST = 500


def cause_of(said: str) -> str:
    """The cause, as ``Connection refused``, without the objects around it; all that is said when none is known."""
    found = _CAUSES.search(said)
    return printable_line(found[found.lastindex or 0] if found else said)[:LONGEST]
