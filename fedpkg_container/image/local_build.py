# SPDX-License-Identifier: GPL-2.0-or-later
"""A build on the packager's own machine: the steps and engine of a builder, without hub and registry."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines import rootless
from fedpkg_container.engines.base_image import BaseImage
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.image.building import help_page
from fedpkg_container.image.building.labels import build_labels, merge_labels
from fedpkg_container.image.building.log import BuildLog, EchoedLog
from fedpkg_container.image.building.recipe import BuildRecipe, build_image, release_environment
from fedpkg_container.image.config import Limits
from fedpkg_container.image.inspect.describe import inspect_image
from fedpkg_container.image.resolve import checks, lookaside
from fedpkg_container.image.resolve.checks import check_runnable
from fedpkg_container.image.resolve.facts import facts_of_build, with_base_images
from fedpkg_container.image.resolve.repositories import RepositoryMounts, local_repo_file
from fedpkg_container.image.resolve.source import commit_time
from fedpkg_container.model.nvr import COMPONENT_LABEL, label_value, sanitize_tag
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.skopeo import Access

#: Seconds for one build, and for one git command.
BUILD_TIMEOUT = 4 * 3600.0
GIT_TIMEOUT = 600.0


@dataclass(frozen=True)
class LocalBuildRequest:
    """The arguments of a local build.

    :param checkout: checkout directory; its files are used as they are
    :param arch: Koji's name of the architecture; empty for that of this machine
    :param repositories: local yum repositories, by name
    :param repo_files: contents of .repo files, by name
    :param network: network of RUN: none or host
    """

    checkout: Path
    arch: str
    repositories: Mapping[str, Path] = field(default_factory=dict)
    repo_files: Mapping[str, str] = field(default_factory=dict)
    network: str = "none"


@dataclass(frozen=True)
class LocalImage:
    """An image in local storage.

    :param name: its podman name
    :param image_id: image ID, without ``sha256:``
    :param packages: number of RPMs in it
    """

    name: str
    image_id: str
    packages: int


def build_locally(request: LocalBuildRequest, state: Path, show: Callable[[Sequence[str]], None]) -> LocalImage:
    """Build a checkout, and copy the image into local storage.

    :param state: directory for stores, created if missing
    :param show: called with new lines of the log
    :raises FedpkgContainerError: if a step failed; only base images are left in ``state``
    """
    rootless.enter()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    workspaces = Workspaces(state)
    isolation = choose(workspaces)
    with workspaces.open("local") as workspace:
        engine = Buildah(workspaces, workspace, isolation=isolation, access=Access(None, None))
        with EchoedLog(workspace.directory / "build.log", lambda line: show([line])) as log:
            return _LocalBuild(request, engine, workspace.directory, log).run()


@dataclass(frozen=True)
class _LocalBuild:
    request: LocalBuildRequest
    engine: Buildah
    build_dir: Path
    log: BuildLog

    def run(self) -> LocalImage:
        arch = self.request.arch or platform.machine()
        environment = release_environment(ContainerYaml.read(self.request.checkout), "local")
        dockerfile = Dockerfile.read(self.request.checkout, facts_of_build(self.engine, arch, environment))
        check_runnable(dockerfile, arch, self.build_dir)
        context = self._context()
        base_images = {parent_name: self._parent(parent_name, arch) for parent_name in dockerfile.parents}
        for parent_name, base in base_images.items():
            checks.check_onbuild(parent_name, base.triggers)
        base_ids = {parent_name: base.image_id for parent_name, base in base_images.items()}
        dockerfile = with_base_images(dockerfile, base_images)
        labels = {name: label.value for name, label in dockerfile.label_details.items() if label.is_complete}
        name = label_value(labels, "name") or self.request.checkout.name
        component = label_value(labels, COMPONENT_LABEL) or name
        version = label_value(labels, "version") or "local"
        self.log.report(f"building {component}-{version}-local for {arch}: {self.engine.isolation}, "
                     f"network {self.request.network}")  # fmt: skip
        recipe = BuildRecipe(
            dockerfile=dockerfile,
            context=context,
            parents=base_ids,
            labels={**merge_labels(build_labels("local"), dockerfile.label_details), "architecture": arch},
            timestamp=commit_time(self.request.checkout),
            arch=arch,
            timeout=BUILD_TIMEOUT,
            network=self.request.network,
            environment=environment,
            help_page=help_page.make_man_page(context, self.engine.workspace),
            limits=Limits(build_size=sys.maxsize, free_space=0),
        )
        directories = self.request.repositories
        files = {
            **{name: local_repo_file(name, directory) for name, directory in directories.items()},
            **self.request.repo_files,
        }
        mounts = RepositoryMounts(self.engine, self.build_dir, self.log).mounts(
            base_ids, dockerfile, directories=directories, files=files
        )
        image_id = build_image(self.engine, recipe, mounts, self.build_dir, self.log)
        packages = len(inspect_image(self.engine, image_id).packages)
        reference = ImageReference("localhost", name, tag=sanitize_tag(f"{version}-local"))
        self.log.report(f"copying {reference} to local storage")
        return LocalImage(str(reference), self.engine.to_local_storage(image_id, reference), packages)

    def _context(self) -> Path:
        """Copy the checkout: files that git tracks or would add, and downloaded files of ``sources``."""
        context = self.engine.workspace.new("source")
        checkout = self.request.checkout
        tracked = run(
            ["git", "-C", checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            timeout=GIT_TIMEOUT,
        ).stdout
        sources = (entry.file for entry in lookaside.read_sources(checkout))
        for name in dict.fromkeys([*filter(None, os.fsdecode(tracked).split("\0")), *sources]):
            source, target = checkout / name, context / name
            if source.is_symlink() or source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        return context

    def _parent(self, name: str, arch: str) -> BaseImage:
        """Return a parent image, from its registry or from local storage.

        :raises BuildFailedError: if its reference has no registry
        :raises RegistryError: if it is in neither
        """
        image = ImageReference.parse(name)
        if not image.registry:
            raise BuildFailedError(f"FROM {name} names no registry", solution="write it as registry/repository:tag")
        if image.registry == "localhost":
            return self.engine.import_local(image)
        self.log.report(f"pulling {image}")
        try:
            return self.engine.bases.pull(image, platform_of(arch), newer=True)
        except RegistryError as error:
            self.log.report(f"{error.reason}; looking for it in local storage")
            return self.engine.import_local(image, instead_of=error)
