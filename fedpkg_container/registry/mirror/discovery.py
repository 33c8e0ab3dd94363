# SPDX-License-Identifier: GPL-2.0-or-later
"""Discovery of the manifests, artifacts and blobs that are reachable from the tags of a registry."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import MAX_INDEX_DEPTH
from fedpkg_container.registry.mirror.manifest_cache import Image
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.referrers import MAX_DEPTH as MAX_ARTIFACT_DEPTH
from fedpkg_container.registry.referrers import fallback_tag, is_fallback_tag, referrers_from_api
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.workers import JobSkippedError, WorkerPool

#: Maximum nesting of indexes and of artifacts that refer to artifacts.
MAX_DEPTH = MAX_INDEX_DEPTH + MAX_ARTIFACT_DEPTH
Result = TypeVar("Result")
#: Repository and tag, digest or nothing.
Job = tuple[str, str]
#: How often a repository is read again because its tags moved before the manifests were read.
MAX_REREADS = 3
#: State key: space-separated repositories without referrers API, the one queried longest ago first.
NO_REFERRERS = "no referrers"


@dataclass
class ReachableSet:
    """What is reachable from some tags.

    :param manifests: digests of the known manifests
    :param blobs: digest → bytes
    :param unknown: digests of manifests that must be read first
    """

    manifests: set[str] = field(default_factory=set)
    blobs: dict[str, int] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def add(self, digest: str, image: Image) -> None:
        """Add a manifest and its blobs.

        :raises RegistryError: if two manifests state different sizes for a blob
        """
        self.manifests.add(digest)
        for blob in image.blobs:
            if self.blobs.setdefault(blob.digest, blob.size) != blob.size:
                raise RegistryError(
                    f"{digest} states {blob.size} bytes for {blob.digest}, another manifest states a different size"
                )


def find_reachable(
    tags: Mapping[str, str], images: Mapping[str, Image], referrers_of: Callable[[str], Iterable[str]]
) -> ReachableSet:
    """Return what is reachable from tags.

    :param tags: tags of one repository, with their digests
    :param images: known manifests by digest
    :param referrers_of: returns the referrers of a manifest from the referrers API
    :raises RegistryError: if manifests are nested too deeply, contradict each other, or would be served as blobs
    """
    reach = ReachableSet()
    # A referrers index counts only while another tag reaches its image.
    level = {digest for tag, digest in tags.items() if not is_fallback_tag(tag)}
    for _ in range(MAX_DEPTH):
        following: set[str] = set()
        for digest in level:
            image = images.get(digest)
            if image is None:
                reach.unknown.add(digest)
                continue
            reach.add(digest, image)
            following.update(image.members, referrers_of(digest))
            if fallback_tag(digest) in tags:
                following.add(tags[fallback_tag(digest)])
        level = following - reach.manifests - reach.unknown
        if not level:
            break
    else:
        raise RegistryError(f"manifests are nested more than {MAX_DEPTH} levels deep: {min(level)}")
    served = next((digest for digest in reach.blobs if digest in images), "")
    if served:
        raise RegistryError(f"{served} is a manifest and also a layer of another manifest")
    return reach


@dataclass
class Discovery:
    """Reads a registry; uses the state of the last run for what need not be read again.

    :param state: updated
    :param failed: repository → reason why it could not be read completely
    :param queried: number of tags queried
    """

    http: RegistryHTTP
    pool: WorkerPool
    state: State
    progress: Progress
    failed: dict[str, str] = field(default_factory=dict)
    queried: int = 0
    _skipped: set[str] = field(default_factory=set)
    _rereads: collections.Counter[str] = field(default_factory=collections.Counter)
    #: Repositories that are not queried for referrers, in the order of the state.
    _without_api: dict[str, None] = field(default_factory=dict)
    #: Known referrers to query again; removed when the response is there.
    _requery: set[Job] = field(default_factory=set)

    def read_tags(self, repositories: Iterable[str]) -> None:
        """Read the tags of repositories; the state keeps the old tags of those that cannot be read completely."""
        jobs = [(name, "") for name in repositories]
        tag_names = {name: tags for (name, _), tags in self._run_jobs("repositories", jobs, self._tags)}
        digests: dict[str, dict[str, str]] = {name: {} for name in tag_names}
        heads = [(name, tag) for name, tags in tag_names.items() for tag in tags]
        for (name, tag), digest in self._run_jobs("tags", heads, self._head):
            self.queried += 1
            if digest:  # empty: deleted since the listing
                digests[name][tag] = digest
        self.state.tags.update({name: tags for name, tags in digests.items() if name not in self.failed})

    def find_reachable(
        self, repositories: Iterable[str], *, refresh: bool, touched: Iterable[str]
    ) -> dict[str, ReachableSet]:
        """Return what is reachable in repositories; those that cannot be read are added to ``failed``.

        :param refresh: query the referrers API again for known images
        :param touched: repositories to query again in any case
        """
        names = [name for name in repositories if name in self.state.tags]
        self._choose_requeries(names, refresh=refresh, touched=set(touched))
        while True:
            reached = {name: self._find_reachable(name) for name in names if name not in self.failed}
            reached = {name: reach for name, reach in reached.items() if name not in self.failed}
            unknown = {digest: name for name, reach in reached.items() for digest in reach.unknown}
            if unknown:
                self._read(sorted((name, digest) for digest, name in unknown.items()))
            elif not self._query_referrers(reached):
                return reached

    def reasons(self) -> Iterator[str]:
        """Yield the reasons for repositories that could not be read completely."""
        skipped = 0
        for name, reason in sorted(self.failed.items()):
            if name in self._skipped:
                skipped += 1
            else:
                yield f"{name}: {reason}"
        if skipped:
            yield f"{skipped} more repositories were skipped because the registry is unavailable"

    def _find_reachable(self, name: str) -> ReachableSet:
        try:
            return find_reachable(
                self.state.tags[name], self.state.images, lambda it: self._known_referrers((name, it)) or ()
            )
        except RegistryError as error:
            self.failed[name] = error.reason
            return ReachableSet()

    def _read(self, unknown: list[Job]) -> None:
        """Read manifests; read the tags of a repository again if one does not exist any more."""
        moved = set()
        for (name, digest), image in self._run_jobs("manifests", unknown, self._image):
            if image is None:
                moved.add(name)
            else:
                self.state.images[digest] = image
        self._rereads.update(moved)
        for name in moved:
            if self._rereads[name] > MAX_REREADS:
                self.failed[name] = "a tag refers to a manifest that does not exist"
        self.read_tags(sorted(moved - self.failed.keys()))

    def _choose_requeries(self, names: list[str], *, refresh: bool, touched: set[str]) -> None:
        """Select the images whose referrers are queried again.

        A refresh queries one of the repositories without referrers API, in turn, and those that had it before: a
        registry without the API costs one request per run, and one that gets the API is detected.
        """
        referrers, without_api = self.state.referrers, self.state.facts.get(NO_REFERRERS, "").split()
        if refresh:
            with_api = {name for (name, _), entries in referrers.items() if entries}
            non_empty = {name for name in names if self.state.tags[name]}
            without_api = [name for name in without_api if name in non_empty - with_api][1:]
        self._without_api = dict.fromkeys(without_api)
        self._requery = {job for job in referrers if refresh or job[0] in touched}

    def _known_referrers(self, job: Job) -> tuple[str, ...] | None:
        """Return the known referrers of an image; None if they must be queried."""
        if job[0] in self._without_api:
            return self.state.referrers.get(job, ())
        return None if job in self._requery else self.state.referrers.get(job)

    def _query_referrers(self, reached: dict[str, ReachableSet]) -> bool:
        """Query the unknown referrers of images; return whether there were any.

        Whether the API is available is tracked per repository; referrers known from before are kept.
        """
        jobs = [(name, it) for name, reach in reached.items() for it in sorted(reach.manifests)]
        jobs = [job for job in jobs if self._known_referrers(job) is None]
        first = {name: (name, it) for name, it in jobs}  # one per repository, since many registries lack the API
        before = set(self.state.facts.get(NO_REFERRERS, "").split())
        for batch in (list(first.values()), [job for job in jobs if first[job[0]] != job]):
            batch = [job for job in batch if job[0] not in self._without_api]
            for job, referrers in self._run_jobs("referrers", batch, self._referrers):
                if referrers is None:
                    self._without_api[job[0]] = None
                    continue
                self.state.referrers[job] = referrers
                self._requery.discard(job)
                if job[0] in before:  # the API is available now, so it may be for the others too
                    before.clear()
                    self._without_api.clear()
        self.state.facts[NO_REFERRERS] = " ".join(self._without_api)
        return bool(jobs)

    def _tags(self, name: str, _: str) -> list[str]:
        return list(Repository(self.http, name).tags())

    def _head(self, name: str, tag: str) -> str:
        return Repository(self.http, name).head(tag)

    def _image(self, name: str, digest: str) -> Image | None:
        try:
            return Image.of(Repository(self.http, name).manifest(digest))
        except NoSuchImageError:
            return None

    def _referrers(self, name: str, digest: str) -> tuple[str, ...] | None:
        referrers = referrers_from_api(Repository(self.http, name), digest)
        return None if referrers is None else tuple(referrer.digest for referrer in referrers)

    def _run_jobs(self, step: str, jobs: list[Job], work: Callable[[str, str], Result]) -> Iterator[tuple[Job, Result]]:
        """Run jobs concurrently; once a job of a repository fails, its other jobs and results are dropped."""

        def run_unless_failed(job: Job) -> tuple[Result, ...]:
            return () if job[0] in self.failed else (work(*job),)

        self.progress.began(step, len(jobs))
        for outcome in self.pool.as_completed(jobs, run_unless_failed):
            self.progress.advanced()
            if isinstance(outcome.error, OSError):
                raise outcome.error
            if outcome.error is not None:
                if outcome.job[0] not in self.failed and isinstance(outcome.error, JobSkippedError):
                    self._skipped.add(outcome.job[0])
                self.failed.setdefault(outcome.job[0], outcome.error.reason)
            elif outcome.result and outcome.job[0] not in self.failed:
                yield outcome.job, outcome.result[0]
