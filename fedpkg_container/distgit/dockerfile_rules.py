"""Checks of the instructions of a Dockerfile and of the options of RUN."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from fedpkg_container.distgit.dockerfile import FILE, SCRATCH, Dockerfile, Instruction, Stage
from fedpkg_container.errors import UsageError
from fedpkg_container.model.findings import ERROR, WARNING, Finding, did_you_mean
from fedpkg_container.model.reference import ImageReference

#: Supported types of ``RUN --mount``: the checkout or another stage, a directory for this build only, memory.
MOUNTS = ("bind", "cache", "tmpfs")
#: Supported values of ``RUN --network``: no more access than the build has anyway.
NETWORKS = ("default", "none")
#: Maximum characters of an option in a message.
_MAX_OPTION_LENGTH = 80


def check_run(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Yield findings about options of RUN and FROM."""
    for instruction in dockerfile.effective_instructions:
        if instruction.name == "FROM" and instruction.options:
            option = instruction.options[0][:_MAX_OPTION_LENGTH]
            message = f"FROM {option} has no effect: each architecture is built on its own builders"
            yield Finding("from-platform", WARNING, message, "remove the option", FILE, instruction.line)
        elif instruction.name == "RUN":
            yield from _run(instruction)


def _run(instruction: Instruction) -> Iterator[Finding]:
    for option in instruction.options:
        name, _, value = option.partition("=")
        if name == "--mount":
            yield from _mount(value, instruction.line)
        elif name != "--network" or value not in NETWORKS:
            yield Finding(
                "run-option",
                ERROR,
                f"RUN option {option[:_MAX_OPTION_LENGTH]} is not supported by the builders",
                "remove the option; builds only have network access to repositories that they need",
                FILE,
                instruction.line,
            )


def _mount(value: str, line: int) -> Iterator[Finding]:
    parts = [part.partition("=")[::2] for part in value.split(",")]
    settings = {"source" if name == "src" else name: setting for name, setting in parts}
    mount_type = settings.get("type", "bind")
    source = settings.get("source", "")
    problem = ""
    if "$" in value:
        problem = "contains a variable, which may have any value"
    elif len(settings) != len(parts):
        problem = "sets a key twice, which builders interpret differently"
    elif mount_type not in MOUNTS:
        problem = f"has unsupported type {mount_type[:_MAX_OPTION_LENGTH]}; supported: {', '.join(MOUNTS)}"
    elif ".." in posixpath.normpath(source).split("/"):
        problem = f"has a source outside the checkout: {source[:_MAX_OPTION_LENGTH]}"
    if problem:
        message = f"RUN --mount {problem}"
        yield Finding("run-mount", ERROR, message, "remove the option, or use COPY", FILE, line)


#: Instructions known to buildah's parser (imagebuilder).
INSTRUCTIONS = (
    *("FROM", "ARG", "LABEL", "ENV", "RUN", "COPY", "ADD", "CMD", "ENTRYPOINT", "WORKDIR", "USER", "EXPOSE"),
    *("VOLUME", "HEALTHCHECK", "ONBUILD", "SHELL", "STOPSIGNAL", "MAINTAINER"),
)


def check(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Yield findings about instructions and stages."""
    yield from _instructions(dockerfile)
    if not dockerfile.stages:
        yield Finding(
            "no-from", ERROR, "there is no FROM", "start the Dockerfile with FROM registry/repository:tag", FILE
        )
        return
    yield from _stage_names(dockerfile)
    for stage in dockerfile.stages:
        if not stage.is_earlier_stage and stage.image != SCRATCH:
            yield from _parent(stage)
    for image, line in dockerfile.foreign_sources:
        yield Finding(
            "foreign-source",
            ERROR,
            f"files are copied from {image}, which is not named in a FROM",
            f"declare it as a stage: FROM {image} AS files, and use --from=files",
            FILE,
            line,
        )
    final = dockerfile.final_stages
    if not any(item.name in ("CMD", "ENTRYPOINT") and item.stage in final for item in dockerfile.instructions):
        yield Finding(
            "no-command",
            WARNING,
            "there is neither CMD nor ENTRYPOINT: the image runs the command of its base image",
            'add CMD ["program"]',
            FILE,
        )


def _instructions(dockerfile: Dockerfile) -> Iterator[Finding]:
    for instruction in dockerfile.instructions:
        name, line = instruction.name, instruction.line
        if name not in INSTRUCTIONS:
            yield Finding(
                "instruction",
                ERROR,
                f"unknown instruction {name[:40]}{did_you_mean(name, INSTRUCTIONS)}",
                "fix it, or end the line above with a backslash if this line continues it",
                FILE,
                line,
            )
        elif not instruction.value:
            yield Finding("instruction", ERROR, f"{name} has no value", "add a value", FILE, line)
        elif instruction.stage < 0 and name != "ARG":
            message = f"{name} before the first FROM"
            yield Finding("before-from", ERROR, message, "start the Dockerfile with FROM", FILE, line)


def _stage_names(dockerfile: Dockerfile) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if stage.name and stage.name.lower() in seen:
            message = f"duplicate stage name {stage.name}"
            yield Finding("stage-name", ERROR, message, "rename one of the stages", FILE, stage.line)
        seen.add(stage.name.lower())


def _parent(stage: Stage) -> Iterator[Finding]:
    if "$" in stage.written and (not stage.image or stage.image[-1] in ":@/" or "$" in stage.image):
        yield Finding(
            "from-argument",
            ERROR,
            f"FROM {stage.written}: an argument has no value",
            "set it before the FROM: ARG NAME=value",
            FILE,
            stage.line,
        )
        return
    try:
        image = ImageReference.parse(stage.image)
    except UsageError as error:
        yield Finding("from-invalid", ERROR, f"FROM: {error.reason}", error.solution, FILE, stage.line)
        return
    if not image.registry:
        yield Finding(
            "from-registry",
            ERROR,
            f"FROM {stage.image} does not name a registry",
            "use the form registry/repository:tag",
            FILE,
            stage.line,
        )
    if not image.tag and not image.digest:
        yield Finding(
            "from-tag",
            WARNING,
            f"FROM {stage.image} has no tag: the current latest is used",
            "use the form registry/repository:tag",
            FILE,
            stage.line,
        )
