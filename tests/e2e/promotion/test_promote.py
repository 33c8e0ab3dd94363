# SPDX-License-Identifier: GPL-2.0-or-later
"""promote with real registries: what is copied, mounted and refused, and idempotence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.model.koji_images import RejectedCandidate
from fedpkg_container.model.platforms import Platform
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.tagging import TagRules
from fedpkg_container.registry.referrers import Artifact, attach, referrers
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.memory_registry import memory_registry
from tests.support.promoting import Bench, accesses, cosign, make_site
from tests.support.registries import PASSWORD, access, docker_registry


@pytest.fixture(scope="module")
def other(directory: Path) -> Iterator[str]:
    with docker_registry(directory) as host:
        yield host


@pytest.fixture
def apart(directory: Path, one: str, other: str, bench: Bench) -> Bench:
    """Candidate and target in two registries."""
    target = replace(bench.site.target("stable"), registry=other)
    return Bench(bench.directory, replace(bench.site, targets={"stable": target}))


def log_of(directory: Path, host: str) -> Path:
    return directory / f"registry-{host.partition(':')[2]}.log"


def test_everything_is_copied_without_sending_within_a_registry(bench: Bench, directory: Path, one: str) -> None:
    candidate = bench.build(layers=3)
    before = len(accesses(log_of(directory, one)))
    (outcome,) = bench.promote(candidate)
    asked = accesses(log_of(directory, one))[before:]
    assert (outcome.state, outcome.error) == ("promoted", "")
    bench.assert_promoted(candidate)
    assert bench.tags(candidate) == dict.fromkeys(["1.0-1", "1.0", "latest"], candidate.image.digest)
    mounts = [status for method, path, status in asked if method == "POST" and "mount=" in path]
    # two arches of three layers and a configuration, and the files and the one configuration of four artifacts
    assert mounts == [201] * outcome.blobs.mounted
    assert (outcome.blobs.mounted, outcome.blobs.sent) == (2 * 4 + 4 + 1, 0)
    assert not [path for method, path, _ in asked if method in ("PUT", "PATCH") and "/blobs/" in path]
    assert not [path for method, path, _ in asked if method == "GET" and "/blobs/" in path], "no layer is read"


def test_children_are_stored_before_parents_and_tags_last(bench: Bench, directory: Path, one: str) -> None:
    candidate = bench.build()
    before = len(accesses(log_of(directory, one)))
    bench.promote(candidate)
    asked = accesses(log_of(directory, one))[before:]
    names = [path.rpartition("/")[2] for method, path, _ in asked if method == "PUT" and "/manifests/" in path]
    place = bench.place(candidate)
    with bench.http(one) as http:
        members = [each.digest for each in Repository(http, place.repository).manifest("1.0").manifests]
    assert all(names.index(each) < names.index(candidate.image.digest) for each in members)
    assert names[-3:] == ["1.0-1", "1.0", "latest"]


def test_blobs_are_sent_once_between_registries(apart: Bench, directory: Path, other: str) -> None:
    layer = b"a layer that both images have" * 100
    first, second = (apart.build(f"{name}-1.0-1", name, shared=[layer]) for name in ("hello", "world"))
    outcomes = apart.promote(first, second)
    assert [(each.state, each.error) for each in outcomes] == [("promoted", "")] * 2
    for each in (first, second):
        apart.assert_promoted(each)
    # the shared layer, and what artifacts have for a configuration, are sent once and mounted in the other repository
    assert sum(each.blobs.mounted for each in outcomes) >= 2
    (again,) = apart.promote(first)
    assert (again.state, again.manifests) == ("unchanged", [])


def test_blobs_of_the_base_image_are_not_sent_again(apart: Bench) -> None:
    layer = b"a layer of the base" * 100
    base = apart.build("base-1-1", "base", shared=[layer], layers=0, artifacts=False)
    apart.promote(base)
    candidate = replace(apart.build("web-1-1", "web", shared=[layer], artifacts=False), parents=(base.image,))
    (outcome,) = apart.promote(candidate)
    assert outcome.blobs.mounted == 1, "in another run, by what Koji knows of the parents"
    apart.assert_promoted(candidate)


def test_repeating_changes_nothing_with_few_requests(bench: Bench, directory: Path, one: str) -> None:
    candidate = bench.build()
    bench.promote(candidate)
    record = (bench.directory / "promotions.jsonl").read_bytes()
    before = len(accesses(log_of(directory, one)))
    (outcome,) = bench.promote(candidate)
    asked = accesses(log_of(directory, one))[before:]
    assert outcome.state == "unchanged"
    assert {each.what for each in outcome.tags} == {"already"}
    assert {method for method, _, _ in asked} == {"GET", "HEAD"}
    assert not [path for _, path, _ in asked if "/blobs/" in path]
    assert (bench.directory / "promotions.jsonl").read_bytes() == record


def test_later_signature_is_copied_when_repeated(bench: Bench, one: str) -> None:
    candidate = bench.build()
    bench.promote(candidate)
    with bench.http(one) as http:
        source, target = (Repository(http, each.repository) for each in (candidate.image, bench.place(candidate)))
        attach(target, candidate.image.digest, Artifact("application/x-of-the-target", "x", b"theirs", "2026"))
        attach(source, candidate.image.digest, Artifact("application/x-late", "x", b"late", "2026"))
        (outcome,) = bench.promote(candidate)
        kinds = {each.artifact_type for each in referrers(target, candidate.image.digest)}
    assert (outcome.state, len(outcome.manifests)) == ("promoted", 1)
    assert {"application/x-late", "application/x-of-the-target"} < kinds, "what others have listed stays"


@pytest.mark.parametrize("direction", ["to", "from"])
def test_referrers_between_registries_with_and_without_api(
    direction: str, directory: Path, one: str, tmp_path: Path
) -> None:
    """One has the referrers API and requires tokens; the other has a referrers index under a tag."""
    with memory_registry(directory) as server:
        own = tmp_path / "own"
        own.mkdir()
        (own / "pki").symlink_to(directory / "pki")
        reached = access(own, server.address, password=PASSWORD)
        hosts = (one, server.address) if direction == "to" else (server.address, one)
        name = f"hello-{direction}"
        bench = Bench(tmp_path, make_site(tmp_path, *hosts, access=reached, prefix=""))
        candidate = bench.build(f"{name}-1.0-1", name)
        (outcome,) = bench.promote(candidate)
        assert (outcome.state, outcome.error, outcome.artifacts) == ("promoted", "", 4)
        bench.assert_promoted(candidate)
        assert len(bench.contents(bench.place(candidate), candidate.image.digest)) == 1 + 2 * 4 + 4 * 2 + 1
        fallbacks = [each for each in server[name].manifests if each.startswith("sha256-")]
        assert fallbacks == [], "a registry that lists referrers itself gets no list under a tag"
        (again,) = bench.promote(candidate)
        assert again.state == "unchanged"


def test_floating_tags_move_to_newer_builds_only(bench: Bench) -> None:
    old, new, other = (bench.build(f"hello-{each}") for each in ("1.9-2", "1.10-1", "1.9-3"))
    assert [each.what for each in bench.promote(old)[0].tags] == ["set", "set", "set"]
    assert [each.what for each in bench.promote(new)[0].tags] == ["set", "set", "set"]
    (outcome,) = bench.promote(other)
    assert [(each.tag, each.what) for each in outcome.tags] == [("1.9-3", "set"), ("1.9", "set"), ("latest", "kept")]
    assert outcome.tags[2].why == "it belongs to hello-1.10-1, which is newer"
    assert outcome.succeeded
    assert bench.tags(old)["latest"] == new.image.digest
    (outcome,) = bench.promote(other, rules=TagRules(downgrade=True))
    assert [(each.tag, each.what) for each in outcome.tags][2] == ("latest", "set")
    assert bench.tags(old)["latest"] == other.image.digest


@pytest.mark.parametrize("recorded", [True, False])
def test_build_of_a_tag_is_known_from_labels_without_journal(bench: Bench, recorded: bool) -> None:
    new, old = bench.build("hello-2-1"), bench.build("hello-1-1")
    bench.promote(new)
    if not recorded:
        (bench.directory / "promotions.jsonl").unlink()
    (outcome,) = bench.promote(old)
    assert [each.what for each in outcome.tags] == ["set", "set", "kept"]


def test_labels_are_not_read_if_the_journal_has_the_build(bench: Bench) -> None:
    """Labels of an imported base image are different or missing."""
    new, old = bench.build("hello-2-1", labels={}), bench.build("hello-1-1", labels={})
    bench.promote(new)
    assert [each.what for each in bench.promote(old)[0].tags] == ["set", "set", "kept"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({}, "is an image of an unknown build"),
        ({"com.redhat.component": "other", "version": "1", "release": "1"}, r"is an image of other \(other-1-1\)"),
        ({"com.redhat.component": "o\x1b[2J", "version": "1\n", "release": "1"}, r"is an image of o\ufffd\[2J \("),
        ({"com.redhat.component": 7, "version": [], "release": "1"}, "is an image of an unknown build"),
        ([], "is an image of an unknown build"),
    ],
)
def test_tag_of_another_component_is_refused(labels: object, said: str, bench: Bench) -> None:
    strange, candidate = bench.build("strange-1-1", labels=labels), bench.build("hello-2-1")
    bench.promote(strange)
    (bench.directory / "promotions.jsonl").unlink()
    (outcome,) = bench.promote(candidate)
    assert outcome.state == "refused"
    assert re.search(f"latest {said}", outcome.error)
    assert "--replace" in outcome.solution
    assert "2-1" not in bench.tags(candidate), "nothing of it is set"
    (outcome,) = bench.promote(candidate, rules=TagRules(replace=True))
    assert outcome.state == "promoted"
    assert bench.tags(candidate)["latest"] == candidate.image.digest


def test_release_tag_is_never_moved(bench: Bench) -> None:
    first, second = bench.build(), bench.build()
    bench.promote(first)
    (outcome,) = bench.promote(second, rules=TagRules(downgrade=True, replace=True))
    assert (outcome.state, outcome.manifests) == ("refused", ())
    assert "1.0-1 exists with another image" in outcome.error
    assert set(bench.tags(first).values()) == {first.image.digest}


def test_characters_invalid_in_tags(bench: Bench) -> None:
    candidate = bench.build("hello-1.0~rc1^git+1-2.fc42")
    bench.promote(candidate)
    assert set(bench.tags(candidate)) == {"1.0_rc1_git_1-2.fc42", "1.0_rc1_git_1", "latest"}


def test_refusals_do_not_stop_the_other_builds(bench: Bench) -> None:
    good = bench.build()
    untagged = replace(good, koji_tags=())
    elsewhere = replace(good, koji_tags=("f42-container-candidate",))
    foreign = replace(good, image=replace(good.image, registry="old.example.org"))
    none = RejectedCandidate("gone-1-1", "the hub has no build gone-1-1", "check")
    outcomes = bench.promote(untagged, elsewhere, foreign, none, good)
    assert [each.state for each in outcomes] == ["refused"] * 4 + ["promoted"]
    assert "it is in no Koji tag" in outcomes[0].error
    assert "target 'stable' does not accept" in outcomes[1].error
    assert "TAG matching *-container-updates" in outcomes[1].solution
    assert "recorded at old.example.org, not in the candidate registry" in outcomes[2].error
    assert outcomes[3].error == "the hub has no build gone-1-1"


def test_missing_image(bench: Bench) -> None:
    candidate = bench.build()
    gone = replace(candidate, image=candidate.image.at("sha256:" + "0" * 64))
    (outcome,) = bench.promote(gone)
    assert outcome.state == "failed"
    assert "sha256:0000" in outcome.error
    assert bench.tags(candidate) == {}


def test_dry_run_changes_nothing(bench: Bench, directory: Path, one: str) -> None:
    candidate = bench.build()
    before = len(accesses(log_of(directory, one)))
    (outcome,) = bench.promote(candidate, dry_run=True)
    asked = accesses(log_of(directory, one))[before:]
    assert outcome.state == "planned"
    assert {method for method, _, _ in asked} == {"GET", "HEAD"}
    assert not (bench.directory / "promotions.jsonl").exists()
    (done,) = bench.promote(candidate)
    assert (outcome.manifests, outcome.blobs, outcome.tags) == (done.manifests, done.blobs, done.tags)
    (outcome,) = bench.promote(candidate, dry_run=True)
    assert outcome.state == "unchanged"


def test_journal_entries(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "releng")
    candidate = bench.build()
    bench.promote(candidate)
    begun, done = Journal(bench.site.journal).entries()
    assert (begun.state, done.state, begun.id) == ("begun", "done", done.id)
    assert (done.nvr, done.digest, done.source) == ("hello-1.0-1", candidate.image.digest, str(candidate.image))
    assert done.repository == str(bench.place(candidate))
    assert {tag: move.before for tag, move in done.tags.items()} == {"1.0-1": "", "1.0": "", "latest": ""}
    assert done.author.startswith("releng@")


def test_recorded_floating_tags(bench: Bench) -> None:
    target = replace(bench.site.target("stable"), floating=("recorded", "version"))
    bench.site = replace(bench.site, targets={"stable": target})
    candidate = replace(bench.build(), floating=("f42", "rawhide"))
    (outcome,) = bench.promote(candidate)
    assert [each.tag for each in outcome.tags] == ["1.0-1", "f42", "rawhide", "1.0"]


def test_target_in_the_candidate_repository(bench: Bench, one: str) -> None:
    bench.site = replace(bench.site, targets={"stable": replace(bench.site.target("stable"), prefix="")})
    candidate = bench.build("own-1-1", bench.directory.name.replace("_", "-").lower())
    (outcome,) = bench.promote(candidate)
    assert (outcome.state, outcome.manifests) == ("promoted", [])
    assert set(bench.tags(candidate)) == {"1-1", "1", "latest"}


def test_single_image_without_index(bench: Bench, one: str) -> None:
    candidate = bench.build()
    with bench.http(one) as http:
        (member, _) = Repository(http, "hello").manifest(candidate.image.digest).manifests
    single = replace(candidate, image=candidate.image.at(member.digest))
    (outcome,) = bench.promote(single)
    assert (outcome.state, len(outcome.manifests)) == ("promoted", 2)
    bench.assert_promoted(single)


def test_skopeo_reads_the_promoted_image(bench: Bench) -> None:
    candidate = bench.build()
    bench.promote(candidate)
    registry = Registry(bench.site.candidates.access)
    assert registry.manifest(bench.place(candidate).tagged("latest")).digest == candidate.image.digest
    settings = registry.configuration(bench.place(candidate).tagged("1.0-1"), Platform("arm64"))
    assert settings["config"]["Labels"]["com.redhat.component"] == "hello"


@pytest.mark.parametrize("where", [pytest.param("bench", marks=pytest.mark.slow), "apart"])
def test_cosign_tags_are_copied(where: str, request: pytest.FixtureRequest) -> None:
    bench: Bench = request.getfixturevalue(where)
    candidate, unsigned = bench.build(), bench.build("hello-0.9-1")
    digest = candidate.image.digest
    place = bench.place(candidate)
    with bench.http(candidate.image.registry) as http, bench.http(place.registry) as there:
        source, target = Repository(http, candidate.image.repository), Repository(there, place.repository)
        member = source.manifest(digest).manifests[0].digest
        tags = [cosign(source, digest, b"one"), cosign(source, member, b"claims", ending="att")]
        (outcome,) = bench.promote(candidate)
        assert (outcome.state, outcome.artifacts) == ("promoted", 4 + 2)
        assert [target.head(tag) for tag in tags] == [source.head(tag) for tag in tags]
        assert [target.blob(each) for each in target.manifest(tags[0]).blobs] == [b"{}", b"one"]
        (again,) = bench.promote(candidate)
        assert (again.state, again.manifests, again.artifacts) == ("unchanged", [], 4 + 2)
        cosign(source, digest, b"one", b"two")
        (signed_again,) = bench.promote(candidate)
        assert (signed_again.state, len(signed_again.manifests)) == ("promoted", 1)
        assert target.head(tags[0]) == source.head(tags[0])
        bench.promote(unsigned)
        assert {tag for tag in target.tags() if tag.endswith((".sig", ".att"))} == set(tags)


@pytest.mark.parametrize("ending", ["sig", "att"])
def test_signatures_of_both_sides_are_merged(ending: str, bench: Bench) -> None:
    candidate = bench.build(layers=1)
    place = bench.place(candidate)
    bench.promote(candidate)
    with bench.http(place.registry) as http:
        source, target = Repository(http, candidate.image.repository), Repository(http, place.repository)
        tag = cosign(target, candidate.image.digest, b"of the release engineers", ending=ending)
        cosign(source, candidate.image.digest, b"of the builder", ending=ending)
        assert [bench.promote(candidate)[0].state for _ in range(2)] == ["promoted", "unchanged"]
        found = [target.blob(blob) for blob in target.manifest(tag).blobs[1:]]
    assert found == [b"of the release engineers", b"of the builder"]


def test_sbom_of_cosign_only_in_the_target_is_kept(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    candidate = bench.build(layers=1)
    place = bench.place(candidate)
    bench.promote(candidate)
    with bench.http(place.registry) as http:
        source, target = Repository(http, candidate.image.repository), Repository(http, place.repository)
        tag = cosign(target, candidate.image.digest, b"of the release engineers", ending="sbom")
        before = target.head(tag)
        cosign(source, candidate.image.digest, b"of the builder", ending="sbom")
        (outcome,) = bench.promote(candidate)
        assert (outcome.state, target.head(tag)) == ("unchanged", before)
    assert f"{tag} has contents that the candidate registry lacks" in caplog.text
