"""Recording a build in Koji: the import by a content generator, and everything that follows it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.hub.reservation import Reservation
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.publish.archive import file_metadata
from fedpkg_container.image.publish.floating_tags import FloatingTagUpdater
from fedpkg_container.image.record.attachments import Attachment
from fedpkg_container.image.record.metadata import Provenance, PublishedIndex, build_metadata
from fedpkg_container.image.task import BuildTask
from fedpkg_container.model.build import NVR, BuiltImage
from fedpkg_container.model.koji_images import RecordedImage, image_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.signals import uninterrupted

#: What the hub is told of a build, as a file in the folder of its import.
_METADATA = "metadata.json"


def create_upload_directory(session: Any, name: str) -> str:
    """A new folder on the hub for the files of an import, in which nobody but this account can write files.

    The hub gives a folder to who uploads there first, and its name does not stay unknown: it is in the arguments of
    tasks. So a file goes there at once, under the one name that is known before: anybody may make folders in it, and
    where one is, no file of that name can be uploaded. All other files get new folders of their own.

    :param session: of the account that imports
    :param name: what imports
    """
    folder = f"container-build/{name}-{uuid.uuid4().hex}"
    session.rawUpload(b"{}", 0, folder, _METADATA, overwrite=True)
    return folder


@dataclass(frozen=True)
class ContentGeneratorImport:
    """What an import works with.

    :param generator: session of the account that imports
    :param after: called after each step
    """

    generator: Any
    log: BuildLog
    after: Callable[[str], None]

    def run(
        self,
        provenance: Provenance,
        published: PublishedIndex,
        images: Sequence[BuiltImage],
        reservation: Reservation,
        upload: str,
        documents: Sequence[Attachment] = (),
    ) -> None:
        """Record a build for which its NVR is reserved.

        :param upload: folder on the hub, of ``create_upload_directory``, below which the files of the images are
        :param documents: files that are kept with the build
        """
        self.log.say(f"importing {reservation.nvr}")
        logs = [self._kept(self.log.path, upload)]
        for document in documents:
            arch = {"arch": document.arch} if document.arch else {}
            logs.append({**self._kept(document.path, upload), **arch})
        described = build_metadata(provenance, published, images, logs, reservation.build_id)
        path = self.log.path.parent / _METADATA
        path.write_text(json.dumps(described, indent=1))
        self._upload(path, upload)
        self.after("uploaded")
        with uninterrupted():  # the hub would go on, and what it imports must not be given back meanwhile
            self._record(reservation, upload, described["build"]["extra"])
        self.log.line(f"recorded as build {reservation.build_id}")
        self.after("imported")

    def _kept(self, path: Path, upload: str) -> dict[str, Any]:
        """Upload a file; what metadata says of it."""
        below = uuid.uuid4().hex
        self._upload(path, f"{upload}/{below}")
        return file_metadata(path, "log", relpath=below)

    def _upload(self, path: Path, folder: str) -> None:
        self.generator.uploadWrapper(str(path), folder, overwrite=True)

    def _record(self, reservation: Reservation, upload: str, extra: Mapping[str, Any]) -> None:
        try:
            self.generator.CGImport(_METADATA, upload, reservation.token)
        except koji.GenericError:
            # The answer may have been lost, and koji's client has asked again: what counts is what the hub has. That
            # may be another's build: the hub gives the id again when a reservation was canceled.
            build = self.generator.getBuild(reservation.build_id)
            if build["state"] != koji.BUILD_STATES["COMPLETE"] or _identity(build["extra"]) != _identity(extra):
                raise


def _identity(extra: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """What no two runs of builds or imports have in common: the task, and its lists with the tag of their own."""
    recorded = extra or {}
    return recorded.get("container_koji_task_id"), image_of({"extra": recorded}).get("index")


@dataclass(frozen=True)
class BuildRecorder:
    """What recording works with.

    :param session: of the builder
    :param generator: session of the site's shared account
    :param registry: where tags are set
    :param after: called after each step
    """

    task: BuildTask
    session: Any
    generator: Any
    registry: Registry
    log: BuildLog
    after: Callable[[str], None]

    def run(
        self,
        provenance: Provenance,
        published: PublishedIndex,
        images: list[BuiltImage],
        reservation: Reservation,
        upload: str,
        documents: Sequence[Attachment] = (),
    ) -> int:
        """Record the build in Koji and tag it; its id.

        :param documents: files that are kept with the build
        """
        importing = ContentGeneratorImport(self.generator, self.log, self.after)
        importing.run(provenance, published, images, reservation, upload, documents)
        self._name(reservation.nvr, published.repository.at(published.digest))
        self.after("named")
        self._tag(str(reservation.nvr), reservation.build_id)
        self.after("tagged")
        self._settle(reservation.nvr, published.repository, published.tags.floating)
        return reservation.build_id

    def resume(self, build: dict[str, Any]) -> dict[str, Any]:
        """Finish what an earlier run of this task recorded before it was killed; the result of the task."""
        self.log.say(f"{build['nvr']} was recorded by an earlier run of this task")
        nvr = NVR(build["name"], build["version"], build["release"])
        image = RecordedImage.of(build)
        if image.by_digest:
            self._name(nvr, image.by_digest)
        if self.task.target["dest_tag"] not in {tag["id"] for tag in self.session.listTags(build["build_id"])}:
            self._tag(build["nvr"], build["build_id"])
        if image.by_digest:
            self._settle(nvr, image.by_digest.tagged(""), sorted(image.floating_tags))
        return {"repositories": list(image.pull), "koji_builds": [str(build["build_id"])]}

    def _name(self, nvr: NVR, image: ImageReference) -> None:
        """Set the tag of the version and release, now that the build is recorded.

        :param image: the list of arches, by digest
        """
        named, tag = image.tagged(nvr.primary_tag), self.task.target["dest_tag_name"]
        try:
            self.registry.set_tags(image, [named.tag])
        except RegistryError as error:
            raise RegistryError(
                f"{nvr} is recorded, but {named} is not set, and it is not tagged into {tag}: {error.reason}",
                solution=f"build the next release; or by hand: skopeo copy --all docker://{image} docker://{named}, "
                f"and koji tag-build {tag} {nvr}",
            ) from error
        self.log.line(f"set {named}")

    def _tag(self, nvr: str, build_id: int) -> None:
        tag = self.task.target["dest_tag_name"]
        try:
            self.session.host.tagBuild(self.task.id, self.task.target["dest_tag"], build_id)
        except koji.GenericError as error:
            if self.task.target["dest_tag"] in {each["id"] for each in self.session.listTags(build_id)}:
                return  # the same: it was asked twice
            raise BuildFailedError(
                f"{nvr} is recorded as build {build_id}, but not tagged into {tag}: {error}",
                solution=f"tag it by hand: koji tag-build {tag} {nvr}",
            ) from error
        self.log.line(f"tagged {nvr} into {tag}")

    def _settle(self, nvr: NVR, repository: ImageReference, tags: Sequence[str]) -> None:
        """Set the floating tags, now that the build is recorded."""
        try:
            FloatingTagUpdater(self.session, self.registry, repository).settle(nvr, tags)
        except RegistryError as error:
            raise RegistryError(
                f"{nvr} is recorded, but its floating tags {', '.join(tags)} are not set: {error.reason}",
                solution="they are set by the next build of it",
            ) from error
        if tags:
            self.log.say(f"floating tags {', '.join(tags)} are set")


def recorded_build(session: Any, task: BuildTask) -> dict[str, Any] | None:
    """The build that an earlier run of a task imported, if it came that far."""
    if task.scratch:
        return None
    for listed in session.listBuilds(taskID=task.id, state=koji.BUILD_STATES["COMPLETE"]):
        build: dict[str, Any] = session.getBuild(listed["build_id"])
        return build
    return None
