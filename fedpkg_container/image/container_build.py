"""A whole build, as run by the ``buildContainer`` task: everything except the builds on each architecture."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import koji
import requests

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.hub.reservation import Reservation, Reservations
from fedpkg_container.image.building import help_page
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.image.publish.floating_tags import FloatingTagUpdater
from fedpkg_container.image.publish.index import publish
from fedpkg_container.image.record.attachments import Attachment, AttachmentBuilder, ImageOrigin
from fedpkg_container.image.record.koji_import import BuildRecorder, create_upload_directory, recorded_build
from fedpkg_container.image.record.metadata import Provenance
from fedpkg_container.image.resolve import names
from fedpkg_container.image.resolve.plan import Plan, Planner, build_specs
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.image.task import BuildTask
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import staging
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.signals import shield_signals

logger = logging.getLogger(__name__)

#: Seconds for each registry request during the cleanup of a failed build: kojid soon kills canceled tasks.
CLEANUP_TIMEOUT = 4.0
#: Builds one image per spec, and waits for all of them.
RunArchTasks = Callable[[list[BuildSpec]], list[BuiltImage]]


@dataclass
class ContainerBuild:
    """The pipeline of one build.

    :param session: hub session of the builder
    :param cg_session: hub session of the content generator's account
    :param checkout: checkout directory at the exact commit
    :param koji_topdir: Koji's topdir on this builder
    :param run_arch_tasks: builds the images of all architectures
    :param on_step: called after each step
    """

    task: BuildTask
    config: BuilderConfig
    session: Any
    cg_session: Any
    checkout: Path
    koji_topdir: KojiTopdir
    log: BuildLog
    run_arch_tasks: RunArchTasks
    on_step: Callable[[str], None] = lambda _: None

    def run(self) -> dict[str, Any]:
        """Build and record the image; return the result of the task.

        :raises FedpkgContainerError: if a step failed; the NVR is released and staging is empty
        """
        started = time.time()
        earlier_build = recorded_build(self.session, self.task)
        if earlier_build:
            self._empty_staging()
            return self._recorder.resume(earlier_build)
        plan = self._planner.plan()
        for warning in plan.floating_tags.warnings:
            self.log.report(warning)
        reservation, nvr = self._reserve(plan)
        try:
            if reservation is not None:
                self.log.report(f"reserved {nvr} (build {reservation.build_id})")
            result = self._build(plan, nvr, started, reservation)
        except BaseException as error:
            if reservation is not None:
                with shield_signals():
                    self._refund_reservation(reservation, canceled=not isinstance(error, Exception))
            self._empty_staging(timeout=CLEANUP_TIMEOUT)
            raise
        self._empty_staging()
        return result

    @property
    def _registry(self) -> Registry:
        return Registry(self.config.access)

    @property
    def _planner(self) -> Planner:
        task, config = self.task, self.config
        return Planner(
            task,
            config,
            self.session,
            self.checkout,
            self.koji_topdir,
            self.log.report,
            config.limits.preparation_deadline(),
        )

    @property
    def _recorder(self) -> BuildRecorder:
        return BuildRecorder(self.task, self.session, self.cg_session, self._registry, self.log, self.on_step)

    @property
    def _reservations(self) -> Reservations:
        return Reservations(self.cg_session, self.config.content_generator.name, self.task.id)

    def _reserve(self, plan: Plan) -> tuple[Reservation | None, NVR]:
        """Reserve the NVR; a scratch build gets one that no other build can have."""
        identity = plan.identity
        if self.task.scratch:
            return None, NVR(identity.component, identity.version, identity.release or f"scratch.{self.task.id}")
        reservation = self._reservations.reserve(
            identity.component, identity.version, identity.release, self.task.source_url
        )
        return reservation, reservation.nvr

    def _refund_reservation(self, reservation: Reservation, *, canceled: bool) -> None:
        """Release the NVR, unless the build was imported; a failure is left to the next build, which releases it."""
        try:
            build = self.cg_session.getBuild(reservation.build_id)
            if build and build["state"] == koji.BUILD_STATES["BUILDING"]:
                self._reservations.refund(reservation, canceled=canceled)
        except (koji.GenericError, requests.RequestException) as error:
            logger.warning("cannot release the reservation of %s: %s", reservation.nvr, error)

    def _build(self, plan: Plan, nvr: NVR, started: float, reservation: Reservation | None) -> dict[str, Any]:
        repository = ImageReference(self.config.candidate, plan.identity.repository_path)
        upload_directory = "" if self.task.scratch else create_upload_directory(self.cg_session, str(self.task.id))
        self._empty_staging()  # an earlier run of this task may have been killed
        self.on_step("reserved")
        images = self.run_arch_tasks(build_specs(plan, self.task, self.config, nvr, upload_directory))
        self.on_step("built")
        warnings = [warning for image in images for warning in image.warnings]
        tags, tag_notes = self._tags(plan, nvr, repository)
        published = publish(repository, images, tags, self.config.formats, self._registry, self.log)
        self.on_step("published")
        attachment_builder = AttachmentBuilder(self.session, self._registry, ImageOrigin.of(self.task, plan), self.log)
        attachments = attachment_builder.create(nvr, published, images, started)
        warnings += attachments.warnings
        self.on_step("documented")
        result: dict[str, Any] = {
            "repositories": [published.by_tag, published.by_digest],
            "koji_builds": [],
            "arches": {image.arch: str(repository.at(image.digest)) for image in images},
        }
        if reservation is not None:
            provenance = replace(self._provenance(plan, nvr, started), sbom=attachments.sbom)
            files = [*attachments.files, Attachment(self.checkout / plan.dockerfile.file)]
            build_id = self._recorder.run(provenance, published, images, reservation, upload_directory, files)
            result["koji_builds"] = [str(build_id)]
        warnings += tag_notes
        return {**result, "user_warnings": sorted(set(warnings))} if warnings else result

    def _tags(self, plan: Plan, nvr: NVR, repository: ImageReference) -> tuple[names.BuildTags, list[str]]:
        """Return the tags of the build, and notes about floating tags that it does not get."""
        unique = names.unique_tag(self.task.id, scratch=self.task.scratch)
        if self.task.scratch:
            return names.BuildTags(unique), []
        if self.task.isolated:
            return names.BuildTags(unique, nvr.primary_tag), []
        requested = plan.floating_tags.of(nvr)
        newer_builds = FloatingTagUpdater(self.session, self._registry, repository).tags_of_newer_builds(nvr, requested)
        notes = [
            f"floating tag {tag} is kept by the newer build {newer_nvr}" for tag, newer_nvr in newer_builds.items()
        ]
        for note in notes:
            self.log.report(note)
        return names.BuildTags(unique, nvr.primary_tag, requested), [*plan.floating_tags.warnings, *notes]

    def _empty_staging(self, timeout: float | None = None) -> None:
        """Delete the images of this task in staging; what cannot be deleted now is left to ``prune``.

        :param timeout: seconds per request
        """
        staging_reference = ImageReference(self.config.candidate, staging.staging_repository(self.task.id))
        try:
            with shield_signals():
                staging.empty_staging(Registry(self.config.access.without_retries(timeout)), staging_reference)
        except FedpkgContainerError as error:
            logger.warning("cannot delete the images in %s: %s", staging_reference, error)

    def _provenance(self, plan: Plan, nvr: NVR, started: float) -> Provenance:
        options = self.task.options
        return Provenance(
            nvr=nvr,
            source_url=self.task.source_url,
            task_id=self.task.id,
            owner=self.task.owner,
            generator=self.config.content_generator.name,
            started=started,
            ended=time.time(),
            parents=plan.parents,
            base=plan.dockerfile.base,
            isolated=self.task.isolated,
            repository_urls=options.get("yum_repourls") or [],
            help_file=help_page.HELP_SOURCE if help_page.read_help(self.checkout) else "",
            go_modules=plan.container_yaml.go_modules,
            user_data=options.get("userdata") or {},
            store_archives=self.config.content_generator.store_archives,
        )
