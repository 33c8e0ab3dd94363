# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/internals/hub-methods.md lists the calls that the box's hub answers."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.box.hub import calls, dispatch
from fedpkg_container.box.hub.methods import table

DOCUMENT = Path(__file__).parents[2] / "docs" / "internals" / "hub-methods.md"


def test_the_table_is_that_of_the_registry() -> None:
    written = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|")]
    assert written == table().splitlines(), "regenerate it: python -m fedpkg_container.box.hub.methods"


def test_every_call_says_who_makes_it() -> None:
    calls.load()
    assert dispatch.CALLS
    assert not [call.name for call in dispatch.CALLS.values() if not call.used_by or "|" in call.used_by]
