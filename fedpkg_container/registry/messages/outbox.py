# SPDX-License-Identifier: GPL-2.0-or-later
"""Sending of pending messages, each at least once, in the order of the journal.

The position up to which messages were sent is stored in ``JOURNAL.sent``, after each of them. A process that is killed
between sending and storing sends one message twice, with the same ID.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.files import open_without_links, write_atomically
from fedpkg_container.registry.config import DistributionSite
from fedpkg_container.registry.messages.message import has_message, message_about
from fedpkg_container.registry.messages.publishers import Publisher, publisher
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import JournalEntry
from fedpkg_container.registry.promotion.journal_files import JournalFiles, Position
from fedpkg_container.registry.promotion.journal_index import parse_line
from fedpkg_container.text import pluralize, reason_text

_log = logging.getLogger(__name__)

#: Version of the stored state, and its maximum size, bytes.
_FORMAT = 1
_MAX_SIZE = 1 << 20
_SENDING = "the messages"


@dataclass(frozen=True)
class Delivery:
    """Result of sending.

    :param sent: number of sent messages
    :param pending: number of unsent messages
    :param error: why they were not sent; ``solution``: what to do
    """

    sent: int = 0
    pending: int = 0
    error: str = ""
    solution: str = ""

    @property
    def problem(self) -> str:
        """Number of unsent messages, and the reason; empty if all were sent."""
        return f"{pluralize(self.pending, 'message is', 'messages are')} pending: {self.error}" if self.error else ""

    def report(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class _Sent:
    """Position up to which messages were sent.

    :param position: in the journal
    :param id: of the last change with a message, and ``ended``, its end: used if the journal was edited or replaced
    """

    position: str
    id: str = ""
    ended: str = ""

    @classmethod
    def read(cls, path: Path) -> _Sent | None:
        """Read the stored state; None if nothing was stored.

        :raises ConfigurationError: if it cannot be read or is invalid
        """
        try:
            values = json.loads(_read(path))
            if values.pop("format") != _FORMAT:
                raise ValueError("of another version")
            return cls(**{name: str(value) for name, value in values.items()})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            why = reason_text(error) if isinstance(error, OSError) else "it is invalid"
            raise ConfigurationError(
                f"cannot read {path}, the position of sent messages: {why}",
                solution="make it readable, or delete it to skip messages about earlier changes",
            ) from error


class Outbox:
    """The pending messages of a journal; thread-safe.

    :param publisher: None to send nothing
    """

    def __init__(self, journal: Journal, publisher: Publisher | None) -> None:
        self._journal, self._publisher = journal, publisher if journal.path else None
        self._result = Delivery()
        self._is_sending = threading.Lock()

    @classmethod
    def of(cls, site: DistributionSite, *, dry_run: bool = False) -> Outbox:
        """Return the outbox of a site.

        :param dry_run: send nothing
        """
        return cls(Journal(site.journal), None if dry_run else publisher(site.messages))

    @property
    def is_used(self) -> bool:
        """Whether the site sends messages."""
        return self._publisher is not None

    def prepare(self) -> None:
        """Store the end of the journal as the position, unless one is stored.

        :raises ConfigurationError: if it cannot be stored, or the stored one is invalid
        """
        if self.is_used:
            with self._journal.locks.hold(_SENDING):
                self._state()

    def pending(self) -> int:
        """Return the number of messages to send.

        :raises ConfigurationError: if the journal cannot be read
        """
        sent = _Sent.read(self._path) if self.is_used else None
        return sum(1 for _ in self._unsent(sent)) if sent else 0

    def discard(self) -> int:
        """Mark the pending messages as sent, and return their number.

        :raises ConfigurationError: if the journal cannot be read, or the position cannot be stored
        """
        if not self.is_used:
            return 0
        with self._journal.locks.hold(_SENDING):
            unsent = [sent for _, sent in self._unsent(self._state())]
            if unsent:
                self._store(unsent[-1])
        return len(unsent)

    def send(self, *, wait: bool = True) -> Delivery:
        """Send the pending messages up to the first that fails; no more are sent after that.

        :param wait: wait for another thread that sends; otherwise leave the messages to it
        :return: the result so far
        """
        if not self.is_used or not self._is_sending.acquire(blocking=wait):
            return self._result
        try:
            if not self._result.error:
                self._send()
        except FedpkgContainerError as error:
            _log.warning("messages are pending: %s", error.reason)
            self._result = replace(self._result, error=error.reason, solution=error.solution)
        finally:
            self._is_sending.release()
        return self._result

    def _send(self) -> None:
        assert self._publisher is not None
        with self._journal.locks.hold(_SENDING):
            for entry, sent in self._unsent(self._state()):
                message = message_about(entry)
                try:
                    self._publisher.publish(message)
                except FedpkgContainerError:
                    self._result = replace(self._result, pending=self.pending())
                    raise
                self._store(sent)
                _log.info("sent message %s about %s of %s", message.id, entry.what, entry.nvr)
                self._result = replace(self._result, sent=self._result.sent + 1)

    def _unsent(self, sent: _Sent) -> Iterator[tuple[JournalEntry, _Sent]]:
        """Yield the entries whose message was not sent, each with the position to store after sending it."""
        position = Position.from_text(sent.position)
        is_known = position is not None and self._files.is_valid(position)
        if not is_known:
            _log.warning("the promotion journal was edited: sending messages about changes since %s", sent.ended)
        for line in self._files.lines(position if position and is_known else Position()):
            entry = parse_line(self._files, line)
            if not has_message(entry) or (not is_known and (entry.ended < sent.ended or entry.id == sent.id)):
                continue
            yield entry, _Sent(self._files.position(line.file, line.end).text, entry.id, entry.ended)

    def _state(self) -> _Sent:
        """Return the stored position; if there is none, store the end of the journal."""
        sent = _Sent.read(self._path)
        if sent is None:
            sent = self._end()
            self._store(sent)
        return sent

    def _end(self) -> _Sent:
        """Return the position at which nothing is pending."""
        end, last = Position(), None
        for line in self._files.lines(Position()):
            end = Position(line.file, line.end)
            entry = parse_line(self._files, line)
            last = entry if has_message(entry) else last
        position = self._files.position(end.file, end.offset).text
        return _Sent(position, last.id, last.ended) if last else _Sent(position)

    def _store(self, sent: _Sent) -> None:
        try:
            write_atomically(self._path, json.dumps({"format": _FORMAT, **asdict(sent)}), mode=0o644, follow=False)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {self._path}, the position of sent messages: {reason_text(error)}",
                solution="check free space and permissions of the directory of the promotion journal",
            ) from error

    @cached_property
    def _files(self) -> JournalFiles:
        assert self._journal.path is not None
        return JournalFiles(self._journal.path)

    @property
    def _path(self) -> Path:
        return self._files.path.with_name(f"{self._files.path.name}.sent")


def _read(path: Path) -> bytes:
    """Read the stored state, which must be a regular file: anything else could be a link, or never end.

    :raises OSError: if it cannot be read
    :raises ValueError: if it is not a regular file
    """
    with open(open_without_links(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        return file.read(_MAX_SIZE)
