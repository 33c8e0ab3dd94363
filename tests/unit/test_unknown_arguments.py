# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors about unknown arguments of the container commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.cli import make_client


@pytest.mark.programs  # the import of GitPython runs git
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["container-build", "--scrtch"], "--scrtch; did you mean --scratch?"),
        (["container-build", "--targt=x", "--nowait"], "--targt=x; did you mean --target?"),
        (["container-build", "-v"], "-v; -v is a global option: write it before the command"),
        (["container-status", "--debug"], "--debug; --debug is a global option: write it before the command"),
        (["container-build", "more"], "more"),
        (["container-build-config", "--chek"], "--chek; did you mean --check?"),
    ],
)
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
    usage, *_, error = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"usage: fedpkg {arguments[0]} ")
    assert error == f"fedpkg {arguments[0]}: error: unrecognized arguments: {message}"
