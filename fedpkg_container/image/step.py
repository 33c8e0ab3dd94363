"""The step that both pipelines share, that of a builder and that of a packager's own machine: building one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines.buildah import Buildah, ImageBuild, Mount
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.image.log import BuildLog
from fedpkg_container.model.arches import platform_of

#: Labels that say which build an image is: not for the Dockerfile to choose.
BUILD_LABELS = frozenset({"release", "version", "build-date", "vcs-ref", "vcs-type"})


def unset(labels: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Labels to add: those that say which build this is, and of the others those that the Dockerfile does not set."""
    return {name: value for name, value in labels.items() if name in BUILD_LABELS or name not in own}


@dataclass(frozen=True)
class Recipe:
    """What an image is built from.

    :param context: the folder that COPY reads
    :param parents: FROM as written in the Dockerfile → what to build on
    :param labels: labels that are added
    :param timestamp: seconds since the epoch that every new file gets
    :param arch: Koji's name of the arch
    :param timeout: seconds
    """

    dockerfile: Dockerfile
    context: Path
    parents: Mapping[str, str]
    labels: Mapping[str, str]
    timestamp: int
    arch: str
    timeout: float


def build_image(engine: Buildah, recipe: Recipe, mounts: Sequence[Mount], folder: Path, log: BuildLog) -> str:
    """Build; the image ID.

    :param folder: for files of this build
    :raises BuildFailedError: a step of the Dockerfile failed
    """
    pinned = folder / "Dockerfile"
    pinned.write_text(recipe.dockerfile.with_parents(recipe.parents))
    request = ImageBuild(
        context=recipe.context,
        dockerfile=pinned,
        labels=recipe.labels,
        mounts=mounts,
        timestamp=recipe.timestamp,
        platform=platform_of(recipe.arch),
        timeout=recipe.timeout,
    )
    try:
        return engine.build(request, line=log.line, tick=log.tick)
    except ProgramError as error:
        if "exec format error" in error.output.lower():
            raise BuildFailedError(
                f"building the image for {recipe.arch} failed: a program that RUN starts is of another arch",
                solution=f"check that the images in FROM are {recipe.arch} throughout",
            ) from error
        said = _last_words(error.output).replace(f"{folder}/", "")
        raise BuildFailedError(f"building the image for {recipe.arch} failed: {said}") from error


def _last_words(output: str) -> str:
    """The line that says why, out of the last lines of a build."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    words = (errors or lines or ["it printed nothing"])[-1].removeprefix("Error: ")
    return words.partition(" &imagebuilder.Step{")[0][:500]
