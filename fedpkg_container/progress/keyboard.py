# SPDX-License-Identifier: GPL-2.0-or-later
"""Suppression of the terminal's echo of typed keys, which would move the cursor and corrupt the live view."""

from __future__ import annotations

import contextlib
import os
import termios
from typing import Any, TextIO


class KeyboardEcho:
    """Turns the echo of a terminal off and on again; does nothing for other streams, or in the background.

    :param stream: output stream, which is a terminal
    """

    def __init__(self, stream: TextIO) -> None:
        self._saved: list[Any] | None = None
        try:
            self._descriptor = stream.fileno() if stream.isatty() else -1
        except (OSError, ValueError):
            self._descriptor = -1

    def turn_off(self) -> None:
        """Turn the echo off; Ctrl-C and Ctrl-Z still send their signals."""
        if not self._is_foreground():
            return
        with contextlib.suppress(termios.error):
            saved = termios.tcgetattr(self._descriptor)
            changed = termios.tcgetattr(self._descriptor)
            changed[3] &= ~(termios.ECHO | termios.ECHONL)
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, changed)
            self._saved = saved

    def restore(self) -> None:
        """Restore the echo, and discard the keys that were typed without one."""
        saved, self._saved = self._saved, None
        if saved is not None and self._is_foreground():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, saved)

    def _is_foreground(self) -> bool:
        """Return whether the terminal is ours to change; the kernel would stop a process in the background."""
        try:
            return self._descriptor >= 0 and os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False
