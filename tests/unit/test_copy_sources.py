# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources of COPY: links, patterns, submodules, ignore files; tests/e2e/test_context.py compares them with buildah."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.distgit import rules, wildcards
from fedpkg_container.distgit.copy_sources import ContextCheck
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.file_tree import MAX_WORK, Kind, TreeInGit, TreeOnDisk
from fedpkg_container.distgit.ignore_file import MAX_PATTERNS, IgnoreFile
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.resolve.checks import check_sources
from fedpkg_container.model.findings import Finding
from tests.support.checkout import LocalCheckout, read_nothing
from tests.support.plain_buildah import Entry, write_tree

LABELS = 'LABEL com.redhat.component="foo" name="foo" version="1" maintainer="m" summary="s" usage="u"\nCMD ["x"]\n'
#: A checkout in the layout of some public images: each version's directory is a link.
FILES: dict[str, Entry] = {
    "root/etc/x.conf": "x", "2.4": (".",), "package.json": "{}", "out": ("/etc",), "lib": ("vendor/lib",),
    "vendor/readme": "", "secret": ("../secret",),
}  # fmt: skip
#: The limit in tests of it: with that of the client, they would take ten times as long.
LIMIT = MAX_WORK // 10
TRACKED = frozenset({"Dockerfile", *FILES, "vendor/sub"})


def _found(directory: Path, steps: str, **changes: Any) -> list[Finding]:
    """Return the findings of the client about a checkout with a submodule in ``vendor/sub``."""
    (directory / "Dockerfile").write_text(f"FROM r.io/base:1\n{steps}\n{LABELS}")
    write_tree(directory, {name: entry for name, entry in FILES.items() if not (directory / name).is_symlink()})
    submodules = frozenset({"vendor/sub"})
    values = {"tracked": TRACKED | frozenset(changes.pop("tracked", ())), "submodules": submodules, **changes}
    checkout = read_nothing(directory).__class__(**{**vars(read_nothing(directory)), **values})
    return rules.check(checkout)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("COPY 2.4/root /", []),
        ("COPY 2.4/2.4/root/etc/*.conf /", []),
        ("COPY 2.4/nosuch /", ["copy-missing"]),
        ("COPY package.json yarn.lock* /app/", []),
        ("COPY yarn.lock* npm.lock* /app/", ["copy-missing", "copy-missing"]),
        ("COPY package.json yarn.lock /app/", ["copy-missing"]),
        ("COPY out/passwd /", ["copy-missing"]),
        ("COPY secret /", ["copy-missing"]),
        ("COPY lib /", ["copy-missing"]),
        ("COPY ../package.json /", ["copy-outside"]),
        ("COPY [^b]*.json /", []),
        ("ARG X\nCOPY file-$X nosuch /x/", ["copy-missing"]),
        ("ARG X\nCOPY file-$X nosuch* /x/", []),
        ("ENV X=package-2\nCOPY ${X%-2}.json nosuch /x/", ["buildah-version", "copy-missing"]),
        ("ENV X=package\nCOPY $X.json ${X}.xml /x/", ["copy-missing"]),
        ("COPY [!q]*.json /", ["copy-missing"]),
    ],
)
def test_links_and_patterns(tmp_path: Path, steps: str, expected: list[str]) -> None:
    (tmp_path.parent / "secret").write_text("not in the checkout")
    assert [finding.code for finding in _found(tmp_path, steps)] == expected


@pytest.mark.parametrize(
    ("steps", "severity"),
    [
        ("COPY . /", "error"),
        ("COPY vendor /", "error"),
        ("COPY vendor/sub /", "error"),
        ("COPY vendor/sub/file /", "error"),
        ("COPY 2.4/vendor/s* /", "error"),
        ("ADD vendor/ /", "error"),
        ("RUN --mount=type=bind,target=/x make", "error"),
        ("RUN --mount=source=vendor,target=/x make", "error"),
        ("RUN --mount=source=root,target=/x make", ""),
        ("COPY vendor/readme /", ""),
    ],
)
def test_submodules(tmp_path: Path, steps: str, severity: str) -> None:
    found = _found(tmp_path, steps)
    assert [(finding.code, finding.severity) for finding in found] == ([("submodule", severity)] if severity else [])
    assert all("vendor/sub" in finding.message and finding.solution for finding in found)


