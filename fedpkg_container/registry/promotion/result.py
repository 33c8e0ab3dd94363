# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of promotions and their reversal, and the report for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.errors import FedpkgContainerError, LockedError, NotMirroredError, RefusedError
from fedpkg_container.registry.promotion.blob_copying import BlobCounts
from fedpkg_container.registry.promotion.tagging import TagChange

#: Version of the report; raised when a field changes its meaning.
FORMAT = 1
#: States of a build. ``planned``: would be done without --dry-run. ``waiting``: not published, because mirrors lack
#: blobs.
PROMOTED, STAGED, UNPROMOTED, UNCHANGED, PLANNED, WAITING, REFUSED, FAILED = (
    "promoted",
    "staged",
    "unpromoted",
    "unchanged",
    "planned",
    "waiting",
    "refused",
    "failed",
)


@dataclass
class PromotionResult:
    """Result for one build.

    :param state: promoted, staged, unpromoted, unchanged, planned, waiting, refused or failed
    :param source: pull spec in the candidate registry
    :param repository: in the target, with its registry
    :param digest: of its image index
    :param arches: Go names
    :param tags: tag changes, in the order in which they are made
    :param manifests: digests of copied manifests, each after those that it refers to
    :param artifacts: number of SBOMs and signatures that refer to the image or its architectures
    :param signed: digests of manifests that got a signature
    :param deleted: digests of deleted manifests
    :param kept: digest of a manifest that was not deleted → reason
    :param seconds: duration
    :param error: why it was refused or failed, or what could not be done; ``solution``: what to do
    :param warnings: what was not done although it does not affect the image, and what to know afterwards
    :param untagged: Koji tags that were removed from the build
    :param missing: directory of the mirror tree, or URL of a mirror → digest of a blob that it lacks → reason
    :param exit_code: exit status of a program for the error
    """

    nvr: str
    state: str = FAILED
    source: str = ""
    repository: str = ""
    digest: str = ""
    arches: Sequence[str] = ()
    tags: Sequence[TagChange] = ()
    manifests: Sequence[str] = ()
    artifacts: int = 0
    blobs: BlobCounts = field(default_factory=BlobCounts)
    signed: Sequence[str] = ()
    deleted: Sequence[str] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    solution: str = ""
    warnings: Sequence[str] = ()
    untagged: Sequence[str] = ()
    missing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    exit_code: int = 0

    def fail(self, error: FedpkgContainerError) -> None:
        """Record that the build was refused or failed."""
        self.state = REFUSED if isinstance(error, RefusedError) else FAILED
        self.error, self.solution = error.reason, error.solution
        self.exit_code = error.exit_code if isinstance(error, (LockedError, NotMirroredError)) else 1
        if isinstance(error, NotMirroredError):
            self.state, self.missing = WAITING, error.missing

    @property
    def is_partial(self) -> bool:
        """Whether it failed after the tags were moved: manifests were not deleted."""
        return self.state == FAILED and bool(self.kept)

    @property
    def succeeded(self) -> bool:
        """Whether everything requested was done."""
        return self.state not in (REFUSED, FAILED, WAITING) and not self.error

    def report(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        counts = self.blobs
        return {
            "nvr": self.nvr,
            "state": self.state,
            "source": self.source,
            "repository": self.repository,
            "digest": self.digest,
            "arches": list(self.arches),
            "tags": [
                {
                    "tag": change.tag,
                    "what": change.what,
                    "before": change.before,
                    "after": change.after,
                    "why": change.why,
                }
                for change in self.tags
            ],
            "manifests": list(self.manifests),
            "artifacts": self.artifacts,
            "blobs": {"mounted": counts.mounted, "sent": counts.sent, "present": counts.present},
            "bytes": {"mounted": counts.bytes_mounted, "sent": counts.bytes_sent},
            "signed": list(self.signed),
            "deleted": list(self.deleted),
            "kept": dict(self.kept),
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "solution": self.solution,
            "warnings": list(self.warnings),
            "untagged": list(self.untagged),
            "missing": {place: dict(reasons) for place, reasons in self.missing.items()},
        }


def report(target: str, results: Sequence[PromotionResult], *, dry_run: bool, seconds: float) -> dict[str, Any]:
    """Return the report of a command as a JSON object."""
    return {
        "format": FORMAT,
        "target": target,
        "dry_run": dry_run,
        "seconds": round(seconds, 3),
        "images": [result.report() for result in results],
    }
