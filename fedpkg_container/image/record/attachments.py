# SPDX-License-Identifier: GPL-2.0-or-later
"""Files stored with a build in addition to its images: an SBOM per architecture, in Koji and in the registry."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xmlrpc.client import Fault

import koji
import requests

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.inspect.rpms import unknown_rpms
from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.record import sbom
from fedpkg_container.image.resolve.plan import Plan
from fedpkg_container.image.task import BuildTask
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.platforms import go_arch
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import referrers
from fedpkg_container.registry.skopeo import Registry

#: RPMs unknown to Koji that are listed in the log.
MAX_LISTED_RPMS = 20


@dataclass(frozen=True)
class Attachment:
    """A file stored with a build.

    :param arch: architecture that it describes; empty for the whole build
    """

    path: Path
    arch: str = ""


@dataclass
class Attachments:
    """All attachments of a build.

    :param sbom: arch → metadata of its SBOM
    :param warnings: for the packager
    """

    files: list[Attachment] = field(default_factory=list)
    sbom: dict[str, Mapping[str, object]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def sbom_pull_specs(self) -> dict[str, str]:
        """Architecture → pull spec of its SBOM, if it is in the registry."""
        return {arch: str(fields["artifact"]) for arch, fields in self.sbom.items() if "artifact" in fields}


@dataclass(frozen=True)
class ImageOrigin:
    """What images were made from.

    :param source_url: dist-git URL with the exact commit; empty if imported
    :param base: base image, by digest; None for ``scratch``
    :param stages: base images of other stages, by digest
    :param copy_of: image that was imported, by digest; None if built
    :param recorded: whether Koji records the build
    """

    source_url: str = ""
    base: ImageReference | None = None
    stages: Sequence[ImageReference] = ()
    copy_of: ImageReference | None = None
    recorded: bool = True

    @classmethod
    def of(cls, task: BuildTask, plan: Plan) -> ImageOrigin:
        """Return the origin of a build's images."""
        pinned = {parent.name: parent.pinned for parent in plan.parents}
        base = pinned.pop(plan.dockerfile.base, None)
        return cls(task.source_url, base, list(dict.fromkeys(pinned.values())), recorded=not task.scratch)


@dataclass(frozen=True)
class AttachmentBuilder:
    """Creates the attachments of a build that is published and not yet recorded.

    Errors become warnings: the images are complete without attachments.

    :param session: hub session; used for queries only
    :param registry: where the images are
    """

    session: HubSession
    registry: Registry
    origin: ImageOrigin
    log: BuildLog

    def create(self, nvr: NVR, published: PublishedIndex, images: Sequence[BuiltImage], started: float) -> Attachments:
        """Create an SBOM for each architecture, attach it in the registry, and report RPMs unknown to Koji.

        :param started: start time of the build, seconds since the epoch
        """
        attachments = Attachments()
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
        unknown = self._find_unknown_rpms(images, attachments)
        for image in images:
            subject = self._sbom_subject(nvr, published, image, created, unknown.get(image.arch, frozenset()))
            try:
                content = sbom.spdx_document(subject)
            except ValueError as error:  # e.g. invalid names in the image's RPM database
                self._warn(attachments, f"cannot create the SBOM for {image.arch}: {error}")
                continue
            path = self.log.path.parent / f"{nvr}.{image.arch}.spdx.json"
            path.write_bytes(content)
            attachments.files.append(Attachment(path, image.arch))
            sbom_fields: dict[str, object] = {"format": sbom.VERSION, "file": path.name, "rpms": len(image.components)}
            if image.arch in unknown:
                sbom_fields["rpms_unknown_to_koji"] = len(unknown[image.arch])
            artifact = referrers.Artifact(sbom.MEDIA_TYPE, path.name, content, created)
            try:
                with self.registry.repository(subject.image) as repository:
                    digest = referrers.attach(repository, subject.image.digest, artifact)
                sbom_fields["artifact"] = str(subject.image.at(digest))
            except FedpkgContainerError as error:
                where = "it is only stored in Koji" if self.origin.recorded else "it is not stored"
                self._warn(
                    attachments,
                    f"cannot attach the SBOM for {image.arch} to the image in the registry; {where}: {error.reason}",
                )
            attachments.sbom[image.arch] = sbom_fields
        if attachments.sbom:
            self.log.report(f"created SBOMs for {', '.join(attachments.sbom)}")
        return attachments

    def _sbom_subject(
        self, nvr: NVR, published: PublishedIndex, image: BuiltImage, created: str, unknown: set[int] | frozenset[int]
    ) -> sbom.SbomSubject:
        return sbom.SbomSubject(
            nvr=nvr,
            built=image,
            image=published.repository.at(image.digest),
            go_arch=go_arch(image.arch),
            tag=published.tags.primary or published.tags.unique,
            source_url=self.origin.source_url,
            base=self.origin.base,
            stages=self.origin.stages,
            copy_of=self.origin.copy_of,
            created=created,
            unknown=unknown,
        )

    def _find_unknown_rpms(self, images: Sequence[BuiltImage], attachments: Attachments) -> Mapping[str, set[int]]:
        """Return arch → indexes of components unknown to Koji; empty if the hub cannot be queried."""
        try:
            unknown = {image.arch: unknown_rpms(self.session, image.components) for image in images}
        except (koji.GenericError, Fault, requests.RequestException) as error:
            self._warn(attachments, f"cannot query Koji for the RPMs of the images: {error}")
            return {}
        for image in images:
            numbers = unknown[image.arch]
            if numbers:
                names = list(_rpm_names(image, numbers))
                more = f" and {len(names) - MAX_LISTED_RPMS} more" if len(names) > MAX_LISTED_RPMS else ""
                self.log.report(f"{image.arch}: unknown to Koji: {', '.join(names[:MAX_LISTED_RPMS])}{more}")
                self._warn(
                    attachments,
                    f"{image.arch}: Koji knows {len(image.components) - len(numbers)} of {len(image.components)} RPMs,"
                    " and does not record the others; the SBOM lists all",
                )
        return unknown

    def _warn(self, attachments: Attachments, text: str) -> None:
        self.log.report(f"warning: {text}")
        attachments.warnings.append(text)


def _rpm_names(image: BuiltImage, numbers: set[int]) -> Iterator[str]:
    for number in sorted(numbers):
        rpm = image.components[number]
        yield f"{rpm['name']}-{rpm['version']}-{rpm['release']}.{rpm['arch']}"