def test_an_excluded_submodule_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("vendor/sub\n")
    assert _found(tmp_path, "COPY . /") == []
    assert [finding.code for finding in _found(tmp_path, "RUN --mount=type=bind,target=/x make")] == ["submodule"]


@pytest.mark.programs
def test_a_submodule_is_read_from_git(tmp_path: Path) -> None:
    """As an empty directory it would be copied: git leaves it empty without --recurse-submodules."""
    checkout = LocalCheckout.make(tmp_path)
    commit = checkout.git("rev-parse", "HEAD").strip()
    (checkout.directory / "vendor").mkdir()
    (checkout.directory / "vendor" / "file").write_text("x")
    with (checkout.directory / "Dockerfile").open("a") as file:
        file.write("COPY vendor /vendor\n")
    checkout.git("add", "vendor/file", "Dockerfile")
    for number, options in enumerate((["--skip-check=unpushed"], ["--local"])):
        before = checkout.run("container-build", "--dry-run", "--offline", *options)
        checkout.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/sub{number}")
        after = checkout.run("container-build", "--dry-run", "--offline", *options)
        assert "[submodule]" in after.stdout + after.stderr
        assert number or "[submodule]" not in before.stdout + before.stderr


def test_a_submodule_of_a_fresh_checkout_is_an_empty_directory(tmp_path: Path) -> None:
    write_tree(tmp_path, {"sub": None, "d/file": "x"})
    tree = TreeOnDisk(tmp_path, fresh=True)
    assert [tree.kind(name) for name in ("sub", "d")] == [Kind.SUBMODULE, Kind.DIRECTORY]
    assert TreeOnDisk(tmp_path).kind("sub") is Kind.DIRECTORY
    write_tree(tmp_path, {"d/.git": "gitdir: ../.git/modules/d"})
    assert TreeOnDisk(tmp_path).kind("d") is Kind.SUBMODULE


@pytest.mark.parametrize(
    ("ignored", "steps", "expected"),
    [
        ("root\n", "COPY root /", [("copy-ignored", "error")]),
        ("root\n!root/etc\n", "COPY root /", []),
        ("root/*\n", "COPY root /", [("copy-ignored", "warning")]),
        ("*\n!root\n", "COPY root package.json /x/", [("copy-ignored", "error")]),
        ("*\n", "COPY --from=a root /\nRUN x", []),
        ("[\n", "COPY root /", [("ignore-file", "error")]),
        ("[\n", "RUN x", []),
        ("root(x)\n", "COPY root /", [("ignore-file", "warning")]),
        ("# root\n\nsecret\nout\nlib", "COPY * /x/", []),
    ],
)
def test_ignore_files(tmp_path: Path, ignored: str, steps: str, expected: list[tuple[str, str]]) -> None:
    (tmp_path / ".dockerignore").write_text(ignored)
    found = _found(tmp_path, f"{steps}\nFROM r.io/base:1 AS a\nFROM r.io/base:1".replace("--from=a", "--from=0"))
    found = [finding for finding in found if finding.code in ("copy-ignored", "ignore-file", "copy-missing")]
    assert [(finding.code, finding.severity) for finding in found] == expected


def test_the_excluding_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile.dockerignore").write_text("# comment\nlib*\nroot\n")
    assert [finding.message for finding in _found(tmp_path, "COPY root /")] == [
        "COPY: root is excluded by Dockerfile.dockerignore:3"
    ]


