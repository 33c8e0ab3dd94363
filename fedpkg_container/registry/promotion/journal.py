# SPDX-License-Identifier: GPL-2.0-or-later
"""The promotion journal: JSON lines, each synced to disk before the change that it describes, and the history in it."""

from __future__ import annotations

import json
import os
import pwd
import socket
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.registry.promotion.locks import Locks
from fedpkg_container.text import printable_line

#: Version of the format; raised when a field changes its meaning.
FORMAT = 1
BEGUN, DONE = "begun", "done"
PROMOTE, UNPROMOTE = "promote", "unpromote"
_APPENDING = "the record"


@dataclass(frozen=True)
class TagMove:
    """Digests of a tag before and after a change; empty for none."""

    before: str
    after: str


@dataclass(frozen=True)
class JournalEntry:
    """A line of the journal.

    :param id: the same in both lines of a change
    :param time: start of the change, RFC 3339; ``ended`` is its end
    :param what: promote or unpromote
    :param state: ``begun`` or ``done``
    :param target: name of the target's section
    :param repository: with its registry
    :param digest: of the build's image index
    :param source: pull spec in the candidate registry
    :param tags: moved tags
    :param deleted: digests of deleted manifests, in this order
    :param by: user, host and the user who called sudo
    """

    id: str
    time: str
    what: str
    state: str
    target: str
    repository: str
    nvr: str
    digest: str
    source: str = ""
    tags: Mapping[str, TagMove] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    by: Mapping[str, str] = field(default_factory=dict)
    ended: str = ""

    @classmethod
    def start(cls, what: str, **values: Any) -> JournalEntry:
        """Return the entry for a change that starts now."""
        return cls(id=uuid.uuid4().hex, time=_now(), what=what, state=BEGUN, by=_author(), **values)

    def done(self) -> JournalEntry:
        """Return the entry for the end of the change."""
        return replace(self, state=DONE, ended=_now())

    def line(self) -> bytes:
        """Return the serialized line."""
        return json.dumps({"format": FORMAT, **asdict(self)}).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> JournalEntry:
        """Parse a line.

        :raises ValueError: if it is invalid, or of a newer format
        """
        values = json.loads(line)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")
        known = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        try:
            tags = {tag: TagMove(str(move["before"]), str(move["after"])) for tag, move in values["tags"].items()}
            return cls(**{**known, "tags": tags, "deleted": tuple(values["deleted"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{error} is missing or wrong") from error

    @property
    def author(self) -> str:
        """The author as user@host; with sudo, the user who called it."""
        user = self.by.get("sudo_user") or self.by.get("user") or "unknown"
        return printable_line(f"{user}@{self.by.get('host') or 'unknown'}")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _author() -> dict[str, str]:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return {"user": user, "host": socket.gethostname(), "sudo_user": os.environ.get("SUDO_USER", "")}


@dataclass(frozen=True)
class Journal:
    """The journal file.

    :param path: None: nothing is recorded
    """

    path: Path | None

    @cached_property
    def locks(self) -> Locks:
        """Locks between processes that use this journal."""
        return Locks(self.path.with_name(f"{self.path.name}.lock") if self.path else None)

    def entries(self) -> list[JournalEntry]:
        """Return all entries, the oldest first; an incomplete last line is ignored.

        :raises ConfigurationError: if the file cannot be read, or a line is invalid
        """
        try:
            content = self.path.read_bytes() if self.path else b""
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(f"the promotion journal {self.path} cannot be read: {error.strerror}") from error
        entries = []
        for number, line in enumerate(content.split(b"\n")[:-1], 1):
            try:
                entries.append(JournalEntry.read(line))
            except ValueError as error:
                raise ConfigurationError(
                    f"invalid line {number} in the promotion journal {self.path}: {printable_line(str(error))[:200]}",
                    solution="correct the line, or remove it and keep a copy",
                ) from error
        return entries

    def append(self, entry: JournalEntry) -> None:
        """Append an entry and sync it to disk.

        :raises FedpkgContainerError: if it cannot be written; nothing of it remains
        """
        if self.path is None:
            return
        with self.locks.hold(_APPENDING):
            try:
                _append(self.path, entry.line())
            except OSError as error:
                raise FedpkgContainerError(
                    f"the promotion journal {self.path} cannot be written: {error.strerror}",
                    solution="check free space and permissions, and run it again; completed steps are skipped",
                ) from error

    def check(self) -> None:
        """Check that entries can be written, before any change.

        :raises ConfigurationError: if not
        """
        if self.path is None:
            return
        location = self.path if self.path.exists() else self.path.parent
        if (
            not location.exists()
            or not os.access(location, os.W_OK)
            or (location == self.path and not location.is_file())
        ):
            raise ConfigurationError(
                f"the promotion journal {self.path} cannot be written",
                solution="create its directory, or correct [promotion] record: it must be a regular file",
            )


def _append(path: Path, line: bytes) -> None:
    is_new = not path.exists()
    with path.open("ab+", buffering=0) as file:
        size = _truncate_to_lines(file.fileno())
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(file.fileno(), rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise
    if is_new:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _truncate_to_lines(descriptor: int) -> int:
    """Truncate a file to its complete lines, and return the size.

    An incomplete line is the rest of a killed process, which has not made the change that it describes.
    """
    size = os.fstat(descriptor).st_size
    end = size
    while end:
        start = max(end - 4096, 0)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
    return end


@dataclass
class RepositoryHistory:
    """History of one repository, which may be shared by targets with different floating tags.

    :param builds: digest → NVR
    :param promoted: digest → target → the change that promoted it, unless deleted
    :param tags: digest → target → tags that were set, or were going to be set
    :param unfinished: digest → its last change, if it was started and not completed
    :param tag_history: tag → its digests, the last one at the end
    """

    builds: dict[str, str] = field(default_factory=dict)
    promoted: defaultdict[str, dict[str, JournalEntry]] = field(default_factory=lambda: defaultdict(dict))
    tags: defaultdict[str, defaultdict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    unfinished: dict[str, JournalEntry] = field(default_factory=dict)
    tag_history: dict[str, list[str]] = field(default_factory=dict)

    def add(self, entry: JournalEntry) -> None:
        """Apply the next entry."""
        self.builds[entry.digest] = entry.nvr
        if entry.what == PROMOTE:
            self.tags[entry.digest][entry.target].update(entry.tags)
        if entry.state != DONE:
            self.unfinished[entry.digest] = entry
            return
        self.unfinished.pop(entry.digest, None)
        if entry.what == PROMOTE:
            self.promoted[entry.digest][entry.target] = entry
        else:
            self._apply_reversal(entry)
        for tag, move in entry.tags.items():
            self._append_digest(tag, move.before if entry.what == PROMOTE else "")
            self._append_digest(tag, move.after)

    def before(self, tag: str, digest: str) -> list[str]:
        """Return the digests of a tag before a digest, the last first."""
        digests = self.tag_history.get(tag, [])
        if digest in digests:
            digests = digests[: len(digests) - 1 - digests[::-1].index(digest)]
        return [previous for previous in dict.fromkeys(reversed(digests)) if previous != digest]

    def is_rollback_target(self, digest: str) -> bool:
        """Return whether a tag could be moved back to a digest."""
        return any(digest in digests[:-1] for digests in self.tag_history.values())

    def digests(self, nvr: str, target: str) -> list[str]:
        """Return the digests under which a build was promoted to a target, the last first."""
        return [digest for digest, name in reversed(self.builds.items()) if name == nvr and target in self.tags[digest]]

    def _apply_reversal(self, entry: JournalEntry) -> None:
        is_deleted = entry.digest in entry.deleted
        if is_deleted:
            self.promoted.pop(entry.digest, None)
        for tag, digests in self.tag_history.items():
            if (
                is_deleted or tag in entry.tags or digests[-1:] != [entry.digest]
            ):  # otherwise the tag could not be moved back
                self.tag_history[tag] = [digest for digest in digests if digest != entry.digest]

    def _append_digest(self, tag: str, digest: str) -> None:
        digests = self.tag_history.setdefault(tag, [])
        if digest and (not digests or digests[-1] != digest):
            digests.append(digest)


class History:
    """History of all repositories in a journal."""

    def __init__(self, entries: Iterable[JournalEntry]) -> None:
        self._repositories: defaultdict[str, RepositoryHistory] = defaultdict(RepositoryHistory)
        for entry in entries:
            self._repositories[entry.repository].add(entry)

    def of(self, repository: str) -> RepositoryHistory:
        """Return the history of a repository; empty if there are no entries.

        :param repository: with its registry
        """
        return self._repositories.get(repository) or RepositoryHistory()

    def repositories(self) -> list[str]:
        """Return the repositories with entries, with their registries."""
        return list(self._repositories)
