"""Bringing into the tree what it lacks: by another name where it is there already, else from the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.registry.mirror.crew import Crew, NotAskedError
from fedpkg_container.registry.mirror.download import Downloads
from fedpkg_container.registry.mirror.images import Blob
from fedpkg_container.registry.mirror.summary import Summary
from fedpkg_container.registry.mirror.tree import Contents, Tree
from fedpkg_container.registry.mirror.walk import Reach
from fedpkg_container.registry.progress import Progress


@dataclass(frozen=True)
class Missing:
    """A blob that the tree lacks for some repositories.

    :param source: a repository for which it is there; empty for none
    """

    blob: Blob
    repositories: tuple[str, ...]
    source: str


def missing(contents: Contents, reached: Mapping[str, Reach], summary: Summary) -> Iterator[Missing]:
    """What the tree lacks, the largest first; a file of another size than the manifest says is none.

    Repositories that disagree about the size of a blob are noted as failures: one of them is wrong, and the blob is
    fetched as the first of them says.
    """
    wanted: dict[str, tuple[Blob, list[str]]] = {}
    for name, reach in sorted(reached.items()):
        for digest, size in reach.blobs.items():
            blob, names = wanted.setdefault(digest, (Blob(digest, size), []))
            if blob.size == size:
                names.append(name)
            else:
                summary.fail(f"{name}: {digest} has {size} bytes, {names[0]} says {blob.size}")
    there: dict[Blob, set[str]] = {}
    for name, blobs in contents.items():
        for entry in blobs.values():
            there.setdefault(Blob(entry.digest, entry.size), set()).add(name)
    for blob, names in sorted(wanted.values(), key=lambda each: (-each[0].size, each[0].digest)):
        sources = there.get(blob, set())
        lacking = [name for name in names if name not in sources]
        summary.present += len(names) - len(lacking)
        if lacking:
            yield Missing(blob, tuple(lacking), min(sources, default=""))


def _named(lacking: Missing, reason: str) -> str:
    """Why a blob could not be had, with its name and its repository."""
    digest, name = lacking.blob.digest, lacking.repositories[0]
    return f"{name}: {reason}" if digest in reason else f"{name}@{digest}: {reason}"


@dataclass(frozen=True)
class Filling:
    """Brings into the tree what it lacks.

    :param dry_run: only count
    """

    tree: Tree
    downloads: Downloads
    crew: Crew
    progress: Progress
    summary: Summary
    dry_run: bool = False

    def fill(self, lacking: list[Missing]) -> None:
        """Bring it in; what fails is noted, and the rest goes on.

        :raises OSError: nothing can be written any more
        """
        for each in lacking:
            if each.source:
                self._link(each)
        fetched = [each for each in lacking if not each.source]
        if self.dry_run:
            for each in fetched:
                self._count(each)
            return
        self.progress.began("blobs", len(fetched), sum(each.blob.size for each in fetched))
        not_asked = 0
        for outcome in self.crew.each(fetched, self._fetch):
            self.progress.advanced()
            if outcome.error is None:
                self._count(outcome.job)
            elif isinstance(outcome.error, NotAskedError):
                not_asked += 1
            elif isinstance(outcome.error, FedpkgContainerError):
                self.summary.fail(_named(outcome.job, outcome.error.reason))
            else:
                raise outcome.error
        if not_asked:
            self.summary.fail(f"{not_asked} more blobs were not asked for, since the registry is away")

    def _count(self, fetched: Missing) -> None:
        self.summary.new += 1
        self.summary.linked += len(fetched.repositories) - 1
        self.summary.received += fetched.blob.size if self.dry_run else 0

    def _link(self, each: Missing) -> None:
        for name in each.repositories:
            if not self.dry_run:
                self.tree.link(each.blob.digest, each.source, name)
            self.summary.linked += 1

    def _fetch(self, each: Missing) -> None:
        first, *others = each.repositories
        self.tree.place(self.downloads.fetch(each.blob, each.repositories), each.blob.digest, first)
        for name in others:
            self.tree.link(each.blob.digest, first, name)
