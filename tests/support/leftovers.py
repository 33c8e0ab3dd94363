# SPDX-License-Identifier: GPL-2.0-or-later
"""What a build may not leave behind: processes, mounts, directories, staged images, reservations."""

from __future__ import annotations

import re
import subprocess

import koji

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.engines.workspace import mounts_below, processes_in
from fedpkg_container.hub.session import log_out
from fedpkg_container.image.resolve.names import is_unique_tag
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.referrers import is_fallback_tag
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support.packager import Packager
from tests.support.waiting import PATIENCE as PATIENCE
from tests.support.waiting import eventually as eventually


def registry_of(box: Box) -> Registry:
    """The box's registry."""
    return Registry(Access(certificates=box.layout.builder(box.layout.builders[0]) / "certs"))


def staged(box: Box) -> list[str]:
    """Images in staging."""
    registry, host = registry_of(box), box.layout.registry_address
    names = [name for name in registry.repositories(host) if name.startswith("staging/task-")]
    return [f"{name}:{tag}" for name in names for tag in registry.tags(ImageReference(host, name))]


def people_tags(packager: Packager) -> set[str]:
    """Return the user-facing tags of a package's repository: not those of single builds or SBOMs."""
    repository = ImageReference(packager.box.layout.registry_address, packager.name)
    tags = registry_of(packager.box).tags(repository)
    return {tag for tag in tags if not is_unique_tag(tag) and not is_fallback_tag(tag)}


def reserved(box: Box) -> list[str]:
    """NVRs being built."""
    session = box.session(ADMIN)
    found = [build["nvr"] for build in session.listBuilds(state=koji.BUILD_STATES["BUILDING"])]
    log_out(session)
    return found


def processes_of_builds(box: Box) -> list[int]:
    """Return the processes started by builds."""
    directories = [box.layout.builder(name) / "state" / "builds" for name in box.layout.builders]
    return [pid for builds in directories if builds.exists() for each in builds.iterdir() for pid in processes_in(each)]


def on_machine(box: Box) -> list[str]:
    """Processes, mounts and directories of builds; not directories that the builder's next build deletes."""
    found = [f"mount {path}" for path in mounts_below(box.layout.directory)]
    for name in box.layout.builders:
        builds = box.layout.builder(name) / "state" / "builds"
        for directory in builds.iterdir() if builds.exists() else []:
            if not _was_killed(box, name, directory.name):
                found.append(f"directory {directory}")
    found += [f"process {pid}" for pid in processes_of_builds(box)]
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    found += [f"process {line}" for line in listed.splitlines() if "runc" in line and str(box.layout.directory) in line]
    return found


def _was_killed(box: Box, builder: str, build: str) -> bool:
    """Return whether the builder daemon had to kill the task of a build, which could not delete its directory then.

    On a busy machine, the seconds that Koji gives a canceled task are too few for it.

    :param build: name of the build directory, e.g. task-9-kbtj9x8y
    """
    task = re.match(r"task-(\d+)-", build)
    log = box.layout.log(builder).read_text(errors="replace")
    return task is not None and re.search(rf"Failed to kill .*taskID {task[1]}\) with signal 15", log) is not None


def nothing_left(box: Box) -> None:
    """Assert that soon no leftovers of builds exist."""
    eventually(
        lambda: [*on_machine(box), *staged(box), *reserved(box)] == [],
        lambda: [*on_machine(box), *staged(box), *reserved(box)],
    )
