# SPDX-License-Identifier: GPL-2.0-or-later
"""Tags, targets, packages and a repository, as required for builds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import koji

from fedpkg_container.box.admin_session import AdminSession
from fedpkg_container.box.layout import ADMIN, PACKAGER
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.errors import FedpkgContainerError

BRANCH = "rawhide"
BUILD_TAG = f"{BRANCH}-container-build"
DEST_TAG = f"{BRANCH}-container-candidate"
#: Tag of tested builds.
STABLE_TAG = f"{BRANCH}-container-updates"
TARGET = f"{BRANCH}-container-candidate"
#: Timeout of creating the repository, seconds.
REPO_TIMEOUT = 300.0


def create_target(session: AdminSession, *packages: str, arches: Sequence[str] = (MACHINE,)) -> None:
    """Create missing tags and target of the branch, and list packages in the destination tag.

    :param arches: of a new build tag, by Koji's names
    """
    if session.getBuildTarget(TARGET) is None:
        session.createTag(BUILD_TAG, arches=" ".join(arches))
        session.createTag(DEST_TAG)
        session.createBuildTarget(TARGET, BUILD_TAG, DEST_TAG)
    for name in packages:
        session.packageListAdd(DEST_TAG, name, owner=PACKAGER)


def create_stable_tag(session: AdminSession, *packages: str) -> None:
    """Create the tag of tested builds if missing, and list packages in it."""
    if session.getTag(STABLE_TAG) is None:
        session.createTag(STABLE_TAG)
    for name in packages:
        session.packageListAdd(STABLE_TAG, name, owner=PACKAGER)


def import_rpms(session: AdminSession, rpms: list[Path]) -> None:
    """Import RPMs into Koji, each as a separate build in the build tag; skip existing ones."""
    for path in rpms:
        header = koji.get_header_fields(str(path), ["name", "version", "release", "epoch"])
        nvr = "{name}-{version}-{release}".format(**header)
        if session.getBuild(nvr):
            continue
        session.createEmptyBuild(header["name"], header["version"], header["release"], header["epoch"])
        directory = f"cli-import/{uuid.uuid4().hex}"
        session.uploadWrapper(str(path), directory)
        session.importRPM(directory, path.name)
        session.packageListAdd(BUILD_TAG, header["name"], owner=ADMIN)
        session.tagBuildBypass(BUILD_TAG, nvr)


def regenerate(session: AdminSession) -> None:
    """Have a builder regenerate the build tag's repository.

    :raises FedpkgContainerError: it failed or timed out
    """
    task_id = session.newRepo(BUILD_TAG)
    deadline = time.monotonic() + REPO_TIMEOUT
    while time.monotonic() < deadline:
        task = session.getTaskInfo(task_id)
        state = koji.TASK_STATES[task["state"]] if task else ""
        if state == "CLOSED":
            return
        if state in ("FAILED", "CANCELED"):
            break
        time.sleep(0.2)
    result = session.getTaskResult(task_id, raise_fault=False)
    raise FedpkgContainerError(f"the repository of {BUILD_TAG} was not created: {result}")
