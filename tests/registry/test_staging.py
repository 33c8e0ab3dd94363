# SPDX-License-Identifier: GPL-2.0-or-later
"""promote --stage and --publish: tags only when the mirror tree and the mirrors have all blobs."""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.registry.catalog.reader import read_repository
from fedpkg_container.registry.promotion import publish
from fedpkg_container.registry.promotion.history import RepositoryHistory
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, JournalEntry, TagMove
from fedpkg_container.registry.promotion.listing import list_images
from fedpkg_container.registry.promotion.result import PromotionResult
from fedpkg_container.registry.pruning.inventory import read_inventory
from fedpkg_container.registry.referrers import is_derived_tag, staged_tag
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.signals import interruptible
from tests.support.hubs import NAME, Hub
from tests.support.memory_registry import Fault
from tests.support.mirror_server import MirrorServer, mirror_server
from tests.support.promoting import cosign
from tests.support.waiting import PATIENCE

MakeHub = Callable[..., Hub]


@pytest.fixture
def hub(make_hub: MakeHub) -> Hub:
    return make_hub("docker-registry-2")


@pytest.fixture
def tree(hub: Hub) -> Path:
    return hub.bench.directory / "tree"


@pytest.fixture
def remote(hub: Hub) -> Iterator[MirrorServer]:
    """A mirror of the tree, still empty."""
    (hub.bench.directory / "remote").mkdir()
    with mirror_server(hub.bench.directory / "remote") as server:
        yield server


def build(hub: Hub, nvr: str = "hello-1.0-1") -> Candidate:
    """Push a small build to the candidate registry."""
    return hub.bench.build(nvr, arches=("amd64",), layers=1)


def history(hub: Hub) -> RepositoryHistory:
    return Journal(hub.bench.site.journal).history(f"{hub.server.address}/{NAME}")


def lines(hub: Hub) -> int:
    """Number of lines in the journal."""
    assert hub.bench.site.journal
    return len(hub.bench.site.journal.read_text().splitlines())


def synchronize(tree: Path, remote: MirrorServer) -> None:
    """Copy the tree to the mirror, as rsync does."""
    shutil.copytree(tree / "v2", remote.root / "v2", dirs_exist_ok=True)


def test_staging_sets_only_the_tag_of_a_staged_image(hub: Hub) -> None:
    candidate = build(hub)
    (result,) = hub.bench.stage(candidate)
    digest = candidate.image.digest
    assert (result.state, [change.tag for change in result.tags]) == ("staged", [staged_tag(digest)])
    assert {tag: head for tag, head in hub.bench.all_tags(candidate).items() if tag.endswith(".staged")} == {
        staged_tag(digest): digest
    }
    assert hub.bench.tags(candidate) == {}
    hub.bench.assert_promoted(candidate)
    known = history(hub)
    assert (known.builds, set(known.staged), known.unfinished) == ({digest: "hello-1.0-1"}, {digest}, {})
    assert not known.promoted.get(digest)
    before = lines(hub)
    assert hub.bench.stage(candidate)[0].state == "unchanged"
    assert lines(hub) == before


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_tag_of_a_staged_image_is_valid(algorithm: str) -> None:
    tag = staged_tag(f"{algorithm}:" + "a" * {"sha256": 64, "sha384": 96, "sha512": 128}[algorithm])
    assert len(tag) <= 128
    assert is_derived_tag(tag)


def test_dry_run_stages_nothing(hub: Hub) -> None:
    candidate = build(hub)
    assert hub.bench.stage(candidate, dry_run=True)[0].state == "planned"
    assert hub.server[NAME].manifests == {}


def test_staged_build_is_not_shown(hub: Hub, tree: Path) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    assert list_images(hub.bench.site, hub.bench.site.target("stable"), []).images == ()
    with Registry(hub.reached).http(hub.server.address) as http:
        assert read_repository(Repository(http, NAME), {}, refresh=False).images == {}
    hub.bench.promote(candidate)
    with Registry(hub.reached).http(hub.server.address) as http:
        contents = read_repository(Repository(http, NAME), {}, refresh=False)
    (facts,) = contents.images.values()
    assert not [each for each in facts.referrers if "staged" in each.kind]
    summary = hub.bench.mirror(tree, dry_run=True, archives=True)
    assert [note for note in summary.notes if "staged" in note] == []


