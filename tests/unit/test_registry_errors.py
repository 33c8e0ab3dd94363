# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of skopeo and buildah, classified by their meaning and never by a number in a URL."""

from __future__ import annotations

import pytest

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.errors import error_for_image, error_from_output
from fedpkg_container.registry.manifests import MANIFEST_LIST, Manifest

IMAGE = ImageReference.parse("127.0.0.1:34043/denied/not-found:404")


@pytest.mark.parametrize(
    ("said", "kind", "text"),
    [
        (
            'Get "https://127.0.0.1:34043/v2/": dial tcp 127.0.0.1:34043: connect: connection refused',
            RegistryUnavailableError,
            "cannot be reached",
        ),
        ("dial tcp: lookup r.example.org: no such host", RegistryError, "cannot be reached"),
        (
            "reading manifest 404 in 127.0.0.1:34043/denied/not-found: manifest unknown: manifest unknown",
            NoSuchImageError,
            "does not exist",
        ),
        (
            "Error listing repository tags: fetching tags list: invalid status code from registry 404 (Not Found)",
            NoSuchImageError,
            "does not exist",
        ),
        ("name unknown: repository name not known to registry", NoSuchImageError, "does not exist"),
        (
            "requested access to the resource is denied: unauthorized: authentication required",
            RegistryError,
            "denied access",
        ),
        (
            "reading manifest in 127.0.0.1:34043/denied/not-found: x509: certificate signed by unknown authority",
            RegistryError,
            "x509",
        ),
        (
            (
                'copying image "sha256:0" to "docker://r.example.org/x:1": writing blob: initiating layer upload to'
                " /v2/x/blobs/uploads/ in r.example.org: received unexpected HTTP status: 500 Internal Server Error"
            ),
            RegistryUnavailableError,
            "failed (required for 127.0.0.1:34043/denied/not-found:404): writing blob",
        ),
        ("writing blob: uploading layer chunked: unexpected EOF", RegistryUnavailableError, "unexpected EOF"),
        ("", RegistryError, "no reason given"),
    ],
)
def test_classification(said: str, kind: type[RegistryError], text: str) -> None:
    error = error_from_output(IMAGE, said)
    assert type(error) is kind
    assert text in error.reason


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RegistryUnavailableError("PUT https://x: HTTP 500"), "127.0.0.1:34043 failed (required for"),
        (RegistryUnavailableError("PUT https://x: [Errno 111] Connection refused"), "cannot be reached (required for"),
        (RegistryError("PUT https://x: Read timed out. (read timeout=60)"), "does not respond in time (required"),
        (NoSuchImageError("GET https://x: not found"), "GET https://x: not found"),
    ],
)
def test_http_errors_have_the_same_form(error: RegistryError, text: str) -> None:
    told = error_for_image(IMAGE, error)
    assert type(told) is type(error)
    assert text in told.reason
    assert error.reason in told.reason


def test_index_entries_without_platform() -> None:
    members = [
        {"digest": "sha256:1", "platform": None},
        {"digest": "sha256:2"},
        {"platform": {"architecture": "arm64"}},
    ]
    assert Manifest.of({"mediaType": MANIFEST_LIST, "manifests": members}).architectures() == ["arm64"]
