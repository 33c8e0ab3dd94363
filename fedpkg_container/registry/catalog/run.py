# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of ``catalog``: which repositories are read, the order of its steps, and its summary."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.errors import RegistryError, UsageError
from fedpkg_container.files import check_directory_owner
from fedpkg_container.registry.catalog.promotions import read_promotions
from fedpkg_container.registry.catalog.reader import RepositoryContents, read_repository
from fedpkg_container.registry.catalog.site import DIRECTORY_MODE, SiteWriter
from fedpkg_container.registry.catalog.state import PRIVATE_DIR, State, Store
from fedpkg_container.registry.catalog.views import Labels, arrange
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.mirror.selection import journal_changes
from fedpkg_container.registry.pages import is_down
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.target_repositories import is_in_target, target_repositories
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.staging import STAGING
from fedpkg_container.registry.workers import JobSkippedError, WorkerPool
from fedpkg_container.text import printable_line

_log = logging.getLogger(__name__)

#: Version of the JSON report.
FORMAT = 1
#: Number of repositories that are read at the same time.
MAX_REQUESTS = 8
#: Seconds after which all repositories and referrers are read, to find changes made without ``promote``.
FULL_INTERVAL = 86400.0


@dataclass(frozen=True)
class Options:
    """Options of a run.

    :param directory: output directory
    :param journal: the promotion journal; None: there is none
    :param full: read all repositories and referrers
    :param now: returns seconds since 1970
    """

    directory: Path
    labels: Labels
    journal: Path | None = None
    full: bool = False
    now: Callable[[], float] = time.time


@dataclass
class Summary:
    """What a run did.

    :param repositories: number of repositories in the catalog, ``queried`` of which were read
    :param images: number of images, ``fetched`` of which were read
    :param written: number of files that changed
    :param requests: number of responses
    :param seconds: duration
    :param errors: failures, one sentence each
    """

    repositories: int = 0
    queried: int = 0
    images: int = 0
    fetched: int = 0
    written: int = 0
    requests: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        return {"format": FORMAT, **vars(self), "seconds": round(self.seconds, 3)}


def update_catalog(target: Target, options: Options, progress: Progress | None = None) -> Summary:
    """Update a catalog to the contents of a target, and return the summary.

    :raises UsageError: if the directory has other contents
    :raises FedpkgContainerError: if another run works on the directory, or the registry cannot be read
    :raises OSError: if the directory cannot be written
    """
    began, summary = time.monotonic(), Summary()
    with _locked_directory(options.directory) as private_dir:
        store = Store(private_dir)
        state = store.read(f"{target.registry}/{target.prefix}")
        journal = Journal(options.journal)
        with contextlib.closing(journal):
            recorded = read_promotions(journal.index, target)
        with Registry(target.access).http(target.registry) as http:
            is_due = options.full or not 0 <= options.now() - state.checked < FULL_INTERVAL
            try:
                _read(http, target, options, state, store, summary, progress or Progress(), journal, is_due=is_due)
            finally:
                store.write(state)  # what was read is not read again, also if the run is interrupted
            summary.requests = http.requests
        views = [
            arrange(name, tags, state.images[name], recorded.times.get(name, {}))
            for name, tags in sorted(state.tags.items())
        ]
        writer = SiteWriter(options.directory, state, store, options.labels, full=is_due)
        writer.write(views, recorded.latest)
        store.write(state)
    summary.repositories, summary.images = len(views), sum(len(view.builds) for view in views)
    summary.written, summary.seconds = writer.written, time.monotonic() - began
    return summary


@contextlib.contextmanager
def _locked_directory(directory: Path) -> Iterator[Path]:
    """Create and lock the output directory, and yield the private one in it."""
    private_dir = directory / PRIVATE_DIR
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory", solution="name a directory, which may be a new one")
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(DIRECTORY_MODE)
    elif not private_dir.exists() and any(directory.iterdir()):
        raise UsageError(
            f"{directory} is not empty, and not a catalog",
            solution="name an empty directory, or one that does not exist",
        )
    check_directory_owner(directory)
    private_dir.mkdir(mode=0o700, exist_ok=True)
    with locked(private_dir / "lock", directory):
        yield private_dir


def _read(
    http: RegistryHTTP,
    target: Target,
    options: Options,
    state: State,
    store: Store,
    summary: Summary,
    progress: Progress,
    journal: Journal,
    *,
    is_due: bool,
) -> None:
    """Update the state to the registry; repositories that cannot be read keep their state.

    :param is_due: read all repositories and referrers
    """
    changes = journal_changes(options.journal, state.position) if options.journal else None
    changed = changes.repositories if changes and not is_due else None
    if changed is None:
        queried = [name for name in target_repositories(http, target, journal) if not _is_staging(name)]
        if not queried and state.tags:
            raise RegistryError(f"{http.host} lists no repositories; the catalog was not changed")
        for name in state.tags.keys() - set(queried):
            del state.tags[name], state.images[name]
    else:
        queried = sorted(name for name in changed if is_in_target(name, target) and not _is_staging(name))
    summary.queried = len(queried)
    progress.began("repositories", len(queried))

    def read(name: str) -> RepositoryContents:
        refresh = is_due or changed is not None
        return read_repository(Repository(http, name), state.images.get(name, {}), refresh=refresh)

    skipped = 0
    with WorkerPool(MAX_REQUESTS, is_registry_down=lambda: is_down(http), cancel=http.cancel) as pool:
        for outcome in pool.as_completed(queried, read):
            progress.advanced()
            if isinstance(outcome.error, OSError):
                raise outcome.error
            if isinstance(outcome.error, JobSkippedError):
                skipped += 1
            elif outcome.error is not None:
                summary.errors.append(printable_line(f"{outcome.job}: {outcome.error.reason}"))
            elif outcome.result is not None:
                _store(outcome.job, outcome.result, state, store)
                summary.fetched += len(outcome.result.packages)
    if skipped:
        summary.errors.append(f"{skipped} more repositories were skipped because the registry is unavailable")
    if not summary.errors:
        state.position = changes.position if changes else ""
        state.checked = options.now() if is_due else state.checked


def _store(name: str, contents: RepositoryContents, state: State, store: Store) -> None:
    for digest, packages in contents.packages.items():
        store.write_packages(digest, packages)
    if contents.images:
        state.tags[name], state.images[name] = contents.tags, contents.images
    else:
        state.tags.pop(name, None)
        state.images.pop(name, None)


def _is_staging(name: str) -> bool:
    return name.partition("/")[0] == STAGING
