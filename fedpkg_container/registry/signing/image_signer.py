# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing of promoted images: add the missing signatures of each manifest."""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import RegistryError, UnexpectedResponseError
from fedpkg_container.registry import referrers
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.formats import bundle, envelope_payload, simple_signing, statement
from fedpkg_container.registry.signing.settings import BUNDLE, TAG
from fedpkg_container.registry.signing.signer import Signer, open_signer
from fedpkg_container.registry.signing.storage import (
    add_layers,
    push_bundle,
    read_signatures,
    signature_tag,
    simple_signing_layer,
)
from fedpkg_container.registry.signing.verification import check
from fedpkg_container.registry.workers import WorkerPool

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WantedSignature:
    """A signature that a manifest must have.

    :param format: bundle or tag
    :param identity: repository with registry for which it is made; empty in a bundle
    """

    format: str
    identity: str = ""


@dataclass(frozen=True)
class ImageSigner:
    """Signs images of a target.

    :param target: with the formats and names of its signatures
    """

    target: Target
    signer: Signer

    def formats(self, repository: Repository, image: str) -> tuple[str, ...]:
        """Return the formats in which an image is signed: not as bundle if the registry cannot list bundles.

        :param image: digest of the image index
        :raises RegistryError: if no format is left, or the registry cannot be read
        """
        formats = self.target.signature_formats
        if BUNDLE not in formats or referrers.list_referrers(repository, image).can_add:
            return formats
        _log.info("%s cannot list sigstore bundles; signing in the format %s only", repository.reference, TAG)
        if TAG not in formats:
            raise RegistryError(
                f"{repository.http.host} cannot list the signatures of {repository.reference}: it has neither the"
                f" referrers API, nor can the tag {referrers.fallback_tag(image)} be used",
                solution=f"set signature_formats = {TAG} for the target {self.target.name}",
            )
        return (TAG,)

    def missing(
        self, repository: Repository, images: Sequence[str], formats: Sequence[str], requests: WorkerPool
    ) -> dict[str, list[WantedSignature]]:
        """Return missing signatures by digest of the manifest; completely signed manifests are left out.

        :param images: digests of the manifests
        :raises RegistryError: if the registry cannot be read
        """
        missing = requests.map(lambda image: self._missing(repository, image, formats), images)
        return {image: wanted for image, wanted in zip(images, missing) if wanted}

    def sign(
        self,
        repository: Repository,
        missing: Mapping[str, Sequence[WantedSignature]],
        requests: WorkerPool,
    ) -> None:
        """Add missing signatures, while the caller holds the lock of the repository.

        :param missing: as returned by ``missing``, under the same lock
        :raises FedpkgContainerError: if a manifest cannot be signed, or its signature cannot be read back
        """
        requests.map(lambda image: self._sign(repository, image, missing[image]), missing)

    def _missing(self, repository: Repository, image: str, formats: Sequence[str]) -> list[WantedSignature]:
        names = self.target.signed_names(repository.reference)
        wanted = [WantedSignature(BUNDLE)] if BUNDLE in formats else []
        wanted += [WantedSignature(TAG, name) for name in names if TAG in formats]
        valid, unread = set(), set()
        for signature in read_signatures(repository, image, formats, names):
            if check(signature, image, (self.signer.public_key,), names).key:
                valid.add(WantedSignature(signature.format, signature.identity))
            elif signature.unread:
                unread.add(signature.format)
        missing = [each for each in wanted if each not in valid]
        if hidden := next((each.format for each in missing if each.format in unread), ""):
            raise RegistryError(
                f"{repository.reference}@{image} has too many signatures in the format {hidden} to find out whether it"
                " is signed",
                solution="delete those that other programs made",
            )
        return missing

    def _sign(self, repository: Repository, image: str, missing: Sequence[WantedSignature]) -> None:
        """Create and push the missing signatures of a manifest, and read them back."""
        if WantedSignature(BUNDLE) in missing:
            self._push_bundle(repository, image)
        if payloads := [simple_signing(each.identity, image) for each in missing if each.format == TAG]:
            self._push_tag(repository, image, payloads)
        formats = tuple(dict.fromkeys(each.format for each in missing))
        if not repository.http.wait_until(lambda: not self._missing(repository, image, formats)):
            raise RegistryError(
                f"the signature of {repository.reference}@{image} was pushed, but cannot be read back",
                solution="run it again; if that persists, increase retry_timeout: the registry shows changes late",
            )
        _log.info("signed %s@%s with the key %s", repository.reference, image, self.signer.public_key.hint)

    def _push_bundle(self, repository: Repository, image: str) -> None:
        payload = statement(image)
        value = self.signer.sign(envelope_payload(payload))
        with _rejection(repository, BUNDLE):
            push_bundle(repository, image, bundle(payload, value, self.signer.public_key.hint))

    def _push_tag(self, repository: Repository, image: str, payloads: Sequence[bytes]) -> None:
        values = [base64.b64encode(self.signer.sign(payload)).decode() for payload in payloads]
        with _rejection(repository, TAG):
            layers = [simple_signing_layer(repository, *item) for item in zip(payloads, values)]
            add_layers(repository, signature_tag(image), layers)


@contextlib.contextmanager
def _rejection(repository: Repository, rejected: str) -> Iterator[None]:
    """Add a solution to the error of a registry that rejects a format."""
    try:
        yield
    except UnexpectedResponseError as error:
        if error.solution:
            raise
        other = TAG if rejected == BUNDLE else BUNDLE
        raise UnexpectedResponseError(
            f"{repository.http.host} rejected a signature: {error.reason}",
            solution=f"allow its media type in the registry, or set signature_formats = {other} for the target",
            status=error.status,
            codes=error.codes,
        ) from error


def open_image_signer(site: DistributionSite, target: Target, *, requested: bool) -> ImageSigner | None:
    """Return the signer for a target; None if images need no signature.

    :param requested: sign images even if the target does not require it
    :raises ConfigurationError: if the signer cannot be used
    """
    return ImageSigner(target, open_signer(site.signing)) if requested or target.sign else None
