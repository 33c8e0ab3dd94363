# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures in a registry: verified, added to those of others, and deleted, mirrored and pruned with their images."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.errors import RegistryError
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.registry import referrers
from fedpkg_container.registry.catalog.reader import read_repository
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.mirror.options import Options
from fedpkg_container.registry.mirror.run import mirror
from fedpkg_container.registry.promotion.listing import list_images
from fedpkg_container.registry.pruning.pruner import Pruner
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.formats import bundle, envelope_payload, simple_signing, statement
from fedpkg_container.registry.signing.keys import PublicKey, sign_with
from fedpkg_container.registry.signing.storage import (
    add_layers,
    push_bundle,
    read_signatures,
    signature_tag,
    simple_signing_layer,
)
from fedpkg_container.registry.signing.verification import INCOMPLETE, INVALID, SIGNED, UNSIGNED
from fedpkg_container.registry.skopeo import Registry
from tests.support import pruning
from tests.support.hubs import NAME, Hub
from tests.support.promoting import Bench, cosign
from tests.support.records import ToldRecords
from tests.support.signing import key_files, private_key, signing_bench, verified

#: With the referrers API, and with the fallback tag.
NAMES = ("zot", "docker-registry-2")
BOTH = ("bundle", "tag")


#: For tests on both.
on_both = pytest.mark.parametrize("hub", NAMES, indirect=True)


@pytest.fixture
def hub(request: pytest.FixtureRequest, make_hub: Callable[..., Hub]) -> Hub:
    return make_hub(getattr(request, "param", NAMES[-1]))


@pytest.fixture
def bench(hub: Hub, tmp_path: Path) -> Bench:
    return signing_bench(hub.bench, key_files(tmp_path).settings)


def add_tagged(target: Repository, image: str, identity: str, *, key: str = "own", of: str = "") -> None:
    """Sign a manifest in the format tag.

    :param of: the digest in the signature, instead of that of the manifest
    """
    payload = simple_signing(identity, of or image)
    value = base64.b64encode(sign_with(private_key(key), payload)).decode()
    add_layers(target, signature_tag(image), [simple_signing_layer(target, payload, value)])


def add_bundle(target: Repository, image: str, *, key: str = "own", of: str = "") -> None:
    """The same in the format bundle."""
    payload = statement(of or image)
    public = PublicKey("", private_key(key).public_key())
    push_bundle(target, image, bundle(payload, sign_with(private_key(key), envelope_payload(payload)), public.hint))


def index_of(target: Repository) -> Manifest:
    return target.manifest("1.0-1")


@on_both
def test_status_of_images(hub: Hub, bench: Bench, target: Repository, tmp_path: Path) -> None:
    hub.stored()
    index = index_of(target)
    images, name = [index.digest, *(member.digest for member in index.manifests)], str(target.reference)
    assert verified(bench, target, index.digest).status == UNSIGNED
    add_tagged(target, index.digest, name)
    found = verified(bench, target, index.digest)
    assert (found.status, found.problems) == (INCOMPLETE, tuple(f"{image}: not signed" for image in images[1:]))
    for image in images[1:]:
        add_bundle(target, image)
    found = verified(bench, target, index.digest)
    assert (found.status, found.problems) == (INCOMPLETE, ("no key has signed all manifests in the same format",))
    add_bundle(target, index.digest)
    found = verified(bench, target, index.digest)
    assert (found.status, found.formats, found.problems) == (SIGNED, ("bundle",), ())
    add_bundle(target, index.digest, key="other")
    found = verified(bench, target, index.digest)
    assert (found.status, found.problems) == (SIGNED, (f"{index.digest}: a bundle was not made by a known key",))
    other = key_files(tmp_path, "other")
    by_other = signing_bench(bench, other.settings)
    assert verified(by_other, target, index.digest).status == INVALID
    both = signing_bench(bench, replace(other.settings, accepted_keys=(key_files(tmp_path).public,)))
    assert verified(both, target, index.digest).keys == (str(tmp_path / "own.pub"),)


@pytest.mark.parametrize(
    ("format_", "kind"), [*itertools.product(BOTH, ["key", "digest", "bytes", "json"]), ("tag", "name")]
)
def test_invalid_signatures(format_: str, kind: str, hub: Hub, bench: Bench, target: Repository) -> None:
    hub.stored()
    image, name = index_of(target).manifests[0].digest, str(target.reference)
    other = f"sha256:{'0' * 64}"
    if kind in ("bytes", "json"):
        _add_damaged(target, image, format_, b"{}" if kind == "json" else b"\xff[[[")
    elif format_ == "bundle":
        add_bundle(target, image, key="unknown" if kind == "key" else "own", of=other if kind == "digest" else "")
    else:
        name = "registry.example.org/another\n" if kind == "name" else name
        add_tagged(target, image, name, key="unknown" if kind == "key" else "own", of=other if kind == "digest" else "")
    found = verified(bench, target, image)
    problem = {
        "key": "was not made by a known key", "digest": f"is a signature of {other}",
        "name": "is for the name registry.example.org/another", "bytes": "is not a", "json": "is not a",
    }[kind]  # fmt: skip
    assert found.status == INVALID
    assert f"{image}: a {format_} {problem}" in found.problems[0]
    assert "\n" not in found.problems[0]


