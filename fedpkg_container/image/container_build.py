# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole build, as run by the ``buildContainer`` task: everything except the builds on each architecture."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import koji
import requests

from fedpkg_container import logs
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.hub.reservation import Reservation, Reservations
from fedpkg_container.image.building import help_page
from fedpkg_container.image.publish.floating_tags import FloatingTagUpdater
from fedpkg_container.image.publish.index import publish
from fedpkg_container.image.record.attachments import Attachment, AttachmentBuilder, ImageOrigin
from fedpkg_container.image.record.koji_import import BuildRecorder, create_upload_directory, recorded_build
from fedpkg_container.image.record.metadata import Provenance
from fedpkg_container.image.resolve import names
from fedpkg_container.image.resolve.plan import Plan, Planner, build_specs
from fedpkg_container.image.task import BuildContext
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.koji_types import BuildTaskResult
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import staging
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.signals import shield_signals
from fedpkg_container.steps import reached

_log = logging.getLogger(__name__)

#: Seconds for each registry request during the cleanup of a failed build: kojid soon kills canceled tasks.
CLEANUP_TIMEOUT = 4.0
#: Builds one image per spec, and waits for all of them.
RunArchTasks = Callable[[list[BuildSpec]], list[BuiltImage]]


@dataclass
class ContainerBuild:
    """The pipeline of one build.

    :param run_arch_tasks: builds the images of all architectures
    """

    context: BuildContext
    run_arch_tasks: RunArchTasks

    def run(self) -> BuildTaskResult:
        """Build and record the image; return the result of the task.

        :raises FedpkgContainerError: if a step failed; the NVR is released and staging is empty
        """
        started = time.time()
        earlier_build = recorded_build(self.context.session, self.context.task)
        if earlier_build:
            self._empty_staging()
            return self._recorder.resume(earlier_build)
        plan = self._planner.plan()
        for warning in plan.floating_tags.warnings:
            self.context.log.report(warning)
        reservation, nvr = self._reserve(plan)
        try:
            if reservation is not None:
                self.context.log.report(f"reserved {nvr} (build {reservation.build_id})")
            with logs.subject(str(nvr)):
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
        return Registry(self.context.config.access)

    @property
    def _planner(self) -> Planner:
        return Planner(self.context)

    @property
    def _recorder(self) -> BuildRecorder:
        return BuildRecorder(self.context, self._registry)

    @property
    def _reservations(self) -> Reservations:
        return Reservations(self.context.cg_session, self.context.config.content_generator.name, self.context.task.id)

    def _reserve(self, plan: Plan) -> tuple[Reservation | None, NVR]:
        """Reserve the NVR; a scratch build gets one that no other build can have."""
        identity, task = plan.identity, self.context.task
        if task.scratch:
            return None, NVR(identity.component, identity.version, identity.release or f"scratch.{task.id}")
        reservation = self._reservations.reserve(
            identity.component, identity.version, identity.release, task.source_url
        )
        return reservation, reservation.nvr

    def _refund_reservation(self, reservation: Reservation, *, canceled: bool) -> None:
        """Release the NVR, unless the build was imported; a failure is left to the next build, which releases it."""
        try:
            build = self.context.cg_session.getBuild(reservation.build_id)
            if build and build["state"] == koji.BUILD_STATES["BUILDING"]:
                self._reservations.refund(reservation, canceled=canceled)
                _log.info("released the reservation of %s", reservation.nvr)
        except (koji.GenericError, requests.RequestException) as error:
            _log.warning("cannot release the reservation of %s: %s", reservation.nvr, error)

    def _build(self, plan: Plan, nvr: NVR, started: float, reservation: Reservation | None) -> BuildTaskResult:
        context, task, log = self.context, self.context.task, self.context.log
        repository = ImageReference(context.config.candidate, plan.identity.repository_path)
        upload_directory = "" if task.scratch else create_upload_directory(context.cg_session, str(task.id))
        self._empty_staging()  # an earlier run of this task may have been killed
        reached("reserved", nvr=nvr)
        images = self.run_arch_tasks(build_specs(context, plan, nvr, upload_directory))
        reached("built")
        warnings = [warning for image in images for warning in image.warnings]
        tags, tag_notes = self._tags(plan, nvr, repository)
        published = publish(repository, images, tags, context.config.formats, self._registry, log)
        reached("published", image=published.by_digest)
        attachment_builder = AttachmentBuilder(context.session, self._registry, ImageOrigin.of(task, plan), log)
        attachments = attachment_builder.create(nvr, published, images, started)
        warnings += attachments.warnings
        reached("documented")
        result: BuildTaskResult = {
            "repositories": [published.by_tag, published.by_digest],
            "koji_builds": [],
            "arches": {image.arch: str(repository.at(image.digest)) for image in images},
            "sboms": attachments.sbom_pull_specs,
        }
        if reservation is not None:
            provenance = replace(self._provenance(plan, nvr, started), sbom=attachments.sbom)
            files = [*attachments.files, Attachment(context.checkout / plan.dockerfile.file)]
            build_id = self._recorder.run(provenance, published, images, reservation, upload_directory, files)
            result["koji_builds"] = [str(build_id)]
        warnings += tag_notes
        return {**result, "user_warnings": sorted(set(warnings))} if warnings else result

    def _tags(self, plan: Plan, nvr: NVR, repository: ImageReference) -> tuple[names.BuildTags, list[str]]:
        """Return the tags of the build, and notes about floating tags that it does not get."""
        task = self.context.task
        unique = names.unique_tag(task.id, scratch=task.scratch)
        if task.scratch:
            return names.BuildTags(unique), []
        if task.isolated:
            return names.BuildTags(unique, nvr.primary_tag), []
        requested = plan.floating_tags.of(nvr)
        updater = FloatingTagUpdater(self.context.session, self._registry, repository)
        newer_builds = updater.tags_of_newer_builds(nvr, requested)
        notes = [
            f"floating tag {tag} is kept by the newer build {newer_nvr}" for tag, newer_nvr in newer_builds.items()
        ]
        for note in notes:
            self.context.log.report(note)
        return names.BuildTags(unique, nvr.primary_tag, requested), [*plan.floating_tags.warnings, *notes]

    def _empty_staging(self, timeout: float | None = None) -> None:
        """Delete the images of this task in staging; what cannot be deleted now is left to ``prune``.

        :param timeout: seconds per request
        """
        config, task = self.context.config, self.context.task
        staging_reference = ImageReference(config.candidate, staging.staging_repository(task.id))
        try:
            with shield_signals():
                count = staging.empty_staging(Registry(config.access.without_retries(timeout)), staging_reference)
                _log.info("deleted %d images in %s", count, staging_reference)
        except FedpkgContainerError as error:
            _log.warning("cannot delete the images in %s: %s", staging_reference, error)

    def _provenance(self, plan: Plan, nvr: NVR, started: float) -> Provenance:
        task, generator = self.context.task, self.context.config.content_generator
        options = task.options
        return Provenance(
            nvr=nvr,
            source_url=task.source_url,
            task_id=task.id,
            owner=task.owner,
            generator=generator.name,
            started=started,
            ended=time.time(),
            parents=plan.parents,
            base=plan.dockerfile.base,
            isolated=task.isolated,
            yum_repourls=options.get("yum_repourls") or [],
            help_file=help_page.HELP_SOURCE if help_page.read_help(self.context.checkout) else "",
            go_modules=plan.container_yaml.go_modules,
            userdata=options.get("userdata") or {},
            store_archives=generator.archives,
        )
