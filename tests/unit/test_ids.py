# SPDX-License-Identifier: GPL-2.0-or-later
"""Ranges of subordinate IDs, from the files of the machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.engines import ids
from fedpkg_container.engines.ids import COUNT, IdRange, Ids
from fedpkg_container.errors import FedpkgContainerError

_LINES = st.lists(
    st.one_of(
        st.text(max_size=30).filter(lambda text: "\r" not in text),
        st.builds(
            "{}:{}:{}".format,
            st.sampled_from(["account", "other", "acc", ""]),
            st.integers(-10, 2**33),
            st.integers(-10, 5 * COUNT),
        ),
    ),
    max_size=6,
)


@given(_LINES)
def test_ranges_are_within_what_the_account_has(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "subuid")
        path.write_text("\n".join(lines))
        found = ids._ranges(path, "account")
    allowed = []
    for line in "\n".join(lines).splitlines():
        name, _, rest = line.strip().partition(":")
        numbers = rest.split(":")
        if name == "account" and len(numbers) == 2 and all(each.isdigit() for each in numbers):
            allowed.append((int(numbers[0]), int(numbers[0]) + int(numbers[1])))
    for each in found:
        assert each.count == COUNT
        assert each.first >= ids.LOWEST
        assert any(low <= each.first and each.first + COUNT <= high for low, high in allowed)
    taken = [number for each in found for number in (each.first, each.first + COUNT - 1)]
    assert sorted(taken) == sorted(set(taken))
    assert all(one is other or abs(one.first - other.first) >= COUNT for one in found for other in found)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (f"account:0:{3 * COUNT}\n", [COUNT, 2 * COUNT]),  # the first would be root and all users of the machine
        (f"account:1000:{2 * COUNT}\n", [COUNT]),
        (f"account:1000000:{COUNT}\naccount:1000000:{COUNT}\n", [1000000]),  # two builds would have the same
        (f"account:1000000:{COUNT}\naccount:1000001:{2 * COUNT}\n", [1000000, 1000001 + COUNT]),
        (f"account:\u00b2:{COUNT}\naccount:1:2:3\n\naccount\naccount:-5:{COUNT}\n", []),
    ],
)
def test_ranges_are_of_nobody_and_of_one_build(tmp_path: Path, text: str, first: list[int]) -> None:
    path = tmp_path / "subuid"
    path.write_text(text)
    assert [each.first for each in ids._ranges(path, "account")] == first


def test_a_file_that_is_missing_has_none(tmp_path: Path) -> None:
    assert ids._ranges(tmp_path / "subuid", "account") == []


def _files(directory: Path, users: str, groups: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = (directory / "subuid", directory / "subgid")
    for path, text in zip(paths, (users, groups)):
        path.write_text(text)
    monkeypatch.setattr(ids, "_FILES", paths)
    monkeypatch.setattr(ids, "in_user_namespace", lambda: False)


def test_base_images_and_builds_have_different_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _files(tmp_path, f"account:1000000:{3 * COUNT + 5}\n", f"account:1000000:{3 * COUNT}\n", monkeypatch)
    found = ids.read_ids("account")
    assert found.base == IdRange(1000000, COUNT)
    assert [each.first for each in found.builds] == [1000000 + COUNT, 1000000 + 2 * COUNT]


@pytest.mark.parametrize(
    ("users", "groups"),
    [
        ("", ""),
        (f"account:1000000:{COUNT}", f"account:1000000:{COUNT}"),
        (f"account:1000000:{2 * COUNT}", f"account:2000000:{2 * COUNT}"),
        (f"other:1000000:{2 * COUNT}", f"other:1000000:{2 * COUNT}"),
    ],
)
def test_too_few_ranges_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, users: str, groups: str) -> None:
    _files(tmp_path, users, groups, monkeypatch)
    with pytest.raises(FedpkgContainerError, match="account account has no two ranges") as raised:
        ids.read_ids("account")
    assert "account:1073741824:" in raised.value.solution


def test_each_build_gets_a_free_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_LOCKS", tmp_path)
    monkeypatch.setattr(ids, "TIMEOUT", 0.1)
    ranges = (IdRange(65536, 65536), IdRange(131072, 65536))
    machine = Ids(IdRange(1, 2), ranges)
    with machine.allocated() as first, machine.allocated() as second:
        assert (first, second) == ranges
        with pytest.raises(FedpkgContainerError, match=r"all 2 ranges of subordinate IDs were in use"):
            machine.allocated().__enter__()
    with machine.allocated() as again:
        assert again == ranges[0]
