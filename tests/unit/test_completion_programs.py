# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion of fedpkg-container-registry and fedpkg-container-box."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container import cluster_cli
from fedpkg_container.box.cli import _parser as box_parser
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, UNPROMOTE, JournalEntry
from fedpkg_container.registry_cli import make_parser
from tests.support import preloaded
from tests.support.tabs import completing, offered
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

PROGRAMS = {
    "fedpkg-container-registry": make_parser,
    "fedpkg-container-box": box_parser,
    "fedpkg-container-cluster": cluster_cli.make_parser,
}
#: Arguments that may be paths although their type is not Path: an archive; a command after --.
PATHS = {"image", "directory", "tree"}


def _tab(line: str, directory: Path) -> list[str]:
    """Return the completions at the end of a line, in a directory."""
    output = directory / ".output"
    output.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "HOME": str(directory),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **completing(line, output),
    }
    for name in ("XDG_CONFIG_HOME", "FEDPKG_CONTAINER_REGISTRY_CONF"):
        environment.pop(name, None)
    preloaded.run([line.split()[0]], cwd=directory, env=environment, timeout=PATIENCE)
    return offered(output)


def _values(parser: argparse.ArgumentParser, line: str) -> Iterator[tuple[str, argparse.Action]]:
    """Yield the lines at whose end a value is expected, with the argument that accepts it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from _values(command, f"{line} {name}")
        elif action.nargs != 0 and action.dest != "extra_args" and action.help is not argparse.SUPPRESS:
            yield " ".join([line, *action.option_strings[-1:], ""]), action


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that contains one file."""
    (tmp_path / "some-file").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "action"),
    [case for program, make in PROGRAMS.items() for case in _values(make(), program)],
    ids=lambda value: value.strip() if isinstance(value, str) else "",
)
def test_files_are_offered_for_paths_only(line: str, action: argparse.Action, directory: Path) -> None:
    offered = set(_tab(line, directory))
    may_be_followed = bool(action.option_strings) and action.nargs == "?"  # by the argument of the command
    is_path = action.type is Path or action.dest in PATHS or may_be_followed
    assert ("some-file" in offered) == is_path
    if not is_path and action.choices is None:
        assert [value for value in offered if not value.startswith("--")] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_long_options_are_offered(program: str, directory: Path) -> None:
    offered = _tab(f"{program} ", directory)
    assert "--help" in offered
    assert "-h" not in offered


def test_command_of_box_shell(directory: Path) -> None:
    assert _tab("fedpkg-container-box shell -- cat some", directory) == ["some-file"]


def test_config_option_after_the_command(directory: Path) -> None:
    (directory / "site.conf").write_text("[target testing]\n")
    assert _tab("fedpkg-container-registry promote --config site.conf --to ", directory) == ["testing"]


def test_builds_that_can_be_unpromoted(directory: Path) -> None:
    fields = {"repository": "r.example.org/hello", "digest": "sha256:1"}
    changes = [
        JournalEntry.start(PROMOTE, target=target, nvr=nvr, **fields)
        for target, nvr in (("stable", "a-1-1"), ("stable", "b-1-1"), ("testing", "c-1-1"), ("stable", "\x1b[2J"))
    ]
    changes.append(JournalEntry.start(UNPROMOTE, target="stable", nvr="a-1-1", **fields))
    changes.append(JournalEntry.start(UNPROMOTE, target="stable", nvr="b-1-1", deleted=("sha256:1",), **fields))
    record = directory / "record"
    invalid = [b"", b"not JSON", json.dumps({"format": 99}).encode()]
    lines = [line for entry in changes for line in (entry.line(), entry.done().line())]
    record.write_bytes(b"\n".join(invalid) + b"\n" + b"".join(lines))
    (directory / "site.conf").write_text(f"[promotion]\nrecord = {record}\n")
    program = "fedpkg-container-registry --config site.conf unpromote"
    assert [value for value in _tab(f"{program} ", directory) if value[0] != "-"] == ["a-1-1"]
    assert [value for value in _tab(f"{program} --to testing ", directory) if value[0] != "-"] == ["c-1-1"]
    record.unlink()
    assert _tab(f"{program} a", directory) == []
