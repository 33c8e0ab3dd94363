# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing of the pages: only what changed, the index last, and removal of pages that are no longer needed."""

from __future__ import annotations

import functools
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import jinja2
from rich.filesize import decimal

from fedpkg_container import __version__
from fedpkg_container.files import write_when_different
from fedpkg_container.registry.catalog.facts import safe_url
from fedpkg_container.registry.catalog.policy import CONTENT_SECURITY_POLICY
from fedpkg_container.registry.catalog.state import State, Store
from fedpkg_container.registry.catalog.views import (
    Build,
    Labels,
    PackageIndex,
    Promotion,
    RepositoryView,
    differences,
    image_path,
    package_group_path,
    repository_path,
)
from fedpkg_container.text import pluralize

#: Permissions of the pages, independent of the umask: web servers run as another user.
DIRECTORY_MODE, _FILE_MODE = 0o755, 0o644
_DIRECTORY = Path(__file__).parent
_ASSETS = ("catalog.css", "catalog.js")


@functools.lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DIRECTORY / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(size=decimal, counted=pluralize, safe_url=safe_url, group_path=package_group_path)
    environment.globals.update(policy=CONTENT_SECURITY_POLICY, version=__version__)
    return environment


@functools.lru_cache(maxsize=1)
def _templates_digest() -> str:
    """Return a digest of everything besides the data that pages are made from."""
    hasher = hashlib.sha256(__version__.encode())
    for path in sorted((_DIRECTORY / "templates").iterdir()):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


class SiteWriter:
    """Writes the pages of a catalog.

    :param directory: output directory
    :param state: its ``pages`` are those of the last run
    :param full: compare all pages with their files, also those whose data did not change; this repairs files that a
        power failure damaged, because they are not synchronized with the disk
    """

    def __init__(self, directory: Path, state: State, store: Store, labels: Labels, *, full: bool) -> None:
        self._directory, self._state, self._store, self._labels = directory, state, store, labels
        self._known = {} if full else state.pages
        self._pages: dict[str, str] = {}
        #: Number of files that were written or replaced.
        self.written = 0

    def write(self, repositories: Sequence[RepositoryView], promotions: Sequence[Promotion]) -> None:
        """Write all files: pages of images first, the index last; then delete the files of earlier runs.

        :param promotions: those in the feed, the newest first
        :raises OSError: if a file cannot be written; existing pages remain
        """
        for name in _ASSETS:
            self._file(name, "", (_DIRECTORY / "assets" / name).read_text("utf-8"))
        names = {repository.name for repository in repositories}
        for repository in repositories:
            for build in repository.builds:
                self._image(build, names)
            self._page(repository.path, "repository.html", repository=repository)
        self._packages(repositories)
        if self._labels.has_feed:
            self._feed(repositories, promotions)
        self._page("index.html", "index.html", repositories=repositories)
        self._delete_obsolete()
        self._state.pages = self._pages

    def _image(self, build: Build, names: Iterable[str]) -> None:
        parent = self._parent_path(build, names)
        before = build.before
        key = _key(
            build.facts.to_json(), build.tags, build.promoted, before and before.to_json(), vars(self._labels), parent
        )

        def values() -> dict[str, object]:
            packages = self._store.packages(build.facts.digest)
            comparable = before is not None and before.has_packages and build.facts.has_packages
            changes = differences(self._store.packages(before.digest), packages) if comparable and before else []
            return {"build": build, "packages": packages, "changes": changes, "comparable": comparable,
                    "referrers": build.referrers,
                    "before_path": image_path(build.repository, before.digest) if before else "",
                    "repository_path": repository_path(build.repository), "parent_path": parent}  # fmt: skip

        self._cached_page(build.path, key, "image.html", values)

    def _parent_path(self, build: Build, names: Iterable[str]) -> str:
        """Return the path of the page of the parent's repository; empty if it is not in the catalog."""
        name = build.facts.parent.partition("@")[0].partition("/")[2]
        name = name.rpartition(":")[0] or name
        return repository_path(name) if name in names else ""

    def _packages(self, repositories: Sequence[RepositoryView]) -> None:
        newest = [(repository.name, repository.newest.facts.digest) for repository in repositories]
        key = _key(newest, vars(self._labels))
        earlier = [path for path, known in self._known.items() if known == key]
        if earlier and all((self._directory / path).is_file() for path in earlier):
            self._pages.update(dict.fromkeys(earlier, key))
            return
        index = PackageIndex()
        for repository in repositories:
            index.add(repository, self._store.packages(repository.newest.facts.digest))
        groups = index.groups()
        for group, names in groups.items():
            entries = {name: index.entries[name] for name in names}
            self._page(package_group_path(group), "packages.html", key, group=group, groups=groups, entries=entries)
        self._page("packages.html", "packages.html", key, group="", groups=groups, entries={})
        self._file("search.json", key, json.dumps(index.by_repository(repositories), separators=(",", ":")))

    def _feed(self, repositories: Sequence[RepositoryView], promotions: Sequence[Promotion]) -> None:
        paths = {repository.path for repository in repositories}
        paths |= {build.path for repository in repositories for build in repository.builds}

        def path(promotion: Promotion) -> str:
            candidates = (image_path(promotion.repository, promotion.digest), repository_path(promotion.repository))
            return next((each for each in candidates if each in paths), "index.html")

        feed_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._labels.title}/feed.xml").urn
        self._page("feed.xml", "feed.xml", promotions=promotions, path_of=path, feed_id=feed_id)

    def _page(self, path: str, template: str, key: str = "", /, **values: object) -> None:
        root = "../" * path.count("/")
        text = _environment().get_template(template).render(labels=self._labels, root=root, path=path, **values)
        self._file(path, key, text)

    def _cached_page(self, path: str, key: str, template: str, values: Callable[[], Mapping[str, object]]) -> None:
        """Render a page unless it was made from the same data before."""
        if self._known.get(path) == key and (self._directory / path).is_file():
            self._pages[path] = key
        else:
            self._page(path, template, key, **values())

    def _file(self, path: str, key: str, text: str) -> None:
        target = self._directory / path
        for parent in reversed(target.relative_to(self._directory).parents[:-1]):
            if not (self._directory / parent).is_dir():
                (self._directory / parent).mkdir()
                (self._directory / parent).chmod(DIRECTORY_MODE)
        if write_when_different(target, text):
            target.chmod(_FILE_MODE)
            self.written += 1
        self._pages[path] = key

    def _delete_obsolete(self) -> None:
        for path in self._state.pages.keys() - self._pages.keys():
            (self._directory / path).unlink(missing_ok=True)
            for parent in (self._directory / path).parents:
                if parent == self._directory:
                    break
                with suppress(OSError):  # not empty
                    parent.rmdir()


def _key(*values: object) -> str:
    return hashlib.sha256(json.dumps([_templates_digest(), *values]).encode()).hexdigest()
