"""What one run of a mirror is to do, and the summary of what it did."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.registry.mirror.clock import Moment
from fedpkg_container.text import printable_line

DAY = 86400.0


@dataclass(frozen=True)
class Options:
    """What one run is to do.

    :param folder: the tree; it is made when it is not there
    :param name: under which clients know the registry, host and port; empty: that under which it is asked
    :param repositories: patterns of the repositories that are exported (``*``, ``?``, ``[...]``); others are left alone
    :param prefix: only repositories below it, without a slash at its end; empty for all
    :param parallel: requests at the same time
    :param grace: seconds for which a file stays that nothing reaches any more
    :param rate: bytes a second for all requests together; 0 for no limit
    :param record: what ``promote`` wrote; None: every tag is asked for
    :param full: ask for every tag even so
    :param verify: read the whole tree and mend what is wrong
    :param archives: export images as archives too
    :param dry_run: change nothing
    :param now: the clocks
    """

    folder: Path
    name: str = ""
    repositories: tuple[str, ...] = ("*",)
    prefix: str = ""
    parallel: int = 8
    grace: float = 7 * DAY
    rate: int = 0
    record: Path | None = None
    full: bool = False
    verify: bool = False
    archives: bool = False
    dry_run: bool = False
    now: Callable[[], Moment] = field(default=Moment.now)

    def wants(self, repository: str) -> bool:
        """Whether a repository is to be exported."""
        below = not self.prefix or repository.startswith(f"{self.prefix}/")
        return below and any(fnmatch.fnmatchcase(repository, pattern) for pattern in self.repositories)


@dataclass
class Summary:
    """What a run did; in a dry run, what it would have done.

    :param repositories: that were wanted
    :param asked: tags that the registry was asked for, the others being known from promote's record
    :param manifests: that the tags reach, each once
    :param present: blobs, counted in each repository, that were there
    :param new: that were fetched, each once
    :param linked: names of blobs that the tree had already
    :param deleted: names of blobs that nothing had reached for the grace period, and archives
    :param waiting: that nothing reaches, and that are to be deleted later
    :param foreign: layers that registries need not have, left out
    :param mended: names of files that were not what their digest says, or not one file; and archives, not what their
        checksum says
    :param archives: that were made
    :param received: bytes
    :param requests: that the registry answered
    :param seconds: from begin to end
    :param errors: what failed, a sentence each
    :param interrupted: the signal that ended the run early; empty for none
    """

    dry_run: bool = False
    repositories: int = 0
    tags: int = 0
    asked: int = 0
    manifests: int = 0
    present: int = 0
    new: int = 0
    linked: int = 0
    deleted: int = 0
    waiting: int = 0
    foreign: int = 0
    mended: int = 0
    archives: int = 0
    received: int = 0
    requests: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    interrupted: str = ""

    def fail(self, reason: str) -> None:
        """Note what failed."""
        self.errors.append(printable_line(reason))

    def report(self) -> dict[str, Any]:
        """The same as an object for programs."""
        counted = ("present", "new", "linked", "deleted", "waiting", "foreign", "mended")
        return {
            "dry_run": self.dry_run,
            "repositories": self.repositories,
            "tags": self.tags,
            "tags_asked": self.asked,
            "manifests": self.manifests,
            "blobs": {name: getattr(self, name) for name in counted},
            "archives": self.archives,
            "bytes": self.received,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "errors": self.errors,
        }
