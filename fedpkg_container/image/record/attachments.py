"""What is kept with a build beside its images: an SBOM for each arch, in Koji and at the image in the registry."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import koji
import requests

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.inspect.rpms import unknown_rpms
from fedpkg_container.image.record import sbom
from fedpkg_container.image.record.metadata import PublishedIndex
from fedpkg_container.image.resolve.plan import Plan
from fedpkg_container.image.task import BuildTask
from fedpkg_container.model.build import NVR, BuiltImage
from fedpkg_container.model.platforms import go_arch
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import referrers
from fedpkg_container.registry.skopeo import Registry

#: How many RPMs that Koji does not know are named in the log.
MAX_LISTED_RPMS = 20


@dataclass(frozen=True)
class Attachment:
    """A file that is kept with a build.

    :param arch: that it is about; empty for the whole build
    """

    path: Path
    arch: str = ""


@dataclass
class Attachments:
    """What was made of a build.

    :param sbom: arch → what the metadata say of its SBOM
    :param warnings: for the packager
    """

    attachments: list[Attachment] = field(default_factory=list)
    sbom: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ImageOrigin:
    """Where the images come from.

    :param source_url: URL of dist-git with the exact commit; empty where there is none
    :param base: the image that they stand on, by digest; None for none
    :param stages: images of which other stages were built, by digest
    :param copy_of: the image that they are a copy of, by digest; None where they were built
    :param recorded: whether Koji keeps the build
    """

    source_url: str = ""
    base: ImageReference | None = None
    stages: Sequence[ImageReference] = ()
    copy_of: ImageReference | None = None
    recorded: bool = True

    @classmethod
    def of(cls, task: BuildTask, plan: Plan) -> ImageOrigin:
        """That of a build."""
        pinned = {parent.name: parent.pinned for parent in plan.parents}
        base = pinned.pop(plan.dockerfile.base, None)
        return cls(task.source_url, base, list(dict.fromkeys(pinned.values())), recorded=not task.scratch)


@dataclass(frozen=True)
class AttachmentBuilder:
    """Makes the documents of a build that is published, and not yet recorded.

    What goes wrong here is said and fails no build: the images are whole without it.

    :param session: of the builder; anybody may ask what is asked
    :param registry: where the images are
    """

    session: Any
    registry: Registry
    origin: ImageOrigin
    log: BuildLog

    def create(self, nvr: NVR, published: PublishedIndex, images: Sequence[BuiltImage], started: float) -> Attachments:
        """Make an SBOM for each arch, attach it in the registry, and look which RPMs Koji does not know.

        :param started: when the build began, seconds since the epoch
        """
        attachments = Attachments()
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
        unknown = self._find_unknown_rpms(images, attachments)
        for image in images:
            subject = self._sbom_subject(nvr, published, image, created, unknown.get(image.arch, frozenset()))
            try:
                content = sbom.spdx_document(subject)
            except ValueError as error:  # names in the image's RPM database that nothing can be called
                self._warn(attachments, f"no SBOM for {image.arch} could be made: {error}")
                continue
            path = self.log.path.parent / f"{nvr}.{image.arch}.spdx.json"
            path.write_bytes(content)
            attachments.attachments.append(Attachment(path, image.arch))
            sbom_fields = {"format": sbom.VERSION, "file": path.name, "rpms": len(image.components)}
            if image.arch in unknown:
                sbom_fields["rpms_unknown_to_koji"] = len(unknown[image.arch])
            artifact = referrers.Artifact(sbom.MEDIA_TYPE, path.name, content, created)
            try:
                with self.registry.repository(subject.image) as repository:
                    digest = referrers.attach(repository, subject.image.digest, artifact)
                sbom_fields["artifact"] = str(subject.image.at(digest))
            except FedpkgContainerError as error:
                where = "is with the build in Koji" if self.origin.recorded else "is kept nowhere"
                self._warn(attachments, f"the SBOM for {image.arch} {where}, not in the registry: {error.reason}")
            attachments.sbom[image.arch] = sbom_fields
        if attachments.sbom:
            self.log.report(f"SBOMs made and attached: {', '.join(attachments.sbom)}")
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
        """Arch → numbers of the components that Koji does not know; nothing when it could not be asked."""
        try:
            unknown = {image.arch: unknown_rpms(self.session, image.components) for image in images}
        except (koji.GenericError, Fault, requests.RequestException) as error:
            self._warn(attachments, f"whether Koji knows the RPMs of the images could not be asked: {error}")
            return {}
        for image in images:
            numbers = unknown[image.arch]
            if numbers:
                names = list(_rpm_names(image, numbers))
                more = f" and {len(names) - MAX_LISTED_RPMS} more" if len(names) > MAX_LISTED_RPMS else ""
                self.log.report(f"{image.arch}: Koji does not know {', '.join(names[:MAX_LISTED_RPMS])}{more}")
                self._warn(
                    attachments,
                    f"{image.arch}: Koji knows {len(image.components) - len(numbers)} of {len(image.components)} RPMs"
                    " and records no others; the SBOM lists them all",
                )
        return unknown

    def _warn(self, attachments: Attachments, text: str) -> None:
        self.log.report(f"warning: {text}")
        attachments.warnings.append(text)


def _rpm_names(image: BuiltImage, numbers: set[int]) -> Iterator[str]:
    for number in sorted(numbers):
        rpm = image.components[number]
        yield f"{rpm['name']}-{rpm['version']}-{rpm['release']}.{rpm['arch']}"
