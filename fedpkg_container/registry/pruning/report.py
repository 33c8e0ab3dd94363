# SPDX-License-Identifier: GPL-2.0-or-later
"""Report of a prune."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fedpkg_container.registry.pruning.retention import DAY, Decision
from fedpkg_container.registry.staging import Staged

#: Version of the JSON report; raised when its keys change.
VERSION = 1


@dataclass(frozen=True)
class DeletionResult:
    """Result for an image or a staging repository.

    :param done: whether it was deleted; False in a dry run
    :param problem: why it could not be deleted; empty if it was, or was not to be
    :param needed: why it was kept after all: it became needed in the meantime
    """

    done: bool = False
    problem: str = ""
    needed: str = ""


@dataclass(frozen=True)
class PrunedImage:
    """An image to delete.

    :param size: bytes of its layers and configurations, including those shared with other images; None if unknown
    """

    repository: str
    decision: Decision
    size: int | None
    result: DeletionResult = DeletionResult()


@dataclass(frozen=True)
class KeptImage:
    """An image to keep."""

    repository: str
    decision: Decision


@dataclass(frozen=True)
class EmptiedRepository:
    """A staging repository whose task has ended."""

    staged: Staged
    result: DeletionResult = DeletionResult()


@dataclass(frozen=True)
class Report:
    """Report of a prune.

    :param keep: retention period, days
    :param deletes: whether deletion was requested
    :param waiting: staging repositories that are kept: their task is running or unknown to Koji
    :param problems: repositories that could not be read
    """

    registry: str
    keep: int
    deletes: bool
    images: Sequence[PrunedImage] = ()
    kept: Sequence[KeptImage] = ()
    emptied: Sequence[EmptiedRepository] = ()
    waiting: Sequence[Staged] = ()
    problems: Sequence[str] = ()

    @property
    def failed(self) -> bool:
        """Whether something could not be done."""
        results = [*(image.result for image in self.images), *(entry.result for entry in self.emptied)]
        return bool(self.problems) or any(result.problem for result in results)

    def to_json(self) -> dict[str, object]:
        """Return the report as a JSON object."""
        return {
            "version": VERSION,
            "registry": self.registry,
            "keep_days": self.keep,
            "dry_run": not self.deletes,
            "images": [
                {**_decision_json(image.repository, image.decision), "size": image.size, **asdict(image.result)}
                for image in self.images
            ],
            "kept": [_decision_json(image.repository, image.decision) for image in self.kept],
            "staging": [{**asdict(entry.staged), **asdict(entry.result)} for entry in self.emptied],
            "staging_kept": [asdict(entry) for entry in self.waiting],
            "problems": list(self.problems),
        }


def _decision_json(repository: str, decision: Decision) -> dict[str, object]:
    age = None if decision.age is None else round(decision.age / DAY, 2)
    return {
        "repository": repository,
        "digest": decision.digest,
        "tags": list(decision.tags),
        "age_days": age,
        "why": decision.why,
    }
