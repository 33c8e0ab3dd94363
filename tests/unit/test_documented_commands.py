# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines in the documentation are accepted by the programs."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container import cluster_cli
from fedpkg_container.box.cli import _parser
from fedpkg_container.cli import make_client
from fedpkg_container.registry_cli import make_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs").glob("[hri]*/*.md"))]
PROGRAMS = (
    "fedpkg container-",
    "fedpkg-container ",
    "fedpkg-container-registry ",
    "fedpkg-container-box ",
    "fedpkg-container-cluster ",
)
#: A row of a table of commands.
ROW = re.compile(r"\| `([^`]+)` \|")
#: Lines that show the syntax of a command rather than a call of it.
SYNTAX = re.compile(r"…|\[--| \| |\bKOJI-TAG\b")


def commands(text: str) -> Iterator[str]:
    """Yield the calls of our programs in the code blocks and tables of a page."""
    for line in text.replace("\\\n", " ").splitlines():
        row = ROW.match(line)
        command = row[1] if row else line.strip()
        if (row or line.startswith("    ")) and command.startswith(PROGRAMS) and not SYNTAX.search(command):
            yield re.sub(r"\s+>\s.*", "", re.sub(r"\s+#.*", "", command))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[argparse.ArgumentParser]:
    """The parser of the client, without configuration of the user who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr("sys.argv", ["fedpkg", "container-build"])
        yield make_client("fedpkg", ["container-build"]).parser


CASES = [(page.relative_to(ROOT), command) for page in PAGES for command in commands(page.read_text())]


@pytest.mark.parametrize(("page", "command"), CASES, ids=[f"{page.stem}: {command}" for page, command in CASES])
def test_a_documented_command_is_accepted(client: argparse.ArgumentParser, page: Path, command: str) -> None:
    program, *arguments = shlex.split(command)
    others = {"fedpkg-container-registry": make_parser, "fedpkg-container-cluster": cluster_cli.make_parser}
    parser = client if program in ("fedpkg", "fedpkg-container") else others.get(program, _parser)()
    parser.parse_args(arguments)


def test_commands_are_found() -> None:
    text = "    fedpkg container-build --x   # why\nfedpkg container-build\n"
    text += "    fedpkg-container-box up \\\n    --user a\n| `fedpkg container-status` | builds |\n"
    assert [" ".join(command.split()) for command in commands(text)] == [
        "fedpkg container-build --x",
        "fedpkg-container-box up --user a",
        "fedpkg container-status",
    ]
    assert len(CASES) > 60
