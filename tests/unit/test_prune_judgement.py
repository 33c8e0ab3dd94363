"""What a prune takes: never what a tag that stays reaches, whatever the repository looks like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedpkg_container.model.koji_images import ImageRecord, TaskRecord
from fedpkg_container.model.reference import UniqueTag
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST, Manifest
from fedpkg_container.registry.pruning.inventory import Inventory, mark
from fedpkg_container.registry.pruning.plan import Judgement
from fedpkg_container.registry.pruning.retention import DAY, Needs
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


def _judged(inventory: Inventory, records: ToldRecords | None = None) -> Judgement:
    needs = Needs(records or ToldRecords(), [], NOW, 30 * DAY)
    return Judgement(inventory, needs.verdicts(inventory))


def _going(inventory: Inventory, records: ToldRecords | None = None) -> set[str]:
    return {tag for each in _judged(inventory, records).going for tag in each.tags}


def test_scratch_builds_go_when_they_are_old() -> None:
    old, young = _image(1), _image(2)
    inventory = _tagged([(_stamp(31), old), (_stamp(29), young)])
    assert _going(inventory) == {_stamp(31)}


def test_what_says_not_how_old_it_is_stays_and_is_named() -> None:
    (kept,) = _judged(_inventory(latest=_image(1))).kept
    assert kept.is_ageless


def test_the_newest_of_several_unique_tags_counts() -> None:
    image = _image(1)
    assert _going(_tagged([(_stamp(90), image), (_stamp(1, 8), image)])) == set()


def test_a_stamp_of_the_future_is_young() -> None:
    assert _going(_tagged([(_stamp(-400), _image(1))])) == set()


def test_koji_knows_better_than_a_tag_how_old_an_image_is() -> None:
    image = _image(1)
    inventory = _tagged([(_stamp(1, kind=""), image), ("1.0-1", image)])
    records = ToldRecords({image.digest: ImageRecord(("hello-1.0-1",), NOW - 40 * DAY)}, {7: ENDED})
    assert _going(inventory, records) == {_stamp(1, kind=""), "1.0-1"}


def test_what_koji_needs_stays_and_the_reason_is_said() -> None:
    image = _image(1)
    records = ToldRecords({image.digest: ImageRecord(("hello-1.0-1",), NOW - 40 * DAY, "it is in tag f42")})
    (kept,) = _judged(_tagged([(_stamp(90), image)]), records).kept
    assert kept.why == "it is in tag f42"


def test_an_image_of_a_task_that_still_runs_stays() -> None:
    assert _going(_tagged([(_stamp(90), _image(1))]), ToldRecords(known_tasks={7: RUNNING})) == set()


def test_a_version_and_a_date_are_no_unique_tag() -> None:
    image = _tagged([(_stamp(400, number=42, kind=""), _image(1))])
    other = ToldRecords(known_tasks={42: TaskRecord(builds=False, ended=True)})
    assert _going(image, other) == set()
    assert _going(image, ToldRecords(known_tasks={42: ENDED})) == {_stamp(400, number=42, kind="")}


def test_a_member_that_another_list_has_stays() -> None:
    shared, own = _image(1), _image(2)
    old, new = _list(shared, own), _list(shared, kind=OCI_INDEX)
    judged = _judged(_tagged([(_stamp(90), old), ("1.0-2", new)]))
    assert [each.digest for each in judged.going] == [old.digest]
    assert shared.digest in judged.stays
    assert own.digest not in judged.stays


def test_an_old_tag_of_a_member_of_a_list_that_stays_stays() -> None:
    member = _image(1)
    inventory = _tagged([(_stamp(90), member), ("latest", _list(member))])
    (kept,) = (each for each in _judged(inventory).kept if each.digest == member.digest)
    assert kept.why == "it is in a list that stays"


def test_what_belongs_to_an_image_follows_it() -> None:
    gone, kept = _image(1), _image(2)
    boms = [_image(3, gone), _image(4, kept)]
    lists = [_list(each, kind=OCI_INDEX) for each in boms]
    inventory = _tagged([
        (_stamp(90), gone), (fallback_tag(gone.digest), lists[0]), (f"{fallback_tag(gone.digest)}.sig", _image(5)),
        ("latest", kept), (fallback_tag(kept.digest), lists[1]), ("a-tagged-bom", _image(6, kept)),
    ])  # fmt: skip
    judged = _judged(inventory)
    assert [each.digest for each in judged.going] == [gone.digest]
    assert {lists[1].digest, boms[1].digest, _image(6, kept).digest} <= judged.stays
    assert not {lists[0].digest, boms[0].digest, _image(5).digest} & judged.stays


def test_what_belongs_to_an_image_that_is_not_there_stays() -> None:
    bom = _image(2, _image(1))
    listed = _list(bom, kind=OCI_INDEX)
    judged = _judged(_tagged([(fallback_tag(_image(1).digest), listed), (_stamp(90), bom)]))
    assert judged.going == []
    assert {bom.digest, listed.digest} <= judged.stays


def test_what_a_broken_prune_left_goes_whatever_its_age_unless_it_is_needed() -> None:
    left, listed, needed = _image(1), _image(2), _image(3)
    inventory = _tagged([
        (mark(left.digest), left), (mark(listed.digest), listed), ("latest", _list(listed)),
        (mark(needed.digest), needed),
        ("prune-" + "0" * 64, _image(4)),
    ])  # fmt: skip
    records = ToldRecords({needed.digest: ImageRecord(("hello-1-1",), NOW, "it is young")})
    assert _going(inventory, records) == {mark(left.digest)}


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
        st.sampled_from([fallback_tag(each.digest) for each in made] + [mark(each.digest) for each in made]),
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
def test_nothing_goes_that_a_tag_reaches_which_stays(made: tuple[Inventory, ToldRecords]) -> None:
    inventory, records = made
    judged = _judged(inventory, records)
    going = {digest for each in judged.going for digest in inventory.reach(each.digest)} - judged.stays
    for verdict in judged.verdicts:
        if verdict.stays:
            assert not going & set(inventory.reach(verdict.digest))
    assert not going & set(records.known)
    for digest in inventory.owners.keys() - judged.stays:
        chain = _owners(inventory, digest)
        assert all(chain), "it belongs to an image that is absent"
        assert not judged.stays.intersection(chain), "it belongs to an image that stays"
        assert chain[-1] not in inventory.owners, "it belongs to nothing but itself"
    for verdict in judged.going:
        assert verdict.age is None or verdict.age >= 30 * DAY or inventory.is_marked(verdict.digest)


def _owners(inventory: Inventory, digest: str) -> list[str]:
    """Return what an artifact belongs to, then what that belongs to, up to an image or to one that was met before."""
    chain: list[str] = []
    while digest in inventory.owners and inventory.owners[digest] not in chain:
        digest = inventory.owners[digest]
        chain.append(digest)
    return chain


@pytest.mark.parametrize("listed", [True, False], ids=["in an expired list", "in no list"])
@pytest.mark.parametrize("owner", ["absent", "staying", "itself", "each other", "its own member"])
def test_an_artifact_whose_image_does_not_go_stays_in_an_expired_list_too(owner: str, listed: bool) -> None:
    other, member = _image(2), _image(3)
    stray = _list(member) if owner == "its own member" else _image(1)
    subject = {"itself": stray, "its own member": member}.get(owner, other)
    tags = [(fallback_tag(subject.digest), stray)]
    tags += [("latest", other)] if owner == "staying" else []
    tags += [(fallback_tag(stray.digest), other)] if owner == "each other" else []
    expired = _list(stray, other) if owner == "each other" else _list(stray)
    judged = _judged(_tagged([*tags, *([(_stamp(90), expired)] if listed else [])]))
    assert [each.digest for each in judged.going] == ([expired.digest] if listed else [])
    assert stray.digest in judged.stays
    assert {digest for _, each in tags for digest in judged.inventory.reach(each.digest)} <= judged.stays


def test_an_artifact_of_a_member_goes_with_an_expired_list_that_has_both() -> None:
    member = _image(1)
    artifact = _image(2, member)
    expired = _list(member, artifact)
    judged = _judged(_tagged([(_stamp(90), expired), ("1.0-sbom", artifact)]))
    assert not judged.stays


@given(st.integers(0, 10**18 - 1), st.integers(0, 4_000_000_000), st.sampled_from(["", "scratch", "import"]))
def test_unique_tags_are_read_as_they_are_written(number: int, made: int, kind: str) -> None:
    tag = UniqueTag(number, float(made), kind)
    assert UniqueTag.read(str(tag)) == tag
    assert UniqueTag.read(f"{tag}-oci") == tag


def test_other_tags_are_no_unique_tags() -> None:
    for text in ("latest", "1.0-1", "7-20261301000000", "scratch-7", "7-2026010100000", "x-7-20260101000000", MANIFEST):
        assert UniqueTag.read(text) is None