def test_staged_builds_are_listed_on_request(hub: Hub) -> None:
    published, staged = build(hub, "hello-1.0-1"), build(hub, "hello-1.0-2")
    hub.bench.stage(published, staged)
    hub.bench.promote(published)
    target = hub.bench.site.target("stable")
    (image,) = list_images(hub.bench.site, target, ["hello"], staged=True).images
    assert (image.nvr, image.tags) == ("hello-1.0-2", (staged_tag(staged.image.digest),))
    assert image.promoted == history(hub).staged[staged.image.digest]["stable"].time
    (image,) = list_images(hub.bench.site, target, ["hello"]).images
    assert image.nvr == "hello-1.0-1"
    hub.bench.promote(staged)
    assert list_images(hub.bench.site, target, ["hello"], staged=True).images == ()


def test_pruning_keeps_a_staged_image(hub: Hub) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    with Registry(hub.reached).http(hub.server.address) as http:
        inventory = read_inventory(Repository(http, NAME))
    assert candidate.image.digest in inventory.roots


def test_mirror_exports_a_staged_build_that_the_journal_names(hub: Hub, tree: Path) -> None:
    hub.bench.promote(hub.bench.build("other-1-1", "other", layers=1))
    assert hub.bench.mirror(tree).errors == []
    candidate = build(hub)
    hub.bench.stage(candidate)
    before = hub.server.asked("/tags/list")
    summary = hub.bench.mirror(tree)
    assert (summary.errors, hub.server.asked("/tags/list") - before) == ([], 1)
    (result,) = hub.bench.publish(candidate, tree=tree)
    assert (result.state, result.error) == ("promoted", "")


def test_signature_added_after_staging_is_exported(hub: Hub, tree: Path) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    hub.bench.mirror(tree)
    with hub.bench.http(candidate.image.registry) as http:
        cosign(Repository(http, "hello"), candidate.image.digest, b"signed later")
    assert hub.bench.stage(candidate)[0].state == "staged"
    (waiting,) = hub.bench.publish(candidate, tree=tree)
    assert waiting.state == "waiting", "the signature's blobs are fetched by clients too"
    hub.bench.mirror(tree)
    assert hub.bench.publish(candidate, tree=tree)[0].state == "promoted"


def test_publication_waits_for_the_tree(hub: Hub, tree: Path) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    tree.mkdir()
    before = lines(hub)
    (result,) = hub.bench.publish(candidate, tree=tree)
    assert (result.state, result.exit_code, hub.bench.tags(candidate), lines(hub)) == ("waiting", 9, {}, before)
    blobs = set(hub.server[NAME].blobs)
    assert result.missing == {str(tree): dict.fromkeys(result.missing[str(tree)], "not exported yet")}
    assert set(result.missing[str(tree)]) == blobs
    assert f"{len(blobs)} of {len(blobs)} blobs in {tree}" in result.error
    hub.bench.mirror(tree)
    assert hub.bench.publish(candidate, tree=tree, dry_run=True)[0].state == "planned"
    assert hub.bench.tags(candidate) == {}
    (result,) = hub.bench.publish(candidate, tree=tree)
    assert (result.state, result.missing) == ("promoted", {})
    assert set(hub.bench.tags(candidate).values()) == {candidate.image.digest}
    assert set(history(hub).promoted[candidate.image.digest]) == {"stable"}
    before = lines(hub)
    assert hub.bench.publish(candidate, tree=tree)[0].state == "unchanged"
    assert lines(hub) == before


@pytest.mark.parametrize("damage", ["absent", "truncated", "link"])
def test_incomplete_file_in_the_tree(hub: Hub, tree: Path, damage: str) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    hub.bench.mirror(tree)
    path = max((tree / "v2" / NAME / "blobs").iterdir(), key=lambda each: each.stat().st_size)
    if damage == "truncated":
        os.truncate(path, 10)
    else:
        path.unlink()
    if damage == "link":
        path.symlink_to("elsewhere")
    (result,) = hub.bench.publish(candidate, tree=tree)
    assert {place: set(reasons) for place, reasons in result.missing.items()} == {str(tree): {path.name}}


def test_tree_that_cannot_be_read(hub: Hub, tree: Path) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    tree.mkdir()
    (tree / "v2").touch()
    (result,) = hub.bench.publish(candidate, tree=tree)
    assert (result.state, "mirror tree cannot be read" in result.error) == ("failed", True)


