"""The rules over the instructions of a Dockerfile."""

from __future__ import annotations

from collections.abc import Iterator

from fedpkg_container.distgit.dockerfile import FILE, SCRATCH, Dockerfile
from fedpkg_container.distgit.instructions import Stage
from fedpkg_container.errors import UsageError
from fedpkg_container.model.findings import ERROR, WARNING, Finding, did_you_mean
from fedpkg_container.model.reference import ImageReference

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
