# SPDX-License-Identifier: GPL-2.0-or-later
"""Formatting of text: untrusted text made safe for terminals and logs, numbers, durations, and lines of output."""

from __future__ import annotations

import errno
import os
import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Replace terminal control and bidirectional formatting characters in untrusted text; keep newlines and tabs."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def printable_line(text: str) -> str:
    """Return untrusted text in printable form on one line."""
    return " ".join(printable(text).split("\n"))


#: The user name and password of a URL (RFC 3986, userinfo), up to the last @ before its path.
_CREDENTIALS = re.compile(r"(?<=//)[^/?#\s]*@")


def strip_credentials(text: str) -> str:
    """Remove user names and passwords from the URLs in a text."""
    return _CREDENTIALS.sub("", text)


def pluralize(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 tag``, ``0 tags``, ``2 repositories``.

    :param plural: irregular plural of the noun
    """
    regular = f"{singular[:-1]}ies" if singular.endswith("y") else f"{singular}s"
    return f"{number} {singular if number == 1 else plural or regular}"


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 days``."""
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
    """Return the message of a system error without its number, with the file name if it is known."""
    if isinstance(error, FileNotFoundError) and not error.filename:
        return "the working directory no longer exists"  # getcwd(2), the only call without a file name
    if not error.strerror:
        return printable_line(str(error)) or type(error).__name__
    names = [
        printable_line(os.fsdecode(name))
        for name in (error.filename, error.filename2)
        if isinstance(name, (str, bytes, os.PathLike))
    ]
    return f"{' -> '.join(names)}: {error.strerror}" if names else error.strerror


def reason_text(error: BaseException) -> str:
    """Return the message of an error as one line; of a system error without its number and its file name."""
    return error.strerror if isinstance(error, OSError) and error.strerror else printable_line(str(error))


#: What to do about a system error, by its number.
_OS_SOLUTIONS = {
    errno.ENOSPC: "free space on the disk, and try again",
    errno.EDQUOT: "free space within your quota, and try again",
    errno.EACCES: "check the permissions of the file and its directories",
    errno.EPERM: "check the permissions of the file and its directories",
    errno.EROFS: "choose a file on a writable file system",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "choose a file instead of a directory",
    errno.ENXIO: "start the process that reads it first, or choose another file",
    errno.EBADF: "check the redirections of the shell, or choose another file",
    errno.EIO: "check the disk and the terminal",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "free memory, and try again",
}


def os_error_solution(error: OSError) -> str:
    """Return what to do about a system error; empty if that depends on the case."""
    if isinstance(error, FileNotFoundError) and not error.filename:
        return "change to an existing directory: cd"
    return _OS_SOLUTIONS.get(error.errno or 0, "")


#: Maximum length of a line in bytes. Longer lines are split, so that output without newlines needs bounded memory.
MAX_LINE_BYTES = 16 * 1024


def _split_long(line: bytes) -> list[bytes]:
    """Split a line into parts of at most ``MAX_LINE_BYTES``, not inside a UTF-8 character."""
    parts = []
    while len(line) > MAX_LINE_BYTES:
        end = MAX_LINE_BYTES
        while end > MAX_LINE_BYTES - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(line[:end])
        line = line[end:]
    return [*parts, line]


class LineSplitter:
    """Splits a stream of output chunks into lines."""

    def __init__(self) -> None:
        self._pending = b""

    def add(self, content: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without newlines."""
        *complete, self._pending = (self._pending + content).split(b"\n")
        lines = [part for line in complete for part in _split_long(line)]
        if len(self._pending) > MAX_LINE_BYTES:
            *parts, self._pending = _split_long(self._pending)
            lines += parts
        return lines

    def flush(self) -> list[bytes]:
        """Return the text after the last newline as a list of one line, or an empty list."""
        rest, self._pending = self._pending, b""
        return [rest] if rest else []
