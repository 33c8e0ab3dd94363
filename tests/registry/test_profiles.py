# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verb on every kind of registry: it is done, or it is refused with what to set."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import referrers
from fedpkg_container.registry.catalog.run import Options as CatalogOptions
from fedpkg_container.registry.catalog.run import update_catalog
from fedpkg_container.registry.catalog.views import Labels, image_path
from fedpkg_container.registry.copy import put_image
from fedpkg_container.registry.mirror.options import Options
from fedpkg_container.registry.mirror.run import mirror
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, JournalEntry
from fedpkg_container.registry.promotion.listing import list_images
from fedpkg_container.registry.promotion.result import PromotionResult
from fedpkg_container.registry.pruning.pruner import Pruner
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.settings import FORMATS
from fedpkg_container.registry.signing.storage import read_signatures
from fedpkg_container.registry.signing.verification import SIGNED
from fedpkg_container.registry.skopeo import Registry
from tests.support import pruning
from tests.support.hubs import NAME, Hub
from tests.support.promoting import SIGNATURE, Bench
from tests.support.records import ToldRecords
from tests.support.registry_profiles import CASES, MOUNTS, PROFILES, VERBS, quick_cases
from tests.support.signing import key_files, signing_bench, verified

MakeHub = Callable[..., Hub]


def failure(results: list[PromotionResult]) -> str:
    """Return the message of a failed promotion; empty if it is done."""
    (result,) = results
    return f"{result.error}\n{result.solution}" if result.error else ""


def promote_two(hub: Hub) -> tuple[str, Candidate, Candidate]:
    """Promote two builds."""
    first = hub.bench.build("hello-1.0-1", arches=("amd64",), layers=1, artifacts=False)
    second = hub.bench.build("hello-1.0-2", layers=1)
    message = failure(hub.bench.promote(first))
    if not message:
        (result,) = hub.bench.promote(second)
        message = failure([result])
        cannot_list = [each for each in result.warnings if "cannot list the referrers of" in each]
        assert list(result.warnings) == cannot_list
        assert bool(cannot_list) == (hub.profile.takes_tags_for_digests and not message)
    return message, first, second


def promote(hub: Hub) -> str:
    """Promote two builds; everything must be there afterwards, and found by clients."""
    message, first, second = promote_two(hub)
    if message:
        return message
    assert hub.tags() == {
        "1.0-1": first.image.digest,
        "1.0-2": second.image.digest,
        "1.0": second.image.digest,
        "latest": second.image.digest,
    }
    held = hub.server[NAME]
    contents = hub.pushed(second)
    assert len(contents) >= 15, "an index, two images and three referrers of one layer, with blobs"
    assert {digest for digest in contents if digest not in held.manifests and digest not in held.blobs} == set()
    if not hub.profile.takes_tags_for_digests:
        assert hub.bench.contents(hub.bench.place(second), second.image.digest) == contents
    (again,) = hub.bench.promote(second)
    assert again.state == "unchanged"
    return ""


def stage_and_publish(hub: Hub) -> str:
    """Stage a build, export it to a mirror tree, and publish it."""
    candidate = hub.bench.build("hello-1.0-1", arches=("amd64",), layers=1)
    tree = hub.bench.directory / "tree"
    if message := failure(hub.bench.stage(candidate)):
        return message
    assert hub.bench.tags(candidate) == {}
    (waiting,) = hub.bench.publish(candidate, tree=tree)
    assert (waiting.state, hub.bench.tags(candidate)) == ("waiting", {})
    assert hub.bench.mirror(tree, repositories=(NAME,)).errors == []
    message = failure(hub.bench.publish(candidate, tree=tree))
    assert set(hub.bench.tags(candidate)) == {"1.0-1", "1.0", "latest"}
    assert hub.bench.stage(candidate)[0].state == "unchanged"
    return message


def promote_signed(hub: Hub) -> str:
    """Sign a build; every manifest has one signature in each format that clients can find, also after a repetition."""
    bench = signing_bench(hub.bench, key_files(hub.bench.directory).settings)
    candidate = bench.build(layers=1, arches=("amd64",), artifacts=False)
    (planned,) = bench.promote(candidate, dry_run=True, sign=True)
    (result,) = bench.promote(candidate, sign=True)
    if message := failure([result]):
        return message
    index = json.loads(hub.server[NAME].manifests[candidate.image.digest])
    images = [candidate.image.digest, *(member["digest"] for member in index["manifests"])]
    assert sorted(result.signed) == sorted(planned.signed) == sorted(images)
    lists = not hub.profile.takes_tags_for_digests
    before = dict(hub.server[NAME].manifests)
    (again,) = bench.promote(candidate, sign=True)
    assert (again.state, list(again.signed), hub.server[NAME].manifests) == ("unchanged", [], before)
    with Registry(hub.reached).http(hub.server.address) as http:
        repository = Repository(http, NAME)
        for image in images:
            found = [signature.format for signature in read_signatures(repository, image, FORMATS)]
            assert found == (["bundle", "tag"] if lists else ["tag"])
        assert verified(bench, repository, candidate.image.digest).status == SIGNED
    return ""


def list_target(hub: Hub) -> str:
    hub.stored()
    names = [] if hub.profile.catalog == 200 else ["hello"]
    listing = list_images(hub.bench.site, hub.bench.site.target("stable"), names)
    assert listing.errors == ()
    assert [(image.nvr, image.tags) for image in listing.images] == [("hello-1.0-1", ("1.0", "1.0-1", "latest"))]
    return ""


