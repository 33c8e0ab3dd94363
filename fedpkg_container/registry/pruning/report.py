"""What a prune found and did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fedpkg_container.registry.pruning.retention import DAY, Verdict
from fedpkg_container.registry.staging import Staged

#: What the report's keys are; raised when they change.
VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """What became of an image, or of a staging repository.

    :param done: whether it was deleted; False in a dry run
    :param problem: why it could not be; empty when nobody tried, or it was
    :param needed: why it stays after all: somebody has begun to need it meanwhile
    """

    done: bool = False
    problem: str = ""
    needed: str = ""


@dataclass(frozen=True)
class Pruned:
    """An image that goes.

    :param size: bytes of its layers and configurations, those included that other images have too; None when unknown
    """

    repository: str
    verdict: Verdict
    size: int | None
    outcome: Outcome = Outcome()


@dataclass(frozen=True)
class Kept:
    """An image that stays."""

    repository: str
    verdict: Verdict


@dataclass(frozen=True)
class Emptied:
    """A staging repository whose task has ended."""

    staged: Staged
    outcome: Outcome = Outcome()


@dataclass(frozen=True)
class Report:
    """A prune.

    :param keep: days
    :param deletes: whether anything was to be deleted
    :param waiting: staging repositories that are left alone: their task runs, or Koji does not know it
    :param problems: what could not be read, or was changed by others meanwhile
    """

    registry: str
    keep: int
    deletes: bool
    images: Sequence[Pruned] = ()
    kept: Sequence[Kept] = ()
    emptied: Sequence[Emptied] = ()
    waiting: Sequence[Staged] = ()
    problems: Sequence[str] = ()

    @property
    def failed(self) -> bool:
        """Whether something could not be done."""
        outcomes = [*(each.outcome for each in self.images), *(each.outcome for each in self.emptied)]
        return bool(self.problems) or any(each.problem for each in outcomes)

    def packed(self) -> dict[str, Any]:
        """For programs: only types that JSON has."""
        return {
            "version": VERSION,
            "registry": self.registry,
            "keep_days": self.keep,
            "dry_run": not self.deletes,
            "images": [
                {**_packed(each.repository, each.verdict), "size": each.size, **asdict(each.outcome)}
                for each in self.images
            ],
            "kept": [_packed(each.repository, each.verdict) for each in self.kept],
            "staging": [{**asdict(each.staged), **asdict(each.outcome)} for each in self.emptied],
            "staging_kept": [asdict(each) for each in self.waiting],
            "problems": list(self.problems),
        }


def _packed(repository: str, verdict: Verdict) -> dict[str, Any]:
    age = None if verdict.age is None else round(verdict.age / DAY, 2)
    return {
        "repository": repository,
        "digest": verdict.digest,
        "tags": list(verdict.tags),
        "age_days": age,
        "why": verdict.why,
    }
