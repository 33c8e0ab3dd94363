"""A mirror run: the order of its steps, error handling and summary."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping

from fedpkg_container.errors import RegistryError, RegistryUnavailableError, UsageError
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror import tree
from fedpkg_container.registry.mirror.archives import Archives, Kept
from fedpkg_container.registry.mirror.discovery import Reach, Survey
from fedpkg_container.registry.mirror.fetch import Downloads, Filling, Throttle, missing
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.mirror.options import Options, Summary
from fedpkg_container.registry.mirror.retention import Deletion
from fedpkg_container.registry.mirror.selection import REFERRERS, Scope, is_due, scope_of
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import FOLDER_MODE, Contents, Tree
from fedpkg_container.registry.mirror.verify import Verification
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.skopeo import Access, Registry
from fedpkg_container.registry.workers import WorkerPool

#: Private directory in the tree: lock, state and partial downloads.
OWN = ".mirror"


def mirror(registry: str, access: Access, options: Options, progress: Progress | None = None) -> Summary:
    """Update a tree to the tags of a registry, and return the summary.

    SIGINT and SIGTERM (``signals.interruptible``) stop it early; the tree stays consistent.

    :param registry: host and port
    :param access: certificates, credentials and retry timeout
    :raises FedpkgContainerError: if another run works on the tree
    :raises OSError: if the directory cannot be written
    """
    began, summary = time.monotonic(), Summary(dry_run=options.dry_run)
    options = dataclasses.replace(options, folder=options.folder.resolve())
    with _prepared(options), Registry(access).http(registry) as http:
        run = _Run(http, access, options, progress or Progress(), summary)
        try:
            run.do()
        except KeyboardInterrupt as interrupt:
            summary.interrupted = str(interrupt) or "SIGINT"
        except OSError as error:
            run.note_disk(error)
        if not options.dry_run:
            run.finish()
        summary.requests, summary.seconds = http.requests, time.monotonic() - began
    return summary


@contextlib.contextmanager
def _prepared(options: Options) -> Iterator[None]:
    """Create and lock the directory; do nothing in a dry run."""
    if options.folder.exists() and not options.folder.is_dir():
        raise UsageError(f"{options.folder} is not a directory", solution="name a directory, which may be a new one")
    if options.dry_run:
        yield
        return
    own = options.folder / OWN
    if not options.folder.exists():
        options.folder.mkdir(parents=True)
        options.folder.chmod(FOLDER_MODE)
    own.mkdir(mode=0o700, exist_ok=True)
    with locked(own / "lock", options.folder):
        (own / "partial").mkdir(exist_ok=True)
        yield


class _Run:
    """A run while the tree is locked."""

    def __init__(
        self, http: RegistryHTTP, access: Access, options: Options, progress: Progress, summary: Summary
    ) -> None:
        self.http, self.access, self.options = http, access, options
        self.progress, self.summary = progress, summary
        own = options.folder / OWN
        self.partial, self._database = own / "partial", own / "state.sqlite"
        self.tree = Tree(options.folder, self.partial)
        self.state = State.read(self._database, http.host)
        self.archives = Archives(self.tree, http.host, options.name or http.host, access, self.partial, self.state)
        self.now = options.now()
        self._counting = threading.Lock()

    def do(self) -> None:
        """Run all steps."""
        contents, archives = self.tree.contents(), self.archives.contents()
        with self._pool() as pool:
            if self.options.verify:
                check = Verification(self.tree, pool, self.progress, dry_run=self.options.dry_run)
                self.summary.mended = check.mend(contents) + check.mend_archives(self.archives, archives)
            survey = Survey(self.http, pool, self.state, self.progress)
            reached = self._look(survey)
        if not reached:
            return
        kept: Kept | None = None
        try:
            with self._pool() as pool:
                self._fill(pool, contents, reached)
                if self.options.archives:
                    tags = {name: self.state.tags[name] for name in reached}
                    kept = self.archives.bring(tags, archives, pool, self.progress, self.summary)
        except OSError as error:
            self.note_disk(error)  # expired files are deleted nevertheless, which may free space
        deletion = Deletion(self.tree, self.archives, self.state, self.options, survey.failed)
        deletion.delete(contents, archives, reached, kept, self.summary, self.now)

    def _pool(self) -> WorkerPool:
        return WorkerPool(self.options.parallel, is_registry_down=self._is_registry_down, cancel=self.http.cancel)

    def finish(self) -> None:
        """Make the results durable for the next run, also after a failure."""
        try:
            self.tree.tidy()
            tree.write(self.options.folder, self.partial)
            self.state.write(self._database)
        except OSError as error:
            self.note_disk(error)

    def note_disk(self, error: OSError) -> None:
        """Note that files cannot be written; remove partial downloads to free some space."""
        with contextlib.suppress(OSError):
            self._empty_partial()
        where, why = error.filename or self.options.folder, error.strerror or error
        self.summary.fail(f"{where}: {why}; fetched blobs are served, and the next run will resume")

    def _received(self, size: int) -> None:
        with self._counting:
            self.summary.received += size
        self.progress.received(size)

    def _empty_partial(self) -> None:
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

    def _look(self, survey: Survey) -> dict[str, Reach]:
        """Return what is reachable per repository, without failed ones; empty if the registry cannot be read."""
        try:
            scope = scope_of(self.http, self.options, self.state, self.now)
        except RegistryError as error:
            self.summary.fail(error.reason)
            return {}
        survey.look(scope.asked)
        refresh = self.options.full or (scope.is_full and is_due(self.state, REFERRERS, self.now))
        reached = survey.reach(scope.repositories, refresh=refresh, touched=() if scope.is_full else scope.asked)
        self._note(survey, scope, reached)
        if survey.failed:
            return reached
        if not any(reach.blobs for reach in reached.values()):
            self.summary.fail(f"no tag of {self.http.host} references any content; nothing was changed")
            return {}
        scope.done(self.state, self.options, self.now)
        if refresh:
            self.state.note(REFERRERS, self.now)
        return reached

    def _note(self, survey: Survey, scope: Scope, reached: Mapping[str, Reach]) -> None:
        """Record the results for the report and for the next run."""
        state, summary = self.state, self.summary
        state.tags = {name: state.tags[name] for name in scope.repositories if name in state.tags}
        manifests = set[str]().union(*(reach.manifests for reach in reached.values()))
        if not survey.failed:
            state.forget(manifests)
        summary.repositories, summary.asked = len(scope.repositories), survey.asked
        summary.tags = sum(map(len, state.tags.values()))
        summary.manifests = len(manifests)
        summary.foreign = sum(state.images[digest].foreign for digest in manifests)
        for reason in survey.reasons():
            summary.fail(reason)

    def _fill(self, pool: WorkerPool, contents: Contents, reached: Mapping[str, Reach]) -> None:
        throttle = Throttle(self.options.rate)
        downloads = Downloads(self.http, self.partial, throttle, pool.stop, self._received, self.progress.received)
        filling = Filling(self.tree, downloads, pool, self.progress, self.summary, dry_run=self.options.dry_run)
        filling.fill(list(missing(contents, reached, self.summary)))
        if not self.summary.errors and not self.options.dry_run:
            self._empty_partial()  # partial downloads that are no longer referenced
