"""The log of a task: a file that grows, and somebody who sends what is new to the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from fedpkg_container.errors import BuildFailedError

#: Bytes that a log may have where nobody says otherwise.
DEFAULT_MAX_BYTES = 10**9


class BuildLog:
    """A log file.

    :param path: where it is written
    :param send: called to send what is new
    """

    #: Bytes that it may have.
    max_bytes = DEFAULT_MAX_BYTES

    def __init__(self, path: Path, send: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._size = 0
        self.send = send

    def append(self, text: bytes | str) -> None:
        """Add a line; it is sent at the next tick."""
        self._size += self._file.write((text.encode() if isinstance(text, str) else text) + b"\n")

    def append_output(self, text: bytes) -> None:
        """Add a line of the build's own output.

        :raises BuildFailedError: the log is longer than it may be
        """
        if self._size > self.max_bytes:
            raise BuildFailedError(
                f"the build printed more than {self.max_bytes // 10**6} MB", solution="let RUN print less"
            )
        self.append(text)

    def report(self, text: str) -> None:
        """Add a line and send it at once: for the steps of a build."""
        self.append(text)
        self.flush()

    def flush(self) -> None:
        """Send what is new."""
        self.send()

    def __enter__(self) -> BuildLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
