# SPDX-License-Identifier: GPL-2.0-or-later
"""The build of one architecture in a pod: from the task's spec to the description of an image in staging.

It has the same inputs and the same result as ``arch_build.py``. What a pod reports is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from fedpkg_container.cluster.client import ClusterClient
from fedpkg_container.cluster.following import PodResult
from fedpkg_container.cluster.job import ClusterBuild
from fedpkg_container.cluster.logs import read_log
from fedpkg_container.cluster.manifests import ALLOWANCE, PodBuild
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.engines.network import ISOLATED, NONE
from fedpkg_container.errors import BuildFailedError, ConfigurationError
from fedpkg_container.image.arch_build import own_labels
from fedpkg_container.image.building.limits import free_space_guard
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.image.inspect.describe import ImageContents, check_labels, describe_image
from fedpkg_container.image.inspect.reported import read_reported
from fedpkg_container.image.pod_inputs import pod_files, pod_site, task_token
from fedpkg_container.image.record.arch_files import Upload, upload_build_files
from fedpkg_container.image.record.staged_archive import docker_digest, save_archive
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.koji_types import Buildroot, FileMetadata
from fedpkg_container.model.nvr import sanitize_tag
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import build_artifact
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.steps import reached
from fedpkg_container.text import printable_line

#: Name of the build tag's repository in RUN.
BUILD_TAG = "build-tag"


@dataclass(frozen=True)
class ClusterArchBuild:
    """The build on one architecture, in a pod.

    :param site: the builder's site file
    :param task_id: the ``createContainer`` task
    :param hub: URL of the hub
    :param directory: for temporary files
    :param upload: uploads a file to the import's directory on the hub
    :param restarts: whether the task starts again after this process was interrupted
    """

    spec: BuildSpec
    config: BuilderConfig
    cluster: ClusterConfig
    site: Path
    task_id: int
    hub: str
    koji_topdir: KojiTopdir
    directory: Path
    log: BuildLog
    upload: Upload
    restarts: Callable[[], bool]

    def run(self) -> BuiltImage:
        """Build the image in a pod; return its description.

        :raises BuildFailedError: if the build failed or the cluster could not run it
        :raises ClusterError: if the API server refused a request or was unavailable for too long
        :raises RegistryError: if the result cannot be read
        """
        client = ClusterClient(self.cluster.kubeconfig, self.cluster.context)
        run = ClusterBuild(client, self._pod_build(), self.log, self.directory, self._complete_log, self.restarts)
        result = run.run()
        try:
            reached("executed", arch=self.spec.arch)
            files = self._pull(result.message.artifact)
            image = self._image(files, result)
            reached("pushed", arch=self.spec.arch)
            image = replace(image, files=self._upload_files(image, files))
            reached("sent", arch=self.spec.arch)
        finally:
            run.delete()
        return image

    def _pod_build(self) -> PodBuild:
        spec, config, cluster = self.spec, self.config, self.cluster
        return PodBuild(
            task_id=self.task_id,
            hub=self.hub,
            spec=replace(self._spec(), upload_directory=""),
            site=pod_site(self.site, cluster),
            files=pod_files(config, cluster, self.koji_topdir.url),
            timeout=spec.timeout + config.limits.prepare_timeout + ALLOWANCE,
            config=cluster,
            renewed=task_token(config, cluster, spec.staging_repository, spec.parents.values()),
        )

    def _spec(self) -> BuildSpec:
        """Return the spec for the pod; without a volume of Koji's topdir, the build tag's repository is a URL.

        :raises ConfigurationError: if there is neither
        """
        spec = self.spec
        if not spec.yum_repository or self.cluster.topdir is not None:
            return spec
        if not self.koji_topdir.url:
            raise ConfigurationError(
                "pods cannot read the repository of the build tag: [kubernetes] topdir is not set, and kojid has no"
                " topurl",
                solution="set one of them",
            )
        url = f"{self.koji_topdir.url.rstrip('/')}/{spec.yum_repository}"
        text = f"[{BUILD_TAG}]\nname=repository of the build tag\nbaseurl={url}\nenabled=1\ngpgcheck=0\n"
        network = ISOLATED if spec.network == NONE else spec.network
        return replace(spec, yum_repository="", network=network, repo_files={**spec.repo_files, BUILD_TAG: text})

    @property
    def _staging(self) -> ImageReference:
        return ImageReference(self.config.candidate, self.spec.staging_repository)

    def _pull(self, artifact: str) -> dict[str, Path]:
        with Registry(self.config.access).repository(self._staging) as repository:
            return build_artifact.pull(repository, artifact, self.directory)

    def _complete_log(self, artifact: str) -> Iterable[bytes]:
        files = self._pull(artifact)
        log = files.get(build_artifact.LOG)
        return read_log(log) if log else iter(())

    def _image(self, files: dict[str, Path], result: PodResult) -> BuiltImage:
        """Return the description of the image: from the registry, and what only the pod knows.

        :raises BuildFailedError: if the pod returned no description, or one of another image
        :raises RegistryError: if the image has labels of another build
        """
        path = files.get(build_artifact.IMAGE)
        if path is None:
            raise BuildFailedError(f"the pod for {self.spec.arch} returned no image description")
        image = read_reported(path, self.spec.arch)
        if image.arch != self.spec.arch or image.staged_image != str(self._staging.at(image.digest)):
            described = printable_line(f"{image.arch} in {image.staged_image}")
            raise BuildFailedError(f"the pod for {self.spec.arch} described another image: {described}")
        registry, digests = Registry(self.config.access), (image.digest, *image.variants.values())
        check_labels(registry, [self._staging.at(digest) for digest in digests], own_labels(self.spec))
        staged = describe_image(
            registry, self.spec.arch, self._staging.at(image.digest), ImageContents(distribution=image.distribution),
            buildroot=_with_pod(image.buildroot, result.image), parent_id=image.parent_id,
        )  # fmt: skip
        warnings = [printable_line(warning) for warning in image.warnings]
        return replace(
            staged, components=image.components, details=image.details, warnings=warnings, variants=image.variants
        )

    def _upload_files(self, image: BuiltImage, files: dict[str, Path]) -> list[FileMetadata]:
        """Upload archive, log and Dockerfile of a build that Koji records."""
        spec = self.spec
        if not spec.upload_directory:
            return []
        archive = self.directory / f"{spec.nvr}.{spec.arch}.tar.gz"
        name = ImageReference("", spec.repository_path, tag=sanitize_tag(f"{spec.version}-{spec.release}"))
        self.log.report(f"saving {archive.name}")
        blobs = self.directory / "blobs"
        blobs.mkdir()
        with Registry(self.config.access).repository(self._staging) as repository:
            check_disk = free_space_guard(self.directory, self.config.limits, self.log)
            save_archive(repository, docker_digest(image), name, blobs, check_disk).rename(archive)
        return upload_build_files(
            spec, self.log, self.upload, archive, files[build_artifact.DOCKERFILE], self.directory / "upload"
        )


def _with_pod(buildroot: Buildroot, image: str) -> Buildroot:
    """Return a buildroot that names the image of the pod, by digest."""
    return {**buildroot, "extra": {"pod_image": image}} if image else buildroot
