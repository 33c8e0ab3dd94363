"""The tags of a base image that is recorded: those in the candidate registry, and the one of Koji."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.errors import BuildFailedError, RefusedError
from fedpkg_container.hub.reservation import ENDED
from fedpkg_container.image.base.source import BaseSource
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.publish.floating_tags import FloatingTagUpdater
from fedpkg_container.image.resolve.names import check_owner
from fedpkg_container.model.build import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry

#: Seconds that Koji's task of tagging may take, and between two questions for it.
TAG_TIMEOUT = 600.0
POLL_INTERVAL = 1.0


@dataclass(frozen=True)
class BaseTags:
    """Tags of builds of one repository.

    :param session: logged in
    :param repository: in the candidate registry
    :param koji_tag: empty for none: floating tags are those of builds that are in a tag of Koji
    """

    session: Any
    registry: Registry
    repository: ImageReference
    koji_tag: str
    log: BuildLog

    def check_koji_tag(self, nvr: NVR) -> None:
        """Find out whether the tag of Koji will take the build.

        :raises RefusedError: it will not
        """
        if not self.koji_tag:
            return
        if self.session.getTag(self.koji_tag) is None:
            raise RefusedError(f"the hub has no tag {self.koji_tag}", solution="see which there are: koji list-tags")
        if not self.session.checkTagPackage(self.koji_tag, nvr.name):
            raise RefusedError(
                f"package {nvr.name} is not in the list of tag {self.koji_tag}, or blocked there",
                solution=f"ask a release engineer: koji add-pkg --owner … {self.koji_tag} {nvr.name}",
            )

    def check_repository(self, nvr: NVR, source: BaseSource) -> None:
        """Find out whether the repository is the package's, and the tag of the version and release this image's.

        :raises RefusedError: it is not
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
                    f"{self.repository.tagged(tag)} is another image already: {digest}",
                    solution="choose another release: --nvr NAME-VERSION-RELEASE",
                )

    def set_missing_tags(self, build_id: int, nvr: NVR, index: ImageReference, floating: Sequence[str]) -> None:
        """Set what is missing of a build's tags.

        :param index: its list of arches, by digest
        :raises BuildFailedError: Koji does not tag it
        :raises RegistryError: a tag could not be set
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
                self.log.report(f"set {', '.join(updated)} too")

    def _is_tagged(self, build_id: int) -> bool:
        return self.koji_tag in {tag["name"] for tag in self.session.listTags(build_id)}

    def _tag_in_koji(self, build_id: int, nvr: NVR) -> None:
        """Tag the build in Koji, which is a task of its own."""
        deadline = time.monotonic() + TAG_TIMEOUT
        try:
            task_id = self.session.tagBuild(self.koji_tag, build_id)
            while self.session.getTaskInfo(task_id)["state"] not in ENDED and time.monotonic() < deadline:
                time.sleep(POLL_INTERVAL)
            reason = f"see task {task_id}"
        except koji.GenericError as error:
            reason = str(error)
        if not self._is_tagged(build_id):
            raise BuildFailedError(
                f"{nvr} is recorded as build {build_id}, but not tagged into {self.koji_tag}: {reason}",
                solution=f"run it again, or tag it by hand: koji tag-build {self.koji_tag} {nvr}",
            )
        self.log.report(f"tagged {nvr} into {self.koji_tag}")
