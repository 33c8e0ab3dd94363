"""What a run did, for whoever started it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.text import printable_line


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
