# SPDX-License-Identifier: GPL-2.0-or-later
"""The tags of an imported base image: those in the candidate registry, and its Koji tag."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import koji

from fedpkg_container.errors import BuildFailedError, RefusedError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.reservation import ENDED_STATES
from fedpkg_container.image.base.source import BaseSource
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.publish.floating_tags import FloatingTagUpdater
from fedpkg_container.image.resolve.names import check_owner
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry

#: Seconds for Koji's tagBuild task, and between two queries of its state.
TAG_TIMEOUT = 600.0
POLL_INTERVAL = 1.0


@dataclass(frozen=True)
class BaseTags:
    """Sets the tags of imports into one repository.

    :param session: hub session, logged in
    :param repository: in the candidate registry
    :param koji_tag: empty for none; floating tags need one, as they belong to builds with a Koji tag
    """

    session: HubSession
    registry: Registry
    repository: ImageReference
    koji_tag: str
    log: BuildLog

    def check_koji_tag(self, nvr: NVR) -> None:
        """Check that the Koji tag exists and accepts the package.

        :raises RefusedError: if not
        """
        if not self.koji_tag:
            return
        if self.session.getTag(self.koji_tag) is None:
            raise RefusedError(f"Koji tag {self.koji_tag} does not exist", solution="list the tags: koji list-tags")
        if not self.session.checkTagPackage(self.koji_tag, nvr.name):
            raise RefusedError(
                f"package {nvr.name} is not listed in Koji tag {self.koji_tag}, or is blocked there",
                solution=f"a release engineer can add it: koji add-pkg --owner … {self.koji_tag} {nvr.name}",
            )

    def check_repository(self, nvr: NVR, source: BaseSource) -> None:
        """Check that the repository belongs to the package, and that its primary tag is not another image.

        :raises RefusedError: if not
        """
        tag = nvr.primary_tag
        with self.registry.repository(self.repository) as repository:
            try:
                check_owner(repository, nvr.name, self.session.getBuild)
            except BuildFailedError as error:
                raise RefusedError(error.reason, solution=error.solution) from error
            digest = repository.head(tag)
            if digest and not source.is_same(digest, repository):
                raise RefusedError(
                    f"{self.repository.tagged(tag)} is already another image: {digest}",
                    solution="choose another release: --nvr NAME-VERSION-RELEASE",
                )

    def set_missing_tags(self, build_id: int, nvr: NVR, index: ImageReference, floating: Sequence[str]) -> None:
        """Set the missing tags of a recorded build: primary, Koji and floating tags.

        :param index: image index, by digest
        :raises BuildFailedError: if Koji does not tag the build
        :raises RegistryError: if a tag cannot be set
        """
        primary_tag = nvr.primary_tag
        with self.registry.repository(index) as repository:
            if repository.head(primary_tag) != index.digest:
                repository.put_manifest(primary_tag, repository.manifest(index.digest))
                self.log.report(f"set {index.tagged(primary_tag)}")
        if self.koji_tag and not self._is_tagged(build_id):
            self._tag_in_koji(build_id, nvr)
        if self.session.listTags(build_id):
            updated = FloatingTagUpdater(self.session, self.registry, self.repository).update_floating_tags(
                nvr, floating
            )
            if updated:
                self.log.report(f"set floating tags {', '.join(updated)}")

    def _is_tagged(self, build_id: int) -> bool:
        return self.koji_tag in {tag["name"] for tag in self.session.listTags(build_id)}

    def _tag_in_koji(self, build_id: int, nvr: NVR) -> None:
        """Tag the build in Koji, and wait for the tagBuild task."""
        deadline = time.monotonic() + TAG_TIMEOUT
        try:
            task_id = self.session.tagBuild(self.koji_tag, build_id)
            while time.monotonic() < deadline:
                task = self.session.getTaskInfo(task_id)
                if task is None or task["state"] in ENDED_STATES:
                    break
                time.sleep(POLL_INTERVAL)
            reason = f"see task {task_id}"
        except koji.GenericError as error:
            reason = str(error)
        if not self._is_tagged(build_id):
            raise BuildFailedError(
                f"{nvr} is recorded as build {build_id}, but not tagged into {self.koji_tag}: {reason}",
                solution=f"repeat the import, or tag the build: koji tag-build {self.koji_tag} {nvr}",
            )
        self.log.report(f"tagged {nvr} into {self.koji_tag}")
