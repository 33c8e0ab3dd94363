# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror run: the order of its steps, error handling and summary."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping

from fedpkg_container.errors import RegistryError, RegistryUnavailableError, UnexpectedResponseError, UsageError
from fedpkg_container.files import check_directory_owner
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror import tree
from fedpkg_container.registry.mirror.archives import Archives, WantedArchives
from fedpkg_container.registry.mirror.discovery import Discovery, ReachableSet
from fedpkg_container.registry.mirror.fetch import BlobDownloader, BlobFetcher, Throttle, find_missing
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.mirror.options import Options, Summary
from fedpkg_container.registry.mirror.retention import Deletion
from fedpkg_container.registry.mirror.selection import REFERRERS, Selection, is_due, select_repositories
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import DIRECTORY_MODE, Contents, Tree
from fedpkg_container.registry.mirror.verify import Verifier
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.skopeo import Access, Registry
from fedpkg_container.registry.workers import WorkerPool

#: Private directory in the tree: lock, state and partial downloads.
PRIVATE_DIR = ".mirror"


def mirror(registry: str, access: Access, options: Options, progress: Progress | None = None) -> Summary:
    """Update a tree to the tags of a registry, and return the summary.

    SIGINT and SIGTERM (``signals.interruptible``) stop it early; the tree stays consistent.

    :param registry: host and port
    :param access: certificates, credentials and retry timeout
    :raises FedpkgContainerError: if another run works on the tree
    :raises OSError: if the directory cannot be written
    """
    began, summary = time.monotonic(), Summary(dry_run=options.dry_run)
    options = dataclasses.replace(options, directory=options.directory.resolve())
    with _locked_tree(options), Registry(access).http(registry) as http:
        run = _Run(http, access, options, progress or Progress(), summary)
        try:
            run.do()
        except KeyboardInterrupt as interrupt:
            summary.interrupted = str(interrupt) or "SIGINT"
        except OSError as error:
            run.note_write_error(error)
        if not options.dry_run:
            run.finish()
        summary.requests, summary.seconds = http.requests, time.monotonic() - began
    return summary


@contextlib.contextmanager
def _locked_tree(options: Options) -> Iterator[None]:
    """Create and lock the directory; do nothing in a dry run."""
    if options.directory.exists() and not options.directory.is_dir():
        raise UsageError(f"{options.directory} is not a directory", solution="name a directory, which may be a new one")
    if options.dry_run:
        yield
        return
    private_dir = options.directory / PRIVATE_DIR
    if not options.directory.exists():
        options.directory.mkdir(parents=True)
        options.directory.chmod(DIRECTORY_MODE)
    check_directory_owner(options.directory)
    private_dir.mkdir(mode=0o700, exist_ok=True)
    with locked(private_dir / "lock", options.directory):
        (private_dir / "partial").mkdir(exist_ok=True)
        yield


