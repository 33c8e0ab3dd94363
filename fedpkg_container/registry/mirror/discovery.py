"""Discovery: which manifests, artifacts and blobs the tags of a registry reach."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import DEEPEST_LIST
from fedpkg_container.registry.mirror.manifest_cache import Image
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.referrers import DEEPEST as DEEPEST_ARTIFACT
from fedpkg_container.registry.referrers import fallback_tag, is_fallback_tag, listed_by_registry
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.workers import Crew, NotAskedError

#: How deep lists in lists, and artifacts that refer to artifacts, may go.
DEEPEST = DEEPEST_LIST + DEEPEST_ARTIFACT


@dataclass
class Reach:
    """What is reached.

    :param manifests: digests of those that are known
    :param blobs: digest → bytes
    :param unknown: digests of manifests that must be read before all can be told
    """

    manifests: set[str] = field(default_factory=set)
    blobs: dict[str, int] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def add(self, digest: str, image: Image) -> None:
        """Add a manifest, and its blobs.

        :raises RegistryError: it disagrees with another one about the size of a blob
        """
        self.manifests.add(digest)
        for blob in image.blobs:
            if self.blobs.setdefault(blob.digest, blob.size) != blob.size:
                raise RegistryError(
                    f"{digest} says that {blob.digest} has {blob.size} bytes, another manifest does not"
                )


def walk(tags: Mapping[str, str], images: Mapping[str, Image], listed: Callable[[str], Iterable[str]]) -> Reach:
    """What tags reach.

    :param tags: of one repository, with their digests
    :param images: the manifests that are known, by digest
    :param listed: what the registry says refers to a manifest
    :raises RegistryError: manifests lead to others without end, contradict each other, or would be served as blobs
    """
    reach = Reach()
    # Lists of referrers count as long as some other tag reaches the image.
    level = {digest for tag, digest in tags.items() if not is_fallback_tag(tag)}
    for _ in range(DEEPEST):
        following: set[str] = set()
        for digest in level:
            image = images.get(digest)
            if image is None:
                reach.unknown.add(digest)
                continue
            reach.add(digest, image)
            following.update(image.members, listed(digest))
            if fallback_tag(digest) in tags:
                following.add(tags[fallback_tag(digest)])
        level = following - reach.manifests - reach.unknown
        if not level:
            break
    else:
        raise RegistryError(f"manifests lead to others, deeper than {DEEPEST} of them: {min(level)}")
    served = next((digest for digest in reach.blobs if digest in images), "")
    if served:
        raise RegistryError(f"{served} is a manifest, and another one has it among its layers")
    return reach


Result = TypeVar("Result")
#: A repository, and what in it: a tag, a digest, or nothing.
Job = tuple[str, str]

#: How often a repository is looked at again whose tags moved before the images could be read to which they pointed.
LOOKS = 3
#: The fact: repositories of which the registry does not list referrers itself, with spaces between them; the one that
#: was asked the longest ago comes first.
NO_REFERRERS = "no referrers"


@dataclass
class Survey:
    """Reads a registry, and what need not be read from what is remembered.

    :param state: what is remembered; it is brought up to date
    :param failed: repository → why it could not be read whole
    :param asked: tags that the registry was asked for
    """

    http: RegistryHTTP
    crew: Crew
    state: State
    progress: Progress
    failed: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    _not_asked: set[str] = field(default_factory=set)
    _looks: collections.Counter[str] = field(default_factory=collections.Counter)
    #: Repositories that are not asked for referrers, in the order of the fact.
    _unlisted: dict[str, None] = field(default_factory=dict)
    #: What is to be asked for again though it is remembered, which stays until there is an answer.
    _again: set[Job] = field(default_factory=set)

    def look(self, repositories: Iterable[str]) -> None:
        """Ask for the tags of repositories; of one that cannot be read whole, what is remembered stays."""
        jobs = [(name, "") for name in repositories]
        listed = {name: tags for (name, _), tags in self._ask("repositories", jobs, self._tags)}
        found: dict[str, dict[str, str]] = {name: {} for name in listed}
        heads = [(name, tag) for name, tags in listed.items() for tag in tags]
        for (name, tag), digest in self._ask("tags", heads, self._head):
            self.asked += 1
            if digest:  # empty: deleted since it was listed
                found[name][tag] = digest
        self.state.tags.update({name: tags for name, tags in found.items() if name not in self.failed})

    def reach(self, repositories: Iterable[str], *, refresh: bool, touched: Iterable[str]) -> dict[str, Reach]:
        """What the tags of repositories reach; those of which that cannot be told are in ``failed``.

        :param refresh: ask anew for what refers to images, where the registry lists that itself
        :param touched: repositories of which that is asked for in any case
        """
        names = [name for name in repositories if name in self.state.tags]
        self._choose_what_to_ask_again(names, refresh=refresh, touched=set(touched))
        while True:
            reached = {name: self._walk(name) for name in names if name not in self.failed}
            reached = {name: reach for name, reach in reached.items() if name not in self.failed}
            unknown = {digest: name for name, reach in reached.items() for digest in reach.unknown}
            if unknown:
                self._read(sorted((name, digest) for digest, name in unknown.items()))
            elif not self._ask_for_referrers(reached):
                return reached

    def reasons(self) -> Iterator[str]:
        """Why repositories could not be read whole, a sentence each."""
        not_asked = 0
        for name, reason in sorted(self.failed.items()):
            if name in self._not_asked:
                not_asked += 1
            else:
                yield f"{name}: {reason}"
        if not_asked:
            yield f"{not_asked} more repositories were not asked for, since the registry is away"

    def _walk(self, name: str) -> Reach:
        try:
            return walk(self.state.tags[name], self.state.images, lambda it: self._known_referrers((name, it)) or ())
        except RegistryError as error:
            self.failed[name] = error.reason
            return Reach()

    def _read(self, unknown: list[Job]) -> None:
        """Read manifests; where one is not there any more, its repository is looked at again."""
        moved = set()
        for (name, digest), image in self._ask("manifests", unknown, self._image):
            if image is None:
                moved.add(name)
            else:
                self.state.images[digest] = image
        self._looks.update(moved)
        for name in moved:
            if self._looks[name] > LOOKS:
                self.failed[name] = "a tag leads to a manifest that is not there"
        self.look(sorted(moved - self.failed.keys()))

    def _choose_what_to_ask_again(self, names: list[str], *, refresh: bool, touched: set[str]) -> None:
        """Choose of which images the registry is asked again what refers to them.

        Of repositories that it does not list, a refresh asks one, in turn, and those that it has listed before: a
        registry that does not know the interface costs one request, and none can hide that it knows it by now.
        """
        known, unlisted = self.state.referrers, self.state.facts.get(NO_REFERRERS, "").split()
        if refresh:
            once = {name for (name, _), listed in known.items() if listed}
            there = {name for name in names if self.state.tags[name]}
            unlisted = [name for name in unlisted if name in there - once][1:]
        self._unlisted = dict.fromkeys(unlisted)
        self._again = {job for job in known if refresh or job[0] in touched}

    def _known_referrers(self, job: Job) -> tuple[str, ...] | None:
        """What refers to an image; None where that must be asked first."""
        if job[0] in self._unlisted:
            return self.state.referrers.get(job, ())
        return None if job in self._again else self.state.referrers.get(job)

    def _ask_for_referrers(self, reached: dict[str, Reach]) -> bool:
        """Ask for what refers to images of which that is not known yet; whether there were any.

        A repository that is not listed is no reason to believe that of another one, and what was listed of it before
        counts on.
        """
        jobs = [(name, it) for name, reach in reached.items() for it in sorted(reach.manifests)]
        jobs = [job for job in jobs if self._known_referrers(job) is None]
        first = {name: (name, it) for name, it in jobs}  # one of each repository, since many registries list none
        before = set(self.state.facts.get(NO_REFERRERS, "").split())
        for some in (list(first.values()), [job for job in jobs if first[job[0]] != job]):
            some = [job for job in some if job[0] not in self._unlisted]
            for job, listed in self._ask("referrers", some, self._referrers):
                if listed is None:
                    self._unlisted[job[0]] = None
                    continue
                self.state.referrers[job] = listed
                self._again.discard(job)
                if job[0] in before:  # it has learned to: so may the others have
                    before.clear()
                    self._unlisted.clear()
        self.state.facts[NO_REFERRERS] = " ".join(self._unlisted)
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
        listed = listed_by_registry(Repository(self.http, name), digest)
        return None if listed is None else tuple(each.digest for each in listed)

    def _ask(self, step: str, jobs: list[Job], work: Callable[[str, str], Result]) -> Iterator[tuple[Job, Result]]:
        """Do jobs at the same time; of a repository of which one has failed no other is begun, and none counts."""

        def unless_failed(job: Job) -> tuple[Result, ...]:
            return () if job[0] in self.failed else (work(*job),)

        self.progress.began(step, len(jobs))
        for outcome in self.crew.each(jobs, unless_failed):
            self.progress.advanced()
            if isinstance(outcome.error, OSError):
                raise outcome.error
            if outcome.error is not None:
                if outcome.job[0] not in self.failed and isinstance(outcome.error, NotAskedError):
                    self._not_asked.add(outcome.job[0])
                self.failed.setdefault(outcome.job[0], outcome.error.reason)
            elif outcome.result and outcome.job[0] not in self.failed:
                yield outcome.job, outcome.result[0]
