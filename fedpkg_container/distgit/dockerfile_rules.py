# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the instructions of a Dockerfile and of the options of RUN."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from fedpkg_container.distgit.dockerfile import FILE, SCRATCH, Dockerfile, Instruction, Stage
from fedpkg_container.distgit.dockerfile_instructions import RULES, features, problems
from fedpkg_container.distgit.dockerfile_words import split_options
from fedpkg_container.errors import UsageError
from fedpkg_container.model.buildah import HEADING_PLATFORM, HERE_DOCUMENTS, STAGE_ARGUMENTS
from fedpkg_container.model.findings import ERROR, WARNING, Finding, did_you_mean
from fedpkg_container.model.reference import ImageReference

#: Supported types of ``RUN --mount``: the checkout or another stage, a directory for this build only, memory.
MOUNTS = ("bind", "cache", "tmpfs")
#: Supported values of ``RUN --network``: no more access than the build has anyway.
NETWORKS = ("default", "none")
#: Maximum characters of an option in a message.
_MAX_OPTION_LENGTH = 80


def check_run(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Yield findings about options of RUN and FROM, those of ONBUILD of known parents included."""
    for instruction in (*dockerfile.effective_instructions, *dockerfile.triggered):
        if instruction.name == "FROM" and instruction.options:
            option = instruction.options[0][:_MAX_OPTION_LENGTH]
            if option.startswith("--platform="):
                message = f"FROM {option} has no effect: each architecture is built on its own builders"
                yield Finding("from-platform", WARNING, message, "remove the option", FILE, instruction.line)
        elif instruction.name == "RUN":
            yield from _run(instruction)


def _run(instruction: Instruction) -> Iterator[Finding]:
    for option, written in zip(instruction.options, _written_options(instruction)):
        name, _, value = option.partition("=")
        if name == "--mount" and value:
            yield from _mount(value, instruction.line, has_variable="$" in written)
        elif name != "--network" or value not in NETWORKS:
            yield Finding(
                "run-option",
                ERROR,
                f"RUN option {option[:_MAX_OPTION_LENGTH]} is not supported by the builders",
                "remove the option; builds only have network access to repositories that they need",
                FILE,
                instruction.line,
            )


def _written_options(instruction: Instruction) -> list[str]:
    """Return the options before variables are substituted."""
    return [] if instruction.problem else [option.text for option in split_options(instruction.value)[0]]


def _mount(value: str, line: int, *, has_variable: bool) -> Iterator[Finding]:
    parts = [part.partition("=")[::2] for part in value.split(",")]
    settings = {"source" if name == "src" else name: setting for name, setting in parts}
    mount_type = settings.get("type", "bind")
    source = settings.get("source", "")
    problem = ""
    if has_variable or "$" in value:
        problem = "contains a variable, which may have any value"
    elif set(value) & set("\"'\\ \t"):
        problem = "contains quotes, backslashes or spaces, which builders interpret differently"
    elif len(settings) != len(parts):
        problem = "sets a key twice, which builders interpret differently"
    elif mount_type not in MOUNTS:
        problem = f"has unsupported type {mount_type[:_MAX_OPTION_LENGTH]}; supported: {', '.join(MOUNTS)}"
    elif ".." in posixpath.normpath(source).split("/"):
        problem = f"has a source outside the checkout: {source[:_MAX_OPTION_LENGTH]}"
    if problem:
        message = f"RUN --mount {problem}"
        yield Finding("run-mount", ERROR, message, "remove the option, or use COPY", FILE, line)


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
        if instruction.name not in RULES:
            yield _unknown(instruction)
        elif instruction.stage < 0 and instruction.name != "ARG":
            message = f"{instruction.name} before the first FROM"
            yield Finding("before-from", ERROR, message, "start the Dockerfile with FROM", FILE, instruction.line)
    yield from check_accepted(dockerfile)


def check_accepted(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Yield findings about what buildah refuses or ignores, also in instructions deferred by ONBUILD."""
    built = dockerfile.built_stages
    for instruction, effective in zip(dockerfile.instructions, dockerfile.effective_instructions):
        executed = instruction.stage in built or instruction.stage < 0 or instruction.name == "FROM"
        yield from _accepted(instruction, dockerfile.facts.version, executed=executed)
        if effective is not instruction:
            yield from _accepted(effective, dockerfile.facts.version, executed=False)


def _accepted(item: Instruction, version: tuple[int, ...] | None, *, executed: bool) -> Iterator[Finding]:
    """Yield findings about an instruction.

    :param executed: whether this build executes it; buildah does not check most instructions that it does not execute
    """
    if item.name not in RULES:
        return
    for problem in problems(item):
        severity = ERROR if problem.is_error and (executed or item.is_unparsable) else WARNING
        message = f"{item.name} {problem.message}"
        yield Finding(problem.code, severity, message, problem.solution, FILE, item.line)
    for feature in sorted(features(item), key=lambda feature: feature.name):
        known = feature.known_to(version)
        if known or (known is False and feature in (HERE_DOCUMENTS, STAGE_ARGUMENTS, HEADING_PLATFORM)):
            continue  # the first is tested on builders, the others affect values, not what is accepted
        since = ".".join(map(str, feature.since))
        mine = "" if version is None else f"; this is {'.'.join(map(str, version))}"
        message = f"{item.name} needs buildah {since} or newer on builders ({feature.name}){mine}"
        severity = ERROR if version is not None and executed else WARNING
        yield Finding("buildah-version", severity, message, "rewrite it without this feature", FILE, item.line)


def _unknown(instruction: Instruction) -> Finding:
    name = instruction.name
    return Finding(
        "instruction",
        ERROR,
        f"unknown instruction {name[:40]}{did_you_mean(name, RULES)}",
        "fix the name, or end the line above with a backslash if this line continues it",
        FILE,
        instruction.line,
    )


#: A stage name that all versions of buildah read in the same way.
_STAGE_NAME = re.compile("[A-Za-z][A-Za-z0-9_.-]*")


def _stage_names(dockerfile: Dockerfile) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if stage.name and (stage.name.lower() == SCRATCH or not _STAGE_NAME.fullmatch(stage.name)):
            message = f"invalid stage name {stage.name[:_MAX_OPTION_LENGTH]}"
            solution = "use letters, digits and any of _ . -, starting with a letter"
            yield Finding("stage-name", ERROR, message, solution, FILE, stage.line)
        elif stage.name and stage.name.lower() in seen:
            message = f"duplicate stage name {stage.name}"
            yield Finding("stage-name", ERROR, message, "rename one of the stages", FILE, stage.line)
        seen.add(stage.name.lower())


def _parent(stage: Stage) -> Iterator[Finding]:
    if not stage.value.is_known or not stage.written:
        return  # it depends on the architecture, or has been reported
    if stage.value.unset:
        names = ", ".join(f"${name}" for name in sorted(stage.value.unset))
        verb = "has" if len(stage.value.unset) == 1 else "have"
        message = f"FROM {stage.written}: {names} {verb} no value"
        solution = "set it before the first FROM: ARG NAME=value"
        yield Finding("from-argument", ERROR, message, solution, FILE, stage.line)
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
            f"FROM {stage.image} has no tag: the tag latest is used",
            "use the form registry/repository:tag",
            FILE,
            stage.line,
        )


def named(findings: Iterable[Finding], dockerfile: Dockerfile) -> Iterator[Finding]:
    """Yield findings about the Dockerfile under the name of the file that was read."""
    for finding in findings:
        yield replace(finding, file=dockerfile.file) if finding.file == FILE else finding
