"""One arch of a build: from the source to an image in staging, and everything that is recorded of it."""

from __future__ import annotations

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
from fedpkg_container.image.building.limits import guard, until_full
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.building.recipe import BUILD_LABELS, Recipe, build_image, unset
from fedpkg_container.image.config import Site
from fedpkg_container.image.inspect.buildroot import buildroot
from fedpkg_container.image.inspect.describe import check_labels, describe, found_in
from fedpkg_container.image.publish.archive import Archive, Upload
from fedpkg_container.image.publish.index import lost_in
from fedpkg_container.image.resolve import checks, lookaside
from fedpkg_container.image.resolve.checks import check_runnable
from fedpkg_container.image.resolve.repositories import KojiFiles, Repositories, repo_file
from fedpkg_container.image.resolve.source import forget_history
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry


@dataclass(frozen=True)
class ArchBuild:
    """What the build of one arch works with.

    :param source: the checkout at the exact commit
    :param timestamp: when that commit was made, in seconds since the epoch
    :param koji: Koji's files, where repositories are
    :param folder: a folder for files of this build
    :param after: called after each step
    """

    spec: BuildSpec
    site: Site
    engine: Buildah
    source: Path
    timestamp: int
    koji: KojiFiles
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
        room = guard(self.source, self.site.limits, log)
        deadline = self.site.limits.preparation()
        workspace = self.engine.workspace
        self.engine.tick = until_full(self.folder, self.site.limits, log)
        lookaside.fetch(self.source, workspace, spec.source, self.site.lookaside, log.say, room, deadline)
        bases = {written: self._pull(written, pinned, deadline) for written, pinned in spec.parents.items()}
        self.after("pulled")
        parents = {written: base.image_id for written, base in bases.items()}
        log.say(f"building {spec.nvr} for {spec.arch}: {self.engine.isolation}, network {spec.network}")
        with ThreadPoolExecutor(1) as beside:
            tools = beside.submit(buildroot, spec.arch)
            image = self._build(dockerfile, bases)
        self.after("executed")
        with Archive(spec, self.engine, self.folder, log, self.upload).of(image, self.site.formats) as keep:
            log.say("reading the image's RPMs")
            found = found_in(self.engine, image)
            log.say(f"the image holds {len(found['components'])} RPMs")
            self.after("read")
            warnings = lost_in(lambda: self.engine.configuration(image), self.site.formats)
            exact, variants = self._push(image)
            self.after("pushed")
            parent = parents.get(dockerfile.base, "")
            built = describe(
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
        """Push to staging, under tags that no other build has; the image, and the digests of its other formats.

        :raises RegistryError: it could not be pushed, or has labels of another build
        """
        name = f"{self.spec.arch}-{uuid.uuid4().hex[:12]}"
        staged = ImageReference(self.site.candidate, self.spec.staging, tag=name)
        self.log.say(f"pushing {staged}")
        first, *others = self.site.formats
        exact = staged.at(self.engine.push(image, staged, first))
        variants = {kind: self.engine.push(image, staged.tagged(f"{name}-{kind}"), kind) for kind in others}
        pushed = [exact, *(staged.at(each) for each in variants.values())]
        check_labels(Registry(self.site.access), pushed, own_labels(self.spec))
        return exact, variants

    def _pull(self, written: str, pinned: str, deadline: Deadline) -> BaseImage:
        self.log.say(f"pulling {pinned}")
        room = guard(self.folder, self.site.limits, self.log)
        image, platform = ImageReference.parse(pinned), platform_of(self.spec.arch)
        base = self.engine.bases.pull(image, platform, deadline=deadline, tick=room)
        checks.check_triggers(written, base.triggers)
        return base

    def _build(self, dockerfile: Dockerfile, bases: Mapping[str, BaseImage]) -> str:
        spec = self.spec
        forget_history(self.source, self.engine.workspace)
        recipe = Recipe(
            dockerfile=dockerfile,
            context=self.source,
            parents={written: base.name for written, base in bases.items()},
            labels={**unset(spec.labels, dockerfile.labels), **spec.identity, "architecture": spec.arch},
            timestamp=self.timestamp,
            arch=spec.arch,
            timeout=spec.timeout,
            network=spec.network,
            environment=spec.environment,
            arguments=spec.arguments,
            help_page=help_page.make(self.source, self.engine.workspace),
            limits=self.site.limits,
        )
        mounts = self._repositories(dockerfile, {written: base.image_id for written, base in bases.items()})
        return build_image(self.engine, recipe, mounts, self.folder, self.log)

    def _repositories(self, dockerfile: Dockerfile, parents: dict[str, str]) -> list[Mount]:
        """The build tag's repository and those of .repo files, as RUN sees them."""
        folders, files = {}, {}
        if self.spec.repository:
            folders["build-tag"] = self._build_tag()
            files["build-tag"] = repo_file("build-tag", folders["build-tag"])
        for name, text in self.spec.repo_files.items():
            local = self.koji.localize(name, text, self.spec.arch)
            folders.update(local.folders)
            files[name] = local.text
        repositories = Repositories(self.engine, self.folder, self.log)
        return repositories.mounts(parents, dockerfile, folders=folders, files=files)

    def _build_tag(self) -> Path:
        content = self.koji.topdir / self.spec.repository
        if not (content / "repodata" / "repomd.xml").is_file():
            raise BuildFailedError(
                f"the repository {content} cannot be read by the builder", solution="mount Koji's topdir there"
            )
        return content


def own_labels(spec: BuildSpec) -> dict[str, str]:
    """The labels of an image that say which build it is; a Dockerfile cannot set them."""
    return {**{name: value for name, value in spec.labels.items() if name in BUILD_LABELS}, **spec.identity}
