# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of the checks of files and checkouts: a wrong one has the finding, the right one does not.

tests/e2e/test_check_examples.py runs those of the hub.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.cli import make_client
from fedpkg_container.commands import build_checks
from fedpkg_container.distgit import rules
from fedpkg_container.distgit.checkout import Checkout
from fedpkg_container.distgit.file_rules import check_files
from fedpkg_container.model.checks import CHECKS, FILE_CHECKS, Check, Example, checkout, hub
from fedpkg_container.model.checks.page import as_markdown, as_text
from fedpkg_container.model.findings import Finding
from tests.support.waiting import PATIENCE

#: The commands of fedpkg that the examples use, for a dist-git in a directory.
FEDPKG = """\
fedpkg() {
    case $1 in
        clone) git clone --quiet "file://$DISTGIT/$2.git" ;;
        push) git push --quiet ;;
        pull) git pull --quiet --rebase ;;
        container-build) ;;
        *) return 99 ;;
    esac
}
"""
DOCKERFILE = """\
FROM registry.example.org/fedora:42
LABEL com.redhat.component="hello-container" name="hello" version="1.0"
"""


def _write(example: Example, directory: Path) -> None:
    for name, content in example.files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)


def _run(script: str, directory: Path, **variables: str) -> str:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
        **variables,
    }
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=directory,
        env=environment,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _of(findings: list[Finding], code: str) -> list[str]:
    return [finding.severity for finding in findings if finding.code == code]


def _case(code: str, check: Check) -> Any:
    has_commands = check.wrong.commands or check.right.commands
    return pytest.param(code, marks=[pytest.mark.programs] if has_commands else [])


@pytest.mark.parametrize("code", [_case(*each) for each in FILE_CHECKS.items()])
def test_examples_of_files(code: str, tmp_path: Path) -> None:
    check, severities = CHECKS[code], []
    for number, example in enumerate((check.wrong, check.right)):
        directory = tmp_path / str(number)
        directory.mkdir()
        _write(example, directory)
        if example.commands:
            _run("\n".join(example.commands), directory, HOME=str(tmp_path))
        severities.append(_of(check_files(directory), code))
    assert severities[0]
    assert set(severities[0]) == {check.severity}
    assert severities[1] == []


@pytest.fixture(scope="module")
def distgit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dist-git with ``container/hello`` and ``rpms/hello``, each with two commits on branch rawhide."""
    directory = tmp_path_factory.mktemp("distgit")
    (directory / "Dockerfile").write_text(DOCKERFILE)
    script = """
        for name in container/hello rpms/hello; do
            git init --quiet --bare --initial-branch=rawhide $name.git
            git init --quiet --initial-branch=rawhide work
            cp Dockerfile work
            git -C work add --all
            git -C work commit --quiet -m "Add a Dockerfile"
            git -C work commit --quiet --allow-empty -m "Rebuild"
            git -C work push --quiet "$PWD/$name.git" rawhide
            rm -r work
        done
    """
    _run(script, directory, HOME=str(directory))
    return directory


def _check_out(example: Example, distgit: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """Run an example in a checkout; return the findings in the checkout in which it ends."""
    (home / "rpms").mkdir(parents=True)
    (home / "container").mkdir()
    shutil.copytree(distgit, home / "distgit")
    variables = {"HOME": str(home), "DISTGIT": str(home / "distgit")}
    _run(f"{FEDPKG}fedpkg clone container/hello", home, **variables)
    _write(example, home / "hello")
    script = "\n".join([FEDPKG, "{", *example.commands, "} >&2", "pwd"])
    path = _run(script, home / "hello", **variables).strip()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("sys.argv", ["fedpkg", "--path", path, "container-build"])
    client: Any = make_client("fedpkg", ["--path", path, "container-build"])
    return [*rules.check(Checkout.read(client.cmd)), *build_checks.gating_findings(client)]


@pytest.mark.programs
@pytest.mark.parametrize("code", checkout.CHECKS)
def test_examples_of_checkouts(code: str, distgit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrpkg.cli.cliClient.check_remote_rules_gating", _validate_gating)
    check = CHECKS[code]
    found = [
        _of(_check_out(example, distgit, tmp_path / str(number), monkeypatch), code)
        for number, example in enumerate((check.wrong, check.right))
    ]
    assert found == [[check.severity], []]


def _validate_gating(client: Any) -> None:
    """Answer as the service does that validates gating.yaml: a policy needs a decision context."""
    from pyrpkg.errors import rpkgError

    path = Path(client.cmd.path) / "gating.yaml"
    if path.exists() and "decision_context" not in path.read_text():
        raise rpkgError("Attribute 'decision_context' or 'decision_contexts' is required")


def test_every_check_is_in_one_table() -> None:
    assert len(CHECKS) == len(checkout.CHECKS) + len(FILE_CHECKS) + len(hub.CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_descriptions_are_complete(check: Check) -> None:
    assert check.what
    assert not check.what.endswith(".")
    assert re.match(r"[A-Za-z].*\.$", check.why)
    assert list(check.wrong.parts)
    assert list(check.right.parts)
    assert check.wrong != check.right


def test_pages() -> None:
    check = Check("a is b", "error", "Because. " * 20, Example({"x": "1\n2\n", "y": ""}), Example(commands=("ls",)))
    text = as_text("a-b", check)
    assert text.startswith("a-b (error): a is b\n\nBecause.")
    assert max(map(len, text.splitlines())) <= 80
    assert text.endswith("\n\nWrong:\n  x:\n    1\n    2\n\n  y:\n\nRight:\n  commands:\n    ls")
    markdown = as_markdown(check)
    assert "\nWrong, x:\n\n```\n1\n2\n```\n" in markdown
    assert markdown.endswith("\nRight, commands:\n\n```\nls\n```\n")