def _add_damaged(target: Repository, image: str, format_: str, content: bytes) -> None:
    if format_ == "bundle":
        push_bundle(target, image, content)
    else:
        add_layers(target, signature_tag(image), [simple_signing_layer(target, content, "AAAA")])


def test_tampered_payloads_are_not_accepted(hub: Hub, bench: Bench, target: Repository) -> None:
    """A valid signature of one image under another one's tag or in its bundle."""
    hub.stored()
    index = index_of(target)
    image, other = (member.digest for member in index.manifests[:2])
    add_bundle(target, other)
    signed = next(read_signatures(target, other, BOTH))
    payload = statement(image)
    push_bundle(target, image, bundle(payload, signed.value, "x"))
    push_bundle(target, image, bundle(statement(other), signed.value, "x"))
    found = verified(bench, target, image)
    assert (found.status, len(found.problems)) == (INVALID, 2)


@on_both
def test_signatures_of_others_are_kept_and_added(hub: Hub, bench: Bench, target: Repository) -> None:
    candidate = bench.build(layers=1)
    with bench.http(candidate.image.registry) as http:
        own = Repository(http, candidate.image.repository)
        tag = cosign(own, candidate.image.digest, b"first of theirs")
        (first,) = bench.promote(candidate, sign=True)
        assert len(list(read_signatures(target, candidate.image.digest, ("tag",)))) == 2
        cosign(own, candidate.image.digest, b"first of theirs", b"second of theirs")
    again = bench.promote(candidate, sign=True)[0], bench.promote(candidate, sign=True)[0]
    assert ([*first.warnings], [result.state for result in again]) == ([], ["promoted", "unchanged"])
    manifest = target.manifest(tag)
    assert [target.blob(blob) for blob in manifest.blobs[1:]] == [
        b"first of theirs", simple_signing(str(target.reference), candidate.image.digest), b"second of theirs"
    ]  # fmt: skip
    config = json.loads(target.blob(manifest.blobs[0]))
    assert config["rootfs"]["diff_ids"] == [blob.digest for blob in manifest.blobs[1:]]


def test_names_of_clients(hub: Hub, bench: Bench, target: Repository) -> None:
    names = ("registry.example.org", "cdn.example.org:5000/images")
    named = signing_bench(bench, bench.site.signing, public_names=names, signature_formats=("tag",))
    candidate = named.build(layers=1)
    assert named.promote(candidate, sign=True)[0].succeeded
    found = list(read_signatures(target, candidate.image.digest, BOTH))
    assert [signature.identity for signature in found] == [f"{name}/hello" for name in names]
    assert verified(named, target, candidate.image.digest).formats == ("tag",)
    assert verified(bench, target, candidate.image.digest).status == INVALID, "podman compares the name"


def test_list_verifies(hub: Hub, bench: Bench) -> None:
    signed = bench.build("hello-1.0-1", layers=1)
    assert all(result.succeeded for result in bench.promote(signed, sign=True))
    unsigned = bench.build("hello-1.0-2", layers=1)
    assert all(result.succeeded for result in bench.promote(unsigned))
    listing = list_images(bench.site, bench.site.target("stable"), ["hello"], verify=True)
    status = {image.nvr: image.signature.status for image in listing.images if image.signature}
    assert status == {"hello-1.0-1": SIGNED, "hello-1.0-2": UNSIGNED}
    assert all(image.tags and "sha256-" not in image.tags[0] for image in listing.images)
    assert [image.is_trusted for image in listing.images] == [image.nvr == "hello-1.0-1" for image in listing.images]


def promoted_twice(bench: Bench) -> tuple[Candidate, Candidate]:
    first, second = (bench.build(f"hello-1.0-{release}", layers=1) for release in (1, 2))
    assert all(bench.promote(build, sign=True)[0].succeeded for build in (first, second))
    return first, second


@on_both
def test_deletion_with_the_image(hub: Hub, bench: Bench, target: Repository) -> None:
    first, _ = promoted_twice(bench)
    before = target.manifest("1.0-2")
    images = [before.digest, *(member.digest for member in before.manifests)]
    theirs = [referrer.digest for image in images for referrer in referrers.referrers(target, image)]
    theirs += [target.head(signature_tag(image)) for image in images]
    assert all(target.head(digest) for digest in theirs)
    (result,) = bench.unpromote("hello-1.0-2", delete=True)
    assert result.error == ""
    assert [digest for digest in theirs if target.head(digest)] == []
    assert [tag for tag in target.tags() if any(image.replace(":", "-") in tag for image in images)] == []
    assert verified(bench, target, first.image.digest).status == SIGNED


