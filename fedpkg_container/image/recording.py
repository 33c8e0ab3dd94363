"""Recording a build that was published: the import by the shared account, and then every tag that people go by.

The tag of the version and release comes after the import, so that it never names an image that Koji does not know, and
before Koji's tag, so that whoever is told of that finds the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.hub.reservation import Reservation
from fedpkg_container.image.documents import Document
from fedpkg_container.image.floating import Floating
from fedpkg_container.image.importing import Importing
from fedpkg_container.image.log import BuildLog
from fedpkg_container.image.metadata import Provenance, Published
from fedpkg_container.image.task import Task
from fedpkg_container.model.build import NVR, BuiltImage
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry


@dataclass(frozen=True)
class Recording:
    """What recording works with.

    :param session: of the builder
    :param generator: session of the site's shared account
    :param registry: where tags are set
    :param after: called after each step
    """

    task: Task
    session: Any
    generator: Any
    registry: Registry
    log: BuildLog
    after: Callable[[str], None]

    def run(
        self,
        provenance: Provenance,
        published: Published,
        images: list[BuiltImage],
        reservation: Reservation,
        upload: str,
        documents: Sequence[Document] = (),
    ) -> int:
        """Record the build in Koji and tag it; its id.

        :param documents: files that are kept with the build
        """
        importing = Importing(self.generator, self.log, self.after)
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
            Floating(self.session, self.registry, repository).settle(nvr, tags)
        except RegistryError as error:
            raise RegistryError(
                f"{nvr} is recorded, but its floating tags {', '.join(tags)} are not set: {error.reason}",
                solution="they are set by the next build of it",
            ) from error
        if tags:
            self.log.say(f"floating tags {', '.join(tags)} are set")


def already_recorded(session: Any, task: Task) -> dict[str, Any] | None:
    """The build that an earlier run of a task imported, if it came that far."""
    if task.scratch:
        return None
    for listed in session.listBuilds(taskID=task.id, state=koji.BUILD_STATES["COMPLETE"]):
        build: dict[str, Any] = session.getBuild(listed["build_id"])
        return build
    return None
