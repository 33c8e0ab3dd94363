"""What is in a target: its repositories, the images in them with their tags, and who promoted them when."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError, UsageError
from fedpkg_container.model.nvr import repository_problem
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.promotion.journal import Entry, History, Record
from fedpkg_container.registry.promotion.nvr_lookup import Identities, arches_of
from fedpkg_container.registry.promotion.unpromote import heads_of
from fedpkg_container.registry.promotion.workers import Workers
from fedpkg_container.registry.referrers import list_tag
from fedpkg_container.registry.repository import Repository, repositories
from fedpkg_container.registry.skopeo import Registry

logger = logging.getLogger(__name__)

REQUESTS = 16


@dataclass(frozen=True)
class Listed:
    """An image.

    :param repository: with its registry
    :param tags: all that point to it, sorted
    :param nvr: of its build; empty where neither the record nor its labels say
    :param arches: Go's names
    :param promoted: when it was, RFC 3339, and ``by`` whom; empty where the record does not say
    """

    repository: str
    digest: str
    tags: tuple[str, ...]
    nvr: str
    arches: tuple[str, ...]
    promoted: str
    by: str


def listed(site: DistributionSite, target: Target, names: Sequence[str]) -> list[Listed]:
    """The images of a target that have a tag, sorted by repository and tags.

    :param names: of repositories, without registry and prefix; all when empty
    :raises UsageError: a name is none of a repository
    :raises RegistryError: the registry cannot be reached or refuses, or a repository that was named is not there
    """
    wrong = [f"{name!r} {problem}" for name in names if (problem := repository_problem(name))]
    if wrong:
        raise UsageError(f"not a repository: {'; '.join(wrong)}", solution="name it without registry and tag")
    history = History(Record(site.record).entries())
    with Registry(target.access).http(target.registry) as http, Workers(REQUESTS) as requests:
        places = [target.repository(name) for name in names] or _all(http, target, history)
        found = [each for place in places for each in _images(Repository(http, place.repository), history, requests)]
        missing = [str(place) for place in places if names and str(place) not in {each.repository for each in found}]
    if missing:
        raise NoSuchImageError(f"there is no image in {', '.join(missing)}", solution="list without names shows all")
    return found


def _all(http: RegistryHTTP, target: Target, history: History) -> list[ImageReference]:
    """The repositories of a target; of the record alone where the registry does not list them."""
    prefix = f"{target.prefix}/" if target.prefix else ""
    try:
        names: Iterable[str] = list(repositories(http))
    except RegistryUnavailableError:
        raise
    except RegistryError as error:
        logger.warning("%s: showing the repositories of the record", error.reason)
        places = map(ImageReference.parse, history.repositories())
        names = [each.repository for each in places if each.registry == target.registry]
    return [ImageReference(target.registry, each) for each in sorted(names) if each.startswith(prefix)]


def _images(repository: Repository, history: History, requests: Workers) -> list[Listed]:
    known = history.of(str(repository.reference))
    identities = Identities(repository, known.builds)
    names = sorted(tag for tag in repository.tags() if not list_tag(tag))
    tags: dict[str, list[str]] = {}
    for tag, head in heads_of(repository, names, requests).items():
        tags.setdefault(head, []).append(tag)

    def image(digest: str) -> Listed | None:
        try:
            manifest = repository.manifest(digest)
        except NoSuchImageError:  # it was deleted meanwhile
            return None
        nvr, entry = identities.of(digest), _last(known.promoted.get(digest, {}).values())
        return Listed(
            repository=str(repository.reference),
            digest=digest,
            tags=tuple(tags[digest]),
            nvr=str(nvr) if nvr else "",
            arches=tuple(arches_of(manifest)),
            promoted=entry.time if entry else "",
            by=entry.who if entry else "",
        )

    return [each for each in requests.each(image, tags) if each]


def _last(entries: Iterable[Entry]) -> Entry | None:
    return max(entries, key=lambda each: each.time, default=None)
