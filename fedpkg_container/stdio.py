# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard streams of programs: closed streams, encoding errors, closed pipes and full disks; arguments in UTF-8."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TextIO

from fedpkg_container.text import os_error_text

_EXIT_FAILED, _EXIT_USAGE = 1, 2
#: Descriptors whose text is discarded after an error.
_discarded: set[int] = set()
_NAMES = {1: "standard output", 2: "standard error"}


def run_with_safe_stdio(run: Callable[[], int], *, utf8_arguments: bool = True) -> int:
    """Run a program and return its exit status, or that of SIGPIPE if its output is closed early (``| head -1``).

    Characters that the encoding of a stream does not have are replaced. Streams that the caller closed (``>&-``) are
    opened on /dev/null.

    :param run: the program, which returns its exit status
    :param utf8_arguments: do not run the program if an argument is not valid UTF-8
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    if invalid := utf8_arguments and _undecodable_argument(sys.argv[1:]):
        sys.stderr.write(f"error: argument {invalid} is not valid UTF-8\n       write it in UTF-8\n")
        return _EXIT_USAGE
    try:
        try:
            status = run()
        finally:
            flush_error = _flush(sys.stdout)
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            _discard(stream)
        return 128 + signal.SIGPIPE
    if flush_error:
        sys.stderr.write(f"error: {flush_error}\n")
        return status or _EXIT_FAILED
    return status


def write_text(stream: TextIO, text: str) -> None:
    """Write and flush text; after an error the stream discards all text.

    :raises OSError: if it cannot be written, with the name of the stream as file name
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        name = _NAMES.get(_discard(stream), "output")
        raise OSError(error.errno, error.strerror or os_error_text(error), name) from error


def _flush(stream: TextIO) -> str:
    """Flush a stream; return the reason if it cannot be written.

    :raises BrokenPipeError: if its reader closed it
    """
    try:
        write_text(stream, "")
    except BrokenPipeError:
        raise
    except OSError as error:
        return os_error_text(error)
    return ""


def _open_closed_streams() -> None:
    """Open /dev/null for standard streams that are closed; otherwise the next opened file would get their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def _discard(stream: TextIO) -> int:
    """Redirect a stream to /dev/null, so that Python does not report an error again when it closes it.

    :returns: the descriptor of the stream; -1 if it has none
    """
    try:
        target = stream.fileno()
    except (OSError, ValueError):
        return -1
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, target)
    os.close(null)
    _discarded.add(target)
    return target


def is_discarded(stream: TextIO) -> bool:
    """Return whether a stream could not be written, so that its text is discarded."""
    return bool(_discarded) and stream.fileno() in _discarded


def _undecodable_argument(arguments: list[str]) -> str:
    """Return the first argument that is not valid UTF-8, with its invalid bytes escaped; empty if all are."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            return os.fsencode(argument).decode(errors="backslashreplace")
    return ""
