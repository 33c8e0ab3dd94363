# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/howto/promotion.md documents all options of the commands and all fields of the journal."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from fedpkg_container.commands.registry import list_promoted, promote, unpromote
from fedpkg_container.registry.promotion.journal_entry import JournalEntry

TEXT = (Path(__file__).parents[2] / "docs" / "howto" / "promotion.md").read_text()


@pytest.mark.parametrize("module", [promote, list_promoted, unpromote])
def test_every_option_is_documented(module: object) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)  # type: ignore[attr-defined]
    actions = [action for action in parser._actions if action.help is not argparse.SUPPRESS]
    options = [option for action in actions for option in action.option_strings]
    assert options
    assert [each for each in options if each not in TEXT] == []


def test_every_journal_field_is_documented() -> None:
    assert [each.name for each in fields(JournalEntry) if f"`{each.name}`" not in TEXT] == []
