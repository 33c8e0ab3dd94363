# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors about the arguments of the container commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container import registry_cli
from fedpkg_container.cli import make_client


@pytest.mark.programs  # the import of GitPython runs git
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["container-build", "--scrtch"], "unrecognized arguments: --scrtch; did you mean --scratch?"),
        (["container-build", "--targt=x", "--nowait"], "unrecognized arguments: --targt=x; did you mean --target?"),
        (["container-build", "-v"], "unrecognized arguments: -v; -v is a global option: write it before the command"),
        (["container-status", "--debug"],
         "unrecognized arguments: --debug; --debug is a global option: write it before the command"),
        (["container-build", "more"], "unrecognized arguments: more"),
        (["container-build", "--target"], "argument --target: expected one argument"),
        (["container-build", "--retry", "abc"], "argument --retry: 'abc' is not a task ID"),
        (["container-status", "--since", "yesterday"],
         "argument --since: 'yesterday' is not a time: use e.g. 2026-11-30, 2026-11-30T12:00, 90m, 12h, 3d or 2w"),
        (["container-build-config", "--chek"], "unrecognized arguments: --chek; did you mean --check?"),
    ],
)  # fmt: skip
def test_error(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["fedpkg", *arguments])
    with pytest.raises(SystemExit) as ended:
        make_client("fedpkg", arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n       see fedpkg {arguments[0]} --help\n"


@pytest.mark.programs
@pytest.mark.parametrize(("command", "hint"), [("container-biuld", "; did you mean container-build?"), ("xyzzy", "")])
def test_unknown_command(
    command: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["fedpkg", command])
    with pytest.raises(SystemExit, match="2"):
        make_client("fedpkg", [command])
    assert capsys.readouterr().err == f"error: unknown command: {command}{hint}\n       see fedpkg --help\n"


def test_prune_deletes_only_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    parser = registry_cli.make_parser()
    assert not parser.parse_args(["prune", "--dry-run"]).delete
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["prune", "--dry-run", "--delete"])
    message = "argument --delete: not allowed with argument --dry-run"
    assert capsys.readouterr().err == f"error: {message}\n       see fedpkg-container-registry prune --help\n"
