"""A whole build, as the ``buildContainer`` task runs it: everything around the arches."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import koji
import requests

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.hub.reservation import Reservation, Reservations
from fedpkg_container.image import naming, parents
from fedpkg_container.image.identity import identify
from fedpkg_container.image.log import BuildLog
from fedpkg_container.image.metadata import Provenance
from fedpkg_container.image.publishing import publish
from fedpkg_container.image.recording import Recording, already_recorded
from fedpkg_container.image.site import Site
from fedpkg_container.image.task import Task
from fedpkg_container.model.arches import go_arch
from fedpkg_container.model.build import NVR, BuildSpec, BuiltImage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import staging
from fedpkg_container.registry.registry import Registry
from fedpkg_container.signals import uninterrupted

logger = logging.getLogger(__name__)

#: Builds one image for each spec, somewhere, and waits for them.
Spawn = Callable[[list[BuildSpec]], list[BuiltImage]]
#: Options that need what builders of this version do not have, and what that is.
UNAVAILABLE = {
    "flatpak": "a module build service",
    "compose_ids": "a compose service (ODCS)",
    "signing_intent": "a compose service (ODCS)",
    "dependency_replacements": "a dependency service (Cachito)",
    "operator_csv_modifications_url": "an operator manifest service",
    "yum_repourls": "a network for RUN",
    "koji_parent_build": "parents to be overridden",
}


@dataclass
class ContainerBuild:
    """The pipeline of one build.

    :param session: of the builder
    :param generator: session of the site's shared account
    :param checkout: the source at the exact commit
    :param engine: for making the list of arches
    :param spawn: builds the arches
    """

    task: Task
    site: Site
    session: Any
    generator: Any
    checkout: Path
    engine: Buildah
    log: BuildLog
    spawn: Spawn
    after: Callable[[str], None] = lambda _: None

    def run(self) -> dict[str, Any]:
        """Build; the result of the task.

        :raises FedpkgContainerError: a step failed; nothing stays reserved and nothing in staging
        """
        started = time.time()
        self._refuse_unavailable()
        recorded = already_recorded(self.session, self.task)
        if recorded:
            return self._recording.resume(recorded)
        dockerfile = Dockerfile.read(self.checkout)
        for image, line in dockerfile.foreign_sources:
            raise BuildFailedError(
                f"Dockerfile:{line}: files are taken from {image}, which no FROM names",
                solution=f"name it as a stage: FROM {image} AS files, and use --from=files",
            )
        identity = identify(dockerfile, self.task.options)
        self._check_package(identity.component)
        registry = Registry(self.site.access)
        wanted = [go_arch(arch) for arch in self.task.arches]
        found = parents.resolve(dockerfile, registry, wanted, self.session.getBuild)
        for parent in found:
            known = f" (Koji build {parent.build['nvr']})" if parent.build else ""
            self.log.say(f"parent {parent.written} is {parent.pinned}{known}")
        reservations = Reservations(self.generator, self.site.generator, self.task.id)
        if self.task.scratch:
            reservation = None
            nvr = NVR(identity.component, identity.version, identity.release or f"scratch.{self.task.id}")
        else:
            reservation = reservations.reserve(identity.component, identity.version, identity.release, self.task.source)
            nvr = reservation.nvr
            self.log.say(f"reserved {nvr} (build {reservation.build_id})")
        try:
            return self._build(dockerfile, nvr, identity.image, found, started, reservation)
        except BaseException as error:
            if reservation is not None:
                with uninterrupted():
                    self._refund(reservations, reservation, canceled=not isinstance(error, Exception))
            raise
        finally:
            self._empty(registry)

    @property
    def _recording(self) -> Recording:
        return Recording(self.task, self.session, self.generator, self.log, self.after)

    def _check_package(self, component: str) -> None:
        if not self.task.scratch and not self.session.checkTagPackage(self.task.target["dest_tag"], component):
            tag = self.task.target["dest_tag_name"]
            raise BuildFailedError(
                f"package {component} is not in the list of tag {tag}, or blocked there",
                solution=f"ask a release engineer: koji add-pkg --owner … {tag} {component}",
            )

    def _refund(self, reservations: Reservations, reservation: Reservation, *, canceled: bool) -> None:
        """Give the NVR back, unless it was imported; what cannot be given back now the next build frees."""
        try:
            build = self.generator.getBuild(reservation.build_id)
            if build and build["state"] == koji.BUILD_STATES["BUILDING"]:
                reservations.refund(reservation, canceled=canceled)
        except (koji.GenericError, requests.RequestException) as error:
            logger.warning("%s could not be given back: %s", reservation.nvr, error)

    def _refuse_unavailable(self) -> None:
        for option, needs in UNAVAILABLE.items():
            if self.task.options.get(option):
                raise BuildFailedError(
                    f"option {option} cannot be used: it needs {needs}, which builders of this version do not have",
                    solution="build without it",
                )

    def _build(
        self,
        dockerfile: Dockerfile,
        nvr: NVR,
        image: str,
        found: list[parents.Parent],
        started: float,
        reservation: Reservation | None,
    ) -> dict[str, Any]:
        task, registry = self.task, Registry(self.site.access)
        upload = "" if task.scratch else f"container-build/{task.id}-{uuid.uuid4().hex}"
        tags = naming.tags_for(
            nvr,
            task_id=task.id,
            scratch=task.scratch,
            isolated=bool(task.options.get("isolated")),
            additional=_additional_tags(self.checkout),
        )
        self._empty(registry)  # of an earlier run of this task, which was killed
        specs = self._specs(nvr, image, found, upload)
        self.after("reserved")
        images = self.spawn(specs)
        self.after("built")
        repository = ImageReference(self.site.candidate, image)
        published = publish(repository, images, tags, self.site.formats, self.engine, self.log)
        self.after("published")
        result: dict[str, Any] = {
            "repositories": [published.by_tag, published.by_digest],
            "koji_builds": [],
            "arches": {each.arch: str(ImageReference(self.site.candidate, image).at(each.digest)) for each in images},
        }
        if reservation is not None:
            provenance = self._provenance(dockerfile, nvr, found, started)
            build_id = self._recording.run(provenance, published, images, reservation, upload)
            result["koji_builds"] = [str(build_id)]
        warnings = sorted({warning for each in images for warning in each.warnings})
        return {**result, "user_warnings": warnings} if warnings else result

    def _specs(self, nvr: NVR, image: str, found: list[parents.Parent], upload: str) -> list[BuildSpec]:
        task = self.task
        url, _, commit = task.source.partition("#")
        labels = {
            **self.site.labels,
            "release": nvr.release,
            "build-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "vcs-ref": commit,
            "vcs-type": "git",
            "url": url,
        }
        repository = self._repository()
        return [
            BuildSpec(
                task_id=task.id,
                arch=arch,
                source=task.source,
                component=nvr.name,
                version=nvr.version,
                release=nvr.release,
                image=image,
                scratch=task.scratch,
                parents={parent.written: str(parent.pinned) for parent in found},
                labels=labels,
                repository=f"{repository}/{arch}" if repository else "",
                staging=staging.staging_repository(task.id),
                upload=upload,
                timeout=self.site.build_timeout,
            )
            for arch in task.arches
        ]

    def _repository(self) -> str:
        """The build tag's repository, below Koji's topdir; empty when the tag has none."""
        target = self.task.target
        repo = self.session.getRepo(target["build_tag"])
        if not repo:
            self.log.say(f"tag {target['build_tag_name']} has no repository: RUN gets none")
            return ""
        path: str = koji.pathinfo.repo(repo["id"], target["build_tag_name"])
        return path.removeprefix(f"{koji.pathinfo.topdir}/")

    def _empty(self, registry: Registry) -> None:
        """Empty this task's staging, however the build ended; what cannot be deleted now the pruner finds later."""
        stage = ImageReference(self.site.candidate, staging.staging_repository(self.task.id))
        try:
            with uninterrupted():
                staging.empty(registry, stage)
        except FedpkgContainerError as error:
            logger.warning("%s could not be emptied: %s", stage, error)

    def _provenance(self, dockerfile: Dockerfile, nvr: NVR, found: list[parents.Parent], started: float) -> Provenance:
        return Provenance(
            nvr=nvr,
            source=self.task.source,
            task_id=self.task.id,
            owner=self.task.owner,
            generator=self.site.generator,
            started=started,
            ended=time.time(),
            parents=found,
            base=dockerfile.base,
            isolated=bool(self.task.options.get("isolated")),
            repository_urls=self.task.options.get("yum_repourls") or [],
            help_file="",  # no /help.1 is made yet
        )


def _additional_tags(checkout: Path) -> list[str]:
    """The lines of the file ``additional-tags``; a link out of the checkout is not followed."""
    path = checkout / "additional-tags"
    if not path.is_file() or not path.resolve().is_relative_to(checkout.resolve()):
        return []
    return [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
