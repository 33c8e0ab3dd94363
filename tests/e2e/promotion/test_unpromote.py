# SPDX-License-Identifier: GPL-2.0-or-later
"""unpromote with a real registry: tags are moved back, and nothing shared with other tags is deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.manifests import MANIFEST_LIST, Manifest
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.listing import list_images
from fedpkg_container.registry.promotion.tagging import TagRules
from fedpkg_container.registry.referrers import Artifact, attach, fallback_tag
from fedpkg_container.registry.repository import Repository
from tests.support.promoting import Bench, cosign, make_site
from tests.support.registries import access, docker_registry


def test_tags_are_moved_back_to_the_previous_build(bench: Bench) -> None:
    builds = [bench.build(f"hello-{each}") for each in ("1-1", "1-2", "2-1")]
    bench.promote(builds[0])
    bench.promote(builds[1])
    bench.promote(builds[2])
    (outcome,) = bench.unpromote("hello-2-1", dry_run=True)
    assert (outcome.state, {each.tag: each.after for each in outcome.tags if each.what == "set"}) == (
        "planned", {"latest": builds[1].image.digest}
    )  # fmt: skip
    assert bench.tags(builds[0])["latest"] == builds[2].image.digest
    (outcome,) = bench.unpromote("hello-2-1")
    assert (outcome.state, outcome.succeeded) == ("unpromoted", False)
    assert "keeps the tags 2 of" in outcome.error, "nothing was 2 before"
    assert bench.tags(builds[0]) == {
        "1-1": builds[0].image.digest, "1-2": builds[1].image.digest, "2-1": builds[2].image.digest,
        "1": builds[1].image.digest, "2": builds[2].image.digest, "latest": builds[1].image.digest,
    }  # fmt: skip
    (outcome,) = bench.unpromote("hello-1-2")
    assert outcome.state == "unpromoted"
    assert bench.tags(builds[0])["latest"] == builds[0].image.digest
    (again,) = bench.unpromote("hello-1-2")
    assert (again.state, bench.promote(builds[1])[0].state) == ("unchanged", "promoted")


def test_unpromoted_build_is_not_restored(bench: Bench) -> None:
    builds = [bench.build(f"hello-1-{each}") for each in (1, 2, 3)]
    for each in builds:
        bench.promote(each)
    (outcome,) = bench.unpromote("hello-1-2")  # while a newer one has the tags
    assert outcome.state == "unchanged"
    assert bench.unpromote("hello-1-3")[0].state == "unpromoted"
    assert bench.tags(builds[0])["latest"] == builds[0].image.digest


def test_previous_build_does_not_exist_any_more(bench: Bench, one: str) -> None:
    builds = [bench.build(f"hello-1-{each}") for each in (1, 2, 3)]
    for each in builds:
        bench.promote(each)
    with bench.http(one) as http:
        Repository(http, bench.place(builds[1]).repository).delete_manifest(builds[1].image.digest)
    assert bench.unpromote("hello-1-3")[0].state == "unpromoted"
    assert bench.tags(builds[0])["latest"] == builds[0].image.digest


def test_tag_before_the_first_journal_entry(bench: Bench) -> None:
    old, new = bench.build("hello-1-1"), bench.build("hello-1-2")
    bench.promote(old)
    assert bench.site.journal
    bench.site.journal.unlink()
    bench.promote(new)
    assert bench.unpromote("hello-1-2")[0].state == "unpromoted"
    assert bench.tags(old)["latest"] == old.image.digest


def test_interrupted_promotion_is_reversed(bench: Bench) -> None:
    old, new = bench.build("hello-1-1"), bench.build("hello-1-2")
    bench.promote(old)
    bench.promote(new)
    assert bench.site.journal
    *lines, _ = bench.site.journal.read_bytes().splitlines(keepends=True)
    bench.site.journal.write_bytes(b"".join(lines))  # killed before it could record that it was done
    assert bench.unpromote("hello-1-2")[0].state == "unpromoted"
    assert {bench.tags(old)[tag] for tag in ("1", "latest")} == {old.image.digest}


def test_after_a_downgrade_tags_are_moved_back_to_the_newer_build(bench: Bench) -> None:
    old, new = bench.build("hello-1-1"), bench.build("hello-2-1")
    bench.promote(new)
    bench.promote(old, rules=TagRules(downgrade=True))
    bench.unpromote("hello-1-1")
    assert bench.tags(old)["latest"] == new.image.digest


def test_delete_includes_cosign_tags(bench: Bench, one: str) -> None:
    old, new = bench.build("hello-1-1"), bench.build("hello-1-2")
    with bench.http(one) as http:
        source = Repository(http, "hello")
        member = source.manifest(new.image.digest).manifests[0].digest
        stays = cosign(source, old.image.digest, b"one")
        goes = [cosign(source, new.image.digest, b"two"), cosign(source, member, b"three", ending="sbom")]
        bench.promote(old)
        bench.promote(new)
        assert {*goes, stays} <= set(bench.all_tags(new))
        assert bench.unpromote("hello-1-2", delete=True)[0].state == "unpromoted"
        left = {tag for tag in bench.all_tags(new) if tag.startswith("sha256-") and "." in tag}
        assert left == {stays}
        bench.assert_promoted(old)


def test_delete_keeps_what_other_tags_share(bench: Bench, one: str) -> None:
    """The second build has an arch in common with the first, and a signature of that arch."""
    first = bench.build("hello-1-1")
    with bench.http(one) as http:
        source = Repository(http, "hello")
        shared, own = (each.fields for each in source.manifest(first.image.digest).manifests)
        other = bench.build("hello-1-2", arches=["s390x"])
        (different,) = (each.fields for each in source.manifest(other.image.digest).manifests)
        content = {"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": [shared, different]}
        index = Manifest.of(content)
        source.put_manifest(index.digest, index)
        attach(source, index.digest, Artifact("application/x", "x", b"of the list", "2026"))
        second = replace(other, image=other.image.at(index.digest))
        bench.promote(first)
        bench.promote(second)
        (outcome,) = bench.unpromote("hello-1-2", delete=True)
        assert outcome.state == "unpromoted"
        target = Repository(http, bench.place(first).repository)
        assert outcome.deleted[0] == second.image.digest, "the image first: no client gets half of it"
        assert not any(target.head(each) for each in (index.digest, different["digest"], "1-2"))
        assert all(target.head(each["digest"]) for each in (shared, own))
        assert shared["digest"] in outcome.kept
        assert outcome.kept[shared["digest"]].startswith("also referenced by the tag 1")
        assert not target.head(fallback_tag(index.digest))
        assert target.head(fallback_tag(shared["digest"]))
    bench.assert_promoted(first)
    assert bench.tags(first) == dict.fromkeys(["1-1", "1", "latest"], first.image.digest)
    assert bench.unpromote("hello-1-2", delete=True)[0].state == "unchanged"
    assert bench.promote(second)[0].state == "promoted", "the candidate is still there"
    bench.assert_promoted(second)


@pytest.mark.parametrize("has_earlier", [False, True])
def test_image_with_missing_architecture_is_deleted_with_its_tags(bench: Bench, one: str, has_earlier: bool) -> None:
    """Promoting such an image is refused."""
    before = [bench.build("hello-1-0")] if has_earlier else []
    broken = bench.build("hello-1-1")
    for each in (*before, broken):
        bench.promote(each)
    with bench.http(one) as http:
        lost, other = (each.digest for each in Repository(http, "hello").manifest(broken.image.digest).manifests)
        target = Repository(http, bench.place(broken).repository)
        for place in (target, Repository(http, "hello")):
            place.delete_manifest(lost)
        assert bench.promote(broken)[0].state == "failed"
        (outcome,) = bench.unpromote("hello-1-1", delete=True)
        assert (outcome.state, outcome.error) == ("unpromoted", "")
        assert broken.image.digest in outcome.deleted
        assert lost not in outcome.deleted, "it was not there"
        gone = (broken.image.digest, other, "1-1", *map(fallback_tag, (broken.image.digest, lost, other)))
        assert not any(map(target.head, gone))
    assert bench.tags(broken) == {tag: each.image.digest for each in before for tag in ("1-0", "1", "latest")}
    assert bench.unpromote("hello-1-1", delete=True)[0].state == "unchanged"


def test_missing_nested_index(bench: Bench, one: str) -> None:
    inner = bench.build()
    with bench.http(one) as http:
        source = Repository(http, "hello")
        member = source.manifest(inner.image.digest).descriptor
        outer = Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": [member]})
        source.put_manifest(outer.digest, outer)
        nested = replace(inner, image=inner.image.at(outer.digest))
        assert bench.promote(nested)[0].state == "promoted"
        Repository(http, bench.place(nested).repository).delete_manifest(inner.image.digest)
    (outcome,) = bench.unpromote("hello-1.0-1", delete=True)
    assert (outcome.state, outcome.error) == ("unpromoted", "")
    assert bench.tags(nested) == {}


def test_first_build_can_only_be_deleted_with_its_tags(bench: Bench) -> None:
    only = bench.build()
    bench.promote(only)
    (outcome,) = bench.unpromote("hello-1.0-1")
    assert (outcome.state, "keeps the tags 1.0 latest of" in outcome.error) == ("unchanged", True)
    assert "--delete" in outcome.solution
    (outcome,) = bench.unpromote("hello-1.0-1", delete=True)
    assert [(each.tag, each.what) for each in outcome.tags] == [
        ("1.0", "removed"), ("1.0-1", "removed"), ("latest", "removed")
    ]  # fmt: skip
    assert bench.all_tags(only) == {}


def test_tags_not_set_by_promote_are_not_deleted(bench: Bench, one: str) -> None:
    old, new = bench.build("hello-1-1"), bench.build("hello-1-2")
    bench.promote(old)
    bench.promote(new)
    with bench.http(one) as http:
        target = Repository(http, bench.place(new).repository)
        target.put_manifest("gold", target.manifest(new.image.digest))
    (outcome,) = bench.unpromote("hello-1-2", delete=True)
    assert (outcome.state, outcome.deleted) == ("refused", ())
    assert "would be deleted with it: gold" in outcome.error
    assert bench.tags(old)["latest"] == new.image.digest, "nothing was moved either"
    (outcome,) = bench.unpromote("hello-1-2")
    assert outcome.state == "unpromoted"
    assert bench.tags(old)["gold"] == new.image.digest


def test_tags_of_another_target_are_kept(bench: Bench) -> None:
    """Two targets may share their repositories, with separate floating tags."""
    stable = bench.site.target("stable")
    testing = replace(bench.site.target("testing"), prefix=stable.prefix, koji_tags=stable.koji_tags)
    bench.site = replace(bench.site, targets={"stable": stable, "testing": testing})
    old, new = bench.build("hello-1-1"), bench.build("hello-1-2")
    for each in (old, new):
        bench.promote(each, to="testing")
        bench.promote(each)
    bench.unpromote("hello-1-2", to="testing")
    assert bench.tags(old)["testing"] == old.image.digest
    assert bench.tags(old)["latest"] == new.image.digest
    (outcome,) = bench.unpromote("hello-1-2", to="testing", delete=True)
    assert (outcome.state, "latest" in outcome.error) == ("refused", True)


def test_candidate_repository_is_not_deleted(bench: Bench) -> None:
    bench.site = replace(bench.site, targets={"stable": replace(bench.site.target("stable"), prefix="")})
    name = bench.directory.name.replace("_", "-").lower()
    candidate = bench.build(repository=name)
    bench.promote(candidate)
    (outcome,) = bench.unpromote("hello-1.0-1", delete=True)
    assert (outcome.state, "is in the candidate registry itself" in outcome.error) == ("refused", True)


def test_registry_with_deletion_disabled(bench: Bench, directory: Path) -> None:
    candidate = bench.build()
    with docker_registry(directory, delete=False) as host:
        target = replace(bench.site.target("stable"), registry=host)
        bench.site = replace(bench.site, targets={"stable": target})
        bench.promote(candidate)
        (outcome,) = bench.unpromote("hello-1.0-1", delete=True)
        assert (outcome.state, f"deletion is disabled on {host}" in outcome.error) == ("failed", True)
        assert "storage.delete.enabled" in outcome.solution
        bench.assert_promoted(candidate)


def test_two_builds_in_either_order(bench: Bench) -> None:
    builds = [bench.build(f"hello-1-{each}") for each in (1, 2, 3)]
    for each in builds:
        bench.promote(each)
    outcomes = bench.unpromote("hello-1-2", "hello-1-3", "gone-1-1", delete=True)
    assert [each.state for each in outcomes] == ["unpromoted", "unpromoted", "refused"]
    assert bench.tags(builds[0]) == dict.fromkeys(["1-1", "1", "latest"], builds[0].image.digest)
    bench.assert_promoted(builds[0])


def test_journal_entries(bench: Bench) -> None:
    old, new = bench.build("hello-1-1"), bench.build("hello-1-2")
    bench.promote(old)
    bench.promote(new)
    bench.unpromote("hello-1-2", delete=True)
    begun, done = Journal(bench.site.journal).entries()[-2:]
    assert (begun.what, begun.state, done.state, begun.id) == ("unpromote", "begun", "done", done.id)
    assert {tag: (move.before, move.after) for tag, move in done.tags.items()} == dict.fromkeys(
        ["1", "latest"], (new.image.digest, old.image.digest)
    )
    assert done.deleted[0] == new.image.digest
    (found,) = list_images(bench.site, bench.site.target("stable"), ["hello"]).images
    assert (found.nvr, found.tags) == ("hello-1-1", ("1", "1-1", "latest"))
    assert found.promoted and found.by


def test_without_journal(bench: Bench) -> None:
    bench.site = replace(bench.site, journal=None)
    with pytest.raises(ConfigurationError, match="no promotion journal is configured"):
        bench.unpromote("hello-1-1")


def test_read_only_registry(tmp_path: Path) -> None:
    """As docker-registry is configured for garbage collection."""
    with docker_registry(tmp_path) as host:
        bench = Bench(tmp_path, make_site(tmp_path, host, host, access=access(tmp_path)))
        first, second = bench.build("hello-1.0-1"), bench.build("hello-1.0-2")
        assert all(result.succeeded for result in (*bench.promote(first), *bench.promote(second)))
        third = bench.build("hello-1.0-3")
    port = int(host.rpartition(":")[2])
    with docker_registry(tmp_path, port=port, read_only=True):
        for (result,) in (
            bench.promote(third),
            bench.unpromote("hello-1.0-2"),
            bench.unpromote("hello-1.0-2", delete=True),
        ):
            assert f"{host} is read-only: " in result.error
            assert "storage.maintenance.readonly" in result.solution
        assert bench.promote(second)[0].state == "unchanged"
    with docker_registry(tmp_path, port=port):
        assert bench.promote(third)[0].succeeded
