# SPDX-License-Identifier: GPL-2.0-or-later
"""The build of one image, for builders and local builds alike: changed Dockerfile, and the run of buildah."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.ignore_file import find_ignore_file
from fedpkg_container.engines.buildah import EPOCH, Buildah
from fedpkg_container.engines.cgroups import out_of_memory
from fedpkg_container.engines.image_build import ImageBuild, Mount
from fedpkg_container.errors import BuildFailedError, ProgramError, ProgramTimeoutError
from fedpkg_container.image.building import help_page
from fedpkg_container.image.building.limits import BUILDER_FULL, DiskMonitor
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.building.step_log import StepLog
from fedpkg_container.image.config import Limits
from fedpkg_container.image.resolve import checks
from fedpkg_container.model.nvr import is_variable
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.step_report import abbreviate


def release_environment(container_yaml: ContainerYaml, release: str) -> dict[str, str]:
    """Return the variable with the release, if container.yaml names one.

    :raises BuildFailedError: if it is not a valid variable name
    """
    name = container_yaml.set_release_env
    if not name:
        return {}
    if not is_variable(name):
        raise BuildFailedError(
            f"set_release_env: {name[:80]!r} is not a valid variable name", solution="fix it in container.yaml"
        )
    return {name: release}


@dataclass(frozen=True)
class BuildRecipe:
    """Everything that an image is built from.

    :param context: build context, the directory that COPY reads
    :param parents: reference as written in FROM → parent image to use
    :param labels: labels to add
    :param timestamp: modification time of new files, seconds since the epoch
    :param arch: Koji's name of the architecture
    :param timeout: seconds
    :param network: network of RUN: none, isolated or host
    :param environment: variables set at the start of every stage
    :param build_arguments: values of ARG, overriding defaults
    :param help_page: directory with the manual page; None for none
    :param limits: all limits except the time
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
    build_arguments: Mapping[str, str] = field(default_factory=dict)
    help_page: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def render(self) -> str:
        """Return the Dockerfile to build, with pinned parent images and added instructions."""
        return self.dockerfile.changed(
            self.parents,
            arguments={EPOCH: str(self.timestamp)},
            first=[f"ENV {name}={value}" for name, value in self.environment.items()],
            last=[help_page.COPY_INSTRUCTION] if self.help_page else [],
        )


def build_image(engine: Buildah, recipe: BuildRecipe, mounts: Sequence[Mount], build_dir: Path, log: BuildLog) -> str:
    """Build an image; return its image ID.

    :param build_dir: directory for files of this build
    :raises BuildFailedError: if the Dockerfile uses unsupported features, an instruction failed, or the build exceeded
        a limit
    """
    checks.check_instructions(recipe.dockerfile)
    checks.check_here_documents(recipe.dockerfile, engine)
    checks.check_sources(recipe.dockerfile, recipe.context)
    pinned = build_dir / "Dockerfile"
    rendered = recipe.render()
    pinned.write_text(rendered)
    request = ImageBuild(
        context=recipe.context,
        dockerfile=pinned,
        labels=recipe.labels,
        mounts=mounts,
        timestamp=recipe.timestamp,
        platform=platform_of(recipe.arch),
        timeout=recipe.timeout,
        network=recipe.network,
        arguments=recipe.build_arguments,
        ignore_file=find_ignore_file(recipe.context, recipe.dockerfile.file),
        contexts={help_page.BUILD_CONTEXT: recipe.help_page} if recipe.help_page else {},
    )
    disk_monitor = DiskMonitor(build_dir, recipe.limits)
    log.max_bytes = recipe.limits.log_size
    steps = StepLog(recipe.dockerfile, rendered)

    def line(text: bytes) -> None:
        steps.note(text)
        log.append_output(text)

    def tick() -> None:
        log.flush()
        disk_monitor.check()

    try:
        image_id = engine.build(request, line=line, tick=tick)
    except BuildFailedError:  # a limit of size
        _report_steps(steps, log, failed=True)
        raise
    except (ProgramTimeoutError, ProgramError) as error:
        place = _report_steps(steps, log, failed=True)
        raise _failure(error, recipe, engine, place, build_dir) from error
    _report_steps(steps, log, failed=False)
    for complaint in engine.complaints():
        log.append(f"warning: the layers may not be reproducible: {complaint}")
    return image_id


def _report_steps(steps: StepLog, log: BuildLog, *, failed: bool) -> str:
    """Write the times of the steps to the log, and the instruction that failed; return its file and line."""
    report = steps.report(failed=failed)
    for text in report.lines():
        log.append(text)
    return report.place


def _failure(
    error: ProgramTimeoutError | ProgramError, recipe: BuildRecipe, engine: Buildah, place: str, build_dir: Path
) -> BuildFailedError:
    """Return the error to raise when buildah failed.

    :param place: file and line of the instruction that failed; empty if unknown
    """
    what = f"building the image for {recipe.arch}"
    if isinstance(error, ProgramTimeoutError):
        return BuildFailedError(
            f"{what} exceeded the time limit of {recipe.timeout:g} s",
            solution="shorten the RUN steps, or set a higher buildtime_limit in container.yaml",
        )
    if "exec format error" in error.output.lower():
        return BuildFailedError(
            f"{what} failed: RUN started a program of another architecture",
            solution=f"check that all images in FROM are for {recipe.arch}",
        )
    if out_of_memory(engine.workspace.groups):
        return BuildFailedError(
            f"{what} failed: out of memory (limit: {recipe.limits.memory / 10**9:.3g} GB)",
            solution="use less memory in RUN, e.g. fewer parallel jobs; the limit is set by the site (memory)",
        )
    if "no space left on device" in error.output.lower():
        return BuildFailedError(f"{what} failed: no space left on the builder", solution=BUILDER_FULL)
    reason = _error_line(error.output).replace(f"{build_dir}/", "")
    return BuildFailedError(f"{what} failed: {f'{place}: ' if place else ''}{_shortened(reason, place)}")


#: Characters of an instruction in an error message.
MAX_REASON = 50
#: Buildah's message about an instruction that failed.
_BUILDING_AT = re.compile(r'building at STEP "(.*)": (?:while running runtime: )?(.*)')


def _shortened(reason: str, place: str) -> str:
    """Return buildah's reason with the instruction abbreviated, if the place of the instruction is known."""
    match = _BUILDING_AT.fullmatch(reason)
    return f"{abbreviate(match[1], MAX_REASON)}: {match[2]}" if match and place else reason


def _error_line(output: str) -> str:
    """Return the line with the reason of a failure from the last lines of a build."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    line = (errors or lines or ["no output"])[-1].removeprefix("Error: ")
    return line.partition(" &imagebuilder.Step{")[0][:500]
