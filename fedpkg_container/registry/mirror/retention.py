"""Retention: files that no tag reaches any more stay for the grace period, and are then deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.registry.mirror.archives import Archives, Kept
from fedpkg_container.registry.mirror.clock import Moment
from fedpkg_container.registry.mirror.discovery import Reach
from fedpkg_container.registry.mirror.options import Options, Summary
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import ARCHIVES, BLOBS, Contents, Tree

#: The moment of the last run that counted, among the facts.
_COUNTED = "counted"
#: The part of the grace period that one run may add when only the wall clock is there to tell.
_PART = 0.25


def expired(
    state: State, unreached: Collection[str], in_doubt: Callable[[str], bool], *, now: Moment, grace: float
) -> list[str]:
    """Count the time; the paths that nothing has reached for the grace period.

    :param unreached: paths that nothing reaches, as far as that could be told
    :param in_doubt: whether nothing can be told of a path in this run: its age stays what it is
    :param grace: seconds; 0: at once
    """
    earlier = state.moment(_COUNTED)
    passed = now.since(earlier, longest=grace * _PART) if earlier else 0.0
    state.note(_COUNTED, now)
    ages = {path: age for path, age in state.unreached.items() if in_doubt(path)}
    for path in unreached:
        ages[path] = state.unreached[path] + passed if path in state.unreached else 0.0
    state.unreached = ages
    return sorted(path for path in unreached if ages[path] >= grace)


@dataclass(frozen=True)
class Deletion:
    """Deletes from a tree.

    :param failed: repositories of which it could not be told what is reached: they stay as they are
    """

    tree: Tree
    archives: Archives
    state: State
    options: Options
    failed: Collection[str]

    def delete(
        self,
        contents: Contents,
        archives: Collection[Path],
        reached: Mapping[str, Reach],
        kept: Kept | None,
        summary: Summary,
        now: Moment,
    ) -> None:
        """Delete what has expired.

        :param contents: what was in the tree when the run began
        :param archives: those that were there then, below the tree
        :param kept: the archives that there should be; None: nothing is known of archives
        :raises OSError: it cannot be deleted
        """
        unreached: dict[str, tuple[str, str]] = {}
        for name, blobs in contents.items():
            wanted = reached[name].blobs if name in reached else {}
            if not self._is_in_doubt(name):
                unreached.update({f"{BLOBS}/{name}/blobs/{digest}": (name, digest) for digest in blobs.keys() - wanted})
        if kept:
            there = [path for path in archives if not self._is_in_doubt(_repository(path), kept)]
            unreached.update({str(path): ("", str(path)) for path in there if path not in kept.paths})

        def in_doubt(path: str) -> bool:
            if path.startswith(f"{ARCHIVES}/"):
                return kept is None or self._is_in_doubt(_repository(Path(path)), kept)
            return self._is_in_doubt(path.partition("/")[2].rpartition("/blobs/")[0])

        gone = expired(self.state, unreached, in_doubt, now=now, grace=self.options.grace)
        summary.deleted, summary.waiting = len(gone), len(unreached) - len(gone)
        for path in [] if self.options.dry_run else gone:
            name, rest = unreached[path]
            if name:
                self.tree.remove(name, rest)
            else:
                self.archives.remove(Path(rest))
            del self.state.unreached[path]

    def _is_in_doubt(self, repository: str, kept: Kept | None = None) -> bool:
        failed = repository in self.failed or (kept is not None and repository in kept.in_doubt)
        return failed or not self.options.wants(repository)


def _repository(archive: Path) -> str:
    """The repository of an archive, by its path below the tree."""
    return archive.parent.relative_to(ARCHIVES).as_posix()
