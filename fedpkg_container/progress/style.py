"""Colours, where they are wanted (https://no-color.org)."""

from __future__ import annotations

import os
from typing import TextIO


class Style:
    """Marks text for a terminal; leaves it alone everywhere else.

    :param stream: what is written to
    """

    def __init__(self, stream: TextIO) -> None:
        terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.enabled = terminal and not os.environ.get("NO_COLOR")

    def _sgr(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.enabled else text

    def bad(self, text: str) -> str:
        """What failed."""
        return self._sgr("1;31", text)

    def good(self, text: str) -> str:
        """What succeeded."""
        return self._sgr("1;32", text)

    def warning(self, text: str) -> str:
        """What may be wrong."""
        return self._sgr("33", text)

    def strong(self, text: str) -> str:
        """What matters more than the rest."""
        return self._sgr("1", text)