def test_an_ignore_file_out_of_the_checkout_is_not_read(tmp_path: Path) -> None:
    (tmp_path.parent / "rules").write_text("root\n")
    (tmp_path / ".dockerignore").symlink_to("../rules")
    assert [finding.code for finding in _found(tmp_path, "COPY root /")] == ["ignore-file"]


def test_untracked_files_that_are_excluded_are_not_missed(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("root/*.log\n")
    assert _found(tmp_path, "COPY root /", untracked=("root/x.log",)) == []
    found = _found(tmp_path, "COPY 2.4/root /", untracked=("root/x.log", "root/y"))
    assert [finding.message.rpartition(": ")[2] for finding in found] == ["root/y"]


def test_links_are_resolved_within_the_tree(tmp_path: Path) -> None:
    links: dict[str, Entry] = {"d/up": ("../../../etc",), "absolute": ("/etc/passwd",), "loop": ("loop",)}
    write_tree(tmp_path, {"etc/passwd": "ours", **links})
    for tree in (TreeOnDisk(tmp_path), TreeInGit(tmp_path, ["etc/passwd", *links])):
        assert tree.resolve("d/up/passwd") == tree.resolve("absolute") == "etc/passwd"
        assert tree.resolve("etc/passwd/x") is tree.resolve("loop") is tree.resolve("nosuch\0") is None


def test_patterns_with_many_wildcards_are_not_evaluated(tmp_path: Path) -> None:
    """With a backtracking matcher, the first takes years; with this one, time grows with the number of wildcards."""
    tokens = wildcards.parse_glob("*a" * 20 + "b")
    assert tokens is not None
    assert not wildcards.matches(tokens, "a" * 200)
    ignored = IgnoreFile.parse("**/a" * 200 + "b\n" + "(a*)*b\n", ".dockerignore")
    assert [pattern.matches("a") for pattern in ignored.patterns] == [None, None]
    assert [finding.severity for finding in ignored.findings] == ["warning", "warning"]
    assert len(IgnoreFile.parse("a\n" * (MAX_PATTERNS + 5), ".dockerignore").patterns) == MAX_PATTERNS
    (tmp_path / "a").write_text("")
    assert TreeOnDisk(tmp_path).glob("*a" * 21) is None


def test_the_work_of_all_checks_is_limited(tmp_path: Path) -> None:
    """Many COPY with patterns, in a directory with thousands of files."""
    names = [f"file-{number}" for number in range(2000)]
    dockerfile = Dockerfile("FROM scratch\n" + "COPY f*0 /\n" * 90)
    ignored = IgnoreFile.parse("*-1\n" * 100, ".dockerignore")
    work: list[int] = []

    class Counting(TreeInGit):
        _work = LIMIT

        def spend(self, characters: int) -> bool:
            within = super().spend(characters)
            work.append(characters if within else 0)
            return within

    assert list(ContextCheck(Counting(tmp_path, names), ignored).findings(dockerfile)) == []
    assert 0 < sum(work) <= LIMIT


class _Counting(TreeInGit):
    """Counts what a check reads."""

    _work = LIMIT

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lookups = 0

    def kind(self, path: str) -> Kind | None:
        self.lookups += 1
        return super().kind(path)


@pytest.mark.parametrize(
    ("names", "submodules", "steps", "ignored"),
    [
        ([], [f"s/{n}/a/b/c/d" for n in range(500)], "COPY . /\n" * 90, ""),
        ([], [f"s/{n}/a/b/c/d" for n in range(500)], "COPY . /\n", "*x*y\n" * 90),
        (["d/a"], [], f"COPY {'d/a ' * 900} /\n" * 5, ""),
        (["/".join("a" * 1000)], [], f"COPY {'/'.join('a' * 1000)} /\n" * 6, ""),
        (["/".join("a" * 1000)], [], f"COPY {'/'.join('a' * 999)}/b /\n" * 6, ""),
    ],
)
def test_the_lookups_of_all_checks_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], submodules: list[str], steps: str, ignored: str
) -> None:
    matched: list[int] = []
    matching = wildcards.matches

    def matches(*arguments: Any, **named: Any) -> bool:
        matched.append(1)
        return matching(*arguments, **named)

    monkeypatch.setattr(wildcards, "matches", matches)
    tree = _Counting(tmp_path, names, submodules)
    check = ContextCheck(tree, IgnoreFile.parse(ignored, ".dockerignore"))
    findings = list(check.findings(Dockerfile(f"FROM scratch\n{steps}")))
    assert len(findings) < LIMIT / 10
    assert tree.lookups < LIMIT / 5
    assert len(matched) < LIMIT / 5