def mirror_target(hub: Hub) -> str:
    digest = hub.stored()
    names = ("*",) if hub.profile.catalog == 200 else (NAME,)
    tree = hub.bench.directory / "tree"
    summary = mirror(hub.server.address, hub.reached, Options(tree, repositories=names))
    assert summary.errors == []
    there = {path.name for path in (tree / "v2" / NAME / "blobs").iterdir()}
    with Registry(hub.reached).http(hub.server.address) as http:
        repository = Repository(http, NAME)
        wanted, pending = set[str](), [digest]
        while pending:
            manifest = repository.manifest(pending.pop())
            wanted |= {blob.digest for blob in manifest.blobs}
            found = [*manifest.manifests, *referrers.referrers(repository, manifest.digest)]
            pending += [member.digest for member in found]
    assert there >= wanted
    return ""


def catalog_target(hub: Hub) -> str:
    """Write the web site; without a list of repositories, those in the journal are shown."""
    digest, target, directory = hub.stored(), hub.bench.site.target("stable"), hub.bench.directory
    entry = JournalEntry.start(
        PROMOTE, target="stable", repository=f"{hub.server.address}/{NAME}", nvr="hello-1.0-1", digest=digest
    )
    journal = Journal(hub.bench.site.journal)
    journal.append(entry.done())
    labels = Labels("Images", target.registry)
    summary = update_catalog(target, CatalogOptions(directory / "site", labels, hub.bench.site.journal))
    assert (summary.errors, summary.repositories, summary.images) == ([], 1, 1)
    page = (directory / "site" / image_path(NAME, digest)).read_text()
    assert (SIGNATURE in page) == (not hub.profile.takes_tags_for_digests)
    return ""


def unpromote(hub: Hub, *, delete: bool = False) -> str:
    if message := promote_two(hub)[0]:
        return message
    digest = hub.server[NAME].manifests["1.0-2"]
    message = failure(hub.bench.unpromote("hello-1.0-2", delete=delete))
    tags = hub.server[NAME].manifests
    assert (tags["latest"] == tags["1.0-1"]) == (hub.profile.immutable == 0)
    if delete and not message:
        assert digest not in tags.values()
    return message


def unpromote_and_delete(hub: Hub) -> str:
    return unpromote(hub, delete=True)


def prune(hub: Hub) -> str:
    site = pruning.site_of(hub.bench.directory, hub.server.address)
    site = replace(site, candidates=replace(site.candidates, access=hub.reached))
    with Registry(hub.reached).http(hub.server.address) as http:
        pruning.build(Repository(http, "hello"), "old", pruning.stamp(90))
        pruning.build(Repository(http, "hello"), "kept", "1.0-1")
    report = Pruner(site, ToldRecords(), pruning.DELETE).run()
    if report.failed:
        return " ".join([*report.problems, *(image.result.problem for image in report.images)])
    assert [image.result.done for image in report.images] == [True]
    assert hub.server["hello"].tags[:1] == ["1.0-1"]
    return ""


def import_base(hub: Hub) -> str:
    """The requests of import-base around skopeo's copy: blobs and manifest, SBOM, tags."""
    candidate = hub.bench.build("base-42-1", "base", arches=("amd64",), artifacts=False)
    with hub.bench.http(candidate.image.registry) as own, Registry(hub.reached).http(hub.server.address) as http:
        source, target = Repository(own, "base"), Repository(http, "fedora")
        index = source.manifest(candidate.image.digest)
        image = source.manifest(index.manifests[0].digest)
        put_image(image.digest, image, target, lambda blob: io.BytesIO(source.blob(blob)))
        target.put_manifest(index.digest, index)
        referrers.attach(target, index.digest, pruning.SBOM)
        reference = ImageReference(hub.server.address, "fedora", digest=index.digest)
    Registry(hub.reached).set_tags(reference, ["42-1", "42"])
    assert {"42", "42-1"} <= set(hub.server["fedora"].tags)
    return ""


RUN: dict[str, Callable[[Hub], str]] = dict(
    zip(
        VERBS,
        (
            promote,
            stage_and_publish,
            promote_signed,
            list_target,
            mirror_target,
            catalog_target,
            unpromote,
            unpromote_and_delete,
            prune,
            import_base,
        ),
    )
)


QUICK_CASES = quick_cases()


@pytest.mark.parametrize(
    ("name", "verb"),
    [pytest.param(*case, id="-".join(case), marks=[] if case in QUICK_CASES else pytest.mark.slow) for case in CASES],
)
def test_verb_on_registry(name: str, verb: str, make_hub: MakeHub) -> None:
    hub = make_hub(name)
    try:
        message = RUN[verb](hub)
    except FedpkgContainerError as error:
        message = f"{error.reason}\n{error.solution}"
    expected = hub.profile.outcomes.get(verb, "")
    assert expected in message if expected else message == ""
    assert "hidden" not in json.dumps(message)


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.mount != MOUNTS])
def test_promotion_within_a_registry_that_does_not_mount(name: str, make_hub: MakeHub) -> None:
    hub = make_hub(name, late=0.0)
    site = hub.bench.site
    own = replace(site.candidates, registry=hub.server.address, access=hub.reached)
    bench = Bench(hub.bench.directory, replace(site, candidates=own))
    candidate = bench.build("hello-1.0-1")
    assert failure(bench.promote(candidate)) == ""
    held = hub.server[NAME]
    for digest in bench.contents(candidate.image, candidate.image.digest):
        assert digest in held.manifests or digest in held.blobs
