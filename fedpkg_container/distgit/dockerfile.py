"""Parsing a Dockerfile: its instructions, stages, labels and variables."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser
from dockerfile_parse.parser import image_from
from dockerfile_parse.util import WordSplitter

from fedpkg_container.distgit import dockerfile_lexer, dockerfile_limits
from fedpkg_container.distgit.dockerfile_limits import MAX_FILE_BYTES
from fedpkg_container.distgit.dockerfile_variables import settings
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.errors import RefusedError


@dataclass(frozen=True)
class Stage:
    """A build stage.

    :param image: image or stage named in FROM, with arguments substituted
    :param name: name after AS; empty if there is none
    :param line: line number, from 1
    :param is_earlier_stage: whether FROM names an earlier stage, not an image
    :param written: image or stage as written in FROM
    """

    image: str
    name: str
    line: int
    is_earlier_stage: bool
    written: str = ""


@dataclass(frozen=True)
class Label:
    """A label of the image.
    :param value: value with variables substituted
    :param line: line number of the instruction that sets it, from 1
    :param written: that instruction as written
    """

    value: str
    line: int
    written: str


@dataclass(frozen=True)
class Instruction:
    """An instruction.

    :param name: name in upper case
    :param line: line number, from 1
    :param stage: number of its stage, from 0; -1 before the first FROM
    :param variables: variables set by ARG and ENV up to here
    """

    name: str
    value: str
    line: int
    stage: int
    variables: Mapping[str, str]

    @property
    def options(self) -> list[str]:
        """The leading options, e.g. ``--from=build``."""
        return list(itertools.takewhile(lambda word: word.startswith("--"), self.value.split()))

    @property
    def arguments(self) -> list[str]:
        """The arguments after the options, from words or a JSON array, with variables substituted.

        :raises ValueError: if quotes are not balanced
        """
        rest = self.value.lstrip()
        for option in self.options:
            rest = rest[rest.index(option) + len(option) :].lstrip()
        if rest.startswith("["):
            try:
                array = json.loads(rest)
            except (ValueError, RecursionError):
                array = None
            if isinstance(array, list) and all(isinstance(item, str) for item in array):
                return array
        splitter = WordSplitter(rest, args=self.variables, envs={})
        return [word for word in splitter.split() if word]


FILE = "Dockerfile"
#: Names of the file, in buildah's order: the first that exists is used.
FILES = ("Containerfile", FILE)
SCRATCH = "scratch"
#: Option of COPY or RUN that names an image or a stage: ``--from=x``, ``--mount=type=bind,from=x``.
_FROM_OPTION = re.compile(r"(?:^--|,|=)from=([^\s,]+)", re.MULTILINE)
#: Control characters, which Dockerfiles do not need and parsers interpret differently.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")
#: The directive that sets another line continuation character; dockerfile-parse does not support it.
_ESCAPE = re.compile(r"^\s*#\s*escape\s*=\s*([^\s])", re.MULTILINE | re.IGNORECASE)
#: Exceptions raised by dockerfile-parse for malformed instructions.
_PARSER_ERRORS = (IndexError, KeyError, ValueError, AttributeError, TypeError)


class Dockerfile:
    """A parsed Dockerfile.

    :param text: content of the file
    :param arguments: ARG values of the build, overriding the defaults
    :raises RefusedError: if it cannot be parsed, or is too large (``dockerfile_limits``)
    """

    #: Name of the file that it was read from.
    file = FILE

    def __init__(self, text: str, arguments: Mapping[str, str] | None = None) -> None:
        dockerfile_limits.check_text(text)
        _reject_ambiguous(text)
        self._steps = dockerfile_lexer.split_instructions(text)
        dockerfile_limits.check_steps(self._steps, arguments or {})
        plain = _at_original_lines(self._steps)
        try:
            parser = _parser(plain, arguments)
            self._structure: list[dict[str, Any]] = parser.structure
            if [(item["startline"] + 1, item["instruction"]) for item in self._structure] != [
                (step.line, step.name) for step in self._steps
            ]:
                raise ValueError("ambiguous instructions")
            self._settings = settings(self._structure, arguments or {})
            self._images: list[str] = parser.parent_images
        except _PARSER_ERRORS as error:
            raise RefusedError(
                f"cannot parse the Dockerfile{_hint(plain)}: {error}",
                solution="check quotes, backslashes and instructions without a value",
            ) from error

    @classmethod
    def read(cls, directory: Path, arguments: Mapping[str, str] | None = None) -> Dockerfile:
        """Read and parse the Containerfile or Dockerfile in a directory; links out of the directory are not followed.

        :param arguments: ARG values of the build, overriding the defaults
        :raises RefusedError: if there is none, or it is not text
        """
        name = find_file(directory)
        content = read_bytes(directory, name, max_bytes=MAX_FILE_BYTES)
        if content is None:
            reason = f"there is no {' or '.join(FILES[::-1])} in {directory}"
            raise RefusedError(reason, solution="add one, commit and push it")
        dockerfile = cls(decode(content, name), arguments)
        dockerfile.file = name
        return dockerfile

    @property
    def has_here_documents(self) -> bool:
        """Whether it contains here-documents; old versions of buildah parse their lines as instructions."""
        return any(step.documents for step in self._steps)

    @cached_property
    def instructions(self) -> list[Instruction]:
        """All instructions in order, without comments and here-documents."""
        instructions = []
        stage = -1
        for item, setting in zip(self._structure, self._settings):
            if item["instruction"] == "FROM" and item["value"].strip():
                stage += 1
            line = item["startline"] + 1
            instructions.append(Instruction(item["instruction"], item["value"].strip(), line, stage, setting.variables))
        return instructions

    @property
    def effective_instructions(self) -> list[Instruction]:
        """All instructions in order, with ONBUILD replaced by the instruction that it defers."""
        instructions = []
        for item in self.instructions:
            name, value = dockerfile_lexer.split_name(item.value) if item.name == "ONBUILD" else (item.name, item.value)
            instructions.append(replace(item, name=name, value=value))
        return instructions

    @cached_property
    def stages(self) -> list[Stage]:
        """All stages in order."""
        stages: list[Stage] = []
        instructions = [item for item in self.instructions if item.name == "FROM" and item.value]
        for instruction, image in zip(instructions, self._images):
            written, name = image_from(instruction.value)
            is_earlier = image in {stage.name for stage in stages if stage.name} or _number(image) < len(stages)
            stages.append(Stage(image, name or "", instruction.line, is_earlier, written or ""))
        return stages

    @property
    def parents(self) -> list[str]:
        """The parent images as written in FROM, in order, without duplicates, ``scratch`` and earlier stages."""
        images = [stage.image for stage in self.stages if not stage.is_earlier_stage and stage.image != SCRATCH]
        return list(dict.fromkeys(images))

    @property
    def final_stages(self) -> list[int]:
        """Numbers of the stages that make up the image: the last stage and the stages that it is based on."""
        return self._chain(len(self.stages) - 1) if self.stages else []

    def _chain(self, last: int) -> list[int]:
        """Return the numbers of a stage and of the stages that it is based on, lowest first."""
        names = {stage.name: number for number, stage in enumerate(self.stages) if stage.name}
        chain = [last]
        while self.stages[chain[0]].is_earlier_stage:
            image = self.stages[chain[0]].image
            below = names[image] if image in names else int(image)
            if below >= chain[0]:  # a duplicate name
                break
            chain.insert(0, below)
        return chain

    def base_of(self, stage: int) -> str:
        """Return the image that a stage is based on, through any earlier stages; empty for ``scratch``."""
        image = self.stages[self._chain(stage)[0]].image
        return "" if image == SCRATCH else image

    @property
    def built_stages(self) -> frozenset[int]:
        """Numbers of the stages to build: those of the image, and those that files are copied from."""
        numbers = {stage.name: number for number, stage in enumerate(self.stages) if stage.name}
        numbers |= {str(number): number for number in range(len(self.stages))}
        needs: dict[int, set[int]] = {number: set() for number in range(len(self.stages))}
        for number, stage in enumerate(self.stages):
            if stage.is_earlier_stage:
                needs[number].add(numbers.get(stage.image, number))
        for instruction in self.instructions:
            if instruction.name in ("COPY", "ADD", "RUN") and instruction.stage >= 0:
                sources = _FROM_OPTION.findall("\n".join(instruction.options))
                needs[instruction.stage] |= {numbers[source] for source in sources if source in numbers}
        built: set[int] = set()
        rest = set(self.final_stages)
        while rest:
            built |= rest
            rest = {number for stage in rest for number in needs[stage]} - built
        return frozenset(built)

    @property
    def run_lines(self) -> list[int]:
        """The lines of RUN instructions in the stages to build."""
        return [item.line for item in self.instructions if item.name == "RUN" and item.stage in self.built_stages]

    @property
    def base(self) -> str:
        """The base image: the image that the last stage is based on; empty for ``scratch``."""
        return self.base_of(len(self.stages) - 1) if self.stages else ""

    @cached_property
    def label_details(self) -> dict[str, Label]:
        """The labels of the image, including those of the earlier stages that it is based on."""
        labels: dict[str, Label] = {}
        for number in self.final_stages:
            stage = -1
            for item, setting in zip(self._structure, self._settings):
                if item["instruction"] == "FROM" and item["value"].strip():
                    stage += 1
                if item["instruction"] == "LABEL" and stage == number:
                    line = item["startline"] + 1
                    labels.update({name: Label(value, line, item["value"]) for name, value in setting.labels.items()})
        return labels

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the image, with variables substituted."""
        return {name: label.value for name, label in self.label_details.items()}

    @property
    def foreign_sources(self) -> list[tuple[str, int]]:
        """Images that COPY, ADD or RUN --mount use without a FROM, with line numbers.

        They could be neither pinned to a digest nor recorded as parent images.
        """
        stages = {stage.name for stage in self.stages if stage.name} | {str(n) for n in range(len(self.stages))}
        sources = []
        for instruction in self.effective_instructions:
            if instruction.name in ("COPY", "ADD", "RUN"):
                images = _FROM_OPTION.findall("\n".join(instruction.options))
                sources += [(image, instruction.line) for image in images if image not in stages]
        return sources

    def changed(
        self,
        pinned: Mapping[str, str],
        *,
        arguments: Mapping[str, str] | None = None,
        first: Sequence[str] = (),
        last: Sequence[str] = (),
    ) -> str:
        """Return the text to pass to buildah.

        :param pinned: images as written in FROM → images to use instead
        :param arguments: ARG values to set in every stage, overriding an ARG of the same name in the Dockerfile
        :param first: lines to insert after each FROM
        :param last: lines to append
        """
        overrides = {name: f"ARG {name}={value}" for name, value in (arguments or {}).items()}
        lines: list[str] = []
        stages = iter(enumerate(self.stages))
        built = self.built_stages
        for step in self._steps:
            value = step.value
            starts_stage = step.name == "FROM" and bool(value)
            if starts_stage:
                number, stage = next(stages)
                # buildah 1.28 fails at the end ("layer not known") if only stages that are not built stand on a stage.
                is_unused = stage.is_earlier_stage and number not in built
                image = SCRATCH if is_unused else pinned.get(stage.image, stage.image)
                if image and image != stage.written:
                    value = f"{image} AS {stage.name}" if stage.name else image
            lines += [f"{step.name} {value}", *step.documents]
            if starts_stage:
                lines += [*overrides.values(), *first]
            elif step.name == "ARG":
                lines += [line for name, line in overrides.items() if name in value]
        return "".join(f"{line}\n" for line in [*lines, *last])


