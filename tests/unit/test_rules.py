# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a checkout and its Dockerfile: each code has an input that triggers it, and one that does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.distgit import file_rules, rules
from fedpkg_container.distgit.checkout import Checkout
from fedpkg_container.model.findings import Finding
from tests.support.checkout import read_nothing

LABELS = """\
LABEL com.redhat.component="hello-container" name="hello" version="1.0"
LABEL maintainer="me" summary="a test" usage="none"
CMD ["true"]
"""
GOOD = f"FROM r.io/base:1\n{LABELS}"


def _checkout(path: Path, **changes: Any) -> Checkout:
    clean = dataclasses.replace(
        read_nothing(path), name="hello", tracked=frozenset({"Dockerfile", "kept/file", "other.txt"})
    )
    return dataclasses.replace(clean, **changes)


def _found(path: Path, text: str, *, local: bool = False, **changes: Any) -> list[Finding]:
    (path / "Dockerfile").write_text(text)
    return rules.check(_checkout(path, **changes), local=local)


def _codes(findings: list[Finding]) -> list[tuple[str, int]]:
    return [(finding.code, finding.line) for finding in findings]


def test_valid_checkout_has_no_findings(tmp_path: Path) -> None:
    assert _found(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"namespace": "rpms"}, "namespace", "error"),
        ({"changed": ("Dockerfile",)}, "uncommitted", "error"),
        ({"detached": True, "branch": ""}, "detached-head", "error"),
        ({"detached": True}, "detached-head", "warning"),
        ({"branch_known": False}, "branch", "warning"),
        ({"upstream": ""}, "no-upstream", "error"),
        ({"ahead": 2}, "unpushed", "error"),
        ({"behind": 1}, "behind", "warning"),
        ({"name": "other"}, "label-repository", "warning"),
    ],
)
def test_checkout_state(tmp_path: Path, changes: dict[str, Any], code: str, severity: str) -> None:
    found = _found(tmp_path, GOOD, **changes)
    assert [(finding.code, finding.severity) for finding in found] == [(code, severity)]
    assert _found(tmp_path, GOOD, local=True, **changes) == []


@pytest.mark.parametrize(
    "name", ["Dockerfile", "Containerfile", "container.yaml", "additional-tags", "sources", "help.md", ".dockerignore"]
)
def test_untracked_files_that_decide_what_is_built(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD if name == "Containerfile" else "# Text\n")
    found = [each for each in _found(tmp_path, GOOD, untracked=(name, "other.md")) if each.code == "untracked"]
    assert [(each.severity, each.file) for each in found] == [("error", name)]
    assert f"{name} is not tracked by git" in found[0].message
    assert "untracked" not in [each.code for each in _found(tmp_path, GOOD, untracked=(name,), local=True)]


@pytest.mark.parametrize("label", ["com.redhat.component", "BZComponent"])
def test_package_named_after_another_repository(tmp_path: Path, label: str) -> None:
    text = GOOD.replace("com.redhat.component", label)
    found = [each for each in _found(tmp_path, text, name="other") if each.code == "label-repository"]
    assert "use other or other-container" in found[0].solution


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"FROM r.io/base:1\n{LABELS}RUNN x\n", [("instruction", 5)]),
        (f"FROM r.io/base:1\n{LABELS}WORKDIR\n", [("instruction", 5)]),
        (f"RUN true\n{GOOD}", [("before-from", 1)]),
        (f"FROM R.io/Base:1\n{LABELS}", [("from-invalid", 1)]),
        (f"ARG TAG\nFROM r.io/base:$TAG\n{LABELS}", [("from-argument", 2)]),
        (f"ARG TAG=1\nFROM r.io/base:$TAG\n{LABELS}", []),
        (f"FROM base:1\n{LABELS}", [("from-registry", 1)]),
        (f"FROM r.io/base\n{LABELS}", [("from-tag", 1)]),
        (f"FROM r.io/base@sha256:{'0' * 64}\n{LABELS}", []),
        (f"FROM r.io/a:1 AS x\nFROM r.io/b:1 AS X\n{LABELS}", [("stage-name", 2)]),
        (f"FROM r.io/a:1 AS x\nFROM scratch\nCOPY --from=x /a /a\n{LABELS}", []),
        (f"FROM r.io/a:1\nCOPY --from=r.io/b:1 /a /a\n{LABELS}", [("foreign-source", 2)]),
        (f"FROM r.io/base:1\n{LABELS.replace('CMD', 'ENV A')}", [("no-command", 0)]),
        (f"FROM r.io/a:1 AS x\nENTRYPOINT a\nFROM x\n{LABELS.replace('CMD', 'ENV A')}", []),
        ("# nothing\n", [("no-from", 0), *[("label-missing", 0)] * 3, *[("label-advised", 0)] * 3]),
    ],
)
def test_instructions(tmp_path: Path, text: str, expected: list[tuple[str, int]]) -> None:
    assert _codes(_found(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version=", "versoin=", [("label-missing", 2)]),
        ('name="hello"', 'name=""', [("label-unresolved", 2)]),
        ('version="1.0"', 'version="$V"', [("label-unknown", 2)]),
        ('version="1.0"', 'version="1-0"', [("label-invalid", 2)]),
        ('version="1.0"', 'version=".1"', [("label-invalid", 2)]),
        ('version="1.0"', 'version="1.0" release=".1"', [("label-invalid", 2)]),
        ('name="hello"', 'name="Hello World"', [("label-invalid", 2)]),
        ('component="hello-container"', 'component="hello container"', [("label-invalid", 2), ("label-repository", 2)]),
        ('version="1.0"', f'version="{"1" * 70}" release="{"2" * 70}"', [("label-invalid", 2)]),
        ("com.redhat.component=", "BZComponent=", [("label-deprecated", 2)]),
        ("maintainer=", "maintaner=", [("label-advised", 3)]),
        ('usage="none"', "", [("label-advised", 0)]),
        ('usage="none"', 'usage="none" install="x"', [("label-advised", 0)]),
    ],
)
def test_labels(tmp_path: Path, old: str, new: str, expected: list[tuple[str, int]]) -> None:
    assert _codes(_found(tmp_path, GOOD.replace(old, new))) == expected