def test_publication_waits_for_mirrors(hub: Hub, tree: Path, remote: MirrorServer) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    tree.mkdir()
    hub.bench.publish(candidate, tree=tree, mirrors=[remote.url])
    assert remote.seen == [], "a CDN would remember for long that it lacks what the tree lacks"
    hub.bench.mirror(tree)
    (result,) = hub.bench.publish(candidate, tree=tree, mirrors=[remote.url])
    assert (result.state, list(result.missing), hub.bench.tags(candidate)) == ("waiting", [remote.url], {})
    assert set(result.missing[remote.url].values()) == {"HTTP 404"}
    synchronize(tree, remote)
    assert hub.bench.publish(candidate, tree=tree, mirrors=[remote.url])[0].state == "promoted"
    assert {method for method, _, _ in remote.seen} == {"HEAD"}


def test_only_mirrors_are_checked_without_a_tree(hub: Hub, tree: Path, remote: MirrorServer) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    (result,) = hub.bench.publish(candidate, tree=None, mirrors=[remote.url])
    assert (result.state, list(result.missing)) == ("waiting", [remote.url])
    hub.bench.mirror(tree)
    synchronize(tree, remote)
    assert hub.bench.publish(candidate, tree=None, mirrors=[remote.url])[0].state == "promoted"


