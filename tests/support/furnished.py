# SPDX-License-Identifier: GPL-2.0-or-later
"""A box with the prerequisites of builds: a target, a small base image, and a repository with hello-web-pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import base, site
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out
from fedpkg_container.locking import locked
from fedpkg_container.model.nvr import NVR
from tests.support.base_images import engine

AnyBox = TypeVar("AnyBox", bound=Box)


@contextmanager
def running(box: AnyBox) -> Iterator[AnyBox]:
    """A box that is started, and stopped at the end, even after a failed start."""
    try:
        box.up()
        yield box
    finally:
        box.down()


#: Packages of every box's repository besides those of its base image.
PAGES = Package("hello-web-pages", "A page", contents={"/usr/share/hello-web/index.html": "hello\n"})


def furnish(
    box: Box, directory: Path, *, dnf: bool = False, more: Sequence[Package] = (), shared: Path | None = None
) -> None:
    """Set up a running box.

    :param directory: for RPMs
    :param dnf: whether the base image has dnf, which makes it ten times as large
    :param more: further packages of the repository
    :param shared: directory of all workers: the RPMs and the image are built once in it
    """
    made = _make_once(shared, dnf=dnf) if shared else _Prerequisites.make(directory, dnf=dnf)
    session = box.session(ADMIN)
    site.create_target(session, base.COMPONENT)
    site.import_rpms(session, [*made.rpms, *made.pages, *(package.build(directory) for package in more)])
    site.regenerate(session)
    base.publish(box, made.rpms, archive=made.archive)
    log_out(session)


@dataclass(frozen=True)
class _Prerequisites:
    """Files that do not depend on a box: RPMs of the base image, further ones, and the archive of the base image."""

    rpms: list[Path]
    pages: list[Path]
    archive: Path | None = None

    @classmethod
    def make(cls, directory: Path, *, dnf: bool) -> _Prerequisites:
        return cls([each.build(directory) for each in base.packages(dnf=dnf)], [PAGES.build(directory)])


def _make_once(shared: Path, *, dnf: bool) -> _Prerequisites:
    """Return the prerequisites in a directory, which the first worker makes."""
    directory = shared / f"prerequisites{'-dnf' if dnf else ''}"
    directory.mkdir(exist_ok=True)
    done = directory / "made.json"
    with locked(directory / "lock", wait=True):
        if not done.exists():
            made = _Prerequisites.make(directory, dnf=dnf)
            with engine(directory / "store") as used:
                built = base.make_archive(used, made.rpms, NVR(base.COMPONENT, "1", "1"))
                archive = shutil.copy(built, directory / built.name)
            done.write_text(
                json.dumps({"rpms": _texts(made.rpms), "pages": _texts(made.pages), "archive": archive}, default=str)
            )
    found = json.loads(done.read_text())
    return _Prerequisites([*map(Path, found["rpms"])], [*map(Path, found["pages"])], Path(found["archive"]))


def _texts(paths: Sequence[Path]) -> list[str]:
    return [str(path) for path in paths]
