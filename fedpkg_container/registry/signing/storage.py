# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures in a registry: bundles are artifacts that refer to the image, simple signing has the tag ``….sig``."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry import referrers
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import MANIFEST, OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.formats import (
    BUNDLE_ANNOTATIONS,
    BUNDLE_TYPE,
    BUNDLE_TYPES,
    PREDICATE_ANNOTATION,
    PREDICATE_TYPE,
    SIGNATURE_ANNOTATION,
    SIMPLE_SIGNING_TYPE,
    Signature,
    read_bundle,
    read_simple_signing,
    simple_signing,
)
from fedpkg_container.registry.signing.settings import BUNDLE, TAG

#: Maximum number of signatures of documents that the site itself could have signed; they need no further requests.
MAX_COMPARED = 1000
#: Maximum number of other signatures that are read per manifest and format, and maximum size of one, bytes.
MAX_SIGNATURES = 100
MAX_SIGNATURE_SIZE = 1024 * 1024
#: cosign 3 lists its bundles in the index under the fallback tag with the type of their empty configuration.
_POSSIBLE_TYPES = ("", referrers.EMPTY_TYPE)
_NO_TIME = "0001-01-01T00:00:00Z"


def signature_tag(digest: str) -> str:
    """Return cosign's tag for the signatures of an image."""
    return f"{referrers.fallback_tag(digest)}.sig"


def can_add_signatures(tag: str) -> bool:
    """Return whether a tag of cosign has one layer per signature or attestation, so that others can be added."""
    return tag.endswith((".sig", ".att"))


def read_signatures(
    repository: Repository, image: str, formats: Sequence[str], names: Sequence[str] = ()
) -> Iterator[Signature]:
    """Yield the signatures of a manifest, without verifying them; those that the site could have made are first.

    Signatures above the limits are not read. Their number is in the last item of a format (``unread``).

    :param image: its digest
    :param formats: those to look for
    :param names: repositories with registry for which the site signs in the format tag
    :raises RegistryError: if the registry cannot be read
    """
    if BUNDLE in formats:
        yield from _bundles(repository, image)
    if TAG in formats:
        yield from _tagged(repository, image, {digest_of(simple_signing(name, image)) for name in names})


def _bundles(repository: Repository, image: str) -> Iterator[Signature]:
    artifacts = [
        artifact
        for artifact in referrers.referrers(repository, image)
        if artifact.artifact_type.startswith(BUNDLE_TYPES) or artifact.artifact_type in _POSSIBLE_TYPES
    ]
    artifacts.sort(key=_bundle_rank)
    for artifact in artifacts[:MAX_SIGNATURES]:
        try:
            manifest = repository.manifest(artifact.digest)
        except NoSuchImageError:  # listed but deleted
            continue
        for layer in manifest.blobs[1:2]:
            if layer.media_type.startswith(BUNDLE_TYPES) and manifest.subject == image:
                bundle = read_bundle(_content(repository, layer))
                if bundle:
                    yield bundle
    yield from _unread(BUNDLE, len(artifacts) - MAX_SIGNATURES)


def _bundle_rank(artifact: Descriptor) -> int:
    """Return the order in which to read a bundle: signatures, then unknown statements, then others."""
    annotations = artifact.fields.get("annotations")
    stated = annotations.get(PREDICATE_ANNOTATION) if isinstance(annotations, dict) else None
    return 1 if stated is None else 0 if stated == PREDICATE_TYPE else 2


def _tagged(repository: Repository, image: str, expected: Collection[str]) -> Iterator[Signature]:
    """Yield the signatures under cosign's tag.

    :param expected: digests of the documents that the site signs: each is read once, however many signatures it has
    """
    tag = signature_tag(image)
    head = repository.head(tag)
    if not head:
        return
    blobs = repository.manifest(head).blobs[1:]
    layers = {_signature_of(blob.fields): blob for blob in blobs if blob.media_type == SIMPLE_SIGNING_TYPE}
    own = [layer for layer in layers.values() if layer.digest in expected]
    others = [layer for layer in layers.values() if layer.digest not in expected]
    documents: dict[str, bytes] = {}
    for layer in (*own[:MAX_COMPARED], *others[:MAX_SIGNATURES]):
        content = documents[layer.digest] if layer.digest in documents else _content(repository, layer)
        if layer.digest in expected:
            documents[layer.digest] = content
        yield read_simple_signing(content, layer.fields.get("annotations"))
    yield from _unread(TAG, max(len(own) - MAX_COMPARED, 0) + max(len(others) - MAX_SIGNATURES, 0))


