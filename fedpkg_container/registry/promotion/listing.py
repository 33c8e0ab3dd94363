# SPDX-License-Identifier: GPL-2.0-or-later
"""Contents of a target: repositories, images with their tags, and who promoted them when."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fedpkg_container.errors import (
    FedpkgContainerError,
    NoSuchImageError,
    RegistryError,
    RegistryUnavailableError,
    UsageError,
)
from fedpkg_container.model.nvr import repository_problem
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.pages import is_down
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import JournalEntry
from fedpkg_container.registry.promotion.nvr_lookup import NVRLookup, arches_of
from fedpkg_container.registry.promotion.target_repositories import target_repositories
from fedpkg_container.registry.referrers import is_derived_tag, is_staged_tag
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.signer import site_keys
from fedpkg_container.registry.signing.verification import SIGNED, ImageVerifier, Verification
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.workers import JobResult, JobSkippedError, WorkerPool

Result = TypeVar("Result")

#: Concurrent requests, and repositories that are read at the same time.
MAX_REQUESTS = 16
MAX_REPOSITORIES = 8
#: Errors of a repository that was not read, which are reported together.
_SKIPPED = ("",)


@dataclass(frozen=True)
class PromotedImage:
    """An image in a target.

    :param repository: with its registry
    :param tags: all tags, sorted
    :param nvr: of its build; empty if unknown from journal and labels
    :param arches: Go names
    :param promoted: time of the promotion, or of staging, RFC 3339, and ``by`` its author; empty if not in the journal
    :param signature: result of verifying its signatures; None if they were not verified
    """

    repository: str
    digest: str
    tags: tuple[str, ...]
    nvr: str
    arches: tuple[str, ...]
    promoted: str
    by: str
    signature: Verification | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether its signatures are valid, or were not verified."""
        return self.signature is None or self.signature.status == SIGNED


@dataclass(frozen=True)
class Listing:
    """Contents of a target.

    :param images: sorted by repository and tags
    :param errors: what could not be read, one message each
    """

    images: tuple[PromotedImage, ...]
    errors: tuple[str, ...] = ()


def list_images(
    site: DistributionSite, target: Target, names: Sequence[str], *, staged: bool = False, verify: bool = False
) -> Listing:
    """Return the tagged images of a target; a repository or tag that cannot be read does not hide the others.

    :param names: repositories, without registry and prefix; all if empty
    :param staged: return only images that are staged, but not published
    :param verify: verify the signatures
    :raises UsageError: if a name is not a valid repository name
    :raises ConfigurationError: if signatures are to be verified, and a public key cannot be read
    :raises RegistryError: if the registry cannot be read at all, or a named repository does not exist
    """
    wrong = [f"{name!r} {problem}" for name in names if (problem := repository_problem(name))]
    if wrong:
        raise UsageError(f"invalid repository: {'; '.join(wrong)}", solution="give its name without registry and tag")
    verifier = ImageVerifier(target, site_keys(site.signing)) if verify else None
    journal = Journal(site.journal)
    journal.repositories()  # raises if it cannot be read
    with (
        contextlib.closing(journal),
        Registry(target.access).http(target.registry) as http,
        WorkerPool(MAX_REQUESTS, cancel=http.cancel) as requests,
        WorkerPool(MAX_REPOSITORIES, is_registry_down=lambda: is_down(http), cancel=http.cancel) as readers,
    ):
        references = [target.repository(name) for name in names] or [
            ImageReference(target.registry, name) for name in target_repositories(http, target, journal)
        ]

        def read(reference: ImageReference) -> Listing:
            return _read_repository(Repository(http, reference.repository), journal, requests, verifier, staged=staged)

        listings = {result.job: _listing(result) for result in readers.as_completed(references, read)}
    images = tuple(image for reference in references for image in listings[reference].images)
    errors = [error for reference in references for error in listings[reference].errors if error]
    if skipped := sum(listing.errors == _SKIPPED for listing in listings.values()):
        errors.append(f"{skipped} more repositories were skipped because {target.registry} is unavailable")
    missing = [str(reference) for reference in references if names and listings[reference] == Listing(())]
    if missing and not staged:
        raise NoSuchImageError(f"no image in {', '.join(missing)}", solution="run list without names to show all")
    return Listing(images, tuple(errors))


def _listing(result: JobResult[ImageReference, Listing]) -> Listing:
    """Return the listing of a repository; its failure as an error.

    :raises OSError: if reading failed for a reason that is not the registry's
    """
    if isinstance(result.error, JobSkippedError):
        return Listing((), _SKIPPED)
    if isinstance(result.error, FedpkgContainerError):
        where = "" if result.job.repository in result.error.reason else f"{result.job}: "
        return Listing((), (f"{where}{result.error.reason}",))
    if result.error is not None:
        raise result.error
    return result.result or Listing(())


def _read_repository(
    repository: Repository, journal: Journal, requests: WorkerPool, verifier: ImageVerifier | None, *, staged: bool
) -> Listing:
    history = journal.history(str(repository.reference))
    nvr_lookup = NVRLookup(repository, history.builds)
    names = sorted(tag for tag in repository.tags() if not is_derived_tag(tag) or (staged and is_staged_tag(tag)))
    errors: list[str] = []
    heads = requests.map(lambda tag: _reported(errors, lambda: repository.head(tag)), names)
    tags: dict[str, list[str]] = {}
    for tag, head in zip(names, heads):
        if head:
            tags.setdefault(head, []).append(tag)
    changes = history.staged if staged else history.promoted
    if staged:
        tags = {head: tag_names for head, tag_names in tags.items() if all(map(is_staged_tag, tag_names))}

    def image(digest: str) -> PromotedImage | None:
        try:
            manifest = repository.manifest(digest)
        except NoSuchImageError:  # deleted in the meantime
            return None
        nvr, entry = nvr_lookup.of(digest), _latest(changes.get(digest, {}).values())
        return PromotedImage(
            repository=str(repository.reference),
            digest=digest,
            tags=tuple(tags[digest]),
            nvr=str(nvr) if nvr else "",
            arches=tuple(arches_of(manifest)),
            promoted=entry.time if entry else "",
            by=entry.author if entry else "",
            signature=verifier.verify(repository, manifest) if verifier else None,
        )

    images = requests.map(lambda digest: _reported(errors, lambda: image(digest)), tags)
    return Listing(tuple(promoted_image for promoted_image in images if promoted_image), tuple(errors))


def _reported(errors: list[str], read: Callable[[], Result]) -> Result | None:
    """Return a result, or None after adding the error of a request to ``errors``.

    :raises RegistryUnavailableError: if there was no response at all, so that further requests would fail too
    """
    try:
        return read()
    except RegistryUnavailableError as error:
        if not error.status:
            raise
        errors.append(error.reason)
    except RegistryError as error:
        errors.append(error.reason)
    return None


def _latest(entries: Iterable[JournalEntry]) -> JournalEntry | None:
    return max(entries, key=lambda entry: entry.time, default=None)
