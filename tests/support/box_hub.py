# SPDX-License-Identifier: GPL-2.0-or-later
"""Only the box's hub, or hub and dist-git, for tests and benchmarks: no builder, no registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.hub.seed import seed
from fedpkg_container.box.layout import ADMIN, PACKAGER, Layout
from fedpkg_container.box.services import Service
from fedpkg_container.hub.session import log_out


@dataclass(frozen=True)
class RunningHub:
    """A hub and its users: paths of PEM files with certificate and key.

    :param access_log: a line per request: time, user, call
    :param service: to stop and start it
    """

    url: str
    ca: str
    admin: str
    packager: str
    host: str
    access_log: Path
    service: Service


@contextmanager
def running_hub(directory: Path, *, configuration: str = "") -> Iterator[RunningHub]:
    """A hub with an administrator, a packager and a builder, in an empty directory.

    :param configuration: content of its hub.conf
    """
    box = Box(Layout.open(directory / "box"))
    box.layout.topdir.mkdir(parents=True)
    box.layout.hub_configuration.write_text(configuration)
    seed(Database(box.layout.database), ADMIN)
    box.hub.start()
    try:
        box.hub.wait_ready()
        box.fill()
        yield RunningHub(
            url=box.layout.hub_url,
            ca=str(box.authority.certificate_path),
            admin=str(box.credentials(ADMIN)),
            packager=str(box.credentials(PACKAGER)),
            host=str(box.credentials(box.layout.builders[0])),
            access_log=box.layout.access_log,
            service=box.hub,
        )
    finally:
        box.hub.stop()


@contextmanager
def submitting_box(directory: Path, *, configuration: str = "") -> Iterator[Box]:
    """A box that accepts builds, in an empty directory: hub, dist-git, target and a builder's name.

    :param configuration: content of the hub's hub.conf
    """
    box = Box(Layout.open(directory / "box"))
    for path in (box.layout.topdir, box.layout.distgit, box.layout.home):
        path.mkdir(mode=0o700, parents=True)
    box.layout.hub_configuration.write_text(configuration)
    seed(Database(box.layout.database), ADMIN)
    servers = (box.hub, box.distgit)
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_ready()
        box.fill()
        session = box.session(ADMIN)
        site.create_target(session)
        log_out(session)
        yield box
    finally:
        for server in servers:
            server.stop()