def _unread(format_: str, number: int) -> Iterator[Signature]:
    if number > 0:
        yield Signature(format_, unread=number)


def _content(repository: Repository, layer: Descriptor) -> bytes:
    """Return a signature; empty, i.e. invalid, if it is too long or missing."""
    try:
        return repository.blob(layer) if layer.size <= MAX_SIGNATURE_SIZE else b""
    except NoSuchImageError:
        return b""


def push_bundle(repository: Repository, image: str, content: bytes) -> None:
    """Attach a bundle to a manifest.

    It has no creation time: with a key whose signatures are deterministic (RSA), a repeated push stores nothing new.

    :param image: digest of the manifest
    :raises RegistryError: if it cannot be pushed
    """
    subject = repository.pushed_manifest(image)
    manifest = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": BUNDLE_TYPE,
            "config": repository.push_described(referrers.EMPTY, referrers.EMPTY_TYPE),
            "layers": [repository.push_described(content, BUNDLE_TYPE)],
            "subject": subject.descriptor,
            "annotations": BUNDLE_ANNOTATIONS,
        }
    )
    referrers.push(repository, manifest)


def simple_signing_layer(repository: Repository, payload: bytes, value: str) -> dict[str, object]:
    """Push a signed document; return its descriptor for ``add_layers``.

    :param value: its signature in base64
    :raises RegistryError: if it cannot be pushed
    """
    return {**repository.push_described(payload, SIMPLE_SIGNING_TYPE), "annotations": {SIGNATURE_ANNOTATION: value}}


def add_layers(repository: Repository, tag: str, layers: Sequence[Mapping[str, Any]]) -> None:
    """Add signatures to a tag of cosign, keeping those of others; read it back.

    :param layers: descriptors of blobs that the repository has
    :raises RegistryError: if it cannot be changed, or has other contents afterwards
    """
    head = repository.head(tag)
    existing = repository.manifest(head) if head else None
    if existing and existing.media_type not in (OCI_MANIFEST, MANIFEST):
        raise RegistryError(
            f"{repository.reference.tagged(tag)} is not a list of signatures, but has the media type"
            f" {existing.media_type[:100]!r}",
            solution="delete it, or set signature_formats = bundle for the target",
        )
    present = layers_of(existing) if existing else []
    missing = missing_layers(present, layers)
    if not missing:
        return
    manifest = _signature_manifest(repository, existing.content if existing else {}, [*present, *missing])
    repository.put_manifest(tag, manifest)
    if not repository.http.wait_until(lambda: repository.head(tag) == manifest.digest):
        raise RegistryError(
            f"{repository.reference.tagged(tag)} was set to {manifest.digest}, but has other contents now",
            solution="run it again; if that persists, increase retry_timeout, or check who else signs images there",
        )


def layers_of(manifest: Manifest) -> list[Mapping[str, Any]]:
    """Return the descriptors of the signatures in a manifest of cosign.

    :raises RegistryError: if it has none
    """
    return [blob.fields for blob in manifest.blobs[1:]]


def missing_layers(
    present: Iterable[Mapping[str, Any]], layers: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the signatures that a list of descriptors lacks: the same document with the same signature."""
    signatures = set(map(_signature_of, present))
    return [layer for layer in layers if _signature_of(layer) not in signatures]


def _signature_of(layer: Mapping[str, Any]) -> tuple[str, str]:
    annotations = layer.get("annotations")
    value = annotations.get(SIGNATURE_ANNOTATION) if isinstance(annotations, dict) else None
    return str(layer.get("digest")), value if isinstance(value, str) else ""


def _signature_manifest(
    repository: Repository, existing: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]
) -> Manifest:
    """Return the manifest of a tag of cosign, whose configuration lists the layers as that of an image does."""
    config = {
        "architecture": "",
        "created": _NO_TIME,
        "history": [{"created": _NO_TIME} for _ in layers],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer.get("digest") for layer in layers]},
        "config": {},
    }
    raw = json.dumps(config, separators=(",", ":")).encode()
    config_type = existing["config"].get("mediaType") if existing else ""
    return Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            **existing,
            "config": repository.push_described(raw, config_type or OCI_CONFIG),
            "layers": layers,
        }
    )