def test_labels_of_base_stages_count(tmp_path: Path) -> None:
    assert _found(tmp_path, f"FROM r.io/base:1 AS x\n{LABELS}FROM x\nENV A=1\n") == []
    assert ("label-missing", 0) in _codes(_found(tmp_path, f"FROM r.io/base:1 AS x\n{LABELS}FROM r.io/b:1\nENV A=1\n"))


def test_labels_are_not_missing_if_an_instruction_label_cannot_be_read(tmp_path: Path) -> None:
    text = 'FROM r.io/base:1\nLABEL name="a \\\n  version="1" summary="run it"\nCMD a\n'
    (found,) = _found(tmp_path, text)
    assert found.severity == "error"
    assert found.message == 'LABEL has an unbalanced quote, and a word without =: it"'
    unused = f'FROM r.io/base:1 AS x\nLABEL a="\n{GOOD}'.replace("version=", "versoin=")
    assert "label-missing" in [each.code for each in _found(tmp_path, unused)]


@pytest.mark.parametrize(
    ("steps", "expected", "locally"),
    [
        ("COPY kept/file other.txt /x/", [], ["copy-missing", "copy-missing"]),
        ("COPY . /x", [], []),
        ("COPY kept /x", [], ["copy-missing"]),
        ("COPY k*/f?le /x", [], ["copy-missing"]),
        ("COPY *.md /x", ["copy-missing"], ["copy-missing"]),
        ("COPY ../secret /x", ["copy-outside"], ["copy-outside"]),
        ("COPY here.txt /x", ["copy-untracked"], []),
        ("COPY he*.txt /x", ["copy-untracked"], []),
        ("COPY cached.tar.gz /x", [], ["copy-missing"]),
        ('COPY ["nosuch file", "/x"]', ["copy-missing"], ["copy-missing"]),
        ("ADD https://example.com/x.tar.gz /x", ["add-network"], ["add-network"]),
        ("COPY --chown=0:0 nosuch /x", ["copy-missing"], ["copy-missing"]),
        ("ENV N=nosuch\nCOPY $N /x", ["copy-missing"], ["copy-missing"]),
        ("ARG N\nCOPY ${N} /x", [], []),
        ("COPY <<EOF /x\nFROM nosuch\nEOF", ["buildah-version"], ["buildah-version"]),
    ],
)
def test_copy_sources(tmp_path: Path, steps: str, expected: list[str], locally: list[str]) -> None:
    (tmp_path / "here.txt").write_text("x")
    (tmp_path / "sources").write_text(f"SHA512 (cached.tar.gz) = {'0' * 128}\n")
    text = f"FROM r.io/base:1\n{steps}\n{LABELS}"
    assert [finding.code for finding in _found(tmp_path, text)] == expected
    assert [finding.code for finding in _found(tmp_path, text, local=True)] == locally


def test_untracked_files_in_copied_directories(tmp_path: Path) -> None:
    text = f"FROM r.io/base:1\nCOPY kept /x\n{LABELS}"
    inside, outside = ("kept/new", "kept/newer"), ("elsewhere/new",)
    assert _codes(_found(tmp_path, text, untracked=inside)) == [("copy-left-out", 2)]
    assert _found(tmp_path, text, untracked=outside) == []
    assert _codes(_found(tmp_path, text.replace("kept", "."), untracked=outside)) == [("copy-left-out", 2)]
    (tmp_path / "kept").mkdir()
    assert _found(tmp_path, text, untracked=inside, local=True) == []


