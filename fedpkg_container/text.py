"""Text from outside, made safe to show."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Text from outside without anything that moves a terminal or reorders a line; newlines and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


#: Bytes of a line that are kept; what follows becomes a line of its own, so that output without newlines is bounded.
LONGEST_LINE = 16 * 1024


class LineSplitter:
    """Cuts output that comes in pieces into lines."""

    def __init__(self) -> None:
        self._pending = b""

    def add(self, content: bytes) -> list[bytes]:
        """The lines that this piece completes, without their newlines."""
        *lines, self._pending = (self._pending + content).split(b"\n")
        while len(self._pending) > LONGEST_LINE:
            lines.append(self._pending[:LONGEST_LINE])
            self._pending = self._pending[LONGEST_LINE:]
        return lines

    def rest(self) -> list[bytes]:
        """What came after the last newline: a line, or nothing."""
        rest, self._pending = self._pending, b""
        return [rest] if rest else []
