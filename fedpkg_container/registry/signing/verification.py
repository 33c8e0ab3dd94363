# SPDX-License-Identifier: GPL-2.0-or-later
"""Verification of the signatures of images with the site's public keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.manifests import INDEX_MEDIA_TYPES, MAX_INDEX_DEPTH, MAX_MANIFESTS, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.formats import Signature
from fedpkg_container.registry.signing.keys import PublicKey
from fedpkg_container.registry.signing.settings import FORMATS, TAG
from fedpkg_container.registry.signing.storage import read_signatures
from fedpkg_container.text import pluralize, printable_line

#: Status of an image: one key has signed all of its manifests, in the same format; there is no signature; a manifest
#: lacks one; a manifest has only signatures that are not valid.
SIGNED, UNSIGNED, INCOMPLETE, INVALID = "signed", "unsigned", "incomplete", "invalid"
#: Maximum length of a name from a signature in a report, characters.
MAX_NAME = 300


@dataclass(frozen=True)
class Checked:
    """Result for one signature.

    :param key: the key that made it, if it is valid
    :param problem: why it is not valid
    """

    key: PublicKey | None
    problem: str = ""


def check(signature: Signature, image: str, keys: Sequence[PublicKey], names: Sequence[str]) -> Checked:
    """Verify a signature of a manifest.

    :param image: its digest
    :param names: the repository with registry under which clients pull it; one or more
    """
    if signature.unread:
        more = pluralize(signature.unread, "more signature was", "more signatures were")
        return Checked(None, f"{more} not read ({signature.format}): there are too many")
    if signature.problem:
        return Checked(None, f"a {signature.format} {signature.problem}")
    key = next((key for key in keys if key.verifies(signature.payload, signature.value)), None)
    if key is None:
        return Checked(None, f"a {signature.format} was not made by a known key")
    if image not in signature.digests:
        other = printable_line(", ".join(signature.digests))[:MAX_NAME] or "nothing"
        return Checked(None, f"a {signature.format} is a signature of {other}")
    if signature.format == TAG and signature.identity not in names:
        return Checked(None, f"a {signature.format} is for the name {printable_line(signature.identity)[:MAX_NAME]}")
    return Checked(key)


@dataclass(frozen=True)
class Verification:
    """Result for an image with all of its manifests.

    :param status: signed, unsigned, incomplete or invalid
    :param keys: files of the keys that signed every manifest
    :param formats: those in which such a key did: bundle, tag
    :param problems: manifests without a valid signature, and signatures that are not valid
    """

    status: str
    keys: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageVerifier:
    """Verifies images of a target.

    :param keys: public keys, one of which must have signed
    """

    target: Target
    keys: Sequence[PublicKey]

    def verify(self, repository: Repository, manifest: Manifest) -> Verification:
        """Verify an image: its index and each of its manifests.

        :param manifest: of the image
        :raises RegistryError: if the registry cannot be read
        """
        names = self.target.signed_names(repository.reference)
        valid: dict[str, set[tuple[str, str]]] = {}
        problems: dict[str, list[str]] = {}
        images = members_of(repository, manifest)
        for image in images:
            for signature in read_signatures(repository, image, FORMATS, names):
                checked = check(signature, image, self.keys, names)
                if checked.key:
                    valid.setdefault(image, set()).add((checked.key.name, signature.format))
                else:
                    problems.setdefault(image, []).append(checked.problem)
        lacking = [image for image in images if image not in valid]
        common = set.intersection(*valid.values()) if valid and not lacking else set()
        if common:
            status = SIGNED
        elif any(map(problems.get, lacking)):
            status = INVALID
        else:
            status = INCOMPLETE if valid else UNSIGNED
        texts = [f"{image}: {problem}" for image, reasons in problems.items() for problem in dict.fromkeys(reasons)]
        if status == INCOMPLETE:
            texts += [f"{image}: not signed" for image in lacking] or [
                "no key has signed all manifests in the same format"
            ]
        return Verification(
            status,
            tuple(key.name for key in self.keys if key.name in {name for name, _ in common}),
            tuple(each for each in FORMATS if each in {format_ for _, format_ in common}),
            tuple(texts),
        )


def members_of(repository: Repository, manifest: Manifest) -> list[str]:
    """Return the digests of an image index and of all manifests below it, or of a single image.

    :raises RegistryError: if an index cannot be read, indexes are nested too deeply, or there are too many manifests
    """
    digests: dict[str, None] = {}
    _add_members(repository, manifest, digests, 0)
    return list(digests)


def _add_members(repository: Repository, manifest: Manifest, digests: dict[str, None], depth: int) -> None:
    if depth > MAX_INDEX_DEPTH:
        raise RegistryError(f"{repository.reference}: image indexes are nested too deeply")
    digests[manifest.digest] = None
    for member in manifest.manifests:
        if member.digest in digests:
            continue
        if len(digests) >= MAX_MANIFESTS:
            raise RegistryError(f"an image of {repository.reference} has more than {MAX_MANIFESTS} manifests")
        if member.media_type in INDEX_MEDIA_TYPES:
            _add_members(repository, repository.manifest(member.digest), digests, depth + 1)
        else:
            digests[member.digest] = None
