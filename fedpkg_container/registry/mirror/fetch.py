"""Fetching the blobs that the tree lacks, within the bandwidth limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError, NoSuchImageError
from fedpkg_container.registry.fetch import receive_blob
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.discovery import Reach
from fedpkg_container.registry.mirror.manifest_cache import Blob
from fedpkg_container.registry.mirror.options import Summary
from fedpkg_container.registry.mirror.tree import Contents, Tree, sync
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.workers import Crew, NotAskedError, StoppedError


class Throttle:
    """Bytes a second; for several threads.

    :param rate: 0 for no limit
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        #: When all that was taken so far has been paid for; up to a second in the past, by the monotonic clock.
        self._paid = 0.0

    def take(self, size: int, stop: threading.Event) -> None:
        """Wait until so many bytes may have come, or until stopped."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._paid = max(self._paid, now - 1.0) + size / self._rate
            pause = self._paid - now
        if pause > 0:
            stop.wait(pause)


@dataclass(frozen=True)
class Downloads:
    """Fetches blobs; for several threads, each blob by one of them.

    :param partial: the folder for what has not come whole yet, by digest
    :param stop: set when the run is to end
    :param received: told how many bytes came
    :param resumed: told how many are there from an earlier run
    """

    http: RegistryHTTP
    partial: Path
    throttle: Throttle
    stop: threading.Event
    received: Callable[[int], None]
    resumed: Callable[[int], None]

    def fetch(self, blob: Blob, repositories: Sequence[str]) -> Path:
        """Fetch a blob; the file that holds it, which is whole and on the disk.

        What a broken connection or the end of the program leaves is gone on with. Wrong content is thrown away and
        asked for once more.

        :param repositories: that have it; the next one is asked when one does not
        :raises WrongContentError: wrong content came twice
        :raises RegistryError: it cannot be had
        :raises OSError: it cannot be written
        :raises StoppedError: the run is to end
        """
        for repository in repositories[:-1]:
            try:
                return self._from(blob, repository)
            except NoSuchImageError:
                continue
        return self._from(blob, repositories[-1])

    def _from(self, blob: Blob, repository: str) -> Path:
        path = self.partial / blob.digest
        receive_blob(
            Repository(self.http, repository),
            blob.digest,
            blob.size,
            path,
            received=self._received,
            resumed=self.resumed,
        )
        sync(path)
        return path

    def _received(self, size: int) -> None:
        if self.stop.is_set():
            raise StoppedError
        if size:
            self.throttle.take(size, self.stop)
            self.received(size)


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
