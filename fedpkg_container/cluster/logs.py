# SPDX-License-Identifier: GPL-2.0-or-later
"""From the records that a pod prints to the lines of a build log: in order, without duplicates, and without loss."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.pod import RECORD_SIZE, Record
from fedpkg_container.text import reason_text

#: Size limit of records that are held back after a gap, bytes.
MAX_HELD = 10**9
_TIMESTAMP = re.compile(rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})) ")
#: Longest line that records are joined to, bytes; pods split the lines of programs long before.
MAX_JOINED = 1 << 20
#: Longest line of a complete log, bytes: a record, and its number.
_LONGEST = RECORD_SIZE + 32


class LogAssembler:
    """Joins records to lines.

    Records that were delivered are dropped: the API repeats lines when a connection is resumed. When records are
    missing, because a log file was rotated while no connection existed, later ones are held back in a file until
    ``complete`` or ``give_up``.

    :param deliver: called with each line
    :param spool: file for records that are held back
    """

    def __init__(self, deliver: Callable[[bytes], None], spool: Path) -> None:
        self._deliver = deliver
        self._spool = spool
        self._next = 1
        self._started = bytearray()
        self._last_other: tuple[str, bytes] = ("", b"")
        #: Number of the first record that is held back; 0 if none is.
        self.held_from = 0
        self._highest = 0

    @property
    def delivered(self) -> int:
        """Number of records that were delivered."""
        return self._next - 1

    def feed(self, line: bytes, timestamp: str = "") -> None:
        """Process a line of the pod's output.

        :param timestamp: of the API, RFC 3339 with nanoseconds
        :raises BuildFailedError: if too much is held back
        """
        record = Record.parse(line)
        if record is None:
            self._other(line, timestamp)
        elif record.number == self._next:
            self._take(record)
        elif record.number > self._next and record.number > self._highest:
            self._hold(record)

    def complete(self, log: Iterable[bytes]) -> None:
        """Deliver everything that is missing from the complete log, in order.

        :param log: all records, without newlines
        """
        for line in log:
            record = Record.parse(line)
            if record is not None and record.number == self._next:
                self._take(record)
        self._discard()

    def give_up(self, last: int = 0) -> None:
        """Deliver what is held back although records before it are lost; state how many.

        :param last: number of the last record of the log; 0 if unknown
        """
        if self.held_from:
            with self._spool.open("rb") as file:
                for line in file:
                    record = Record.parse(line.rstrip(b"\n"))
                    if record is not None and record.number >= self._next:
                        self._skip_to(record.number)
                        self._take(record)
        if last >= self._next:
            self._skip_to(last + 1)
        self._discard()
        if self._started:
            self._flush()

    def _skip_to(self, number: int) -> None:
        if number > self._next:
            if self._started:
                self._flush()
            lost = number - self._next
            self._deliver(f"[{lost} {'line' if lost == 1 else 'lines'} of the log were lost by the cluster]".encode())
            self._next = number

    def _take(self, record: Record) -> None:
        self._next = record.number + 1
        self._started += record.text
        if not record.continued or len(self._started) > MAX_JOINED:
            self._flush()

    def _flush(self) -> None:
        line = bytes(self._started)
        self._started.clear()
        self._deliver(line)

    def _hold(self, record: Record) -> None:
        if not self.held_from:
            self.held_from = record.number
            self._spool.write_bytes(b"")
        with self._spool.open("ab") as file:
            file.write(bytes(record) + b"\n")
            if file.tell() > MAX_HELD:
                raise BuildFailedError(
                    f"more than {MAX_HELD // 10**6} MB of the log cannot be shown in order",
                    solution="reduce the output of the RUN steps",
                )
        self._highest = record.number

    def _other(self, line: bytes, timestamp: str) -> None:
        """Deliver output that is not a record, e.g. an error of the interpreter; the API may repeat the last line."""
        if timestamp and (timestamp, line) <= self._last_other:
            return
        self._last_other = (timestamp, line)
        self._deliver(line)

    def _discard(self) -> None:
        self._spool.unlink(missing_ok=True)
        self.held_from = self._highest = 0


def read_log(path: Path) -> Iterator[bytes]:
    """Yield the records of a complete log (gzip), without newlines.

    :raises BuildFailedError: if it is not such a file
    """
    try:
        with gzip.open(path) as file:
            while line := file.readline(_LONGEST):
                yield line.rstrip(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise BuildFailedError(f"the log of the pod cannot be read: {reason_text(error)}") from error


def split_timestamp(line: bytes) -> tuple[str, bytes]:
    """Split a line of the API (``timestamps=true``) into its timestamp and its text.

    :returns: an empty timestamp for a part of a long line
    """
    match = _TIMESTAMP.match(line)
    return (match[1].decode(), line[match.end() :]) if match else ("", line)
