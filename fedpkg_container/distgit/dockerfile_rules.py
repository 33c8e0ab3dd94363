"""The rules over the instructions of a Dockerfile, RUN and its options among them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from fedpkg_container.distgit.dockerfile import FILE, SCRATCH, Dockerfile, Instruction, Stage
from fedpkg_container.errors import UsageError
from fedpkg_container.model.findings import ERROR, WARNING, Finding, did_you_mean
from fedpkg_container.model.reference import ImageReference

#: Kinds of ``RUN --mount`` that builders have: the checkout or another stage, a folder for this build alone, memory.
MOUNTS = ("bind", "cache", "tmpfs")
#: What ``RUN --network`` may say: no more than a build has anyway.
NETWORKS = ("default", "none")
#: Longest part of an option that is shown.
_SHOWN = 80


def check_run(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Findings about options of RUN and FROM."""
    for each in dockerfile.asked:
        if each.name == "FROM" and each.options:
            message = f"FROM {each.options[0][:_SHOWN]} has no effect: every arch is built on a builder of that arch"
            yield Finding("from-platform", WARNING, message, "leave it out", FILE, each.line)
        elif each.name == "RUN":
            yield from _run(each)


def _run(instruction: Instruction) -> Iterator[Finding]:
    for option in instruction.options:
        name, _, value = option.partition("=")
        if name == "--mount":
            yield from _mount(value, instruction.line)
        elif name != "--network" or value not in NETWORKS:
            yield Finding(
                "run-option",
                ERROR,
                f"RUN {option[:_SHOWN]}: builders do not give that",
                "leave it out; builds reach a network only for repositories that need one",
                FILE,
                instruction.line,
            )


def _mount(value: str, line: int) -> Iterator[Finding]:
    parts = [part.partition("=")[::2] for part in value.split(",")]
    settings = {"source" if name == "src" else name: said for name, said in parts}
    kind = settings.get("type", "bind")
    source = settings.get("source", "")
    why = ""
    if "$" in value:
        why = "has a variable, which may hold anything"
    elif len(settings) != len(parts):
        why = "says something twice, of which builders take one or the other"
    elif kind not in MOUNTS:
        why = f"is of type {kind[:_SHOWN]}: builders have {', '.join(MOUNTS)}"
    elif ".." in posixpath.normpath(source).split("/"):
        why = f"leads out of the checkout: {source[:_SHOWN]}"
    if why:
        message = f"RUN --mount {why}"
        yield Finding("run-mount", ERROR, message, "leave it out, or use COPY", FILE, line)


#: What buildah's parser (imagebuilder) knows.
INSTRUCTIONS = (
    *("FROM", "ARG", "LABEL", "ENV", "RUN", "COPY", "ADD", "CMD", "ENTRYPOINT", "WORKDIR", "USER", "EXPOSE"),
    *("VOLUME", "HEALTHCHECK", "ONBUILD", "SHELL", "STOPSIGNAL", "MAINTAINER"),
)


def check(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Findings about instructions and stages."""
    yield from _instructions(dockerfile)
    if not dockerfile.stages:
        yield Finding("no-from", ERROR, "there is no FROM", "begin the Dockerfile with FROM registry/image:tag", FILE)
        return
    yield from _stage_names(dockerfile)
    for stage in dockerfile.stages:
        if not stage.is_earlier_stage and stage.image != SCRATCH:
            yield from _parent(stage)
    for image, line in dockerfile.foreign_sources:
        yield Finding(
            "foreign-source",
            ERROR,
            f"files are taken from {image}, which no FROM names",
            f"name it as a stage: FROM {image} AS files, and use --from=files",
            FILE,
            line,
        )
    final = dockerfile.final_stages
    if not any(each.name in ("CMD", "ENTRYPOINT") and each.stage in final for each in dockerfile.instructions):
        yield Finding(
            "no-command",
            WARNING,
            "there is neither a CMD nor an ENTRYPOINT: the image runs what its base runs",
            'add CMD ["program"]',
            FILE,
        )


def _instructions(dockerfile: Dockerfile) -> Iterator[Finding]:
    for each in dockerfile.instructions:
        if each.name not in INSTRUCTIONS:
            yield Finding(
                "instruction",
                ERROR,
                f"there is no instruction {each.name[:40]}{did_you_mean(each.name, INSTRUCTIONS)}",
                "mend it, or end the line above with a backslash when it belongs to that",
                FILE,
                each.line,
            )
        elif not each.value:
            yield Finding("instruction", ERROR, f"{each.name} has no value", "give it one", FILE, each.line)
        elif each.stage < 0 and each.name != "ARG":
            yield Finding(
                "before-from", ERROR, f"{each.name} comes before the first FROM", "begin with FROM", FILE, each.line
            )


def _stage_names(dockerfile: Dockerfile) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if stage.name and stage.name.lower() in seen:
            yield Finding("stage-name", ERROR, f"another stage is called {stage.name}", "rename one", FILE, stage.line)
        seen.add(stage.name.lower())


def _parent(stage: Stage) -> Iterator[Finding]:
    if "$" in stage.written and (not stage.image or stage.image[-1] in ":@/" or "$" in stage.image):
        yield Finding(
            "from-argument",
            ERROR,
            f"FROM {stage.written}: an argument has no value",
            "give it one before the FROM: ARG NAME=value",
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
            f"FROM {stage.image} does not say which registry",
            "write it as registry/repository:tag",
            FILE,
            stage.line,
        )
    if not image.tag and not image.digest:
        yield Finding(
            "from-tag",
            WARNING,
            f"FROM {stage.image} does not say which tag: it means latest, whatever that is then",
            "write it as registry/repository:tag",
            FILE,
            stage.line,
        )
