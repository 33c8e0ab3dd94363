# SPDX-License-Identifier: GPL-2.0-or-later
"""The two formats of a signature. Both sign only the digest of a manifest.

- A sigstore bundle (version 0.3) contains a DSSE envelope around an in-toto statement, as cosign 3 writes it.
- Simple signing: a JSON document of containers/image, which cosign 1 and 2 write, and podman and skopeo require.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.registry.signing.settings import BUNDLE, TAG

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
#: Prefix of the media types of bundles of all versions.
BUNDLE_TYPES = "application/vnd.dev.sigstore.bundle"
SIMPLE_SIGNING_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
#: Annotation of a layer of cosign's tag: the signature in base64.
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
#: Type of the signed statement, which has no other content than the digest.
PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1"
#: Annotations of the manifest of a bundle, and the one with the type of its statement.
PREDICATE_ANNOTATION = "dev.sigstore.bundle.predicateType"
BUNDLE_ANNOTATIONS = {"dev.sigstore.bundle.content": "dsse-envelope", PREDICATE_ANNOTATION: PREDICATE_TYPE}
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_SIMPLE_SIGNING = "cosign container image signature"


@dataclass(frozen=True)
class Signature:
    """A signature as found in a registry; not verified.

    :param format: bundle or tag
    :param digests: signed digests; empty if it cannot be read
    :param identity: repository with registry for which it was made; empty in a bundle
    :param payload: the signed bytes
    :param value: the signature of these bytes
    :param problem: why it cannot be read; empty if it can
    :param unread: this stands for further signatures that were not read, because there are too many
    """

    format: str
    digests: tuple[str, ...] = ()
    identity: str = ""
    payload: bytes = b""
    value: bytes = b""
    problem: str = ""
    unread: int = 0


def statement(digest: str) -> bytes:
    """Return the in-toto statement that an image was signed."""
    algorithm, _, value = digest.partition(":")
    return _json(
        {
            "_type": _STATEMENT_TYPE,
            "subject": [{"digest": {algorithm: value}, "annotations": {}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {},
        }
    )


def envelope_payload(payload: bytes, payload_type: str = _PAYLOAD_TYPE) -> bytes:
    """Return the signed bytes of a DSSE envelope: type and payload, with their lengths."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def bundle(payload: bytes, value: bytes, hint: str) -> bytes:
    """Return a sigstore bundle.

    :param payload: the statement
    :param value: the signature of its ``envelope_payload``
    :param hint: identifier of the key
    """
    return _json(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": _PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(value).decode()}],
            },
        }
    )


def simple_signing(identity: str, digest: str) -> bytes:
    """Return the document that simple signing signs.

    :param identity: repository with registry, under which clients pull the image
    """
    critical = {
        "identity": {"docker-reference": identity},
        "image": {"docker-manifest-digest": digest},
        "type": _SIMPLE_SIGNING,
    }
    return _json({"critical": critical, "optional": None})


def read_bundle(raw: bytes) -> Signature | None:
    """Parse a bundle; None if it is valid, but not a signature of an image, e.g. a statement about provenance."""
    try:
        content = json.loads(raw)
        envelope = content["dsseEnvelope"]
        payload, (signed,) = base64.b64decode(envelope["payload"], validate=True), envelope["signatures"]
        value = base64.b64decode(signed["sig"], validate=True)
        stated, kind = json.loads(payload), str(envelope["payloadType"])
        if kind != _PAYLOAD_TYPE or stated["predicateType"] != PREDICATE_TYPE:
            return None
        digests = tuple(
            f"{algorithm}:{value}" for subject in stated["subject"] for algorithm, value in subject["digest"].items()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return Signature(BUNDLE, problem="is not a sigstore bundle with one signed statement")
    return Signature(BUNDLE, digests, payload=envelope_payload(payload, kind), value=value)


def read_simple_signing(raw: bytes, annotations: object) -> Signature:
    """Parse a layer of the manifest with cosign's tag.

    :param annotations: of the layer's descriptor
    """
    try:
        critical: Mapping[str, Any] = json.loads(raw)["critical"]
        value = base64.b64decode(annotations[SIGNATURE_ANNOTATION], validate=True)  # type: ignore[index]
        digest, identity = critical["image"]["docker-manifest-digest"], critical["identity"]["docker-reference"]
        is_valid = critical["type"] == _SIMPLE_SIGNING and isinstance(digest, str) and isinstance(identity, str)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        is_valid = False
    if not is_valid:
        return Signature(TAG, problem="is not a signature in the simple signing format")
    return Signature(TAG, (digest,), identity, raw, value)


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
