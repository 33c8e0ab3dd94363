"""One arch of a build: from the source to an image in staging, and everything that is recorded of it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines import network
from fedpkg_container.engines.bases import BaseImage
from fedpkg_container.engines.buildah import Buildah, Mount
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.building import help_page
from fedpkg_container.image.building.limits import disk_guard
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.building.recipe import BuildRecipe, build_image, merge_labels
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.image.inspect.buildroot import describe_buildroot
from fedpkg_container.image.inspect.describe import describe_image, inspect_image
from fedpkg_container.image.publish.archive import ArchFiles, Upload
from fedpkg_container.image.publish.index import format_warnings
from fedpkg_container.image.resolve import checks, lookaside
from fedpkg_container.image.resolve.checks import check_runnable
from fedpkg_container.image.resolve.repositories import KojiTopdir, RepositoryMounts, local_repo_file
from fedpkg_container.image.resolve.source import commit_time
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry


@dataclass(frozen=True)
class ArchBuild:
    """What the build of one arch works with.

    :param source: the checkout at the exact commit
    :param koji: Koji's files, where repositories are
    :param folder: a folder for files of this build
    :param after: called after each step
    """

    spec: BuildSpec
    site: BuilderConfig
    engine: Buildah
    source: Path
    koji: KojiTopdir
    folder: Path
    log: BuildLog
    upload: Upload
    after: Callable[[str], None] = lambda _: None

    def run(self) -> BuiltImage:
        """Build, look inside, push.

        :raises BuildFailedError: a step of the Dockerfile failed
        :raises RegistryError: a registry could not be reached, or refused
        """
        spec, log = self.spec, self.log
        dockerfile = Dockerfile.read(self.source, spec.arguments)
        network.check(spec.network)
        check_runnable(dockerfile, spec.arch, self.folder)
        room = disk_guard(self.source, self.site.limits, log)
        deadline = self.site.limits.preparation()
        workspace = self.engine.workspace
        lookaside.fetch_sources(self.source, workspace, spec.source, self.site.lookaside, log.say, room, deadline)
        bases = {written: self._pull(written, pinned, deadline) for written, pinned in spec.parents.items()}
        self.after("pulled")
        parents = {written: base.image_id for written, base in bases.items()}
        log.say(f"building {spec.nvr} for {spec.arch}: {self.engine.isolation}, network {spec.network}")
        with ThreadPoolExecutor(1) as beside:
            tools = beside.submit(describe_buildroot, spec.arch)
            image = self._build(dockerfile, bases)
        self.after("executed")
        with ArchFiles(spec, self.engine, self.folder, log, self.upload).of(image) as keep:
            log.say("reading the image's RPMs")
            found = inspect_image(self.engine, image)
            log.say(f"the image holds {len(found['components'])} RPMs")
            self.after("read")
            warnings = format_warnings(lambda: self.engine.configuration(image), self.site.formats)
            exact, variants = self._push(image)
            self.after("pushed")
            parent = parents.get(dockerfile.base, "")
            built = describe_image(
                Registry(self.site.access),
                spec.arch,
                exact,
                **found,
                buildroot=tools.result(),
                parent_id=f"sha256:{parent}" if parent else "",
            )
            files = keep()
            self.after("sent")
            return replace(built, warnings=warnings, files=files, variants=variants)

    def _push(self, image: str) -> tuple[ImageReference, dict[str, str]]:
        """Push to staging, under tags that no other build has; the image, and the digests of its other formats."""
        name = f"{self.spec.arch}-{uuid.uuid4().hex[:12]}"
        staged = ImageReference(self.site.candidate, self.spec.staging, tag=name)
        self.log.say(f"pushing {staged}")
        self.engine.export(image, self.site.formats)
        first, *others = self.site.formats
        exact = staged.at(self.engine.push(image, staged, first))
        return exact, {kind: self.engine.push(image, staged.tagged(f"{name}-{kind}"), kind) for kind in others}

    def _pull(self, written: str, pinned: str, deadline: Deadline) -> BaseImage:
        self.log.say(f"pulling {pinned}")
        room = disk_guard(self.folder, self.site.limits, self.log)
        image, platform = ImageReference.parse(pinned), platform_of(self.spec.arch)
        base = self.engine.bases.pull(image, platform, deadline=deadline, tick=room)
        checks.check_onbuild(written, base.triggers)
        return base

    def _build(self, dockerfile: Dockerfile, bases: Mapping[str, BaseImage]) -> str:
        spec = self.spec
        timestamp = commit_time(self.source, self.engine.workspace)
        shutil.rmtree(self.source / ".git", ignore_errors=True)
        recipe = BuildRecipe(
            dockerfile=dockerfile,
            context=self.source,
            parents={written: base.name for written, base in bases.items()},
            labels={**merge_labels(spec.labels, dockerfile.labels), **spec.identity, "architecture": spec.arch},
            timestamp=timestamp,
            arch=spec.arch,
            timeout=spec.timeout,
            network=spec.network,
            environment=spec.environment,
            arguments=spec.arguments,
            help_page=help_page.make_man_page(self.source, self.engine.workspace),
            limits=self.site.limits,
        )
        mounts = self._repositories(dockerfile, {written: base.image_id for written, base in bases.items()})
        return build_image(self.engine, recipe, mounts, self.folder, self.log)

    def _repositories(self, dockerfile: Dockerfile, parents: dict[str, str]) -> list[Mount]:
        """The build tag's repository and those of .repo files, as RUN sees them."""
        folders, files = {}, {}
        if self.spec.repository:
            folders["build-tag"] = self._build_tag()
            files["build-tag"] = local_repo_file("build-tag", folders["build-tag"])
        for name, text in self.spec.repo_files.items():
            local = self.koji.localize(name, text, self.spec.arch)
            folders.update(local.folders)
            files[name] = local.text
        repositories = RepositoryMounts(self.engine, self.folder, self.log)
        return repositories.mounts(parents, dockerfile, folders=folders, files=files)

    def _build_tag(self) -> Path:
        content = self.koji.topdir / self.spec.repository
        if not (content / "repodata" / "repomd.xml").is_file():
            raise BuildFailedError(
                f"the repository {content} cannot be read by the builder", solution="mount Koji's topdir there"
            )
        return content
