# SPDX-License-Identifier: GPL-2.0-or-later
"""A build with the packages of a side tag, whose repository does not exist yet."""

from __future__ import annotations

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN
from tests.support.packager import Packager

SIDE_TAG = "rawhide-build-side-1"


def test_a_build_waits_for_the_repository_of_its_side_tag(packager: Packager, box: Box) -> None:
    session = box.session(ADMIN)
    session.createTag(SIDE_TAG, parent=site.BUILD_TAG)
    session.createBuildTarget(SIDE_TAG, SIDE_TAG, SIDE_TAG)
    packager.commit(packager.dockerfile("RUN true"))
    arguments = ("--scratch", "--target", SIDE_TAG, "--wait-repo")
    dry = packager.build(*arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert f"after the repository of {SIDE_TAG} contains the latest changes of the tag\n" in dry.stdout
    assert session.getRepo(SIDE_TAG) is None
    done = packager.build(*arguments, "--nowait")
    assert done.returncode == 0, done.stderr
    assert f"waiting for the repository of {SIDE_TAG}\n" in done.stderr
    assert session.getRepo(SIDE_TAG)["create_event"] >= session.tagLastChangeEvent(SIDE_TAG)
    packager.cancel_builds()