def test_waiting_ends_when_mirrors_are_complete(
    hub: Hub, tree: Path, remote: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One build is published at once, another when the mirror has fetched its blobs; a known one is not requested."""
    monkeypatch.setattr(publish, "FIRST_PAUSE", 0.01)
    ready, late = build(hub, "hello-1.0-1"), build(hub, "hello-1.0-2")
    hub.bench.stage(ready)
    hub.bench.mirror(tree)
    synchronize(tree, remote)
    hub.bench.stage(late)
    hub.bench.mirror(tree)
    rounds: list[list[str]] = []
    first: list[str] = []

    def on_wait(results: Sequence[PromotionResult]) -> None:
        rounds.append([result.nvr for result in results])
        assert set(hub.bench.tags(ready)) == {"1.0-1", "1.0", "latest"}
        if len(rounds) == 1:
            path = f"v2/{NAME}/blobs/{next(iter(results[0].missing[remote.url]))}"
            shutil.copy(tree / path, remote.root / path)
            first.append(f"/{path}")
        else:
            synchronize(tree, remote)

    results = hub.bench.publish(late, ready, tree=tree, mirrors=[remote.url], wait=60, on_wait=on_wait)
    assert [(result.nvr, result.state) for result in results] == [
        ("hello-1.0-2", "promoted"),
        ("hello-1.0-1", "promoted"),
    ]
    assert rounds == [["hello-1.0-2"]] * 2
    counts = collections.Counter(path for _, path, _ in remote.seen)
    assert counts.pop(first[0]) == 2, "it was not requested again"
    assert set(counts.values()) >= {1, 3}


def test_waiting_ends_at_the_deadline(hub: Hub, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "FIRST_PAUSE", 0.01)
    candidate = build(hub)
    hub.bench.stage(candidate)
    tree.mkdir()
    rounds: list[int] = []
    (result,) = hub.bench.publish(candidate, tree=tree, wait=0.05, on_wait=lambda results: rounds.append(len(results)))
    assert (result.state, set(rounds)) == ("waiting", {1})
    rounds.clear()
    hub.bench.publish(candidate, tree=tree, wait=60, dry_run=True, on_wait=lambda results: rounds.append(len(results)))
    assert rounds == []


def test_signal_ends_waiting(hub: Hub, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "FIRST_PAUSE", 2 * PATIENCE)
    candidate = build(hub)
    hub.bench.stage(candidate)
    tree.mkdir()

    def on_wait(_: object) -> None:
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM]).start()

    with interruptible(), pytest.raises(KeyboardInterrupt):
        hub.bench.publish(candidate, tree=tree, wait=4 * PATIENCE, on_wait=on_wait)
    assert hub.bench.tags(candidate) == {}


def test_build_that_is_not_staged_is_refused(hub: Hub, tree: Path) -> None:
    candidate = build(hub)
    (result,) = hub.bench.publish(candidate, tree=tree)
    assert (result.state, "is not staged" in result.error) == ("refused", True)
    assert "promote --stage --to stable hello-1.0-1" in result.solution


def test_incomplete_staged_image_is_refused(hub: Hub, tree: Path) -> None:
    """As after a garbage collection that deletes the members of image indexes."""
    candidate = build(hub)
    hub.bench.stage(candidate)
    hub.bench.mirror(tree)
    with hub.bench.http(candidate.image.registry) as http:
        member = Repository(http, "hello").manifest(candidate.image.digest).manifests[0].digest
    del hub.server[NAME].manifests[member]
    (result,) = hub.bench.publish(candidate, tree=tree)
    assert (result.state, "is incomplete" in result.error, hub.bench.tags(candidate)) == ("refused", True, {})
    assert hub.bench.stage(candidate)[0].state == "staged"
    assert hub.bench.publish(candidate, tree=tree)[0].state == "promoted"


def test_staged_build_can_be_withdrawn(hub: Hub) -> None:
    candidate = build(hub)
    hub.bench.stage(candidate)
    (result,) = hub.bench.unpromote("hello-1.0-1")
    assert (result.state, result.error) == ("unchanged", "")
    (result,) = hub.bench.unpromote("hello-1.0-1", delete=True)
    assert (result.state, result.error) == ("unpromoted", "")
    assert hub.server[NAME].manifests == {}
    assert not history(hub).staged.get(candidate.image.digest)
    assert hub.bench.stage(candidate)[0].state == "staged"


def test_deletion_keeps_what_another_staged_image_shares(hub: Hub) -> None:
    """The member of a published index that is staged itself."""
    candidate = hub.bench.build(arches=("amd64",))
    with hub.bench.http(candidate.image.registry) as http:
        member = Repository(http, "hello").manifest(candidate.image.digest).manifests[0].digest
    single = replace(candidate, nvr=replace(candidate.nvr, release="2"), image=replace(candidate.image, digest=member))
    hub.bench.promote(candidate)
    hub.bench.stage(single)
    (result,) = hub.bench.unpromote("hello-1.0-1", delete=True)
    assert result.state == "unpromoted"
    assert staged_tag(member) in hub.server[NAME].manifests
    assert member in result.kept


def test_published_build_is_taken_back_to_the_one_before(hub: Hub, tree: Path) -> None:
    first, second = build(hub, "hello-1.0-1"), build(hub, "hello-1.0-2")
    for candidate in (first, second):
        hub.bench.stage(candidate)
        hub.bench.mirror(tree)
        assert hub.bench.publish(candidate, tree=tree)[0].state == "promoted"
    assert hub.bench.unpromote("hello-1.0-2")[0].error == ""
    assert hub.bench.tags(second)["latest"] == first.image.digest
    listing = list_images(hub.bench.site, hub.bench.site.target("stable"), [])
    assert all(image.promoted for image in listing.images)


def test_staging_does_not_hide_an_interrupted_promotion(hub: Hub) -> None:
    """The promotion's journal entry has the digests before it, to which tags are moved back."""
    started = JournalEntry.start(
        PROMOTE, target="stable", repository="r/hello", nvr="hello-1.0-2", digest="sha256:2",
        tags={"latest": TagMove("sha256:1", "sha256:2")},
    )  # fmt: skip
    staged = JournalEntry.start(
        "stage", target="stable", repository="r/hello", nvr="hello-1.0-2", digest="sha256:2", tags={}
    )
    known = RepositoryHistory.of([started, staged, staged.done()])
    assert known.unfinished == {"sha256:2": started}


def test_published_build_is_not_staged_again(hub: Hub) -> None:
    candidate = build(hub)
    hub.bench.promote(candidate)
    assert hub.bench.stage(candidate)[0].state == "unchanged"
    assert staged_tag(candidate.image.digest) not in hub.server[NAME].manifests


def test_build_whose_tag_is_taken_is_not_staged(hub: Hub) -> None:
    hub.bench.promote(build(hub))
    (result,) = hub.bench.stage(build(hub))
    assert (result.state, "exists with another image" in result.error) == ("refused", True)


def test_tag_that_a_full_disk_damaged_is_set_again(hub: Hub) -> None:
    candidate = build(hub)
    tag = staged_tag(candidate.image.digest)
    hub.server.faults = {rf"PUT .*/manifests/{tag}": [Fault(507)] * 3}
    assert hub.bench.stage(candidate)[0].state == "failed"
    hub.server.faults = {rf"HEAD .*/manifests/{tag}": [Fault(500)] * 3}
    assert hub.bench.stage(candidate)[0].state == "staged"
    hub.server.faults = {rf"HEAD .*/manifests/{tag}": [Fault(500)] * 3}
    assert hub.bench.stage(candidate)[0].state == "failed", "only a tag that was being set may be replaced"


def test_report_matches_its_schema(hub: Hub, tree: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs/reference/promotion.schema.json").read_text())
    candidate = build(hub)
    reports = [hub.bench.stage(candidate)[0].report(), hub.bench.publish(candidate, tree=tree)[0].report()]
    for report in reports:
        jsonschema.validate(report, {**schema["definitions"]["image"], "definitions": schema["definitions"]})
    assert reports[1]["missing"]
