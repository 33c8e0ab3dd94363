# SPDX-License-Identifier: GPL-2.0-or-later
"""Recording of a build in Koji: content-generator import, Koji tag, primary tag and floating tags."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import koji

from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.reservation import Reservation
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.publish.floating_tags import FloatingTagUpdater
from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.record.arch_files import file_metadata
from fedpkg_container.image.record.attachments import Attachment
from fedpkg_container.image.record.metadata import Provenance, build_metadata
from fedpkg_container.image.task import BuildContext, BuildTask
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_images import RecordedImage, image_metadata
from fedpkg_container.model.koji_types import BuildExtra, BuildInfo, BuildTaskResult, FileMetadata, IndexMetadata
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.signals import shield_signals
from fedpkg_container.steps import reached

_log = logging.getLogger(__name__)

#: File name of the content-generator metadata in the upload directory.
_METADATA = "metadata.json"


def create_upload_directory(session: HubSession, name: str) -> str:
    """Create a directory on the hub for the files of an import, which only this account can use; return its path.

    The hub assigns a directory to the first account that uploads to it, and the path does not stay secret: it is in the
    arguments of tasks. So the one file with a known name is uploaded at once; otherwise any account could create a
    directory of that name, and block the upload. Each of the other files gets a new directory.

    :param session: of the account that imports
    :param name: of the import
    """
    directory = f"container-build/{name}-{uuid.uuid4().hex}"
    session.rawUpload(b"{}", 0, directory, _METADATA, overwrite=True)
    return directory


@dataclass(frozen=True)
class ContentGeneratorImport:
    """Imports builds as a content generator.

    :param cg_session: hub session of the account that imports
    """

    cg_session: HubSession
    log: BuildLog

    def run(
        self,
        provenance: Provenance,
        published: PublishedIndex,
        images: Sequence[BuiltImage],
        reservation: Reservation,
        upload_directory: str,
        attachments: Sequence[Attachment] = (),
    ) -> None:
        """Import a build whose NVR is reserved.

        :param upload_directory: from ``create_upload_directory``, with the files of the images
        :param attachments: files to store with the build
        """
        self.log.report(f"importing {reservation.nvr}")
        logs = [self._upload_log(self.log.path, upload_directory)]
        for attachment in attachments:
            log = self._upload_log(attachment.path, upload_directory)
            if attachment.arch:
                log["arch"] = attachment.arch
            logs.append(log)
        content = build_metadata(provenance, published, images, logs, reservation.build_id)
        path = self.log.path.parent / _METADATA
        path.write_text(json.dumps(content, indent=1))
        self._upload(path, upload_directory)
        reached("uploaded")
        with shield_signals():  # the hub would continue, and the reservation must not be released meanwhile
            self._record(reservation, upload_directory, content["build"]["extra"])
        self.log.append(f"recorded as build {reservation.build_id}")
        reached("imported", build=reservation.build_id)

    def _upload_log(self, path: Path, upload_directory: str) -> FileMetadata:
        """Upload a file as a log; return its metadata."""
        relpath = uuid.uuid4().hex
        self._upload(path, f"{upload_directory}/{relpath}")
        return file_metadata(path, "log", relpath=relpath)

    def _upload(self, path: Path, directory: str) -> None:
        self.cg_session.uploadWrapper(str(path), directory, overwrite=True)

    def _record(self, reservation: Reservation, upload_directory: str, extra: BuildExtra) -> None:
        try:
            self.cg_session.CGImport(_METADATA, upload_directory, reservation.token)
        except koji.GenericError:
            # koji's client retries when the response is lost, so only the build on the hub shows whether the import
            # succeeded. It may be another build: the hub reuses the ID of a canceled reservation.
            build = self.cg_session.getBuild(reservation.build_id)
            if build is None or build["state"] != koji.BUILD_STATES["COMPLETE"]:
                raise
            if _identity(build["extra"]) != _identity(extra):
                raise
            _log.warning("the import of build %d succeeded, although its response was lost", reservation.build_id)


def _identity(extra: BuildExtra | None) -> tuple[int | None, IndexMetadata | None]:
    """Return what identifies one run of a build or import: the task, and the image index with its unique tag."""
    recorded = extra or {}
    return recorded.get("container_koji_task_id"), image_metadata({"extra": recorded}).get("index")


@dataclass(frozen=True)
class BuildRecorder:
    """Records builds.

    :param registry: where tags are set
    """

    context: BuildContext
    registry: Registry

    def run(
        self,
        provenance: Provenance,
        published: PublishedIndex,
        images: list[BuiltImage],
        reservation: Reservation,
        upload_directory: str,
        attachments: Sequence[Attachment] = (),
    ) -> int:
        """Import the build into Koji and set all its tags; return its ID.

        :param attachments: files to store with the build
        """
        cg_import = ContentGeneratorImport(self.context.cg_session, self.context.log)
        cg_import.run(provenance, published, images, reservation, upload_directory, attachments)
        self._set_primary_tag(reservation.nvr, published.repository.at(published.digest))
        reached("named", tag=reservation.nvr.primary_tag)
        self._tag_in_koji(str(reservation.nvr), reservation.build_id)
        reached("tagged", tag=self.context.task.target["dest_tag_name"])
        self._update_floating_tags(reservation.nvr, published.repository, published.tags.floating)
        return reservation.build_id

    def resume(self, build: BuildInfo) -> BuildTaskResult:
        """Finish recording a build that an earlier, killed run of this task imported; return the result of the task."""
        self.context.log.report(f"{build['nvr']} was recorded by an earlier run of this task")
        nvr = NVR(build["name"], build["version"], build["release"])
        image = RecordedImage.of(build)
        if image.by_digest:
            self._set_primary_tag(nvr, image.by_digest)
        _log.info("continuing after the import: primary tag, Koji tag and floating tags")
        if not self._is_tagged(build["build_id"]):
            self._tag_in_koji(build["nvr"], build["build_id"])
        if image.by_digest:
            self._update_floating_tags(nvr, image.by_digest.tagged(""), sorted(image.floating_tags))
        return {"repositories": list(image.pull), "koji_builds": [str(build["build_id"])]}

    def _set_primary_tag(self, nvr: NVR, index: ImageReference) -> None:
        """Set the tag of the version and release, now that the build is recorded.

        :param index: image index, by digest
        """
        target, tag = index.tagged(nvr.primary_tag), self.context.task.target["dest_tag_name"]
        try:
            self.registry.set_tags(index, [target.tag])
        except RegistryError as error:
            raise RegistryError(
                f"{nvr} is recorded, but {target} is not set, and it is not tagged into {tag}: {error.reason}",
                solution=f"build the next release; or run: skopeo copy --all docker://{index} docker://{target}, "
                f"and koji tag-build {tag} {nvr}",
            ) from error
        self.context.log.append(f"set {target}")

    def _tag_in_koji(self, nvr: str, build_id: int) -> None:
        task = self.context.task
        tag = task.target["dest_tag_name"]
        try:
            self.context.session.host.tagBuild(task.id, task.target["dest_tag"], build_id)
        except koji.GenericError as error:
            if self._is_tagged(build_id):
                _log.warning("%s is tagged into %s, although the response was lost", nvr, tag)
                return  # an earlier attempt succeeded
            raise BuildFailedError(
                f"{nvr} is recorded as build {build_id}, but not tagged into {tag}: {error}",
                solution=f"tag the build: koji tag-build {tag} {nvr}",
            ) from error
        self.context.log.append(f"tagged {nvr} into {tag}")

    def _is_tagged(self, build_id: int) -> bool:
        """Return whether a build has the destination tag."""
        tags = self.context.session.listTags(build_id)
        return self.context.task.target["dest_tag"] in {tag["id"] for tag in tags}

    def _update_floating_tags(self, nvr: NVR, repository: ImageReference, tags: Sequence[str]) -> None:
        """Update the floating tags, now that the build is recorded."""
        try:
            FloatingTagUpdater(self.context.session, self.registry, repository).update_floating_tags(nvr, tags)
        except RegistryError as error:
            raise RegistryError(
                f"{nvr} is recorded, but its floating tags {', '.join(tags)} are not set: {error.reason}",
                solution="the next build of this package will set them",
            ) from error
        if tags:
            self.context.log.report(f"set floating tags {', '.join(tags)}")


def recorded_build(session: HubSession, task: BuildTask) -> BuildInfo | None:
    """Return the build that an earlier run of a task imported; None if there is none."""
    if task.scratch:
        return None
    for entry in session.listBuilds(taskID=task.id, state=koji.BUILD_STATES["COMPLETE"]):
        return session.getBuild(entry["build_id"])
    return None
