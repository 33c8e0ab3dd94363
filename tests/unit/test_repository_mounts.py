"""What RUN is given of a repository that Koji made: enough of topdir to find the packages that it only names."""

from __future__ import annotations

import os
from pathlib import Path

from fedpkg_container.image.resolve.repositories import TOPLINK, _visible_directories


def made(topdir: Path) -> Path:
    repository = topdir / "repos" / "tag" / "5" / "x86_64"
    repository.mkdir(parents=True)
    (repository / TOPLINK).symlink_to(os.path.relpath(topdir, repository))
    return repository


def test_volumes_that_are_links_are_given_from_where_they_are(tmp_path: Path) -> None:
    topdir, disk = tmp_path / "topdir", tmp_path / "another disk"
    repository = made(topdir)
    for folder in (topdir / "packages", topdir / "vol" / "here" / "packages", disk / "packages"):
        folder.mkdir(parents=True)
    (topdir / "vol" / "archive").symlink_to(disk)
    (topdir / "vol" / "gone").symlink_to(tmp_path / "nowhere")
    (topdir / "vol" / "README").touch()
    found = _visible_directories(repository)
    link = Path("repository/repository/repository/repository")
    assert found == {
        link: repository,
        Path("packages"): topdir / "packages",
        Path("vol/archive"): disk,
        Path("vol/here"): topdir / "vol" / "here",
    }
    assert os.path.normpath(link / (repository / TOPLINK).readlink()) == ".", "the link leads to where these are"


def test_a_repository_with_packages_in_it_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "repodata").mkdir()
    assert _visible_directories(tmp_path) == {Path(): tmp_path}
