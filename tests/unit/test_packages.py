# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMs of an image: nothing outside of the image is read, whatever links it has."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.inspect import rpms
from fedpkg_container.image.inspect.rpms import MAX_RPMS, QUERY_FORMAT, parse_packages, read_packages
from fedpkg_container.process import run
from tests.support import rpm_database
from tests.support.attack import SECRET
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

DATABASE = "usr/lib/sysimage/rpm"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root directory with one installed RPM."""
    directory = tmp_path_factory.mktemp("rpm")
    rpm = Package("hello", "A package", version="2.0", contents={"/etc/hello": "hello\n"}).build(directory)
    root = directory / "root"
    (root / DATABASE).mkdir(parents=True)
    options = ["--root", str(root), "--dbpath", f"/{DATABASE}", "--nodeps", "--noscripts"]
    run(["rpm", *options, "--install", rpm], timeout=PATIENCE)
    return root


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspaces(tmp_path / "state").open("packages") as made:
        yield made


def test_rpms_of_an_image(root: Path, tmp_path: Path, workspace: Workspace) -> None:
    (found,) = read_packages(root, workspace)
    package = found.component
    assert found.details == {"license": "GPL-2.0-or-later", "vendor": "", "source_rpm": "hello-2.0-1.src.rpm"}
    assert (package["name"], package["version"], package["release"], package["epoch"]) == ("hello", "2.0", "1", None)
    assert len(package["sigmd5"]) == 32
    assert package["signature"] is None


def test_image_without_a_database_has_no_rpms(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "root").mkdir()
    assert read_packages(tmp_path / "root", workspace) == []


def test_link_to_the_builders_database_is_not_followed(root: Path, tmp_path: Path, workspace: Workspace) -> None:
    evil = tmp_path / "root"
    (evil / DATABASE).mkdir(parents=True)
    (evil / DATABASE / "rpmdb.sqlite").symlink_to(root / DATABASE / "rpmdb.sqlite")
    assert read_packages(evil, workspace) == []


def test_linked_directory_is_not_followed(root: Path, tmp_path: Path, workspace: Workspace) -> None:
    evil = tmp_path / "root"
    (evil / "usr" / "lib" / "sysimage").mkdir(parents=True)
    (evil / DATABASE).symlink_to(root / DATABASE)
    assert read_packages(evil, workspace) == []


def test_invalid_database_is_rejected(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "root" / DATABASE).mkdir(parents=True)
    (tmp_path / "root" / DATABASE / "rpmdb.sqlite").write_text("no database\n" * 1000)
    with pytest.raises(BuildFailedError, match="cannot read the image's RPM database"):
        read_packages(tmp_path / "root", workspace)


def test_ten_thousand_rpms_are_read(tmp_path: Path, workspace: Workspace) -> None:
    rpm_database.make(tmp_path / "root", packages=10_000)
    found = read_packages(tmp_path / "root", workspace)
    assert [each.component["name"] for each in found] == [f"p{number:07}" for number in range(10_000)]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (rpm_database.STREAMED, "rpm printed more than 2 MB"),
        (rpm_database.STORED, "rpm used more than 64 MB of temporary files"),
    ],
)
def test_endless_database_hits_a_limit(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, query: str, reason: str
) -> None:
    monkeypatch.setattr(rpms, "MAX_OUTPUT_BYTES", 2 * 10**6)
    rpm_database.make_endless(rpm_database.make(tmp_path / "root"), query)
    with pytest.raises(BuildFailedError, match=f"cannot read the image's RPM database: {reason}"):
        read_packages(tmp_path / "root", workspace)


def test_endless_query_hits_the_cpu_limit(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpms, "CPU_TIME", 1)
    rpm_database.make_endless(rpm_database.make(tmp_path / "root"), f"{rpm_database.STREAMED} WHERE x < 0")
    with pytest.raises(BuildFailedError, match="rpm used more than .* s of CPU time"):
        read_packages(tmp_path / "root", workspace)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the builder's with a file that no worker reads."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "Packages").write_text(SECRET)
    (directory / "Packages").chmod(0o600)
    return directory


def _image(workspace: Workspace) -> Path:
    root = workspace.new("files-0")
    (root / DATABASE).mkdir(parents=True)
    (root / DATABASE / "Packages").write_text("no database\n")
    return root


def test_a_directory_that_becomes_a_link_while_it_is_copied(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the builder to which it leads does not come into the worker's hands."""
    root = _image(workspace)

    def look(mode: int) -> bool:
        directory = root / DATABASE
        if not directory.is_symlink():
            directory.rename(directory.with_name("moved"))
            directory.symlink_to(outside)
        return stat.S_ISREG(mode)

    monkeypatch.setattr(rpms, "stat", SimpleNamespace(S_ISREG=look))
    with pytest.raises(BuildFailedError, match="cannot read the image's RPM database: rpm: "):
        read_packages(root, workspace)
    assert (root / DATABASE).is_symlink()
    copied = [path for path in workspace.directory.rglob("*") if path.is_file() and not path.is_relative_to(root)]
    assert [path for path in copied if SECRET in path.read_text(errors="replace")] == []


