# SPDX-License-Identifier: GPL-2.0-or-later
"""Every code block of tutorial and how-to is run, marked with a reason, or shows something else than commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documented import PAGES, Block, blocks

#: Blocks whose commands are not run.
NOT_RUN = 22
#: First lines of blocks without commands: files, outputs, and the syntax of commands.
OTHER = re.compile(
    r"\[(?:candidate|promotion|mirror|redirects|signing|catalog|policy|kojid?|engine|registry|components|repositories)\]"
    r"|\{|GET /|# /etc/systemd/|repos:\n|# nginx|\*/10 |action = |candidate registry "
    r"|/srv/pub/containers/\n|policy violation|(?:promote|list|unpromote|check-target|trust) \["
)
BLOCKS = [block for page in PAGES for block in blocks(page)]


def _id(block: Block) -> str:
    return f"{block.page.stem}:{block.line}"


@pytest.mark.parametrize("block", BLOCKS, ids=_id)
def test_each_block_is_of_a_known_kind(block: Block) -> None:
    assert block.has_commands or OTHER.match(block.text), "neither commands nor known content: extend one of the tables"
    assert block.has_commands or not block.reason, "there are no commands to run"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.has_commands], ids=_id)
def test_commands_can_be_pasted_into_any_shell(block: Block) -> None:
    """An interactive zsh has no comments: it passes the words to the command."""
    comments = [line for line in block.text.splitlines() if re.search(r"(?:^|\s)#", line)]
    assert comments == [], "write it as text before the block"


def test_blocks_that_are_not_run() -> None:
    assert len([block for block in BLOCKS if block.reason]) == NOT_RUN


def test_commands_and_marks_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text:\n\n    koji hello \\\n        --world   # why\n\n<!-- not run: a reason -->\n\n    make it\n\n"
        "1. Item:\n\n       # comment\n       cat x\n\n```\n[section]\nkey = 1\n```\n"
    )
    found = list(blocks(page))
    assert [(block.commands, block.reason, block.has_commands) for block in found] == [
        (["koji hello --world"], "", True),
        (["make it"], "a reason", True),
        (["cat x"], "", True),
        (["[section]", "key = 1"], "", False),
    ]
