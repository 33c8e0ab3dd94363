# SPDX-License-Identifier: GPL-2.0-or-later
"""The language check finds planted sentences, and nothing in code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import prose

BAD = "mend the file, and ask again"
PYTHON = '''\
"""{docstring}"""

# {comment}
BEGIN, folder, ask = "begin", "folder", "ask"
QUERY = "BEGIN IMMEDIATE"


def mend(anew: str) -> str:
    """Repair ``folder`` of 'anew'."""
    return f"{message} {{anew}}"
'''


def _found(path: str, text: str) -> list[tuple[int, str]]:
    return [(hit.line, hit.phrase) for hit in prose.hits(path, text)]


@pytest.mark.parametrize(
    ("place", "line"),
    [("docstring", 1), ("comment", 3), ("message", 10)],
)
def test_python_prose_is_checked(place: str, line: int) -> None:
    clean = {"docstring": "Fix it.", "comment": "retries", "message": "wrong digest"}
    assert _found("a.py", PYTHON.format(**clean)) == []
    assert _found("a.py", PYTHON.format(**{**clean, place: BAD})) == [(line, "ask"), (line, "mend")]


def test_none_is_code() -> None:
    assert _found("a.py", '"state is None"\n"it is none"\n') == [(2, "is none")]


def test_markdown_prose_is_checked() -> None:
    text = f"# Title\n\nThe file\ngoes\non. {BAD}\n\n| a | tag of Koji |\n"
    assert _found("a.md", text) == [(4, "goes on"), (5, "ask"), (5, "mend"), (7, "tag of Koji")]


@pytest.mark.parametrize(
    "text",
    [
        "`mend`",
        "`ask\nagain`",
        "    mend it\n",
        "```console\nask\n```\n",
        "[a](folder/ask.md)",
        "\n<!-- prose: off -->\nmend\n",
    ],
)
def test_code_in_markdown_is_not_checked(text: str) -> None:
    assert _found("a.md", f"Text {text}" if text[0] in "`[" else text) == []


def test_manual_pages_are_checked() -> None:
    assert _found("a.1", ".B fedpkg\\-container\nis \\fBno command\\fR\n") == [(2, "is no command")]


@pytest.mark.parametrize(
    "sentence",
    [
        "It is no command",
        "Nobody knows",
        "Begin with it",
        "a directory of its own",
        "as 500K",
        "requests a second",
        "one a line",
        "the arch list",
        "what came",
        "what is there",
        "It takes apart the URL",
        "five at the most",
        "it is held off",
    ],
)
def test_every_kind_is_found(sentence: str) -> None:
    assert _found("a.md", sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no command",
        "It is no longer used",
        "BEGIN CERTIFICATE",
        "once per day",
        "sizes are written as 500M",
        "a basket of amendments",
        "tags a build",
        "the foldering of mushrooms",
    ],
)
def test_plain_english_is_not_found(sentence: str) -> None:
    assert _found("a.md", sentence) == []


def test_all_files_are_checked() -> None:
    found = prose.check({"new.md": BAD, "clean.md": "Fix the file.", "bad.md": BAD})
    assert [str(hit).partition(": ")[0] for hit in found] == ["bad.md:1", "bad.md:1", "new.md:1", "new.md:1"]


def test_links_must_lead_to_files(tmp_path: Path) -> None:
    for name in ("docs/howto/site.md", "docs/a.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    code = '"see docs/site.md"\n"see docs/howto/site.md, docs/a.json, app/docs/a.md"\n'
    assert [(hit.line, hit.phrase) for hit in prose.dead_links("a.py", code, tmp_path)] == [(1, "docs/site.md")]
    page = "[a](site.md#x)\n[b](../a.json) [c](../b.json#y) [d](https://example.org/docs/none.md)\n"
    dead = prose.dead_links("docs/howto/page.md", page, tmp_path)
    assert [(hit.line, hit.phrase) for hit in dead] == [(2, "](../b.json#y)")]
    assert [hit.path for hit in prose.check({"b.py": code, "a.py": code, "c.py": '""'}, tmp_path)] == ["a.py", "b.py"]


def test_every_pattern_is_valid_in_the_check_of_the_repository() -> None:
    texts = prose.checked_files()
    assert {
        "README.md",
        "CHANGELOG.md",
        "docs/man/fedpkg-container.1",
        "fedpkg_container/errors.py",
        "tests/conftest.py",
    } <= set(texts)


def test_files_and_directories_can_be_named(tmp_path: Path) -> None:
    checked = {"docs/a.md": "a", "docs/man/b.1": "b", "README.md": "c"}
    root, other = prose.ROOT, tmp_path / "x.md"
    other.write_text("x")
    assert prose.named_files([str(root / "docs")], checked) == {"docs/a.md": "a", "docs/man/b.1": "b"}
    assert prose.named_files([str(root / "docs/man"), str(other)], checked) == {"docs/man/b.1": "b", str(other): "x"}
    assert list(prose.named_files([str(root / "README.md")], checked)) == ["README.md"]
    with pytest.raises(OSError, match="nosuch"):
        prose.named_files([str(tmp_path / "nosuch")], checked)
