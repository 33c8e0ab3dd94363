"""Text from outside, made safe to show."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text from outside without anything that moves a terminal or reorders a line; newlines and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def printable_line(text: str) -> str:
    """Text from outside that is to stay on one line."""
    return " ".join(printable(text).split("\n"))


#: The user name and password of a URL (RFC 3986, userinfo), up to the last @ before its path.
_CREDENTIALS = re.compile(r"(?<=//)[^/?#\s]*@")


def strip_credentials(text: str) -> str:
    """A URL, or text that has URLs in it, without the user names and passwords in these."""
    return _CREDENTIALS.sub("", text)


def pluralize(number: int, one: str, several: str = "") -> str:
    """A number and what there are: ``1 tag``, ``0 tags``; ``repository`` becomes ``repositories``.

    :param several: where it is not made as usual
    """
    usual = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{number} {one if number == 1 else several or usual}"


def format_duration(seconds: float) -> str:
    """About how long: ``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 days``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    if whole < 2 * 86400:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")
    return f"{whole // 86400} days"


def os_error_text(error: OSError) -> str:
    """What the system could not do, with the name of the file where it is known."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


#: Bytes of a line that are kept; what follows becomes a line of its own, so that output without newlines is bounded.
MAX_LINE_BYTES = 16 * 1024


def _cut(line: bytes) -> list[bytes]:
    """A line in parts that are not too long, none of which begins in the middle of a character of UTF-8."""
    parts = []
    while len(line) > MAX_LINE_BYTES:
        end = MAX_LINE_BYTES
        while end > MAX_LINE_BYTES - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(line[:end])
        line = line[end:]
    return [*parts, line]


class LineSplitter:
    """Cuts output that comes in pieces into lines."""

    def __init__(self) -> None:
        self._pending = b""

    def add(self, content: bytes) -> list[bytes]:
        """The lines that this piece completes, without their newlines."""
        *whole, self._pending = (self._pending + content).split(b"\n")
        lines = [part for line in whole for part in _cut(line)]
        if len(self._pending) > MAX_LINE_BYTES:
            *parts, self._pending = _cut(self._pending)
            lines += parts
        return lines

    def flush(self) -> list[bytes]:
        """What came after the last newline: a line, or nothing."""
        rest, self._pending = self._pending, b""
        return [rest] if rest else []
