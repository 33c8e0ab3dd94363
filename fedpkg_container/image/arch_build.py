# SPDX-License-Identifier: GPL-2.0-or-later
"""The build on one architecture: from the checkout to an image in staging, and its description."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines import network
from fedpkg_container.engines.base_image import BaseImage
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import Mount
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.building import help_page
from fedpkg_container.image.building.labels import BUILD_LABELS, merge_labels
from fedpkg_container.image.building.limits import disk_guard, free_space_guard
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.building.recipe import BuildRecipe, build_image
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.image.inspect.buildroot import describe_buildroot
from fedpkg_container.image.inspect.describe import check_labels, describe_image, inspect_image
from fedpkg_container.image.publish.index import format_warnings
from fedpkg_container.image.record.arch_files import ArchFiles, Upload
from fedpkg_container.image.resolve import checks, lookaside
from fedpkg_container.image.resolve.checks import check_runnable
from fedpkg_container.image.resolve.facts import facts_of_build, with_base_images
from fedpkg_container.image.resolve.identity import check_identity
from fedpkg_container.image.resolve.repositories import KojiTopdir, RepositoryMounts, local_repo_file
from fedpkg_container.image.resolve.source import Checkout, forget_history
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.steps import reached


@dataclass(frozen=True)
class ArchBuild:
    """The inputs of the build on one architecture.

    :param koji_topdir: Koji's topdir, with the yum repositories
    :param deadline: end of all downloads of the task
    """

    spec: BuildSpec
    config: BuilderConfig
    engine: Buildah
    checkout: Checkout
    koji_topdir: KojiTopdir
    log: BuildLog
    upload: Upload
    deadline: Deadline

    def run(self) -> BuiltImage:
        """Build the image, inspect it and push it to staging.

        :raises BuildFailedError: if an instruction of the Dockerfile failed
        :raises RegistryError: if a registry is unavailable or refused a request
        """
        spec, log = self.spec, self.log
        facts = facts_of_build(self.engine, spec.arch, spec.environment, spec.build_arguments)
        dockerfile = Dockerfile.read(self.checkout.path, facts)
        network.check(spec.network)
        check_runnable(dockerfile, spec.arch, self.engine.directory)
        check_disk = disk_guard(self.checkout.path, self.config.limits, log)
        workspace = self.engine.workspace
        self.engine.tick = free_space_guard(self.engine.directory, self.config.limits, log)
        lookaside.fetch_sources(
            self.checkout.path, workspace, spec.source_url, self.config.lookaside, log.report, check_disk, self.deadline
        )
        base_images = self._pull_parents(dockerfile)
        reached("pulled", arch=spec.arch)
        dockerfile = with_base_images(dockerfile, base_images)
        check_identity(dockerfile, spec.identity, spec.arch)
        base_ids = {name: base.image_id for name, base in base_images.items()}
        log.report(f"building {spec.nvr} for {spec.arch}: {self.engine.isolation}, network {spec.network}")
        with ThreadPoolExecutor(1) as executor:
            buildroot = executor.submit(describe_buildroot, spec.arch)
            image_id = self._build(dockerfile, base_images)
        reached("executed", arch=spec.arch)
        arch_files = ArchFiles(spec, self.engine, self.engine.directory, log, self.upload)
        with arch_files.of(image_id, self.config.formats) as upload_files:
            log.report("reading the image's RPMs")
            contents = inspect_image(self.engine, image_id)
            log.report(f"the image has {len(contents.packages)} RPMs")
            reached("read", arch=spec.arch)
            warnings = format_warnings(lambda: self.engine.configuration(image_id), self.config.formats)
            reference, variants = self._push(image_id)
            reached("pushed", arch=spec.arch)
            parent = base_ids.get(dockerfile.base, "")
            built = describe_image(
                Registry(self.config.access),
                spec.arch,
                reference,
                contents,
                buildroot=buildroot.result(),
                parent_id=f"sha256:{parent}" if parent else "",
            )
            files = upload_files()
            reached("sent", arch=spec.arch)
            return replace(built, warnings=warnings, files=files, variants=variants)

    def _push(self, image_id: str) -> tuple[ImageReference, dict[str, str]]:
        """Push to staging, under tags unique to this build; return the image, and the digests of its other formats.

        :raises RegistryError: if it cannot be pushed, or has labels of another build
        """
        name = f"{self.spec.arch}-{uuid.uuid4().hex[:12]}"
        staged = ImageReference(self.config.candidate, self.spec.staging_repository, tag=name)
        self.log.report(f"pushing {staged}")
        first, *other_formats = self.config.formats
        reference = staged.at(self.engine.push(image_id, staged, first))
        variants = {
            image_format: self.engine.push(image_id, staged.tagged(f"{name}-{image_format}"), image_format)
            for image_format in other_formats
        }
        pushed = [reference, *(staged.at(digest) for digest in variants.values())]
        check_labels(Registry(self.config.access), pushed, own_labels(self.spec))
        return reference, variants

    def _pull_parents(self, dockerfile: Dockerfile) -> dict[str, BaseImage]:
        """Pull the parent images of this architecture.

        :raises BuildFailedError: if the build was planned with other parent images
        """
        missing = [name for name in dockerfile.parents if name not in self.spec.parents]
        if missing:
            raise BuildFailedError(
                f"FROM {missing[0]} is not among the parent images in the plan of the build",
                solution="use the same version of buildah on all builders",
            )
        return {name: self._pull(name, self.spec.parents[name]) for name in dockerfile.parents}

    def _pull(self, name: str, pinned: str) -> BaseImage:
        """Pull a parent image.

        :param name: reference as written in FROM
        :param pinned: the same image by digest
        """
        self.log.report(f"pulling {pinned}")
        check_disk = disk_guard(self.engine.directory, self.config.limits, self.log)
        image = ImageReference.parse(pinned)
        base = self.engine.bases.pull(image, platform_of(self.spec.arch), deadline=self.deadline, tick=check_disk)
        checks.check_onbuild(name, base.triggers)
        return base

    def _build(self, dockerfile: Dockerfile, base_images: Mapping[str, BaseImage]) -> str:
        spec = self.spec
        forget_history(self.checkout.path, self.engine.workspace)
        recipe = BuildRecipe(
            dockerfile=dockerfile,
            context=self.checkout.path,
            parents={name: base.name for name, base in base_images.items()},
            labels={**merge_labels(spec.labels, dockerfile.label_details), **spec.identity, "architecture": spec.arch},
            timestamp=self.checkout.time,
            arch=spec.arch,
            timeout=spec.timeout,
            network=spec.network,
            environment=spec.environment,
            build_arguments=spec.build_arguments,
            help_page=help_page.make_man_page(self.checkout.path, self.engine.workspace),
            limits=self.config.limits,
        )
        mounts = self._repositories(dockerfile, {name: base.image_id for name, base in base_images.items()})
        return build_image(self.engine, recipe, mounts, self.engine.directory, self.log)

    def _repositories(self, dockerfile: Dockerfile, base_ids: dict[str, str]) -> list[Mount]:
        """Return the mounts for the build tag's repository and the .repo files of the build."""
        directories, files = {}, {}
        if self.spec.yum_repository:
            directories["build-tag"] = self._build_tag_repository()
            files["build-tag"] = local_repo_file("build-tag", directories["build-tag"])
        for name, text in self.spec.repo_files.items():
            local_file = self.koji_topdir.localize(name, text, self.spec.arch)
            directories.update(local_file.directories)
            files[name] = local_file.text
        repositories = RepositoryMounts(self.engine, self.engine.directory, self.log)
        return repositories.mounts(base_ids, dockerfile, directories=directories, files=files)

    def _build_tag_repository(self) -> Path:
        repository = self.koji_topdir.path / self.spec.yum_repository
        if not (repository / "repodata" / "repomd.xml").is_file():
            raise BuildFailedError(
                f"the builder cannot read the repository {repository}", solution="mount Koji's topdir on the builder"
            )
        return repository


def own_labels(spec: BuildSpec) -> dict[str, str]:
    """Return the labels that identify the build of an image; a Dockerfile cannot set them."""
    return {**{name: value for name, value in spec.labels.items() if name in BUILD_LABELS}, **spec.identity}