def test_a_directory_of_a_fresh_checkout_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    for number in range(50):
        (tmp_path / "d" / str(number)).write_text("")
    read: list[object] = []

    def counted(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def called(path: Any) -> Any:
            read.append(path)
            return function(path)

        return called

    monkeypatch.setattr(os, "listdir", counted(os.listdir))
    monkeypatch.setattr(os, "scandir", counted(os.scandir))
    tree = TreeOnDisk(tmp_path, fresh=True)
    assert not list(ContextCheck(tree, IgnoreFile()).findings(Dockerfile("FROM scratch\nCOPY d/* /\n")))
    assert len(read) < 5


def test_long_patterns_are_more_work() -> None:
    assert wildcards.weight(wildcards.parse_glob("*.md") or []) == 1
    assert wildcards.weight(wildcards.parse_glob("a" * 900) or []) == 1
    assert wildcards.weight(wildcards.parse_glob("*" + "a" * 900) or []) > 50
    assert wildcards.weight(wildcards.parse_glob(f"[{'a' * 900}]") or []) > 50


_TEXT = st.lists(st.sampled_from([*"a*?[]^!-\\/.|(+# \n\r\t", "**", "d/", "\ufeff", "é"]), max_size=20).map("".join)


@given(_TEXT, _TEXT)
def test_any_patterns_yield_findings(tmp_path_factory: pytest.TempPathFactory, ignored: str, source: str) -> None:
    directory = tmp_path_factory.getbasetemp() / "patterns"
    if not directory.exists():
        write_tree(directory, {"a": "a", "d/e/a": "b", "link": ("d",), "é": ""})
    parsed = IgnoreFile.parse(ignored, ".dockerignore")
    try:
        dockerfile = Dockerfile(f"FROM scratch\nCOPY {source or 'a'} /x/\n")
    except Exception:
        return
    for finding in ContextCheck(TreeOnDisk(directory), parsed).findings(dockerfile):
        assert finding.message
        assert finding.solution


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ("COPY root /", ""),
        ("COPY archive.tar nosuch* /x/", ""),
        ("COPY nosuch /", "Containerfile:2: COPY: nosuch does not exist"),
        ("COPY left /", r"Containerfile:2: COPY: left is excluded by Containerfile.dockerignore:1"),
        ("COPY sub /", "Containerfile:2: COPY: sub includes the git submodule sub"),
        ("COPY . /", "Containerfile:2: COPY: . includes the git submodule sub"),
        ("COPY out /", "Containerfile:2: COPY: out is a broken link, or leads out of the checkout"),
    ],
)
def test_builders_refuse_them_too(tmp_path: Path, steps: str, reason: str) -> None:
    """The client's checks can be skipped."""
    write_tree(tmp_path, {"root/x": "", "left": "", "sub": None, "out": ("/var/lib",)})
    (tmp_path / "Containerfile").write_text(f"FROM r.io/base:1\n{steps}\n")
    (tmp_path / "Containerfile.dockerignore").write_text("left\n")
    dockerfile = Dockerfile.read(tmp_path)
    with pytest.raises(BuildFailedError, match=reason) if reason else contextlib.nullcontext():
        check_sources(dockerfile, tmp_path, lookaside=["archive.tar"])
