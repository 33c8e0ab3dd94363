"""A box with the prerequisites of builds: a target, a small base image, and a repository with hello-web-pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import base, site
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out

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


def furnish(box: Box, folder: Path, *, dnf: bool = False, more: Sequence[Package] = ()) -> None:
    """Set up a running box.

    :param folder: for RPMs
    :param dnf: whether the base image has dnf, which makes it ten times as large
    :param more: further packages of the repository
    """
    rpms = [package.build(folder) for package in base.packages(dnf=dnf)]
    further = [package.build(folder) for package in (PAGES, *more)]
    session = box.session(ADMIN)
    site.create_target(session, base.COMPONENT)
    site.import_rpms(session, [*rpms, *further])
    site.regenerate(session)
    base.publish(box, rpms)
    log_out(session)
