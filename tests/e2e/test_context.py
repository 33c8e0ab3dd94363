# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that COPY reads from a checkout: our checks compared with the installed buildah."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.distgit.copy_sources import ContextCheck
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.file_tree import FileTree, Kind, TreeOnDisk
from fedpkg_container.distgit.ignore_file import IgnoreFile
from tests.support.plain_buildah import Entry, PlainBuildah, write_tree

pytestmark = pytest.mark.programs

SCRATCH = "FROM scratch\n"
FILES: dict[str, Entry] = {
    "a": "a", "b.txt": "b", "d/b": "b", "d/c.txt": "c", "d/e/f": "f", "dx/b": "q", "e/d/b": "b", "é": "é",
    "2.4": (".",), "to-d": ("d",), "to-a": ("a",), "up": ("..",), "s/l": ("../d",), "etc/motd": "ours",
    "absolute": ("/etc",), "absolute-file": ("/etc/motd",), "far": ("../../../../a",), "broken": ("nope",),
    "outside": ("/usr/share",), "loop": ("loop",),
}  # fmt: skip


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> PlainBuildah:
    return PlainBuildah(tmp_path_factory.mktemp("buildah"))


def _errors(directory: Path, files: dict[str, Entry]) -> list[str]:
    write_tree(directory, files)
    ignored = IgnoreFile.read(directory, "Dockerfile")
    check = ContextCheck(TreeOnDisk(directory), ignored)
    found = check.findings(Dockerfile(str(files["Dockerfile"])))
    return [finding.message for finding in found if finding.severity == "error"]


SOURCES = (
    "2.4/a", "2.4/2.4/d/b", "2.4", "2.4/", "2.4/d/*", "2.4/[ab]", "to-d", "to-d/b", "to-d/*", "to-a", "to-a/", "up",
    "up/a", "up/x*", "s/l", "s/l/b", "s/*", "s", "l?", "absolute", "absolute/motd", "absolute/m*", "absolute-file",
    "far", "broken", "broken/x", "b* a", "outside", "outside/doc", "loop", "a nope*", "nope*", "nope* zip*", "nope",
    "a nope", "a z[", "z[", "[^b]", "[!b].txt a", "[!b].txt", "d/../a", "../a", "../nope", "./a", "/a", "d//b", "a/",
    "a/b", "*/b", "**/b", "d/*.txt", "d/.", "nope/../a", "a d/*/*", "e/*", "{a,b}", "é", "?", "/", ".",
)  # fmt: skip


def _mostly_slow(cases: Sequence[Any], quick: int) -> list[Any]:
    """Return parameters, of which all but the first are only tested by make check-slow."""
    slow = (
        pytest.param(*case if isinstance(case, tuple) else (case,), marks=pytest.mark.slow) for case in cases[quick:]
    )
    return [*cases[:quick], *slow]


@pytest.mark.parametrize("source", _mostly_slow(SOURCES, 12))
def test_a_source_is_refused_if_buildah_fails(buildah: PlainBuildah, tmp_path: Path, source: str) -> None:
    files = {**FILES, "Dockerfile": f"{SCRATCH}COPY {source} /x/\n"}
    assert bool(_errors(tmp_path, files)) == bool(buildah.build(files).error), buildah.build(files).error


#: Ignore file and source.
IGNORED = (
    ("a", "a"), ("a", "a b.txt"), ("d/b", "d"), ("d", "d"), ("d", "d/b"), ("d\n!d/b", "d"), ("d\n!d/b", "d/b"),
    ("d/*", "d"), ("*.txt", "*.txt"), ("*", "a"), ("*", "."), ("*\n!d", "d"), ("d", "to-d"), ("to-d", "to-d"),
    ("to-d", "to-d/b"), ("d", "to-d/b"), ("to-d/b", "to-d"), ("*\n!to-d", "to-d"), ("d/e", "d/e"), ("**/f", "d/e"),
    ("*\n!**/f", "d"), ("*\n!d/*/f", "d"), ("[", "a"), ("!", "a"), ("d", "d/*"), ("d/*", "d/*"), ("broken", "b*"),
    ("*\n!d/nope", "d"), ("**\n!d/e/f", "d/e/f"), ("/a", "a"), ("a\r", "a"), ("#a", "a"), (" a ", "a"),
    ("d", "2.4/d"), ("2.4/d", "2.4/d"), ("2.4/d/*", "2.4/d"), ("d/*", "2.4/to-d"), ("2.4", "2.4/d"), ("*\n!d", "2.4/d"),
    ("*\n!2.4/d", "2.4/d"), ("*\n!2.4/to-d", "2.4/to-d"), ("2.4/to-d", "2.4/to-d"), ("s", "s/*"), ("s/l/b", "s/l"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "source"), _mostly_slow(IGNORED, 8))
