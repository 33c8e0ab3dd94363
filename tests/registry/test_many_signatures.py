# SPDX-License-Identifier: GPL-2.0-or-later
"""Images with more signatures of others than are read: ours are found, or the report states that some were not read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedpkg_container.registry import referrers
from fedpkg_container.registry.manifests import OCI_MANIFEST, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing import storage
from fedpkg_container.registry.signing.formats import (
    BUNDLE_TYPE,
    PREDICATE_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIMPLE_SIGNING_TYPE,
    simple_signing,
)
from fedpkg_container.registry.signing.storage import add_layers, signature_tag
from fedpkg_container.registry.signing.verification import INVALID, SIGNED
from tests.registry.test_signatures import add_bundle, add_tagged
from tests.support.hubs import NAME, Hub
from tests.support.promoting import Bench
from tests.support.signing import key_files, signing_bench, verified

LIMIT = 3
MakeHub = Callable[..., Hub]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MAX_SIGNATURES", LIMIT)
    monkeypatch.setattr(storage, "MAX_COMPARED", 2 * LIMIT)


@pytest.fixture
def hub(make_hub: MakeHub) -> Hub:
    return make_hub("zot")


@pytest.fixture
def bench(hub: Hub, tmp_path: Path) -> Bench:
    return signing_bench(hub.bench, key_files(tmp_path).settings)


@pytest.fixture
def image(hub: Hub, target: Repository) -> str:
    """Digest of an image of one architecture."""
    hub.stored()
    return target.manifest("1.0-1").manifests[0].digest


def _layers(target: Repository, number: int, payload: bytes = b"") -> list[dict[str, object]]:
    """Layers with signatures of others, of one document or each that is different."""
    contents = [payload or b"%d" % position for position in range(number)]
    return [
        {
            **target.push_described(content, SIMPLE_SIGNING_TYPE),
            "annotations": {SIGNATURE_ANNOTATION: f"AAA{position % 10}"},
        }
        for position, content in enumerate(contents)
    ]


def _bundles(target: Repository, image: str, number: int, annotations: dict[str, str]) -> None:
    """Add bundles of others."""
    for position in range(number):
        manifest = {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": BUNDLE_TYPE,
            "config": target.push_described(referrers.EMPTY, referrers.EMPTY_TYPE),
            "layers": [target.push_described(b"%d" % position, BUNDLE_TYPE)],
            "subject": target.pushed_manifest(image).descriptor, "annotations": annotations,
        }  # fmt: skip
        referrers.push(target, Manifest.of(manifest))


def test_tag_with_many_documents_of_others(bench: Bench, target: Repository, image: str) -> None:
    add_layers(target, signature_tag(image), _layers(target, 2 * LIMIT))
    found = verified(bench, target, image)
    assert (found.status, found.problems[-1]) == (
        INVALID, f"{image}: {LIMIT} more signatures were not read (tag): there are too many"
    )  # fmt: skip
    add_tagged(target, image, str(target.reference))
    assert verified(bench, target, image).status == SIGNED


@pytest.mark.parametrize("number", [LIMIT + 1, 3 * LIMIT])
def test_tag_with_many_signatures_of_our_document(bench: Bench, target: Repository, image: str, number: int) -> None:
    """The document is public, so others can list it with any signature; it is read once."""
    payload = simple_signing(str(target.reference), image)
    add_layers(target, signature_tag(image), _layers(target, number, payload))
    add_tagged(target, image, str(target.reference))
    before = target.http.requests
    found = verified(bench, target, image)
    assert target.http.requests - before < LIMIT + 4
    assert (found.status == SIGNED) == (number < 2 * LIMIT)
    if number >= 2 * LIMIT:
        assert found.problems[-1].endswith(
            f"{number + 1 - 2 * LIMIT} more signatures were not read (tag): there are too many"
        )


def test_many_other_statements_do_not_hide_a_bundle(bench: Bench, target: Repository, image: str) -> None:
    _bundles(target, image, 2 * LIMIT, {PREDICATE_ANNOTATION: "https://slsa.dev/provenance/v1"})
    add_bundle(target, image)
    assert verified(bench, target, image).status == SIGNED
    assert bench.site.signing.key


@pytest.mark.parametrize("claimed", [{}, {PREDICATE_ANNOTATION: "https://sigstore.dev/cosign/sign/v1"}])
def test_bundles_that_may_be_hidden_are_reported(
    bench: Bench, target: Repository, image: str, claimed: dict[str, str]
) -> None:
    _bundles(target, image, 2 * LIMIT, claimed)
    found = verified(bench, target, image)
    assert found.status == INVALID
    assert found.problems[-1] == f"{image}: {LIMIT} more signatures were not read (bundle): there are too many"


def test_images_with_too_many_bundles_are_not_signed_again_and_again(
    bench: Bench, hub: Hub, target: Repository
) -> None:
    candidate = bench.build(layers=1, arches=("amd64",), artifacts=False)
    assert bench.promote(candidate)[0].succeeded
    _bundles(target, candidate.image.digest, LIMIT + 1, {PREDICATE_ANNOTATION: "https://sigstore.dev/cosign/sign/v1"})
    before = dict(hub.server[NAME].manifests)
    (result,) = bench.promote(candidate, sign=True)
    assert "has too many signatures in the format bundle to find out whether it is signed" in result.error
    assert result.solution == "delete those that other programs made"
    assert hub.server[NAME].manifests == before
