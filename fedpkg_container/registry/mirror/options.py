# SPDX-License-Identifier: GPL-2.0-or-later
"""Options and summary of a mirror run."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.registry.mirror.clock import ClockReading
from fedpkg_container.text import printable_line

DAY = 86400.0
#: Version of the JSON report; raised when its keys change.
VERSION = 2


@dataclass(frozen=True)
class Options:
    """Options of a run.

    :param directory: the tree; created if it does not exist
    :param name: host and port of the registry as clients know it; empty: as it is fetched from
    :param repositories: patterns of the repositories to export (``*``, ``?``, ``[...]``)
    :param prefix: only repositories below it, without trailing slash; empty for all
    :param parallel: number of concurrent requests
    :param grace: seconds for which an unreferenced file is kept
    :param rate: bandwidth limit for all requests together, bytes per second; 0 for none
    :param journal: promotion journal; None: query every tag
    :param full: query every tag even if there is a journal
    :param verify: verify all files and repair damaged ones
    :param archives: also export images as docker-archives
    :param dry_run: change nothing
    :param now: reads the clocks
    """

    directory: Path
    name: str = ""
    repositories: tuple[str, ...] = ("*",)
    prefix: str = ""
    parallel: int = 8
    grace: float = 7 * DAY
    rate: int = 0
    journal: Path | None = None
    full: bool = False
    verify: bool = False
    archives: bool = False
    dry_run: bool = False
    now: Callable[[], ClockReading] = field(default=ClockReading.now)

    def wants(self, repository: str) -> bool:
        """Return whether a repository is to be exported."""
        below = not self.prefix or repository.startswith(f"{self.prefix}/")
        return below and any(fnmatch.fnmatchcase(repository, pattern) for pattern in self.repositories)


@dataclass
class Summary:
    """What a run did; in a dry run, what it would have done.

    :param repositories: number of selected repositories
    :param queried: number of tags queried; the others are known from the promotion journal
    :param manifests: number of distinct manifests reachable from tags
    :param present: blobs that existed, counted per repository
    :param new: distinct blobs fetched
    :param linked: additional hard links for existing blobs
    :param deleted: expired blobs, counted per repository, and archives
    :param waiting: unreferenced files within the grace period
    :param foreign: foreign layers, which are not exported
    :param repaired: files that did not match their digest, or were separate copies; archives that did not match their
        checksum
    :param archives: archives created
    :param received: bytes
    :param requests: number of responses
    :param seconds: duration
    :param errors: failures, one sentence each
    :param notes: what is not exported as an archive, and why
    :param interrupted: the signal that stopped the run; empty if none
    """

    dry_run: bool = False
    repositories: int = 0
    tags: int = 0
    queried: int = 0
    manifests: int = 0
    present: int = 0
    new: int = 0
    linked: int = 0
    deleted: int = 0
    waiting: int = 0
    foreign: int = 0
    repaired: int = 0
    archives: int = 0
    received: int = 0
    requests: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: str = ""

    def note(self, text: str) -> None:
        """Note what is not exported."""
        self.notes.append(printable_line(text))

    def fail(self, reason: str) -> None:
        """Note a failure."""
        self.errors.append(printable_line(reason))

    def report(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        counters = ("present", "new", "linked", "deleted", "waiting", "foreign")
        return {
            "version": VERSION,
            "dry_run": self.dry_run,
            "repositories": self.repositories,
            "tags": self.tags,
            "tags_queried": self.queried,
            "manifests": self.manifests,
            "blobs": {**{name: getattr(self, name) for name in counters}, "repaired": self.repaired},
            "archives": self.archives,
            "bytes": self.received,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "notes": self.notes,
            "errors": self.errors,
        }
