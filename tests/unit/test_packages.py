"""Reading an image's RPMs: only what is in the image, whatever links it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.packages import read_packages
from fedpkg_container.process import run
from tests.support.waiting import PATIENCE

DATABASE = "usr/lib/sysimage/rpm"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system in which one RPM is installed."""
    folder = tmp_path_factory.mktemp("rpm")
    rpm = Package("hello", "A package", version="2.0", contents={"/etc/hello": "hello\n"}).build(folder)
    root = folder / "root"
    (root / DATABASE).mkdir(parents=True)
    options = ["--root", str(root), "--dbpath", f"/{DATABASE}", "--nodeps", "--noscripts"]
    run(["rpm", *options, "--install", rpm], timeout=PATIENCE)
    return root


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspaces(tmp_path / "state").open("packages") as made:
        yield made


def test_the_packages_of_an_image(root: Path, tmp_path: Path, workspace: Workspace) -> None:
    (found,) = read_packages(root, workspace)
    package = found.component
    assert found.details == {"license": "GPL-2.0-or-later", "vendor": "", "source_rpm": "hello-2.0-1.src.rpm"}
    assert (package["name"], package["version"], package["release"], package["epoch"]) == ("hello", "2.0", "1", None)
    assert len(package["sigmd5"]) == 32
    assert package["signature"] is None


def test_an_image_without_a_database_has_none(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "root").mkdir()
    assert read_packages(tmp_path / "root", workspace) == []


def test_a_link_to_the_builders_database_is_not_followed(root: Path, tmp_path: Path, workspace: Workspace) -> None:
    evil = tmp_path / "root"
    (evil / DATABASE).mkdir(parents=True)
    (evil / DATABASE / "rpmdb.sqlite").symlink_to(root / DATABASE / "rpmdb.sqlite")
    assert read_packages(evil, workspace) == []


def test_a_linked_folder_is_not_followed(root: Path, tmp_path: Path, workspace: Workspace) -> None:
    evil = tmp_path / "root"
    (evil / "usr" / "lib" / "sysimage").mkdir(parents=True)
    (evil / DATABASE).symlink_to(root / DATABASE)
    assert read_packages(evil, workspace) == []


def test_a_database_that_is_none(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "root" / DATABASE).mkdir(parents=True)
    (tmp_path / "root" / DATABASE / "rpmdb.sqlite").write_text("no database\n" * 1000)
    with pytest.raises(BuildFailedError, match="RPM database cannot be read"):
        read_packages(tmp_path / "root", workspace)