def test_no_tag_moves_back_to_an_unsigned_image(hub: Hub, bench: Bench, target: Repository) -> None:
    first, second = (bench.build(f"hello-1.0-{release}", layers=1) for release in (1, 2))
    assert bench.promote(first)[0].succeeded
    required = signing_bench(bench, bench.site.signing, sign=True)
    assert required.promote(second)[0].succeeded
    (refused,) = required.unpromote("hello-1.0-2")
    assert refused.state == "refused"
    assert refused.error.endswith("(hello-1.0-1), to which tags would be moved, is unsigned")
    assert refused.solution == "sign it: fedpkg-container-registry promote --to stable hello-1.0-1"
    assert target.head("latest") == second.image.digest
    assert required.promote(first)[0].succeeded
    assert target.head("latest") == second.image.digest
    assert required.unpromote("hello-1.0-2")[0].succeeded
    assert target.head("latest") == first.image.digest


@on_both
def test_mirror_has_the_signatures(hub: Hub, bench: Bench, target: Repository) -> None:
    candidate = bench.build(layers=1)
    assert bench.promote(candidate, sign=True)[0].succeeded
    tree = bench.directory / "tree"
    assert mirror(hub.server.address, hub.reached, Options(tree, repositories=(NAME,))).errors == []
    blobs = {path.name for path in (tree / "v2" / NAME / "blobs").iterdir()}
    for image in (candidate.image.digest, *(member.digest for member in target.manifest("1.0-1").manifests)):
        manifests = [target.manifest(each.digest) for each in referrers.referrers(target, image)]
        manifests.append(target.manifest(signature_tag(image)))
        assert {blob.digest for manifest in manifests for blob in manifest.blobs} <= blobs


@on_both
def test_prune_of_signed_candidates(hub: Hub, bench: Bench, tmp_path: Path) -> None:
    """Signatures that another program made in the candidate registry are deleted with their image, or kept with it."""
    site = pruning.site_of(tmp_path, hub.server.address)
    site = replace(site, candidates=replace(site.candidates, access=hub.reached))
    with Registry(hub.reached).http(hub.server.address) as http:
        repository = Repository(http, "hello")
        old_tag = pruning.stamp(90)
        for name, tag in (("old", old_tag), ("kept", "1.0-1")):
            pruning.build(repository, name, tag)
            image = repository.head(tag)
            add_bundle(repository, image)
            add_tagged(repository, image, "x/hello")
        old, kept = repository.head(old_tag), repository.head("1.0-1")
        theirs = {
            image: [*(each.digest for each in referrers.referrers(repository, image)),
                    repository.head(signature_tag(image))]
            for image in (old, kept)
        }  # fmt: skip
        report = Pruner(site, ToldRecords(), pruning.DELETE).run()
        assert not report.failed
        assert [repository.head(digest) for digest in (old, *theirs[old])] == [""] * (len(theirs[old]) + 1)
        assert all(repository.head(digest) for digest in (kept, *theirs[kept]))


def test_catalog_shows_the_signatures(hub: Hub, bench: Bench, target: Repository) -> None:
    candidate = bench.build(layers=1, arches=("amd64",), artifacts=False)
    assert bench.promote(candidate, sign=True)[0].succeeded
    (facts,) = read_repository(target, {}, refresh=False).images.values()
    assert sorted(each.kind for each in facts.signatures) == [
        "application/vnd.dev.sigstore.bundle.v0.3+json"] * 2 + ["cosign.sig"] * 2  # fmt: skip


def test_tag_with_something_else(hub: Hub, bench: Bench, target: Repository) -> None:
    hub.stored()
    index = index_of(target)
    target.put_manifest(signature_tag(index.digest), index)
    with pytest.raises(RegistryError, match="is not a list of signatures, but has the media type"):
        add_tagged(target, index.digest, "x")
    assert verified(bench, target, index.digest).status == UNSIGNED


def test_two_promotions_at_once_sign_once(hub: Hub, bench: Bench, target: Repository) -> None:
    candidate = bench.build(layers=1, arches=("amd64",), artifacts=False)
    with ThreadPoolExecutor(3) as pool:
        results = [result for (result,) in pool.map(lambda _: bench.promote(candidate, sign=True), range(3))]
    assert [result.error for result in results] == [""] * 3
    assert sorted(len(result.signed) for result in results) == [0, 0, 2]
    for image in (candidate.image.digest, target.manifest("1.0-1").manifests[0].digest):
        assert [each.format for each in read_signatures(target, image, BOTH)] == ["bundle", "tag"]