@pytest.mark.parametrize("name", ["Dockerfile", "help.md", "sources", "container.yaml"])
def test_directory_instead_of_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    if name != "Dockerfile":
        (tmp_path / "Dockerfile").write_text(GOOD)
    assert [finding.severity for finding in rules.check(_checkout(tmp_path))] == ["error"]


def test_a_containerfile_is_used_first(tmp_path: Path) -> None:
    """As buildah does."""
    (tmp_path / "Containerfile").write_text(GOOD.replace("base:1", "base"))
    found = _found(tmp_path, GOOD)
    assert [(finding.code, finding.file, finding.line) for finding in found] == [
        ("from-tag", "Containerfile", 1), ("dockerfile-ignored", "Dockerfile", 0)
    ]  # fmt: skip
    (tmp_path / "Dockerfile").unlink()
    assert [(finding.code, finding.file) for finding in rules.check(_checkout(tmp_path))] == [
        ("from-tag", "Containerfile")
    ]
    (tmp_path / "Dockerfile").symlink_to("Containerfile")
    assert [finding.code for finding in rules.check(_checkout(tmp_path))] == ["from-tag"]


@pytest.mark.parametrize("content", ["", "\x00", None])
def test_an_unusable_containerfile_does_not_lead_to_the_dockerfile(tmp_path: Path, content: str | None) -> None:
    if content is None:
        (tmp_path / "Containerfile").mkdir()
    else:
        (tmp_path / "Containerfile").write_text(content)
    errors = [finding for finding in _found(tmp_path, GOOD) if finding.severity == "error"]
    assert {finding.file for finding in errors} == {"Containerfile"}


def test_unreadable_sources(tmp_path: Path) -> None:
    (tmp_path / "sources").write_text("what is this\n")
    assert [finding.code for finding in _found(tmp_path, GOOD)] == ["sources"]


def test_help(tmp_path: Path) -> None:
    (tmp_path / "help.md").write_text(" \n")
    assert _codes(_found(tmp_path, GOOD)) == [("help", 0)]
    (tmp_path / "help.md").unlink()
    (tmp_path / "help.md").symlink_to("/etc/passwd")
    assert [finding.severity for finding in _found(tmp_path, GOOD)] == ["error"]


def test_unterminated_here_document(tmp_path: Path) -> None:
    found = _found(tmp_path, f"FROM r.io/base:1\n{LABELS}RUN <<EOF\ntrue\n")
    assert [finding.code for finding in found] == ["no-dockerfile"]
    assert "here-document EOF in line 5 is not terminated" in found[0].message


_WORDS = """
FROM LABEL ENV ARG RUN COPY ADD CMD SHELL AS r.io/a:1 x 0 a=b " ' \\ $x ${ ${x:-y} # = --from=x --chown=1 <<EOF EOF
[ ] ["a", , * ? [a ../x /../ // . .. é ² name=1 version= com.redhat.component=x
""".split()
_PIECES = st.sampled_from([*_WORDS, "\t", "\u202e", "\x00", "\x0c"])


@given(st.lists(st.lists(_PIECES, max_size=7).map(" ".join), max_size=9).map("\n".join), st.booleans())
def test_any_dockerfile_yields_findings(tmp_path_factory: pytest.TempPathFactory, text: str, local: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.mkdir(exist_ok=True)
    for finding in _found(path, text, local=local):
        assert finding.message
        assert finding.severity in ("error", "warning", "note")
        assert 0 <= finding.line <= text.count("\n") + 1
        assert "\u202e" not in str(finding)


@given(st.binary(max_size=300))
def test_any_bytes_yield_findings(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.mkdir(exist_ok=True)
    (path / "Dockerfile").write_bytes(content)
    (path / "sources").write_bytes(content)
    assert any(finding.severity == "error" for finding in rules.check(_checkout(path)))


def test_sources_by_architecture(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM r.io/base:1\nARG TARGETARCH\nCOPY nosuch bin-$TARGETARCH /x/\n{LABELS}")
    checkout = _checkout(tmp_path, tracked=frozenset({"bin-amd64", "bin-s390x"}))
    assert [(each.code, each.line) for each in rules.check(checkout)] == [("copy-missing", 3)]
    dockerfile, _ = file_rules.read(tmp_path)
    assert dockerfile is not None
    assert rules.check_architectures(checkout, dockerfile, ["x86_64", "s390x"]) == []
    found = rules.check_architectures(checkout, dockerfile, ["x86_64", "aarch64"])
    assert [(each.code, each.message) for each in found] == [("copy-missing", "COPY: bin-arm64 does not exist")]


def test_package_that_only_the_builder_knows_is_not_compared(tmp_path: Path) -> None:
    codes = [each.code for each in _found(tmp_path, GOOD.replace("hello-container", "$NAME-container"))]
    assert codes == ["label-unknown"]
