# SPDX-License-Identifier: GPL-2.0-or-later
"""Prune plans: nothing reachable from a kept tag is deleted, whatever the repository contains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedpkg_container.model.koji_images import ImageRecord, TaskRecord
from fedpkg_container.model.reference import UniqueTag
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST, Manifest
from fedpkg_container.registry.pruning.inventory import Inventory, temporary_tag
from fedpkg_container.registry.pruning.plan import PrunePlan
from fedpkg_container.registry.pruning.retention import DAY, RetentionPolicy
from fedpkg_container.registry.referrers import fallback_tag
from tests.support.records import ENDED, RUNNING, ToldRecords

NOW = 1_800_000_000.0


def _image(number: int, subject: Manifest | None = None) -> Manifest:
    content: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "number": number}
    return Manifest.of({**content, **({"subject": subject.descriptor} if subject else {})})


def _list(*members: Manifest, kind: str = MANIFEST_LIST) -> Manifest:
    return Manifest.of({"schemaVersion": 2, "mediaType": kind, "manifests": [each.descriptor for each in members]})


def _inventory(**tags: Manifest) -> Inventory:
    return _tagged([(tag.replace("_", "-"), each) for tag, each in tags.items()])


def _tagged(tags: Sequence[tuple[str, Manifest]]) -> Inventory:
    manifests = {each.digest: each for _, each in tags}
    return Inventory("hello", {tag: each.digest for tag, each in tags}, manifests)


def _stamp(days: float, number: int = 7, kind: str = "scratch") -> str:
    return str(UniqueTag(number, NOW - days * DAY, kind))


def _judged(inventory: Inventory, records: ToldRecords | None = None) -> PrunePlan:
    needs = RetentionPolicy(records or ToldRecords(), [], NOW, 30 * DAY)
    return PrunePlan(inventory, needs.decide(inventory))


def _going(inventory: Inventory, records: ToldRecords | None = None) -> set[str]:
    return {tag for each in _judged(inventory, records).to_delete for tag in each.tags}


def test_old_scratch_builds_are_deleted() -> None:
    old, young = _image(1), _image(2)
    inventory = _tagged([(_stamp(31), old), (_stamp(29), young)])
    assert _going(inventory) == {_stamp(31)}


def test_images_of_unknown_age_are_kept_and_reported() -> None:
    (kept,) = _judged(_inventory(latest=_image(1))).to_keep
    assert kept.is_age_unknown


def test_newest_unique_tag_counts() -> None:
    image = _image(1)
    assert _going(_tagged([(_stamp(90), image), (_stamp(1, 8), image)])) == set()


def test_time_in_the_future_counts_as_recent() -> None:
    assert _going(_tagged([(_stamp(-400), _image(1))])) == set()


def test_koji_takes_precedence_for_the_age() -> None:
    image = _image(1)
    inventory = _tagged([(_stamp(1, kind=""), image), ("1.0-1", image)])
    records = ToldRecords({image.digest: ImageRecord(("hello-1.0-1",), NOW - 40 * DAY)}, {7: ENDED})
    assert _going(inventory, records) == {_stamp(1, kind=""), "1.0-1"}


def test_images_needed_by_koji_are_kept_with_reason() -> None:
    image = _image(1)
    records = ToldRecords({image.digest: ImageRecord(("hello-1.0-1",), NOW - 40 * DAY, "it is in tag f42")})
    (kept,) = _judged(_tagged([(_stamp(90), image)]), records).to_keep
    assert kept.why == "it is in tag f42"


def test_image_of_a_running_task_is_kept() -> None:
    assert _going(_tagged([(_stamp(90), _image(1))]), ToldRecords(known_tasks={7: RUNNING})) == set()


def test_version_and_date_is_not_a_unique_tag() -> None:
    image = _tagged([(_stamp(400, number=42, kind=""), _image(1))])
    other = ToldRecords(known_tasks={42: TaskRecord(builds=False, ended=True)})
    assert _going(image, other) == set()
    assert _going(image, ToldRecords(known_tasks={42: ENDED})) == {_stamp(400, number=42, kind="")}


def test_member_of_another_index_is_kept() -> None:
    shared, own = _image(1), _image(2)
    old, new = _list(shared, own), _list(shared, kind=OCI_INDEX)
    judged = _judged(_tagged([(_stamp(90), old), ("1.0-2", new)]))
    assert [each.digest for each in judged.to_delete] == [old.digest]
    assert shared.digest in judged.kept_digests
    assert own.digest not in judged.kept_digests


def test_tagged_member_of_a_kept_index_is_kept() -> None:
    member = _image(1)
    inventory = _tagged([(_stamp(90), member), ("latest", _list(member))])
    (kept,) = (each for each in _judged(inventory).to_keep if each.digest == member.digest)
    assert kept.why == "part of an image index that is kept"


def test_artifacts_follow_their_image() -> None:
    gone, kept = _image(1), _image(2)
    boms = [_image(3, gone), _image(4, kept)]
    lists = [_list(each, kind=OCI_INDEX) for each in boms]
    inventory = _tagged([
        (_stamp(90), gone), (fallback_tag(gone.digest), lists[0]), (f"{fallback_tag(gone.digest)}.sig", _image(5)),
        ("latest", kept), (fallback_tag(kept.digest), lists[1]), ("a-tagged-bom", _image(6, kept)),
    ])  # fmt: skip
    judged = _judged(inventory)
    assert [each.digest for each in judged.to_delete] == [gone.digest]
    assert {lists[1].digest, boms[1].digest, _image(6, kept).digest} <= judged.kept_digests
    assert not {lists[0].digest, boms[0].digest, _image(5).digest} & judged.kept_digests


def test_artifacts_of_a_missing_image_are_kept() -> None:
    bom = _image(2, _image(1))
    listed = _list(bom, kind=OCI_INDEX)
    judged = _judged(_tagged([(fallback_tag(_image(1).digest), listed), (_stamp(90), bom)]))
    assert judged.to_delete == []
    assert {bom.digest, listed.digest} <= judged.kept_digests


def test_leftovers_of_an_interrupted_prune_are_deleted_unless_needed() -> None:
    left, listed, needed = _image(1), _image(2), _image(3)
    inventory = _tagged([
        (temporary_tag(left.digest), left), (temporary_tag(listed.digest), listed), ("latest", _list(listed)),
        (temporary_tag(needed.digest), needed),
        ("prune-" + "0" * 64, _image(4)),
    ])  # fmt: skip
    records = ToldRecords({needed.digest: ImageRecord(("hello-1-1",), NOW, "newer than the retention period")})
    assert _going(inventory, records) == {temporary_tag(left.digest)}


@st.composite
def _repositories(draw: st.DrawFn) -> tuple[Inventory, ToldRecords]:
    """Any repository: images, lists over them, and lists over these, under tags of all kinds."""
    images = [_image(number) for number in range(draw(st.integers(1, 6)))]
    made: list[Manifest] = list(images)
    for kind in draw(st.lists(st.sampled_from([MANIFEST_LIST, OCI_INDEX]), max_size=5)):
        made.append(_list(*draw(st.lists(st.sampled_from(made), max_size=4)), kind=kind))
    boms = [_image(100 + number, draw(st.sampled_from(made))) for number in range(draw(st.integers(0, 3)))]
    names = st.one_of(
        st.sampled_from(["latest", "1.0", "1.0-1"]),
        st.builds(_stamp, st.floats(0, 100), st.integers(1, 3), st.sampled_from(["", "scratch", "import"])),
        st.sampled_from([fallback_tag(each.digest) for each in made] + [temporary_tag(each.digest) for each in made]),
    )
    tags = draw(st.dictionaries(names, st.sampled_from([*made, *boms]), max_size=12))
    inventory = Inventory("hello", {tag: each.digest for tag, each in tags.items()},
                          {each.digest: each for each in (*made, *boms)})  # fmt: skip
    needed = draw(st.lists(st.sampled_from(made), max_size=2))
    records = ToldRecords({each.digest: ImageRecord(("x-1-1",), NOW, "it is in a tag") for each in needed})
    return inventory, records


_STRAY, _ABSENT = _image(1), _image(0)


@given(_repositories())
@example((_tagged([(fallback_tag(_ABSENT.digest), _STRAY), (_stamp(90), _list(_STRAY))]), ToldRecords()))
@example((_tagged([(fallback_tag(_STRAY.digest), _STRAY), (_stamp(90), _list(_STRAY))]), ToldRecords()))
def test_nothing_reachable_from_a_kept_tag_is_deleted(made: tuple[Inventory, ToldRecords]) -> None:
    inventory, records = made
    judged = _judged(inventory, records)
    going = {digest for each in judged.to_delete for digest in inventory.reach(each.digest)} - judged.kept_digests
    for verdict in judged.decisions:
        if verdict.keep:
            assert not going & set(inventory.reach(verdict.digest))
    assert not going & set(records.known)
    for digest in inventory.owners.keys() - judged.kept_digests:
        chain = _owners(inventory, digest)
        assert all(chain), "it belongs to an image that is absent"
        assert not judged.kept_digests.intersection(chain), "it belongs to an image that stays"
        assert chain[-1] not in inventory.owners, "it belongs to nothing but itself"
    for verdict in judged.to_delete:
        assert verdict.age is None or verdict.age >= 30 * DAY or inventory.has_temporary_tag(verdict.digest)


def _owners(inventory: Inventory, digest: str) -> list[str]:
    """Return what an artifact belongs to, then what that belongs to, up to an image or to one that was met before."""
    chain: list[str] = []
    while digest in inventory.owners and inventory.owners[digest] not in chain:
        digest = inventory.owners[digest]
        chain.append(digest)
    return chain


@pytest.mark.parametrize("listed", [True, False], ids=["in an expired list", "in no list"])
@pytest.mark.parametrize("owner", ["absent", "staying", "itself", "each other", "its own member"])
def test_artifact_of_a_kept_image_is_kept_in_an_expired_index(owner: str, listed: bool) -> None:
    other, member = _image(2), _image(3)
    stray = _list(member) if owner == "its own member" else _image(1)
    subject = {"itself": stray, "its own member": member}.get(owner, other)
    tags = [(fallback_tag(subject.digest), stray)]
    tags += [("latest", other)] if owner == "staying" else []
    tags += [(fallback_tag(stray.digest), other)] if owner == "each other" else []
    expired = _list(stray, other) if owner == "each other" else _list(stray)
    judged = _judged(_tagged([*tags, *([(_stamp(90), expired)] if listed else [])]))
    assert [each.digest for each in judged.to_delete] == ([expired.digest] if listed else [])
    assert stray.digest in judged.kept_digests
    assert {digest for _, each in tags for digest in judged.inventory.reach(each.digest)} <= judged.kept_digests


def test_artifact_of_a_member_is_deleted_with_an_expired_index() -> None:
    member = _image(1)
    artifact = _image(2, member)
    expired = _list(member, artifact)
    judged = _judged(_tagged([(_stamp(90), expired), ("1.0-sbom", artifact)]))
    assert not judged.kept_digests


@given(st.integers(0, 10**18 - 1), st.integers(0, 4_000_000_000), st.sampled_from(["", "scratch", "import"]))
def test_unique_tags_round_trip(number: int, made: int, kind: str) -> None:
    tag = UniqueTag(number, float(made), kind)
    assert UniqueTag.read(str(tag)) == tag
    assert UniqueTag.read(f"{tag}-oci") == tag


def test_other_tags_are_not_unique_tags() -> None:
    for text in ("latest", "1.0-1", "7-20261301000000", "scratch-7", "7-2026010100000", "x-7-20260101000000", MANIFEST):
        assert UniqueTag.read(text) is None
