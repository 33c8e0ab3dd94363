"""One arch of a build: from the source to an image in staging, and everything that is recorded of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container import __version__
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines.buildah import Buildah, ImageBuild, Mount
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.image.log import BuildLog
from fedpkg_container.image.naming import legal_tag
from fedpkg_container.image.packages import read_packages
from fedpkg_container.image.site import Site
from fedpkg_container.image.source import commit_time
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.registry import Registry

#: Koji's names of arches → Go's, where they differ.
GO_ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "armhfp": "arm", "armv7hl": "arm"}
#: Labels that say which build an image is: not for the Dockerfile to choose.
BUILD_LABELS = frozenset({"release", "version", "build-date", "vcs-ref", "vcs-type"})
#: Where images look for repositories.
REPOSITORIES = "etc/yum.repos.d"

#: Sends a file to the hub: path, folder below the import's.
Upload = Callable[[Path, str], None]


def _unset(labels: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Labels to add: those that say which build this is, and of the others those that the Dockerfile does not set."""
    return {name: value for name, value in labels.items() if name in BUILD_LABELS or name not in own}


def go_arch(arch: str) -> str:
    """Go's name of an arch."""
    return GO_ARCHES.get(arch, arch)


@dataclass(frozen=True)
class ArchBuild:
    """What the build of one arch works with.

    :param source: the checkout at the exact commit
    :param topdir: Koji's topdir, where the build tag's repository is
    :param folder: a folder for files of this build
    """

    spec: BuildSpec
    site: Site
    engine: Buildah
    source: Path
    topdir: Path
    folder: Path
    log: BuildLog
    upload: Upload

    def run(self) -> BuiltImage:
        """Build, look inside, push.

        :raises BuildFailedError: a step of the Dockerfile failed
        :raises RegistryError: a registry could not be reached, or refused
        """
        spec, log = self.spec, self.log
        dockerfile = Dockerfile.read(self.source)
        parents = {written: self._pull(pinned) for written, pinned in spec.parents.items()}
        log.say(f"building {spec.nvr} for {spec.arch}: {self.engine.isolation}, network {self.engine.network}")
        image = self._build(dockerfile, parents)
        with self.engine.mounted(image) as root:
            components = read_packages(root, self.folder)
        log.say(f"the image holds {len(components)} RPMs")
        staged = ImageReference(self.site.candidate, spec.staging, tag=f"{spec.arch}-{uuid.uuid4().hex[:12]}")
        log.say(f"pushing {staged}")
        exact = staged.at(self.engine.push(image, staged))
        return self._describe(exact, components, parents.get(dockerfile.base, ""))

    def _pull(self, pinned: str) -> str:
        self.log.say(f"pulling {pinned}")
        return self.engine.pull(ImageReference.parse(pinned), go_arch(self.spec.arch))

    def _build(self, dockerfile: Dockerfile, parents: dict[str, str]) -> str:
        pinned = self.folder / "Dockerfile"
        pinned.write_text(dockerfile.with_parents(self.spec.parents))
        timestamp = commit_time(self.source)
        shutil.rmtree(self.source / ".git", ignore_errors=True)
        request = ImageBuild(
            context=self.source,
            dockerfile=pinned,
            labels={**_unset(self.spec.labels, dockerfile.labels), "architecture": self.spec.arch},
            mounts=self._repository(parents.get(dockerfile.base, "")),
            timestamp=timestamp,
            arch=go_arch(self.spec.arch),
            timeout=self.spec.timeout,
        )
        try:
            return self.engine.build(request, line=self.log.line, tick=self.log.tick)
        except ProgramError as error:
            said = _last_words(error.output).replace(f"{self.folder}/", "")
            raise BuildFailedError(f"building the image for {self.spec.arch} failed: {said}") from error

    def _repository(self, base: str) -> list[Mount]:
        """The build tag's repository, to be seen by RUN in the folder where images look for repositories.

        It is mounted over a folder that the base has, so that nothing of it stays in a layer.
        """
        if not self.spec.repository:
            return []
        if not base or not self._has_repositories(base):
            self.log.say(f"the base image has no /{REPOSITORIES}: RUN does not get the build tag's repository")
            return []
        content = self.topdir / self.spec.repository
        if not (content / "repodata" / "repomd.xml").is_file():
            raise BuildFailedError(
                f"the repository {content} cannot be read by the builder", solution="mount Koji's topdir there"
            )
        folder = self.folder / "repositories"
        (folder / "build-tag").mkdir(parents=True)
        (folder / "build-tag.repo").write_text(
            "[build-tag]\nname=repository of the build tag\n"
            f"baseurl=file:///{REPOSITORIES}/build-tag\nenabled=1\ngpgcheck=0\n"
        )
        return [Mount(folder, f"/{REPOSITORIES}"), Mount(content, f"/{REPOSITORIES}/build-tag")]

    def _has_repositories(self, base: str) -> bool:
        with self.engine.mounted(base) as root:
            path = root / REPOSITORIES
            return path.is_dir() and path.resolve() == root.resolve() / REPOSITORIES

    def _describe(self, exact: ImageReference, components: list[dict[str, Any]], parent_id: str) -> BuiltImage:
        registry = Registry(self.site.access)
        manifest = registry.manifest(exact)
        config = registry.config(exact, go_arch(self.spec.arch))
        layers = [{"layer": each["digest"], "size": each["size"]} for each in manifest.content["layers"]]
        return BuiltImage(
            arch=self.spec.arch,
            staging=str(exact),
            digest=manifest.digest,
            media_type=manifest.media_type,
            image_id=manifest.content["config"]["digest"],
            config=config,
            layers=layers,
            diff_ids=list(json.loads(config)["rootfs"]["diff_ids"]),
            components=components,
            files=self._files(registry, exact) if self.spec.upload else [],
            buildroot=_buildroot(self.spec.arch, self.engine.version()),
            parent_id=f"sha256:{parent_id}" if parent_id else "",
        )

    def _files(self, registry: Registry, image: ImageReference) -> list[dict[str, Any]]:
        """Upload the image as a docker-archive, and the log so far."""
        spec = self.spec
        name = f"{spec.nvr}.{spec.arch}.tar.gz"
        self.log.say(f"saving {name}")
        plain, packed = self.folder / "image.tar", self.folder / name
        registry.save(image, plain, ImageReference("", spec.image, tag=legal_tag(f"{spec.version}-{spec.release}")))
        with plain.open("rb") as source, gzip.GzipFile(packed, "wb", compresslevel=1, mtime=0) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        plain.unlink()
        log = self.folder / f"{spec.arch}.log"
        shutil.copyfile(self.log.path, log)
        described = []
        # A folder of its own: the hub lets only the builder write to it that came first.
        folder = f"{spec.arch}-{uuid.uuid4().hex[:12]}"
        for path, kind in ((packed, "docker-image"), (log, "log")):
            self.upload(path, folder)
            described.append(described_file(path, kind, relpath=folder))
        return described


def described_file(path: Path, kind: str, *, relpath: str) -> dict[str, Any]:
    """A file as content-generator metadata names it."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            checksum.update(block)
    return {
        "filename": path.name,
        "relpath": relpath,
        "filesize": path.stat().st_size,
        "checksum": checksum.hexdigest(),
        "checksum_type": "sha256",
        "type": kind,
    }


def _buildroot(arch: str, buildah: str) -> dict[str, Any]:
    system = platform.freedesktop_os_release() if hasattr(platform, "freedesktop_os_release") else {}
    return {
        "host": {
            "os": f"{system.get('ID', os.uname().sysname.lower())}-{system.get('VERSION_ID', 'unknown')}",
            "arch": arch,
        },
        "content_generator": {"name": "fedpkg-container", "version": __version__},
        "container": {"type": "buildah", "arch": arch},
        "tools": [{"name": "buildah", "version": buildah}],
        "components": [],
    }


def _last_words(output: str) -> str:
    """The line that says why, out of the last lines of a build."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    words = (errors or lines or ["it printed nothing"])[-1].removeprefix("Error: ")
    return words.partition(" &imagebuilder.Step{")[0][:500]
