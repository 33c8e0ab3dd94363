# SPDX-License-Identifier: GPL-2.0-or-later
"""The build log of a task: a growing file whose new part is uploaded to the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from fedpkg_container.errors import BuildFailedError

_log = logging.getLogger(__name__)

#: Default of ``BuildLog.max_bytes``.
DEFAULT_MAX_BYTES = 10**9


class BuildLog:
    """A build log. Its lines, except for the build's output, are in the log of this process too, at INFO.

    :param path: the file
    :param send: called to upload new lines
    """

    #: Size limit; only output of the build is checked against it.
    max_bytes = DEFAULT_MAX_BYTES

    def __init__(self, path: Path, send: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._size = 0
        self.send = send

    def append(self, text: bytes | str) -> None:
        """Append a line; it is sent with the next flush."""
        _log.info("%s", text if isinstance(text, str) else text.decode(errors="replace"))
        self._write(text)

    def _write(self, text: bytes | str) -> None:
        self._size += self._file.write((text.encode() if isinstance(text, str) else text) + b"\n")

    def append_output(self, text: bytes) -> None:
        """Append a line of the build's output.

        :raises BuildFailedError: if the log exceeds its size limit
        """
        if self._size > self.max_bytes:
            raise BuildFailedError(
                f"the build printed more than {self.max_bytes // 10**6} MB",
                solution="reduce the output of the RUN steps",
            )
        self._write(text)

    def report(self, text: str) -> None:
        """Append a line and send it at once, e.g. at the start of a step."""
        self.append(text)
        self.flush()

    def flush(self) -> None:
        """Send new lines."""
        self.send()

    def __enter__(self) -> BuildLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class EchoedLog(BuildLog):
    """A build log that passes its lines on, e.g. to be shown in a terminal, instead of logging them.

    :param echo: called with each line
    """

    def __init__(self, path: Path, echo: Callable[[str], None]) -> None:
        super().__init__(path)
        self._echo = echo

    def append(self, text: bytes | str) -> None:
        """Append a line and pass it on."""
        self._write(text)

    def _write(self, text: bytes | str) -> None:
        super()._write(text)
        self._echo(text if isinstance(text, str) else text.decode(errors="replace"))
