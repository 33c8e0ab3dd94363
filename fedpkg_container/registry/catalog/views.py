# SPDX-License-Identifier: GPL-2.0-or-later
"""The contents of the pages: builds of a repository in order, differences between them, and the index of packages."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from fedpkg_container.model.evr import evr_key
from fedpkg_container.model.nvr import NVR
from fedpkg_container.registry.catalog.facts import ImageFacts, Package, Referrer, clean, safe_url

#: Maximum length of a repository name in a file name, which may have 255 bytes.
_MAX_FILE_NAME = 200
#: Tag in the pull command, if there is one.
_LATEST = "latest"


def file_name(repository: str) -> str:
    """Return a unique file name without suffix for a repository.

    Components, which contain no ``~``, are joined by one; a long name is cut, with two of them and a digest appended.
    """
    name = repository.replace("/", "~")
    if len(name) <= _MAX_FILE_NAME:
        return name
    digest = hashlib.sha256(repository.encode()).hexdigest()
    return f"{name[: _MAX_FILE_NAME - len(digest) - 2]}~~{digest}"


@dataclass(frozen=True)
class Labels:
    """Names and addresses that all pages share.

    :param title: of the site
    :param registry: name of the registry in pull commands
    :param koji: URL of Koji's web interface; empty if there is none
    :param url: public URL of the catalog, without trailing slash; empty if unknown
    :param has_feed: whether there is a promotion journal
    """

    title: str
    registry: str
    koji: str = ""
    url: str = ""
    has_feed: bool = False

    def build_url(self, nvr: str) -> str:
        """Return the address of a build in Koji: a search, which redirects to its only result."""
        return f"{safe_url(self.koji).rstrip('/')}/search?match=exact&type=build&terms={quote(nvr, safe='')}"


@dataclass(frozen=True)
class Build:
    """An image index of a repository.

    :param tags: sorted
    :param promoted: time of its promotion; empty if unknown
    :param before: the build before; None if unknown
    """

    facts: ImageFacts
    repository: str
    tags: tuple[str, ...]
    promoted: str
    before: ImageFacts | None = None

    @property
    def name(self) -> str:
        """The NVR, or the start of the digest."""
        return str(self.facts.nvr or self.facts.digest[:19])

    @property
    def path(self) -> str:
        """Path of its page."""
        return image_path(self.repository, self.facts.digest)

    @property
    def referrers(self) -> list[Referrer]:
        """The referrers: those of the index first, then those of the architectures in their order."""
        subjects = [self.facts.digest, *(image.digest for image in self.facts.arches)]
        return sorted(self.facts.referrers, key=lambda each: (subjects.index(each.subject), each.kind, each.name))

    @property
    def time(self) -> str:
        """Time of the promotion, otherwise of the build; may be empty."""
        return self.promoted or self.facts.created


@dataclass(frozen=True)
class RepositoryView:
    """A repository.

    :param name: without the registry
    :param builds: the newest first; at least one
    """

    name: str
    builds: tuple[Build, ...]

    @property
    def path(self) -> str:
        """Path of its page."""
        return repository_path(self.name)

    @property
    def newest(self) -> Build:
        """The build that ``latest`` refers to, otherwise the newest."""
        return next((build for build in self.builds if _LATEST in build.tags), self.builds[0])

    @property
    def pull_tag(self) -> str:
        """Tag for the pull command."""
        return _LATEST if _LATEST in self.newest.tags else self.newest.tags[0]


def repository_path(repository: str) -> str:
    """Return the path of the page of a repository."""
    return f"repositories/{file_name(repository)}.html"


def image_path(repository: str, digest: str) -> str:
    """Return the path of the page of an image."""
    return f"repositories/{file_name(repository)}/{digest.replace(':', '-')}.html"


def arrange(
    name: str, tags: Mapping[str, str], images: Mapping[str, ImageFacts], promoted: Mapping[str, str]
) -> RepositoryView:
    """Return the view of a repository, which must have an image.

    :param tags: tag → digest
    :param images: digest → facts
    :param promoted: digest → time
    """
    by_digest: dict[str, list[str]] = {}
    for tag, digest in tags.items():
        by_digest.setdefault(digest, []).append(tag)
    ordered = _newest_first([facts for digest, facts in images.items() if digest in by_digest])
    return RepositoryView(
        name,
        tuple(
            Build(
                facts,
                name,
                tuple(sorted(by_digest[facts.digest])),
                promoted.get(facts.digest, ""),
                next((each for each in ordered[number + 1 :] if each.component == facts.component), None),
            )
            for number, facts in enumerate(ordered)
        ),
    )


def _newest_first(images: Iterable[ImageFacts]) -> list[ImageFacts]:
    """Sort images by version and release within a component, and components by their newest time."""
    by_component: dict[str, list[ImageFacts]] = {}
    for facts in sorted(images, key=lambda each: (each.created, each.digest), reverse=True):
        by_component.setdefault(facts.component, []).append(facts)
    for component, builds in by_component.items():
        if component:
            builds.sort(key=lambda each: evr_key(NVR(each.component, each.version, each.release)), reverse=True)
    return [facts for builds in by_component.values() for facts in builds]


@dataclass(frozen=True)
class PackageChange:
    """A package that differs from the build before.

    :param before: its versions there; empty if it is new
    :param after: its versions here; empty if it was removed
    """

    name: str
    before: str
    after: str

    @property
    def kind(self) -> str:
        """What happened to it."""
        return "changed" if self.before and self.after else "added" if self.after else "removed"


def differences(before: Iterable[Package], after: Iterable[Package]) -> list[PackageChange]:
    """Return the packages that differ between two builds, by name."""
    old, new = _versions(before), _versions(after)
    return [
        PackageChange(name, ", ".join(old.get(name, ())), ", ".join(new.get(name, ())))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _versions(packages: Iterable[Package]) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for package in packages:
        versions.setdefault(package.name, []).append(package.version)
    return {name: sorted(set(texts)) for name, texts in versions.items()}


@dataclass
class PackageIndex:
    """Packages of the newest builds of all repositories.

    :param entries: package name → version → repositories
    """

    entries: dict[str, dict[str, list[RepositoryView]]] = field(default_factory=dict)

    def add(self, repository: RepositoryView, packages: Iterable[Package]) -> None:
        """Add the packages of a repository."""
        for package in packages:
            self.entries.setdefault(package.name, {}).setdefault(package.version, []).append(repository)

    def groups(self) -> dict[str, list[str]]:
        """Return the package names by their group, sorted; only groups with packages."""
        names: dict[str, list[str]] = {}
        for name in sorted(self.entries, key=lambda each: (each.lower(), each)):
            names.setdefault(_group(name), []).append(name)
        return dict(sorted(names.items()))

    def by_repository(self, repositories: Sequence[RepositoryView]) -> dict[str, object]:
        """Return the data for the search in a browser: repository names, and package name → their positions."""
        positions = {repository.name: number for number, repository in enumerate(repositories)}
        return {
            "repositories": [repository.name for repository in repositories],
            "packages": {
                name: sorted({positions[each.name] for packages in versions.values() for each in packages})
                for name, versions in sorted(self.entries.items())
            },
        }


def _group(name: str) -> str:
    """Return the group of a package: its first letter, ``0-9`` or ``other``."""
    first = name[0].lower()
    if first in string.ascii_lowercase:
        return first
    return "0-9" if first in string.digits else "other"


def package_group_path(group: str) -> str:
    """Return the path of the page of a group of packages."""
    return f"packages/{group}.html"


@dataclass(frozen=True)
class Promotion:
    """A promotion for the feed.

    :param id: URN
    :param time: RFC 3339
    """

    id: str
    time: str
    repository: str
    nvr: str
    digest: str
    tags: tuple[str, ...]

    @property
    def title(self) -> str:
        """Title of the entry."""
        return clean(f"{self.nvr} in {self.repository}", 400)
