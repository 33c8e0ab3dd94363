# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching missing blobs into the tree, within the bandwidth limit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError, NoSuchImageError
from fedpkg_container.registry.fetch import receive_blob
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.discovery import ReachableSet
from fedpkg_container.registry.mirror.manifest_cache import Blob
from fedpkg_container.registry.mirror.options import Summary
from fedpkg_container.registry.mirror.tree import Contents, Tree, sync
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.workers import JobSkippedError, StoppedError, WorkerPool

_log = logging.getLogger(__name__)


class Throttle:
    """Bandwidth limiter; thread-safe.

    :param rate: bytes per second; 0 for no limit
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        #: Monotonic time at which the bytes so far are within the rate; at most one second in the past.
        self._paid_until = 0.0

    def take(self, size: int, stop: threading.Event) -> None:
        """Wait until ``size`` more bytes are within the rate, or ``stop`` is set."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._paid_until = max(self._paid_until, now - 1.0) + size / self._rate
            pause = self._paid_until - now
        if pause > 0:
            stop.wait(pause)


@dataclass(frozen=True)
class BlobDownloader:
    """Fetches blobs; thread-safe for different blobs.

    :param partial: directory for partial downloads, named by digest
    :param stop: set to stop all downloads
    :param received: called with the number of bytes received
    :param resumed: called with the number of bytes of an earlier partial download
    """

    http: RegistryHTTP
    partial: Path
    throttle: Throttle
    stop: threading.Event
    received: Callable[[int], None]
    resumed: Callable[[int], None]

    def fetch(self, blob: Blob, repositories: Sequence[str]) -> Path:
        """Fetch a blob and return the complete, synced file.

        A partial download is resumed. Wrong content is discarded and fetched once more.

        :param repositories: that should have the blob, tried in order
        :raises WrongContentError: if wrong content was received twice
        :raises RegistryError: if it cannot be fetched
        :raises OSError: if it cannot be written
        :raises StoppedError: if the run was stopped
        """
        for repository in repositories[:-1]:
            try:
                return self._fetch_from(blob, repository)
            except NoSuchImageError:
                _log.info("%s has no blob %s, trying another repository", repository, blob.digest)
                continue
        return self._fetch_from(blob, repositories[-1])

    def _fetch_from(self, blob: Blob, repository: str) -> Path:
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
        _log.debug("fetched blob %s of %d bytes from %s", blob.digest, blob.size, repository)
        return path

    def _received(self, size: int) -> None:
        if self.stop.is_set():
            raise StoppedError
        if size:
            self.throttle.take(size, self.stop)
            self.received(size)


@dataclass(frozen=True)
class MissingBlob:
    """A blob that the tree lacks for some repositories.

    :param source: a repository that has it in the tree; empty if none
    """

    blob: Blob
    repositories: tuple[str, ...]
    source: str


def find_missing(contents: Contents, reached: Mapping[str, ReachableSet], summary: Summary) -> Iterator[MissingBlob]:
    """Yield the blobs that the tree lacks, the largest first; files of the wrong size count as missing.

    If manifests state different sizes for a blob, a failure is noted and the first size is used.
    """
    wanted: dict[str, tuple[Blob, list[str]]] = {}
    for name, reach in sorted(reached.items()):
        for digest, size in reach.blobs.items():
            blob, names = wanted.setdefault(digest, (Blob(digest, size), []))
            if blob.size == size:
                names.append(name)
            else:
                summary.fail(f"{name}: {digest} has {size} bytes, {names[0]} states {blob.size}")
    repositories_with: dict[Blob, set[str]] = {}
    for name, blobs in contents.items():
        for entry in blobs.values():
            repositories_with.setdefault(Blob(entry.digest, entry.size), set()).add(name)
    for blob, names in sorted(wanted.values(), key=lambda item: (-item[0].size, item[0].digest)):
        sources = repositories_with.get(blob, set())
        lacking = [name for name in names if name not in sources]
        summary.present += len(names) - len(lacking)
        if lacking:
            yield MissingBlob(blob, tuple(lacking), min(sources, default=""))


def _with_blob_name(lacking: MissingBlob, reason: str) -> str:
    """Return a reason with the blob's repository and digest."""
    digest, name = lacking.blob.digest, lacking.repositories[0]
    return f"{name}: {reason}" if digest in reason else f"{name}@{digest}: {reason}"


@dataclass(frozen=True)
class BlobFetcher:
    """Adds missing blobs to the tree.

    :param dry_run: only count them
    """

    tree: Tree
    downloader: BlobDownloader
    pool: WorkerPool
    progress: Progress
    summary: Summary
    dry_run: bool = False

    def fetch_missing(self, missing_blobs: list[MissingBlob]) -> None:
        """Link or fetch missing blobs; failures are noted and do not stop the others.

        :raises OSError: if files cannot be written
        """
        for missing in missing_blobs:
            if missing.source:
                self._link(missing)
        fetched = [missing for missing in missing_blobs if not missing.source]
        if self.dry_run:
            for missing in fetched:
                self._count(missing)
            return
        self.progress.began("blobs", len(fetched), sum(missing.blob.size for missing in fetched))
        skipped = 0
        for outcome in self.pool.as_completed(fetched, self._fetch):
            self.progress.advanced()
            if outcome.error is None:
                self._count(outcome.job)
            elif isinstance(outcome.error, JobSkippedError):
                skipped += 1
            elif isinstance(outcome.error, FedpkgContainerError):
                self.summary.fail(_with_blob_name(outcome.job, outcome.error.reason))
            else:
                raise outcome.error
        if skipped:
            self.summary.fail(f"{skipped} more blobs were skipped because the registry is unavailable")

    def _count(self, fetched: MissingBlob) -> None:
        self.summary.new += 1
        self.summary.linked += len(fetched.repositories) - 1
        self.summary.received += fetched.blob.size if self.dry_run else 0

    def _link(self, missing: MissingBlob) -> None:
        for name in missing.repositories:
            if not self.dry_run:
                self.tree.link_blob(missing.blob.digest, missing.source, name)
            self.summary.linked += 1

    def _fetch(self, missing: MissingBlob) -> None:
        first, *others = missing.repositories
        self.tree.publish_blob(self.downloader.fetch(missing.blob, missing.repositories), missing.blob.digest, first)
        for name in others:
            self.tree.link_blob(missing.blob.digest, first, name)
