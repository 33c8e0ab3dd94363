# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures and other referrers that are added to a promoted image: the next run of mirror and catalog finds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedpkg_container.registry.catalog.promotions import read_promotions
from fedpkg_container.registry.catalog.run import Options as CatalogOptions
from fedpkg_container.registry.catalog.run import update_catalog
from fedpkg_container.registry.catalog.views import Labels
from fedpkg_container.registry.messages.message import has_message
from fedpkg_container.registry.promotion.copying import ImageContent
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.promote import BuildPromotion
from fedpkg_container.registry.referrers import Artifact, attach
from fedpkg_container.registry.repository import Repository
from tests.support.hubs import NAME, Hub
from tests.support.promoting import SIGNATURE, Bench
from tests.support.signing import key_files, signing_bench

MakeHub = Callable[..., Hub]


def kinds(bench: Bench) -> list[tuple[str, str]]:
    return [(entry.what, entry.state) for entry in Journal(bench.site.journal).entries()]


@pytest.fixture(params=["zot", "docker-registry-2"])
def bench(request: pytest.FixtureRequest, make_hub: MakeHub, tmp_path: Path) -> Bench:
    """With the referrers API, and with the fallback tag."""
    return signing_bench(make_hub(request.param).bench, key_files(tmp_path).settings)


def _update(bench: Bench, directory: Path) -> tuple[int, str]:
    """Update mirror and catalog; return the number of blobs, and the catalog's pages of builds."""
    assert bench.mirror(directory / "tree").errors == []
    target, site = bench.site.target("stable"), directory / "catalog"
    labels = Labels("Catalog", target.registry)
    assert update_catalog(target, CatalogOptions(site, labels, bench.site.journal)).errors == []
    pages = "".join(path.read_text() for path in sorted((site / "repositories").rglob("*.html")))
    return len(list((directory / "tree" / "v2" / NAME / "blobs").iterdir())), pages


def test_signing_of_a_promoted_image(bench: Bench, tmp_path: Path) -> None:
    candidate = bench.build(arches=("amd64",), layers=1, artifacts=False)
    assert bench.promote(candidate)[0].succeeded
    blobs, pages = _update(bench, tmp_path)
    assert "sigstore" not in pages
    promotions = read_promotions(Journal(bench.site.journal).index, bench.site.target("stable"))
    (result,) = bench.promote(candidate, sign=True)
    assert (result.state, len(result.signed)) == ("promoted", 2)
    assert kinds(bench)[2:] == [("attach", "begun"), ("attach", "done")]
    more, pages = _update(bench, tmp_path)
    assert more > blobs
    assert "sigstore" in pages
    assert read_promotions(Journal(bench.site.journal).index, bench.site.target("stable")) == promotions
    assert not any(map(has_message, Journal(bench.site.journal).entries()[2:]))
    assert bench.promote(candidate, sign=True)[0].state == "unchanged"
    assert len(kinds(bench)) == 4


def test_copy_of_a_late_signature(bench: Bench, tmp_path: Path) -> None:
    candidate = bench.build(arches=("amd64",), layers=1, artifacts=False)
    assert bench.promote(candidate)[0].succeeded
    blobs, _ = _update(bench, tmp_path)
    with bench.http(candidate.image.registry) as http:
        late = Artifact(SIGNATURE, "late.sig", b"late", "2026-01-02")
        attach(Repository(http, candidate.image.repository), candidate.image.digest, late)
    assert bench.promote(candidate)[0].state == "promoted"
    assert _update(bench, tmp_path)[0] > blobs
    assert kinds(bench)[2:] == [("attach", "begun"), ("attach", "done")]


def test_interruption_after_signing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = bench.build(arches=("amd64",), layers=1, artifacts=False)
    assert bench.promote(candidate)[0].succeeded
    with monkeypatch.context() as patched:
        patched.setattr(BuildPromotion, "_record_attach_end", lambda _: None)
        assert bench.promote(candidate, sign=True)[0].succeeded
    assert kinds(bench)[2:] == [("attach", "begun")]
    assert bench.promote(candidate)[0].state == "unchanged"
    assert kinds(bench)[2:] == [("attach", "begun"), ("attach", "done")]


def test_images_that_are_signed_at_once_are_recorded_once(bench: Bench) -> None:
    candidate = bench.build(arches=("amd64",), layers=1, artifacts=False)
    assert bench.promote(candidate, sign=True)[0].succeeded
    assert kinds(bench) == [("promote", "begun"), ("promote", "done")]


def test_signing_while_another_process_promotes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = bench.build(arches=("amd64",), layers=1, artifacts=False)
    sign = BuildPromotion._sign

    def sign_late(promotion: BuildPromotion, content: ImageContent) -> None:
        if promotion.promoter.signer is not None:
            assert bench.promote(candidate)[0].succeeded
        sign(promotion, content)

    monkeypatch.setattr(BuildPromotion, "_sign", sign_late)
    assert bench.promote(candidate, sign=True)[0].succeeded
    assert kinds(bench) == [("promote", "begun"), ("promote", "done"), ("attach", "begun"), ("attach", "done")]