def find_file(directory: Path) -> str:
    """Return the name of the Containerfile or Dockerfile that buildah uses; ``Dockerfile`` if there is neither."""
    return next((name for name in FILES if os.path.lexists(directory / name)), FILE)


def _at_original_lines(steps: Sequence[dockerfile_lexer.Step]) -> str:
    """Return the steps without here-documents, each at its original line number, for dockerfile-parse."""
    lines: list[str] = []
    for step in steps:
        lines += [""] * (step.line - 1 - len(lines))
        lines.append(step.text)
    return "".join(f"{line}\n" for line in lines)


def _parser(text: str, arguments: Mapping[str, str] | None = None) -> Any:
    return DockerfileParser(fileobj=io.BytesIO(text.encode()), env_replace=True, build_args=dict(arguments or {}))


def _reject_ambiguous(text: str) -> None:
    """Reject what buildah would parse differently than dockerfile-parse: what is checked must be what is built.

    :raises RefusedError: if it contains a control character or another line continuation character
    """
    control = _CONTROL.search(text.replace("\r\n", "\n"))
    if control:
        line = text.replace("\r\n", "\n").count("\n", 0, control.start()) + 1
        raise RefusedError(f"line {line} of the Dockerfile contains a control character", solution="remove it")
    directive = _ESCAPE.search(text)
    if directive and directive[1] != "\\":
        raise RefusedError(
            f"the Dockerfile uses {directive[1]} as escape character (# escape=), which is not supported",
            solution="remove the directive, and use backslashes",
        )


def _number(image: str) -> float:
    """Return the number of the stage that FROM names by number; infinity if it is not a number."""
    return int(image) if re.fullmatch("[0-9]{1,9}", image) else math.inf


def _hint(text: str) -> str:
    """Return a hint to the first instruction without a value; empty if there is none."""
    for instruction in _parser(text).structure:
        if not instruction["value"].strip():
            return f" (line {instruction['startline'] + 1}: {instruction['instruction']} has no value)"
    return ""