class _Run:
    """A run while the tree is locked."""

    def __init__(
        self, http: RegistryHTTP, access: Access, options: Options, progress: Progress, summary: Summary
    ) -> None:
        self.http, self.access, self.options = http, access, options
        self.progress, self.summary = progress, summary
        private_dir = options.directory / PRIVATE_DIR
        self.partial, self._database = private_dir / "partial", private_dir / "state.sqlite"
        self.tree = Tree(options.directory, self.partial)
        self.state = State.read(self._database, http.host)
        self.archives = Archives(self.tree, http.host, options.name or http.host, access, self.partial, self.state)
        self.now = options.now()
        self._counting = threading.Lock()

    def do(self) -> None:
        """Run all steps."""
        contents, archives = self.tree.contents(), self.archives.contents()
        with self._pool() as pool:
            if self.options.verify:
                check = Verifier(self.tree, pool, self.progress, dry_run=self.options.dry_run)
                self.summary.repaired = check.repair(contents) + check.repair_archives(self.archives, archives)
            discovery = Discovery(self.http, pool, self.state, self.progress)
            reached = self._discover(discovery)
        if not reached:
            return
        wanted_archives: WantedArchives | None = None
        try:
            with self._pool() as pool:
                self._fetch_missing(pool, contents, reached)
                if self.options.archives:
                    tags = {name: self.state.tags[name] for name in reached}
                    wanted_archives = self.archives.create_missing(tags, archives, pool, self.progress, self.summary)
        except OSError as error:
            self.note_write_error(error)  # expired files are deleted nevertheless, which may free space
        deletion = Deletion(self.tree, self.archives, self.state, self.options, discovery.failed)
        deletion.delete(contents, archives, reached, wanted_archives, self.summary, self.now)

    def _pool(self) -> WorkerPool:
        return WorkerPool(self.options.parallel, is_registry_down=self._is_registry_down, cancel=self.http.cancel)

    def finish(self) -> None:
        """Make the results durable for the next run, also after a failure."""
        try:
            self.tree.finalize()
            tree.write_file_list(self.options.directory, self.partial)
            self.state.write(self._database)
        except OSError as error:
            self.note_write_error(error)

    def note_write_error(self, error: OSError) -> None:
        """Note that files cannot be written; remove partial downloads to free some space."""
        with contextlib.suppress(OSError):
            self._remove_partial()
        where, why = error.filename or self.options.directory, error.strerror or error
        self.summary.fail(f"{where}: {why}; fetched blobs are served, and the next run will resume")

    def _received(self, size: int) -> None:
        with self._counting:
            self.summary.received += size
        self.progress.received(size)

    def _remove_partial(self) -> None:
        for path in self.partial.iterdir():
            path.unlink()

    def _is_registry_down(self) -> bool:
        try:
            self.http.request("GET", "/v2/")
        except RegistryUnavailableError:
            return True
        except RegistryError:  # the registry responds, if only with an error
            return False
        return False

    def _discover(self, discovery: Discovery) -> dict[str, ReachableSet]:
        """Return what is reachable per repository, without failed ones; empty if the registry cannot be read."""
        try:
            selection = select_repositories(self.http, self.options, self.state, self.now)
        except UnexpectedResponseError as error:  # e.g. there is no list of repositories
            self.summary.fail(f"{error.reason}; {error.solution}" if error.solution else error.reason)
            return {}
        except RegistryError as error:
            self.summary.fail(error.reason)
            return {}
        discovery.read_tags(selection.queried)
        refresh = self.options.full or (selection.is_full and is_due(self.state, REFERRERS, self.now))
        reached = discovery.find_reachable(
            selection.repositories, refresh=refresh, touched=() if selection.is_full else selection.queried
        )
        self._record(discovery, selection, reached)
        if discovery.failed:
            return reached
        if not any(reach.blobs for reach in reached.values()):
            self.summary.fail(f"no tag of {self.http.host} references any content; nothing was changed")
            return {}
        selection.record_complete(self.state, self.options, self.now)
        if refresh:
            self.state.record_clock(REFERRERS, self.now)
        return reached

    def _record(self, discovery: Discovery, selection: Selection, reached: Mapping[str, ReachableSet]) -> None:
        """Record the results for the report and for the next run."""
        state, summary = self.state, self.summary
        state.tags = {name: state.tags[name] for name in selection.repositories if name in state.tags}
        manifests = set[str]().union(*(reach.manifests for reach in reached.values()))
        if not discovery.failed:
            state.forget(manifests)
        summary.repositories, summary.queried = len(selection.repositories), discovery.queried
        summary.tags = sum(map(len, state.tags.values()))
        summary.manifests = len(manifests)
        summary.foreign = sum(state.images[digest].foreign for digest in manifests)
        for reason in discovery.reasons():
            summary.fail(reason)

    def _fetch_missing(self, pool: WorkerPool, contents: Contents, reached: Mapping[str, ReachableSet]) -> None:
        throttle = Throttle(self.options.rate)
        downloader = BlobDownloader(
            self.http, self.partial, throttle, pool.stop, self._received, self.progress.received
        )
        fetcher = BlobFetcher(self.tree, downloader, pool, self.progress, self.summary, dry_run=self.options.dry_run)
        fetcher.fetch_missing(list(find_missing(contents, reached, self.summary)))
        if not self.summary.errors and not self.options.dry_run:
            self._remove_partial()  # partial downloads that are no longer referenced
