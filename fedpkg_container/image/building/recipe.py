"""The step that both pipelines share, that of a builder and that of a packager's own machine: building one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines.buildah import EPOCH, Buildah, ImageBuild, Mount
from fedpkg_container.errors import BuildFailedError, ProgramError, ProgramTimeoutError
from fedpkg_container.image.building import help_page
from fedpkg_container.image.building.limits import DiskMonitor
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import Limits
from fedpkg_container.image.resolve import checks
from fedpkg_container.model.nvr import is_variable
from fedpkg_container.model.platforms import platform_of

#: Labels that say which build an image is: not for the Dockerfile to choose.
BUILD_LABELS = frozenset({"release", "version", "build-date", "vcs-ref", "vcs-type"})


def merge_labels(labels: Mapping[str, str], dockerfile_labels: Mapping[str, str]) -> dict[str, str]:
    """Labels to add: those that say which build this is, and of the others those that the Dockerfile does not set."""
    return {name: value for name, value in labels.items() if name in BUILD_LABELS or name not in dockerfile_labels}


def release_environment(container_yaml: ContainerYaml, release: str) -> dict[str, str]:
    """The variable that is to hold the release, when container.yaml names one.

    :raises BuildFailedError: it is no name of a variable
    """
    name = container_yaml.set_release_env
    if not name:
        return {}
    if not is_variable(name):
        raise BuildFailedError(
            f"set_release_env: {name[:80]!r} is no name of a variable", solution="mend it in container.yaml"
        )
    return {name: release}


@dataclass(frozen=True)
class BuildRecipe:
    """What an image is built from.

    :param context: the folder that COPY reads
    :param parents: FROM as written in the Dockerfile → what to build on
    :param labels: labels that are added
    :param timestamp: seconds since the epoch that every new file gets
    :param arch: Koji's name of the arch
    :param timeout: seconds
    :param network: what RUN reaches: none, isolated or host
    :param environment: variables that every stage begins with
    :param arguments: values of ARG, over the defaults
    :param help_page: a folder with the image's manual page; None for none
    :param limits: of everything but time
    """

    dockerfile: Dockerfile
    context: Path
    parents: Mapping[str, str]
    labels: Mapping[str, str]
    timestamp: int
    arch: str
    timeout: float
    network: str = "none"
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    help_page: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def render(self) -> str:
        """The Dockerfile as it is built."""
        return self.dockerfile.changed(
            self.parents,
            arguments={EPOCH: str(self.timestamp)},
            first=[f"ENV {name}={value}" for name, value in self.environment.items()],
            last=[help_page.COPY_INSTRUCTION] if self.help_page else [],
        )


def build_image(engine: Buildah, recipe: BuildRecipe, mounts: Sequence[Mount], build_dir: Path, log: BuildLog) -> str:
    """Build; the image ID.

    :param build_dir: for files of this build
    :raises BuildFailedError: the Dockerfile asks for what builders do not give, a step of it failed, or the build used
        more than it may
    """
    checks.check_instructions(recipe.dockerfile)
    checks.check_here_documents(recipe.dockerfile, engine)
    pinned = build_dir / "Dockerfile"
    pinned.write_text(recipe.render())
    request = ImageBuild(
        context=recipe.context,
        dockerfile=pinned,
        labels=recipe.labels,
        mounts=mounts,
        timestamp=recipe.timestamp,
        platform=platform_of(recipe.arch),
        timeout=recipe.timeout,
        network=recipe.network,
        arguments=recipe.arguments,
        contexts={help_page.BUILD_CONTEXT: recipe.help_page} if recipe.help_page else {},
    )
    disk_monitor = DiskMonitor(build_dir, recipe.limits)
    log.max_bytes = recipe.limits.log_size

    def tick() -> None:
        log.flush()
        disk_monitor.check()

    try:
        image_id = engine.build(request, line=log.append_output, tick=tick)
    except ProgramTimeoutError as error:
        raise BuildFailedError(
            f"building the image for {recipe.arch} took longer than {recipe.timeout:g} s and was ended",
            solution="let RUN end sooner, or ask for more with buildtime_limit in container.yaml",
        ) from error
    except ProgramError as error:
        if "exec format error" in error.output.lower():
            raise BuildFailedError(
                f"building the image for {recipe.arch} failed: a program that RUN starts is of another arch",
                solution=f"check that the images in FROM are {recipe.arch} throughout",
            ) from error
        if "no space left on device" in error.output.lower():
            raise BuildFailedError(
                f"building the image for {recipe.arch} failed: no space was left on the builder",
                solution="build again: another builder may have more; or ask the site for larger disks",
            ) from error
        reason = _error_line(error.output).replace(f"{build_dir}/", "")
        raise BuildFailedError(f"building the image for {recipe.arch} failed: {reason}") from error
    for complaint in engine.complaints():
        log.append(f"layers may differ the next time: {complaint}")
    return image_id


def _error_line(output: str) -> str:
    """The line that says why, out of the last lines of a build."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    line = (errors or lines or ["it printed nothing"])[-1].removeprefix("Error: ")
    return line.partition(" &imagebuilder.Step{")[0][:500]
