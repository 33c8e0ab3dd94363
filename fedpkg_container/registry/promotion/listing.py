# SPDX-License-Identifier: GPL-2.0-or-later
"""Contents of a target: repositories, images with their tags, and who promoted them when."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError, UsageError
from fedpkg_container.model.nvr import repository_problem
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.promotion.journal import History, Journal, JournalEntry
from fedpkg_container.registry.promotion.nvr_lookup import NVRLookup, arches_of
from fedpkg_container.registry.promotion.unpromote import current_digests
from fedpkg_container.registry.referrers import fallback_tag_of
from fedpkg_container.registry.repository import Repository, repositories
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.workers import WorkerPool

_log = logging.getLogger(__name__)

MAX_REQUESTS = 16


@dataclass(frozen=True)
class PromotedImage:
    """An image in a target.

    :param repository: with its registry
    :param tags: all tags, sorted
    :param nvr: of its build; empty if unknown from journal and labels
    :param arches: Go names
    :param promoted: time of the promotion, RFC 3339, and ``by`` its author; empty if not in the journal
    """

    repository: str
    digest: str
    tags: tuple[str, ...]
    nvr: str
    arches: tuple[str, ...]
    promoted: str
    by: str


def list_images(site: DistributionSite, target: Target, names: Sequence[str]) -> list[PromotedImage]:
    """Return the tagged images of a target, sorted by repository and tags.

    :param names: repositories, without registry and prefix; all if empty
    :raises UsageError: if a name is not a valid repository name
    :raises RegistryError: if the registry cannot be read, or a named repository does not exist
    """
    wrong = [f"{name!r} {problem}" for name in names if (problem := repository_problem(name))]
    if wrong:
        raise UsageError(f"invalid repository: {'; '.join(wrong)}", solution="give its name without registry and tag")
    history = History(Journal(site.journal).entries())
    with Registry(target.access).http(target.registry) as http, WorkerPool(MAX_REQUESTS) as requests:
        references = [target.repository(name) for name in names] or _all_repositories(http, target, history)
        images = [
            image
            for reference in references
            for image in _images(Repository(http, reference.repository), history, requests)
        ]
        missing = [
            str(reference)
            for reference in references
            if names and str(reference) not in {image.repository for image in images}
        ]
    if missing:
        raise NoSuchImageError(f"no image in {', '.join(missing)}", solution="run list without names to show all")
    return images


def _all_repositories(http: RegistryHTTP, target: Target, history: History) -> list[ImageReference]:
    """Return the repositories of a target; those in the journal if the registry has no catalog."""
    prefix = f"{target.prefix}/" if target.prefix else ""
    try:
        names: Iterable[str] = list(repositories(http))
    except RegistryUnavailableError:
        raise
    except RegistryError as error:
        _log.warning("%s: showing the repositories in the promotion journal", error.reason)
        references = map(ImageReference.parse, history.repositories())
        names = [reference.repository for reference in references if reference.registry == target.registry]
    return [ImageReference(target.registry, name) for name in sorted(names) if name.startswith(prefix)]


def _images(repository: Repository, history: History, requests: WorkerPool) -> list[PromotedImage]:
    repository_history = history.of(str(repository.reference))
    nvr_lookup = NVRLookup(repository, repository_history.builds)
    names = sorted(tag for tag in repository.tags() if not fallback_tag_of(tag))
    tags: dict[str, list[str]] = {}
    for tag, head in current_digests(repository, names, requests).items():
        tags.setdefault(head, []).append(tag)

    def image(digest: str) -> PromotedImage | None:
        try:
            manifest = repository.manifest(digest)
        except NoSuchImageError:  # deleted in the meantime
            return None
        nvr, entry = nvr_lookup.of(digest), _latest(repository_history.promoted.get(digest, {}).values())
        return PromotedImage(
            repository=str(repository.reference),
            digest=digest,
            tags=tuple(tags[digest]),
            nvr=str(nvr) if nvr else "",
            arches=tuple(arches_of(manifest)),
            promoted=entry.time if entry else "",
            by=entry.author if entry else "",
        )

    return [listed for listed in requests.map(image, tags) if listed]


def _latest(entries: Iterable[JournalEntry]) -> JournalEntry | None:
    return max(entries, key=lambda entry: entry.time, default=None)