def test_a_copy_that_becomes_a_link_while_it_is_made(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written where a link of the worker's leads: it replaces the contents of a separate directory."""
    make = tempfile.mkdtemp

    def made(*arguments: Any, **options: Any) -> str:
        path = Path(make(*arguments, **options))
        if path.parent.stat().st_uid == workspace.ids.first:
            path.rename(f"{path}-moved")
            path.symlink_to(outside)
        return str(path)

    monkeypatch.setattr(tempfile, "mkdtemp", made)
    with pytest.raises(BuildFailedError, match="cannot read the image's RPM database: rpm: "):
        read_packages(_image(workspace), workspace)
    assert [path.name for path in outside.iterdir()] == ["Packages"]


def test_a_database_that_is_too_large(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpms, "MAX_DATABASE_BYTES", 10)
    with pytest.raises(BuildFailedError, match="RPM database has more than"):
        read_packages(_image(workspace), workspace)


LINE = "\x1f".join([*"nvr0as", "MIT", "Fedora", "n-v-r.src.rpm", "(none)"]) + "\x1e"


def test_too_many_rpms_are_rejected() -> None:
    """They are counted before parsing: the parsed form of a ten-byte package takes two hundred times as much memory."""
    assert len(parse_packages(LINE * 3)) == 3
    with pytest.raises(ValueError, match=f"more than {MAX_RPMS} RPMs"):
        parse_packages("\x1e" * (MAX_RPMS + 1))


@pytest.mark.parametrize(("field", "longest"), [("n", rpms.MAX_NAME_LENGTH), ("MIT", rpms.MAX_FIELD_LENGTH)])
def test_overlong_field_is_rejected(field: str, longest: int) -> None:
    assert parse_packages(LINE.replace(field, field[0] * longest, 1))
    with pytest.raises(ValueError, match=f"a field has {longest + 1} characters"):
        parse_packages(LINE.replace(field, field[0] * (longest + 1), 1))


_TEXT = st.text(st.sampled_from("\x1f\x1e\n\x1b\u0660\u00b20149(none)x \u202e"), max_size=40)


@given(st.one_of(_TEXT, st.lists(_TEXT, min_size=10, max_size=10).map("\x1f".join)))
def test_any_output_gives_rpms_or_a_value_error(listed: str) -> None:
    try:
        found = parse_packages(listed)
    except ValueError:
        return
    for each in found:
        epoch = each.component["epoch"]
        assert epoch is None or 0 <= epoch < 10**10
        assert set(each.details) == {"license", "vendor", "source_rpm"}
        assert not any("\x1b" in value or "\n" in value for value in each.details.values())


@pytest.mark.parametrize("epoch", ["²", "\u0660", "(none)", "1" * 11])
def test_invalid_epoch_is_ignored(epoch: str) -> None:
    assert parse_packages(LINE.replace("\x1f0\x1f", f"\x1f{epoch}\x1f"))[0].component["epoch"] is None


def test_query_format_has_the_parsed_fields() -> None:
    assert QUERY_FORMAT.count("\x1f") == LINE.count("\x1f")
