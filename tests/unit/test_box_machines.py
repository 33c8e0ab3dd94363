# SPDX-License-Identifier: GPL-2.0-or-later
"""The builders that a box declares: read from the command, kept in its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.box.layout import Layout
from fedpkg_container.box.machines import CAPACITY, MACHINE, Machine, machines
from fedpkg_container.errors import UsageError


def test_some_of_this_machine_and_some_of_others() -> None:
    made = machines(2, ["arm=aarch64,armv7hl", "old=i686 aarch64"], capacity=6)
    assert [(each.name, each.arches) for each in made] == [
        ("builder-1", (MACHINE,)),
        ("builder-2", (MACHINE,)),
        ("arm", ("aarch64", "armhfp")),
        ("old", ("i386", "aarch64")),
    ]
    assert {each.capacity for each in made} == {6}


@pytest.mark.parametrize(
    ("count", "declared", "said"),
    [
        (0, [], "at least one builder"),
        (-1, ["arm=aarch64"], "at least one builder"),
        (1, ["arm"], "arm has no architecture"),
        (1, ["arm="], "arm has no architecture"),
        (1, ["=aarch64"], "cannot be a builder's name"),
        (1, ["hub=aarch64"], "'hub' cannot be a builder's name"),
        (1, ["../x=aarch64"], "cannot be a builder's name"),
        (1, ["arm=aarch65"], "aarch65 is not a Koji architecture"),
        (1, ["builder-1=aarch64"], "two builders called builder-1"),
    ],
)
def test_builders_that_cannot_be(count: int, declared: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        machines(count, declared)


def test_a_box_keeps_its_builders(tmp_path: Path) -> None:
    declared = machines(1, ["arm=aarch64,armhfp"], capacity=2.5)
    assert Layout.open(tmp_path / "box", builders=declared).machines == declared
    again = Layout.open(tmp_path / "box")
    assert again.machines == declared
    assert again.builders == ("builder-1", "arm")


def test_a_box_that_was_made_before_builders_had_arches(tmp_path: Path) -> None:
    ports = "hub = 1\nregistry = 2\ndistgit = 3\ndistgit_anonymous = 4\n"
    (tmp_path / "box.ini").write_text(f"[box]\nformat = 1\nbuilders = builder-1 builder-2\n[ports]\n{ports}")
    assert Layout.open(tmp_path).machines == (
        Machine("builder-1", (MACHINE,), CAPACITY),
        Machine("builder-2", (MACHINE,), CAPACITY),
    )