def test_an_excluded_source_is_refused_if_buildah_fails(
    buildah: PlainBuildah, tmp_path: Path, text: str, source: str
) -> None:
    files = {**FILES, "Dockerfile": f"{SCRATCH}COPY {source} /x/\n", ".dockerignore": text}
    assert bool(_errors(tmp_path, files)) == bool(buildah.build(files).error), buildah.build(files).error


@pytest.mark.parametrize(
    "files",
    [
        {".containerignore": "a", ".dockerignore": "b.txt"},
        {"Dockerfile.containerignore": "a", ".containerignore": "b.txt"},
        {"Dockerfile.dockerignore": "a", "Dockerfile.containerignore": "b.txt"},
        {"Containerfile.dockerignore": "a"},
        {".containerignore": "", ".dockerignore": "a"},
        {".dockerignore": None},
        {".dockerignore": ("ignored",), "ignored": "a"},
    ],
)
@pytest.mark.parametrize("source", ["a", "b.txt"])
def test_the_ignore_file_is_the_one_that_buildah_uses(
    buildah: PlainBuildah, tmp_path: Path, files: dict[str, Entry], source: str
) -> None:
    everything = {**FILES, **files, "Dockerfile": f"{SCRATCH}COPY {source} /x/\n"}
    assert bool(_errors(tmp_path, everything)) == bool(buildah.build(everything).error)


def _copied(tree: FileTree, ignored: IgnoreFile, directory: str = "") -> set[str]:
    """Return the files that COPY of the whole context copies."""
    copied = set()
    for name in tree.names(directory):
        path = f"{directory}/{name}" if directory else name
        excluded = ignored.excludes(path)
        assert excluded is not None
        if tree.kind(path) is not Kind.DIRECTORY:
            copied |= set() if excluded else {path}
        elif not excluded or ignored.includes_below(path, walking=True):
            copied |= _copied(tree, ignored, path)
    return copied


PATTERNS = (
    *("a", "b.txt", "d", "d/", "d/b", "d/*", "**", "*", "?", "**/b", "d/**", "d/e", "e", "*.txt", "**/*.txt", "/d"),
    *("./a", "d?", "d*/b", "[a-d]", "[^d]", "[de]*", "d/e/f", "**/e", "d/**/f", "*/*", "\\?", "\\.", "é", "../a"),
    *("//a", "d//b", "e/d", "dx", "d*", "**/d", " a", "b.txt ", "#a", "d/../a", "[", "!", "***", "a**", "**b"),
    *("*/b", "d.b", "$", "to-d", "to-d/b", "2.4/a", "[!a]", "!!a", "!/a", "\ufeffa", "s/l"),
)


def _random_ignore_file(seed: int) -> str:
    chosen = random.Random(seed)
    return "\n".join(chosen.choice(["", "", "!"]) + chosen.choice(PATTERNS) for _ in range(chosen.randint(1, 4)))


@pytest.mark.parametrize("seed", _mostly_slow(range(400), 5))
def test_the_ignore_file_excludes_what_buildah_excludes(buildah: PlainBuildah, tmp_path: Path, seed: int) -> None:
    text = _random_ignore_file(seed)
    files = {**FILES, "Dockerfile": f"{SCRATCH}COPY . /x/\n", ".dockerignore": text}
    write_tree(tmp_path, files)
    ignored = IgnoreFile.parse(text, ".dockerignore")
    built = buildah.build(files)
    if any(finding.severity == "error" for finding in ignored.findings):
        assert built.error
    else:
        assert {f"x/{path}" for path in _copied(TreeOnDisk(tmp_path), ignored)} == set(built.files), text
