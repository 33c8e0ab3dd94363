"""What became of the builds that were to be promoted or taken back: the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.registry.promotion.copying import Tally
from fedpkg_container.registry.promotion.tagging import TagChange

#: The version of the report's format; it grows when something that was there changes its meaning.
FORMAT = 1
#: What became of a build. ``planned``: it would be done, without --dry-run.
PROMOTED, UNPROMOTED, UNCHANGED, PLANNED, REFUSED, FAILED = (
    "promoted",
    "unpromoted",
    "unchanged",
    "planned",
    "refused",
    "failed",
)


@dataclass
class Outcome:
    """One build.

    :param state: promoted, unpromoted, unchanged, planned, refused or failed
    :param source: its pull spec in the candidate registry
    :param repository: in the target, with the registry
    :param digest: of its list of arches
    :param arches: Go's names
    :param tags: what became of each, in the order in which they are set
    :param manifests: digests of manifests that were copied, each after those that it refers to
    :param artifacts: how many refer to the image or an arch of it: SBOMs, signatures
    :param deleted: digests of manifests that were deleted
    :param kept: digests that were not deleted, and why
    :param seconds: that it took
    :param error: why it is refused or failed, or what of it could not be done; ``solution``: what to do
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
    blobs: Tally = field(default_factory=Tally)
    deleted: Sequence[str] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    solution: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is as it was asked for."""
        return self.state not in (REFUSED, FAILED) and not self.error

    def report(self) -> dict[str, Any]:
        """As JSON has it."""
        tally = self.blobs
        return {
            "nvr": self.nvr,
            "state": self.state,
            "source": self.source,
            "repository": self.repository,
            "digest": self.digest,
            "arches": list(self.arches),
            "tags": [
                {"tag": each.tag, "what": each.what, "before": each.before, "after": each.after, "why": each.why}
                for each in self.tags
            ],
            "manifests": list(self.manifests),
            "artifacts": self.artifacts,
            "blobs": {"mounted": tally.mounted, "sent": tally.sent, "present": tally.present},
            "bytes": {"mounted": tally.bytes_mounted, "sent": tally.bytes_sent},
            "deleted": list(self.deleted),
            "kept": dict(self.kept),
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "solution": self.solution,
        }


def report(target: str, outcomes: Sequence[Outcome], *, dry_run: bool, seconds: float) -> dict[str, Any]:
    """The report of a command."""
    return {
        "format": FORMAT,
        "target": target,
        "dry_run": dry_run,
        "seconds": round(seconds, 3),
        "images": [each.report() for each in outcomes],
    }
