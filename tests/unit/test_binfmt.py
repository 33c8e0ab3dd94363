# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures that RUN can execute here: natively, as a tested compatible one, or by emulation."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines import binfmt
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.resolve.checks import check_runnable

pytestmark = pytest.mark.programs

#: A binfmt_misc handler for aarch64, as the kernel shows it: first 20 bytes of an ELF header, and their mask.
MAGIC = "7f454c460201010000000000000000000200b700"
MASK = "ffffffffffffff00fffffffffffffffffeffffff"


def _handlers(directory: Path, *, flags: str = "OCF", state: str = "enabled", status: str = "enabled") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "status").write_text(f"{status}\n")
    (directory / "register").touch()
    text = f"{state}\ninterpreter /usr/bin/qemu-aarch64-static\nflags: {flags}\noffset 0\nmagic {MAGIC}\nmask {MASK}\n"
    (directory / "qemu-aarch64").write_text(text)
    (directory / "python3.11").write_text(
        f"{state}\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n"
    )
    (directory / "app").write_text(f"{state}\ninterpreter /usr/bin/app\nflags: F\nextension .app\n")
    return directory


@pytest.fixture
def on_x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def test_machine_executes_its_own_architecture(tmp_path: Path) -> None:
    assert binfmt.executes(binfmt.native(), tmp_path, handlers=tmp_path / "none")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program that is tried is one of x86")
def test_compatible_architecture_is_tested_without_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works = binfmt.executes("386", tmp_path, handlers=tmp_path / "none")
    assert works == binfmt._runs(binfmt._FORMATS["386"].header(binfmt._SMALLER["amd64"][1]), tmp_path)
    assert list(tmp_path.iterdir()) == []
    # The same trial with a program of another machine fails instead of raising.
    monkeypatch.setitem(binfmt._FORMATS, "386", binfmt._FORMATS["arm"])
    assert not binfmt.executes("386", tmp_path, handlers=tmp_path / "none")


@pytest.mark.usefixtures("on_x86_64")
def test_binfmt_handler_usable_in_containers(tmp_path: Path) -> None:
    handlers = _handlers(tmp_path / "binfmt_misc")
    assert binfmt.executes("arm64", tmp_path, handlers=handlers)
    assert not binfmt.executes("ppc64le", tmp_path, handlers=handlers)
    assert not binfmt.executes("s390x", tmp_path, handlers=handlers)


@pytest.mark.usefixtures("on_x86_64")
@pytest.mark.parametrize("change", [{"flags": "OC"}, {"state": "disabled"}, {"status": "disabled"}])
def test_binfmt_handler_unusable_in_containers(tmp_path: Path, change: dict[str, str]) -> None:
    assert not binfmt.executes("arm64", tmp_path, handlers=_handlers(tmp_path / "binfmt_misc", **change))


@pytest.mark.usefixtures("on_x86_64")
def test_no_binfmt_handlers(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not binfmt.executes("arm64", tmp_path, handlers=tmp_path / "empty")
    assert not binfmt.executes("arm64", tmp_path, handlers=tmp_path / "missing")
    assert not binfmt.executes("vax", tmp_path, handlers=_handlers(tmp_path / "binfmt_misc"))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM r/base\nCOPY a /a\n", []),
        ("FROM r/base\nCOPY a /a\nRUN true\nRUN false\n", [3, 4]),
        ("FROM r/base AS unused\nRUN true\nFROM r/base\nCOPY a /a\n", []),
        ("FROM r/base AS below\nRUN true\nFROM below\nCOPY a /a\n", [2]),
        ("FROM r/base AS files\nRUN true\nFROM r/base\nCOPY --from=files a /a\n", [2]),
        ("FROM r/base\nRUN true\nFROM r/base\nCOPY --from=0 a /a\n", [2]),
        ("FROM r/base AS a\nRUN true\nFROM r/base AS b\nCOPY --from=a f /f\nFROM r/base\nCOPY --from=b f /f\n", [2]),
        ("FROM r/base AS a\nRUN one\nFROM r/base\nRUN --mount=type=bind,from=a,target=/a two\n", [2, 4]),
    ],
)
def test_run_counts_only_in_built_stages(text: str, lines: list[int]) -> None:
    assert Dockerfile(text).run_lines == lines


@pytest.mark.usefixtures("on_x86_64")
def test_run_for_a_foreign_architecture_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binfmt, "HANDLERS", tmp_path / "none")
    dockerfile = Dockerfile("FROM r/base\nCOPY a /a\nRUN true\n")
    check_runnable(dockerfile, "x86_64", tmp_path)
    check_runnable(Dockerfile("FROM r/base\nCOPY a /a\n"), "s390x", tmp_path)
    with pytest.raises(BuildFailedError, match=r"^Dockerfile:3: cannot execute RUN for s390x: this machine is x86_64"):
        check_runnable(dockerfile, "s390x", tmp_path)
