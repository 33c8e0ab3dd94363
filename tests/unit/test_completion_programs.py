"""What a TAB offers in fedpkg-container-registry and fedpkg-container-box."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.cli import _parser as box_parser
from fedpkg_container.registry.promotion.journal import PROMOTE, UNPROMOTE, Entry
from fedpkg_container.registry_cli import make_parser
from tests.support.tabs import completing, offered
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

PROGRAMS = {
    "fedpkg-container-registry": ("fedpkg_container.registry_cli", make_parser),
    "fedpkg-container-box": ("fedpkg_container.box.cli", box_parser),
}
#: Values that may be paths though their type does not say so: an archive; a command after --.
PATHS = {"image", "directory"}


def _tab(line: str, folder: Path) -> list[str]:
    """What a TAB at the end of a line offers, in a folder."""
    answer = folder / ".answer"
    answer.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "HOME": str(folder),
        **completing(line, answer),
    }
    for name in ("XDG_CONFIG_HOME", "FEDPKG_CONTAINER_REGISTRY_CONF"):
        environment.pop(name, None)
    command = [sys.executable, "-m", PROGRAMS[line.split()[0]][0]]
    subprocess.run(command, env=environment, cwd=folder, timeout=PATIENCE, check=False, stdout=subprocess.DEVNULL)
    return offered(answer)


def _values(parser: argparse.ArgumentParser, line: str) -> Iterator[tuple[str, argparse.Action]]:
    """The lines at whose end a value of a program is expected, each with what takes it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from _values(command, f"{line} {name}")
        elif action.nargs != 0 and action.dest != "extra_args":
            yield " ".join([line, *action.option_strings[-1:], ""]), action


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file in it."""
    (tmp_path / "some-file").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "action"),
    [each for program, (_, make) in PROGRAMS.items() for each in _values(make(), program)],
    ids=lambda each: each.strip() if isinstance(each, str) else "",
)
def test_files_are_offered_for_paths_and_for_nothing_else(line: str, action: argparse.Action, folder: Path) -> None:
    offered = set(_tab(line, folder))
    is_path = action.type is Path or action.dest in PATHS
    assert ("some-file" in offered) == is_path
    if not is_path and action.choices is None:
        assert [each for each in offered if not each.startswith("--")] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_are_offered_by_their_long_names(program: str, folder: Path) -> None:
    offered = _tab(f"{program} ", folder)
    assert "--help" in offered
    assert "-h" not in offered


def test_a_command_for_the_boxs_shell(folder: Path) -> None:
    assert _tab("fedpkg-container-box shell -- cat some", folder) == ["some-file"]


def test_the_sites_file_may_be_named_after_the_command(folder: Path) -> None:
    (folder / "site.conf").write_text("[target testing]\n")
    assert _tab("fedpkg-container-registry promote --config site.conf --to ", folder) == ["testing"]


def test_builds_that_may_be_taken_back(folder: Path) -> None:
    facts = {"repository": "r.example.org/hello", "digest": "sha256:1"}
    changes = [
        Entry.begin(PROMOTE, target=target, nvr=nvr, **facts)
        for target, nvr in (("stable", "a-1-1"), ("stable", "b-1-1"), ("testing", "c-1-1"), ("stable", "\x1b[2J"))
    ]
    changes.append(Entry.begin(UNPROMOTE, target="stable", nvr="a-1-1", **facts))
    changes.append(Entry.begin(UNPROMOTE, target="stable", nvr="b-1-1", deleted=("sha256:1",), **facts))
    record = folder / "record"
    strange = [b"", b"not JSON", json.dumps({"format": 99}).encode()]
    lines = [line for each in changes for line in (each.line(), each.done().line())]
    record.write_bytes(b"\n".join(strange) + b"\n" + b"".join(lines))
    (folder / "site.conf").write_text(f"[promotion]\nrecord = {record}\n")
    program = "fedpkg-container-registry --config site.conf unpromote"
    assert [each for each in _tab(f"{program} ", folder) if each[0] != "-"] == ["a-1-1"]
    assert [each for each in _tab(f"{program} --to testing ", folder) if each[0] != "-"] == ["c-1-1"]
    record.unlink()
    assert _tab(f"{program} a", folder) == []
