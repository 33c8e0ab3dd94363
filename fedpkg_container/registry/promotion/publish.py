# SPDX-License-Identifier: GPL-2.0-or-later
"""Publication of staged builds: set their tags once the mirror tree and the mirrors have all of their blobs."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from fedpkg_container.errors import NoSuchImageError, NotMirroredError, RefusedError
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.manifests import Descriptor, Manifest
from fedpkg_container.registry.probing.availability import Availability
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.promotion.copying import ImageContent
from fedpkg_container.registry.promotion.nvr_lookup import arches_of
from fedpkg_container.registry.promotion.promote import (
    BuildCandidate,
    BuildPromotion,
    PromoteOptions,
    Promoter,
    promote,
)
from fedpkg_container.registry.promotion.result import PLANNED, PROMOTED, UNCHANGED, WAITING, PromotionResult
from fedpkg_container.registry.promotion.tagging import ALREADY, SignatureTags
from fedpkg_container.registry.referrers import staged_tag
from fedpkg_container.text import pluralize

#: Seconds between two checks while waiting: before the second one, doubled each time, and the maximum.
FIRST_PAUSE = 2.0
MAX_PAUSE = 60.0


class BuildPublication(BuildPromotion):
    """The publication of one build: nothing is copied; its tags are set if mirrors have all blobs.

    :param availability: checks the mirrors
    """

    def __init__(
        self, availability: Availability, promoter: Promoter, candidate: Candidate, result: PromotionResult
    ) -> None:
        super().__init__(promoter, candidate, result)
        self._availability = availability

    def promote(self) -> None:
        """Set the tags of the staged image and record the promotion.

        :raises NotMirroredError: if blobs are missing; nothing was changed
        :raises FedpkgContainerError: if it is refused or fails
        """
        self.result.tags = self._plan_tags()
        if self._is_done():
            self.result.state = UNCHANGED
            return
        manifest, blobs = self._read_staged()
        self.result.arches = arches_of(manifest)
        if missing := self._availability.missing(self.repository.name, blobs):
            raise _not_mirrored(str(self.candidate.nvr), missing, len(blobs))
        if self.promoter.options.dry_run:
            self.result.state = PLANNED
            return
        with self.promoter.journal.locks.hold(self.result.repository):
            self._read_history()
            self.result.tags = self._plan_tags()
            if not self._is_done():  # otherwise another process was first
                self.update_floating_tags(manifest)
        self.result.state = PROMOTED

    def _read_staged(self) -> tuple[Manifest, list[Descriptor]]:
        """Return the staged image and the blobs that clients may fetch with it, including those of its referrers.

        :raises RefusedError: if it is not staged, or not signed
        """
        digest = self.candidate.image.digest
        if self.result.tags[0].what != ALREADY and self.repository.head(staged_tag(digest)) != digest:
            raise self._not_staged("is not staged")
        target = dataclasses.replace(self.copier, source=self.repository, signatures=SignatureTags())
        try:
            content = target.inspect(digest)
        except NoSuchImageError as error:
            raise self._not_staged("is incomplete", f": {error.reason}") from error
        self._check_signed(content)
        names = (*content.digests, *content.signatures)
        manifests = [manifest for manifest in self.promoter.requests.map(self._manifest, names) if manifest]
        if missing := len(names) - len(manifests):
            what = pluralize(missing, "SBOM or signature is", "SBOMs or signatures are")
            self.copier.warnings.append(
                f"{what} listed in the target, but missing; run promote --stage again to copy what is missing"
            )
        blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs if not blob.is_foreign}
        return content.manifest, list(blobs.values())

    def _check_signed(self, content: ImageContent) -> None:
        """Check that the image is signed, if that is requested or required by the target.

        :raises RefusedError: if it is not: signatures have to be exported to the mirrors, too
        """
        signer, requests = self.promoter.signer, self.promoter.requests
        if signer is None:
            return
        formats = signer.formats(self.repository, content.manifest.digest)
        if signer.missing(self.repository, content.images, formats, requests):
            raise self._not_staged("is not signed")

    def _manifest(self, name: str) -> Manifest | None:
        """Return a manifest; None for an artifact that is listed but does not exist, which clients cannot fetch."""
        try:
            return self.repository.manifest(name)
        except NoSuchImageError:
            return None

    def _not_staged(self, what: str, why: str = "") -> RefusedError:
        nvr, target = self.candidate.nvr, self.promoter.target.name
        sign = " --sign" if self.promoter.options.sign else ""
        return RefusedError(
            f"{nvr} {what} in {self.result.repository}{why}",
            solution=f"stage it first: fedpkg-container-registry promote --stage{sign} --to {target} {nvr}",
        )


def _not_mirrored(nvr: str, missing: Mapping[str, Mapping[str, str]], number: int) -> NotMirroredError:
    """Return the error for blobs that are missing.

    :param number: of all blobs of the image
    """
    where = ", ".join(f"{len(reasons)} of {pluralize(number, 'blob')} in {place}" for place, reasons in missing.items())
    return NotMirroredError(
        f"{nvr} is not published, because blobs are missing: {where}",
        missing,
        solution="run mirror, wait until the mirrors have fetched its tree, and repeat this; --wait waits for them",
    )


def publish(
    site: DistributionSite,
    target: Target,
    builds: Sequence[BuildCandidate],
    options: PromoteOptions,
    availability: Availability,
    *,
    wait: float = 0.0,
    on_result: Callable[[PromotionResult], None] = lambda _: None,
    on_wait: Callable[[Sequence[PromotionResult]], None] = lambda _: None,
    progress: Progress | None = None,
) -> list[PromotionResult]:
    """Publish staged builds, each as soon as mirrors have all of its blobs; return the results in their order.

    :param wait: seconds after which builds whose blobs are still missing fail; they are checked at least once, and once
        more at the end of this time
    :param on_result: called for each build as soon as its final result is known, in any thread
    :param on_wait: called before each pause with the results of the builds that are waited for
    :raises ConfigurationError: if the journal cannot be read or written; nothing was done
    """
    deadline, pause = time.monotonic() + (0.0 if options.dry_run else wait), FIRST_PAUSE
    results: dict[int, PromotionResult] = {}
    pending = dict(enumerate(builds))
    while pending:
        is_last = time.monotonic() >= deadline

        def on_round(result: PromotionResult, *, is_last: bool = is_last) -> None:
            if is_last or result.state != WAITING:
                on_result(result)

        steps = functools.partial(BuildPublication, availability)
        done = promote(
            site, target, list(pending.values()), options, steps=steps, on_result=on_round, progress=progress
        )
        results.update(zip(pending, done))
        pending = {number: build for number, build in pending.items() if results[number].state == WAITING}
        if is_last or not pending:
            break
        on_wait([results[number] for number in pending])
        threading.Event().wait(max(min(pause, deadline - time.monotonic()), 0.0))
        pause = min(2 * pause, MAX_PAUSE)
    return [results[number] for number in range(len(builds))]
