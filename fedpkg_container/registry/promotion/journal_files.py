# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of the promotion journal: the current one, and earlier ones with a number, which are never changed.

``NAME.1`` is the oldest. The current file becomes the next earlier one when it is large; no entry is ever removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.digests import digest_of

#: Size of the current file after which a new one is started, bytes: about 20,000 lines.
ROTATE_SIZE = 16 * 1024 * 1024
#: Maximum offset in a file; file systems reject much larger ones.
MAX_OFFSET = 1 << 40
#: Bytes before a position that must be unchanged.
_CHECKED_BYTES = 4096
#: How often the files are listed again because they were renamed meanwhile.
_MAX_ATTEMPTS = 5


@dataclass(frozen=True)
class Position:
    """A position in a journal, after a complete line.

    :param file: number of the file, from 1
    :param offset: bytes in that file
    :param check: digest of the bytes before it, which detects a file that was replaced
    """

    file: int = 1
    offset: int = 0
    check: str = ""

    @property
    def text(self) -> str:
        """Serialized form."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Position | None:
        """Parse the serialized form; None if it is invalid."""
        try:
            position = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        numbers = isinstance(position.file, int) and isinstance(position.offset, int)
        return position if numbers and position.file >= 1 and 0 <= position.offset <= MAX_OFFSET else None


@dataclass(frozen=True)
class Line:
    """A complete line.

    :param file: number of its file
    :param offset: of its first byte, and ``end``, of the next line
    :param content: with its line feed
    """

    file: int
    offset: int
    content: bytes

    @property
    def end(self) -> int:
        """Offset of the next line."""
        return self.offset + len(self.content)


@dataclass(frozen=True)
class JournalFiles:
    """The files of a journal; all methods raise ``ConfigurationError`` if one cannot be read.

    :param path: the current file
    """

    path: Path

    def earlier(self, number: int) -> Path:
        """Return the path of an earlier file."""
        return self.path.with_name(f"{self.path.name}.{number}")

    @property
    def last(self) -> int:
        """Number of the current file: one more than that of the newest earlier one."""
        number = 1
        while self.earlier(number).exists():
            number += 1
        return number

    def rotate(self) -> None:
        """Make the current file an earlier one; the caller must hold the lock for appending.

        :raises OSError: if it cannot be renamed
        """
        self.path.rename(self.earlier(self.last))
        sync_directory(self.path.parent)

    def lines(self, since: Position) -> Iterator[Line]:
        """Yield the complete lines after a position, which must be valid."""
        number, offset = since.file, since.offset
        while True:
            for line in self._lines_of(number, offset):
                yield line
                offset = line.end
            if number >= self.last:
                return
            yield from self._lines_of(number, offset)  # appended before it became an earlier file
            number, offset = number + 1, 0

    def read(self, file: int, offset: int, size: int) -> bytes:
        """Return bytes of a file, fewer if it is shorter; none if it does not exist."""
        return next(self.read_spans([(file, offset, size)]))

    def read_spans(self, spans: Iterable[tuple[int, int, int]]) -> Iterator[bytes]:
        """Yield the bytes of spans, each given by file, offset and size; spans of one file should follow each other."""
        number, stream = 0, None
        with contextlib.ExitStack() as stack:
            for file, offset, size in spans:
                if file != number:
                    stack.close()
                    number, stream = file, self._open(file)
                    if stream is not None:
                        stack.enter_context(stream)
                if stream is None:
                    yield b""
                    continue
                with self._errors():
                    stream.seek(offset)
                    content = stream.read(size)
                yield content

    def _open(self, file: int) -> BinaryIO | None:
        """Open a file; None if it does not exist."""
        for _ in range(_MAX_ATTEMPTS):
            path = self._path(file)
            if path is None:
                return None
            with self._errors(), contextlib.suppress(FileNotFoundError):
                stream = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115, it is returned
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    stream.close()
                    raise ConfigurationError(
                        f"the promotion journal {path} is not a regular file", solution="correct [promotion] record"
                    )
                if path != self.path or file == self.last:
                    return stream
                stream.close()  # renamed meanwhile
        return None

    def position(self, file: int, offset: int) -> Position:
        """Return the position at an offset of a file."""
        start = max(offset - _CHECKED_BYTES, 0)
        return Position(file, offset, digest_of(self.read(file, start, offset - start)))

    def is_valid(self, position: Position) -> bool:
        """Return whether the bytes before a position are unchanged."""
        if position == Position():
            return True
        size = min(position.offset, _CHECKED_BYTES)
        before = self.read(position.file, position.offset - size, size)
        return len(before) == size and digest_of(before) == position.check and position.file <= self.last

    def line_number(self, line: Line) -> int:
        """Return the number of a line in its file, from 1."""
        return self.read(line.file, 0, line.offset).count(b"\n") + 1

    def name(self, file: int) -> Path:
        """Return the path of a file, for messages."""
        return self._path(file) or self.path

    def _path(self, file: int) -> Path | None:
        last = self.last
        if file == last:
            return self.path if self.path.exists() else None
        return self.earlier(file) if file < last else None

    def _lines_of(self, file: int, offset: int) -> Iterator[Line]:
        stream = self._open(file)
        if stream is None:
            return
        with stream, self._errors():
            stream.seek(offset)
            for content in stream:
                if not content.endswith(b"\n"):  # being written, or the rest of a killed process
                    return
                yield Line(file, offset, content)
                offset += len(content)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(
                f"the promotion journal {self.path} cannot be read: {error.strerror}",
                solution="make it readable for this user, or remove [promotion] record from the configuration of this"
                " machine",
            ) from error


def sync_directory(directory: Path) -> None:
    """Flush a directory to disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file that may be a FIFO, which is found out afterwards: until then, another one may take its place."""
    return os.open(path, flags | os.O_NONBLOCK)
