# SPDX-License-Identifier: GPL-2.0-or-later
"""Import of a base image into Koji and the candidate registry."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import koji
import requests

from fedpkg_container.engines import rootless
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import RUNTIMES, Isolation
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import FedpkgContainerError, RefusedError, RegistryError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.reservation import ImportReservations, Reservation
from fedpkg_container.image.base.identity import BaseIdentity, nvr_from_labels
from fedpkg_container.image.base.source import ArchImage, BaseSource
from fedpkg_container.image.base.tags import BaseTags
from fedpkg_container.image.building.log import BuildLog, EchoedLog
from fedpkg_container.image.inspect.buildroot import describe_buildroot
from fedpkg_container.image.inspect.describe import describe_image, inspect_image
from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.record.arch_files import file_metadata
from fedpkg_container.image.record.attachments import AttachmentBuilder, Attachments, ImageOrigin
from fedpkg_container.image.record.koji_import import ContentGeneratorImport, create_upload_directory
from fedpkg_container.image.record.metadata import Provenance
from fedpkg_container.image.resolve.names import BuildTags, RequestedFloatingTags
from fedpkg_container.locking import locked
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_images import RecordedImage, image_metadata
from fedpkg_container.model.koji_types import BuildInfo
from fedpkg_container.model.nvr import NVR, sanitize_tag
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import IMPORT, ImageReference, UniqueTag
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, OCI_INDEX, Manifest
from fedpkg_container.registry.skopeo import Access, Registry
from fedpkg_container.signals import shield_signals
from fedpkg_container.steps import reached

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImportContext:
    """Engine and log of an import."""

    engine: Buildah
    log: BuildLog


@contextlib.contextmanager
def import_context(
    state: Path, access: Access, show: Callable[[str], None] = lambda _: None
) -> Iterator[ImportContext]:
    """Provide a workspace for an import, which is removed afterwards.

    :param state: state directory; builders may share it
    :param access: access to the candidate registry
    :param show: called with each line of the log
    :raises FedpkgContainerError: if another import is running on this machine
    """
    rootless.enter()
    workspaces = Workspaces(state)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(state / "import.lock", wait=False))
        except BlockingIOError:
            raise FedpkgContainerError(
                f"another import is running on this machine, in {state}", solution="wait until it has finished"
            ) from None
        workspace = stack.enter_context(workspaces.open("import"))
        log = stack.enter_context(EchoedLog(workspace.directory / "import-base.log", show))
        # Nothing is executed, so the runtime need not be installed.
        yield ImportContext(Buildah(workspaces, workspace, isolation=Isolation(RUNTIMES[0]), access=access), log)


#: Sources of a base image's floating tags.
FLOATING_TAGS = ("version", "latest")


@dataclass(frozen=True)
class ImportedImage:
    """The result of an import.

    :param index: image index in the candidate registry, by digest
    :param existed: whether Koji already had the image
    """

    nvr: NVR
    build_id: int
    index: ImageReference
    arches: tuple[str, ...]
    existed: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaseImport:
    """Imports base images.

    :param session: hub session of the user who imports
    :param generator: name of the content generator
    :param candidate: candidate registry, host and port; ``engine`` has access to it
    :param store_archives: whether Koji stores the images' archives, or only their metadata
    :param koji_tag: Koji tag for the build; empty for none
    """

    session: HubSession
    generator: str
    candidate: str
    engine: Buildah
    log: BuildLog
    store_archives: bool = True
    koji_tag: str = ""

    def run(self, source: BaseSource, identity: BaseIdentity) -> ImportedImage:
        """Import an image; if Koji already has it under this NVR, only set missing tags.

        :raises RefusedError: if the NVR or repository belongs to something else, or the Koji tag does not list the
            package
        :raises BuildFailedError: if another import or build of this NVR is running, or the imported build cannot be
            tagged
        :raises RegistryError: if the candidate registry is unavailable or refuses a request
        """
        tags = self._tags(ImageReference(self.candidate, identity.repository))
        tags.check_koji_tag(identity.nvr)
        build = self.session.getBuild(str(identity.nvr))
        if build and build["state"] == koji.BUILD_STATES["COMPLETE"]:
            return self._resume(build, source, identity.nvr)
        self._check_duplicate(source, identity.nvr)
        tags.check_repository(identity.nvr, source)
        started = time.time()
        reservations = ImportReservations(self.session, self.generator)
        nvr = identity.nvr
        reservation = reservations.reserve(nvr.name, nvr.version, nvr.release, source.display_name)
        self.log.report(f"reserved {nvr} (build {reservation.build_id})")
        reached("reserved", nvr=nvr)
        try:
            return self._import(source, identity, reservation, started)
        except BaseException:
            with shield_signals():
                self._refund_reservation(reservations, reservation)
            raise

    def _tags(self, repository: ImageReference) -> BaseTags:
        return BaseTags(self.session, self._registry, repository, self.koji_tag, self.log)

    @property
    def _registry(self) -> Registry:
        return Registry(self.engine.access)

    def _refund_reservation(self, reservations: ImportReservations, reservation: Reservation) -> None:
        """Release the NVR, unless the build was imported; a failure is left to the next import, which takes over."""
        try:
            build = self.session.getBuild(reservation.build_id)
            if build and build["state"] == koji.BUILD_STATES["BUILDING"]:
                reservations.refund(reservation, canceled=False)
                _log.info("released the reservation of %s", reservation.nvr)
        except (koji.GenericError, requests.RequestException) as error:
            _log.warning("cannot release the reservation of %s: %s", reservation.nvr, error)

    def _check_duplicate(self, source: BaseSource, nvr: NVR) -> None:
        """Check that Koji does not have the image under the NVR of its labels: a digest must lead to one build.

        :raises RefusedError: if it does
        """
        labeled_nvr = nvr_from_labels(source)
        build = self.session.getBuild(str(labeled_nvr)) if labeled_nvr and labeled_nvr != nvr else None
        if build and build["state"] == koji.BUILD_STATES["COMPLETE"] and _is_of(build, source):
            raise RefusedError(
                f"{source.display_name} is already imported as {labeled_nvr} (build {build['id']})",
                solution="omit --nvr; or build on the existing image",
            )

    def _resume(self, build: BuildInfo, source: BaseSource, nvr: NVR) -> ImportedImage:
        """Finish an import whose build is already recorded."""
        recorded = RecordedImage.of(build)
        if not _is_of(build, source) or recorded.by_digest is None:
            raise RefusedError(
                f"{nvr} already exists with another image (build {build['id']})",
                solution="choose another release: --nvr NAME-VERSION-RELEASE",
            )
        self.log.report(f"{nvr} is already imported (build {build['id']})")
        tags = self._tags(recorded.by_digest.tagged(""))
        tags.check_repository(nvr, source)
        tags.set_missing_tags(build["id"], nvr, recorded.by_digest, sorted(recorded.floating_tags))
        return ImportedImage(nvr, build["id"], recorded.by_digest, tuple(source.image_ids), existed=True)

    def _import(
        self, source: BaseSource, identity: BaseIdentity, reservation: Reservation, started: float
    ) -> ImportedImage:
        nvr = identity.nvr
        tags = BuildTags(
            str(UniqueTag(reservation.build_id, started, IMPORT)),
            nvr.primary_tag,
            RequestedFloatingTags(FLOATING_TAGS).of(nvr),
        )
        published = self._publish(source, ImageReference(self.candidate, identity.repository), tags)
        reached("published", image=published.by_digest)
        upload_directory = create_upload_directory(self.session, f"import-{reservation.build_id}")
        images = [self._inspect_and_upload(image, published, nvr, upload_directory) for image in source.arch_images]
        attachments = AttachmentBuilder(
            self.session, self._registry, ImageOrigin(copy_of=source.reference), self.log
        ).create(nvr, published, images, started)
        reached("documented")
        provenance = self._provenance(source, nvr, started, attachments)
        importing = ContentGeneratorImport(self.session, self.log)
        importing.run(provenance, published, images, reservation, upload_directory, attachments.files)
        image = published.repository.at(published.digest)
        self._tags(published.repository).set_missing_tags(reservation.build_id, nvr, image, tags.floating)
        warnings = [f"{image.arch}: the image has no RPMs" for image in images if not image.components]
        return ImportedImage(
            nvr,
            reservation.build_id,
            image,
            tuple(source.image_ids),
            existed=False,
            warnings=(*warnings, *attachments.warnings),
        )

    def _publish(self, source: BaseSource, repository: ImageReference, tags: BuildTags) -> PublishedIndex:
        """Copy the image to the candidate registry, under a unique tag; a single image becomes an index."""
        unique = repository.tagged(tags.unique)
        self.log.report(f"copying {source.display_name} to {unique}")
        self._registry.copy_image(source.transport, source.options, unique, preserve_digests=bool(source.digest))
        with self._registry.repository(unique) as target:
            manifest = target.manifest(tags.unique)
            other_indexes = {}
            if not manifest.is_index:
                other_indexes = {manifest.media_type: manifest.digest}
                manifest = _index_of(manifest, source.arch_images[0])
                target.put_manifest(tags.unique, manifest)
        published = PublishedIndex(repository, manifest.digest, manifest.media_type, tags, other_indexes=other_indexes)
        self.log.report(f"published {published.by_digest}")
        return published

    def _inspect_and_upload(
        self, arch_image: ArchImage, published: PublishedIndex, nvr: NVR, upload_directory: str
    ) -> BuiltImage:
        """Describe the image of one architecture, and upload it as an archive."""
        platform = platform_of(arch_image.arch)
        base_image = self.engine.bases.pull(published.repository.at(published.digest), platform)
        reference = ImageReference.parse(base_image.name)
        directory = self.engine.directory / arch_image.arch
        directory.mkdir()
        archive = directory / f"{nvr}.{arch_image.arch}.tar.gz"
        name = ImageReference("", published.repository.repository, tag=sanitize_tag(published.tags.primary))
        with self.engine.exporting(base_image.name, [], archive=name) as exporting:
            contents = inspect_image(self.engine, base_image.image_id)
            self.log.report(f"{arch_image.arch}: the image has {len(contents.packages)} RPMs")
            image = describe_image(
                self._registry, arch_image.arch, reference, contents, buildroot=describe_buildroot(arch_image.arch)
            )
            if image.image_id != arch_image.image_id:
                raise RegistryError(
                    f"{reference} has image ID {image.image_id} instead of {arch_image.image_id} after the copy"
                )
            exporting.save(archive)
        relpath = f"{arch_image.arch}-{uuid.uuid4().hex[:12]}"
        self.log.report(f"uploading {archive.name}")
        self.session.uploadWrapper(str(archive), f"{upload_directory}/{relpath}")
        reached("archive uploaded", arch=arch_image.arch)
        return replace(image, files=[file_metadata(archive, "docker-image", relpath=relpath)])

    def _provenance(self, source: BaseSource, nvr: NVR, started: float, attachments: Attachments) -> Provenance:
        return Provenance(
            nvr=nvr,
            source_url=source.display_name,
            task_id=None,
            owner=self.session.getLoggedInUser()["name"],
            generator=self.generator,
            started=started,
            ended=time.time(),
            parents=[],
            base="",
            isolated=False,
            yum_repourls=[],
            help_file="",
            store_archives=self.store_archives,
            sbom=attachments.sbom,
            imported={"from": source.display_name, "images": source.image_ids},
        )


def _is_of(build: BuildInfo, source: BaseSource) -> bool:
    """Return whether Koji recorded this image for a build, comparing digests and, for an import, image IDs."""
    imported = image_metadata(build).get("imported") or {}
    if imported.get("images") == source.image_ids:
        return True
    return bool(source.digest) and source.digest in RecordedImage.of(build).digests


def _index_of(manifest: Manifest, arch_image: ArchImage) -> Manifest:
    media_type = MANIFEST_LIST if manifest.media_type == MANIFEST else OCI_INDEX
    descriptor = {**manifest.descriptor, "platform": dict(arch_image.platform)}
    return Manifest.of({"schemaVersion": 2, "mediaType": media_type, "manifests": [descriptor]})
