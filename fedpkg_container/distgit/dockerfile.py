"""Reading a Dockerfile: its instructions, stages, labels and variables."""

from __future__ import annotations

import io
import itertools
import json
import math
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
from fedpkg_container.distgit.dockerfile_limits import LONGEST_FILE
from fedpkg_container.distgit.dockerfile_variables import settings
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.errors import RefusedError


@dataclass(frozen=True)
class Stage:
    """One FROM.

    :param image: what follows FROM, with arguments filled in
    :param name: what follows AS; empty when there is none
    :param line: number of the line, from 1
    :param is_earlier_stage: FROM names a stage above, not an image
    :param written: what follows FROM as it is written
    """

    image: str
    name: str
    line: int
    is_earlier_stage: bool
    written: str = ""


@dataclass(frozen=True)
class Label:
    """A label of the image.

    :param value: with variables filled in
    :param line: where it is set, from 1
    :param written: the instruction that sets it, as it is written
    """

    value: str
    line: int
    written: str


@dataclass(frozen=True)
class Instruction:
    """An instruction.

    :param name: in capitals
    :param stage: number of its stage; -1 before the first FROM
    :param variables: what ARG and ENV above it have set
    """

    name: str
    value: str
    line: int
    stage: int
    variables: Mapping[str, str]

    @property
    def options(self) -> list[str]:
        """The options that it begins with: ``--from=build``."""
        return list(itertools.takewhile(lambda word: word.startswith("--"), self.value.split()))

    @property
    def arguments(self) -> list[str]:
        """What follows the options, as words or as a JSON list, with variables filled in.

        :raises ValueError: quotes do not match
        """
        rest = self.value.lstrip()
        for option in self.options:
            rest = rest[rest.index(option) + len(option) :].lstrip()
        if rest.startswith("["):
            try:
                listed = json.loads(rest)
            except (ValueError, RecursionError):
                listed = None
            if isinstance(listed, list) and all(isinstance(each, str) for each in listed):
                return listed
        splitter = WordSplitter(rest, args=self.variables, envs={})
        return [word for word in splitter.split() if word]


FILE = "Dockerfile"
SCRATCH = "scratch"
#: Where an option of COPY or RUN names an image or a stage: ``--from=x``, ``--mount=type=bind,from=x``.
_FROM_OPTION = re.compile(r"(?:^--|,|=)from=([^\s,]+)", re.MULTILINE)
#: Characters that no line of a Dockerfile needs, and that programs read in different ways.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")
#: The directive that makes another character than the backslash join lines: dockerfile-parse does not know it.
_ESCAPE = re.compile(r"^\s*#\s*escape\s*=\s*([^\s])", re.MULTILINE | re.IGNORECASE)
#: What dockerfile-parse raises when it cannot make sense of an instruction.
_PARSER_ERRORS = (IndexError, KeyError, ValueError, AttributeError, TypeError)


class Dockerfile:
    """The text of a Dockerfile, and what can be read from it.

    :param text: the whole file
    :param arguments: values of ARG that the build gives, over the defaults
    :raises RefusedError: it cannot be parsed, or is too large (``dockerfile_limits``)
    """

    def __init__(self, text: str, arguments: Mapping[str, str] | None = None) -> None:
        dockerfile_limits.check_text(text)
        _refuse_ambiguous(text)
        self._steps = dockerfile_lexer.read(text)
        dockerfile_limits.check_steps(self._steps, arguments or {})
        plain = _on_their_lines(self._steps)
        try:
            parser = _parser(plain, arguments)
            self._structure: list[dict[str, Any]] = parser.structure
            if [(each["startline"] + 1, each["instruction"]) for each in self._structure] != [
                (step.line, step.name) for step in self._steps
            ]:
                raise ValueError("its instructions are not clear")
            self._settings = settings(self._structure, arguments or {})
            self._images: list[str] = parser.parent_images
        except _PARSER_ERRORS as error:
            raise RefusedError(
                f"the Dockerfile cannot be read{_suspect(plain)}: {error}",
                solution="check quotes, backslashes and instructions without a value",
            ) from error

    @classmethod
    def read(cls, folder: Path, arguments: Mapping[str, str] | None = None) -> Dockerfile:
        """The Dockerfile in a folder; one that is a link out of it is not followed.

        :param arguments: values of ARG that the build gives
        :raises RefusedError: there is none, or it is not text
        """
        content = read_bytes(folder, FILE, longest=LONGEST_FILE)
        if content is None:
            raise RefusedError(f"there is no {FILE} in {folder}", solution="add one, and commit and push it")
        return cls(decode(content, FILE), arguments)

    @property
    def has_here_documents(self) -> bool:
        """Whether it has here-documents, whose lines an old buildah takes for instructions."""
        return any(step.documents for step in self._steps)

    @cached_property
    def instructions(self) -> list[Instruction]:
        """Every instruction in order, without comments and the lines of here-documents."""
        found = []
        stage = -1
        for each, setting in zip(self._structure, self._settings):
            if each["instruction"] == "FROM" and each["value"].strip():
                stage += 1
            line = each["startline"] + 1
            found.append(Instruction(each["instruction"], each["value"].strip(), line, stage, setting.variables))
        return found

    @property
    def asked(self) -> list[Instruction]:
        """Every instruction, with those that ONBUILD gives to whoever builds on a stage in place of it."""
        found = []
        for each in self.instructions:
            name, value = dockerfile_lexer.split(each.value) if each.name == "ONBUILD" else (each.name, each.value)
            found.append(replace(each, name=name, value=value))
        return found

    @cached_property
    def stages(self) -> list[Stage]:
        """Every FROM, in order."""
        found: list[Stage] = []
        instructions = [each for each in self.instructions if each.name == "FROM" and each.value]
        for instruction, image in zip(instructions, self._images):
            written, name = image_from(instruction.value)
            earlier = image in {stage.name for stage in found if stage.name} or _number(image) < len(found)
            found.append(Stage(image, name or "", instruction.line, earlier, written or ""))
        return found

    @property
    def parents(self) -> list[str]:
        """The images that FROM names, as written and in order, each once; without ``scratch`` and earlier stages."""
        images = [stage.image for stage in self.stages if not stage.is_earlier_stage and stage.image != SCRATCH]
        return list(dict.fromkeys(images))

    @property
    def final_stages(self) -> list[int]:
        """Numbers of the stages that the image is made of: the last one, and those that it stands on."""
        return self._chain(len(self.stages) - 1) if self.stages else []

    def _chain(self, last: int) -> list[int]:
        """Numbers of a stage and of those that it stands on, the lowest first."""
        names = {stage.name: number for number, stage in enumerate(self.stages) if stage.name}
        chain = [last]
        while self.stages[chain[0]].is_earlier_stage:
            image = self.stages[chain[0]].image
            below = names[image] if image in names else int(image)
            if below >= chain[0]:  # a name that is given twice
                break
            chain.insert(0, below)
        return chain

    def base_of(self, stage: int) -> str:
        """The image that a stage stands on, whatever stages are between; empty for ``scratch``."""
        image = self.stages[self._chain(stage)[0]].image
        return "" if image == SCRATCH else image

    @property
    def built_stages(self) -> frozenset[int]:
        """Numbers of the stages that are built: those of the image, and those that these take files from."""
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
        found: set[int] = set()
        rest = set(self.final_stages)
        while rest:
            found |= rest
            rest = {each for stage in rest for each in needs[stage]} - found
        return frozenset(found)

    @property
    def run_lines(self) -> list[int]:
        """The lines of RUN in the stages that are built."""
        return [each.line for each in self.instructions if each.name == "RUN" and each.stage in self.built_stages]

    @property
    def base(self) -> str:
        """The image that the last stage begins with; empty for ``scratch``."""
        return self.base_of(len(self.stages) - 1) if self.stages else ""

    @cached_property
    def label_places(self) -> dict[str, Label]:
        """The labels of the image, those of earlier stages that it stands on included."""
        found: dict[str, Label] = {}
        chain = self.final_stages
        for wanted in chain:
            stage = -1
            for each, setting in zip(self._structure, self._settings):
                if each["instruction"] == "FROM" and each["value"].strip():
                    stage += 1
                if each["instruction"] == "LABEL" and stage == wanted:
                    line = each["startline"] + 1
                    found.update({name: Label(value, line, each["value"]) for name, value in setting.labels.items()})
        return found

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the image, with variables filled in."""
        return {name: label.value for name, label in self.label_places.items()}

    @property
    def foreign_sources(self) -> list[tuple[str, int]]:
        """Images that COPY, ADD or RUN --mount take files from without a FROM, and the lines where they do.

        They could be neither pinned nor recorded as parents.
        """
        known = {stage.name for stage in self.stages if stage.name} | {str(n) for n in range(len(self.stages))}
        found = []
        for instruction in self.asked:
            if instruction.name in ("COPY", "ADD", "RUN"):
                images = _FROM_OPTION.findall("\n".join(instruction.options))
                found += [(image, instruction.line) for image in images if image not in known]
        return found

    def changed(
        self,
        pinned: Mapping[str, str],
        *,
        arguments: Mapping[str, str] | None = None,
        first: Sequence[str] = (),
        last: Sequence[str] = (),
    ) -> str:
        """The text as it is built.

        :param pinned: images of FROM as written → what to build on
        :param arguments: values of ARG in every stage; they override an ARG of the same name in the Dockerfile
        :param first: lines that each stage begins with, after its FROM
        :param last: lines at the end of the last stage
        """
        fixed = {name: f"ARG {name}={value}" for name, value in (arguments or {}).items()}
        lines: list[str] = []
        stages = iter(self.stages)
        for step in self._steps:
            value = step.value
            begins = step.name == "FROM" and bool(value)
            if begins:
                stage = next(stages)
                image = pinned.get(stage.image, stage.image)
                if image and image != stage.written:
                    value = f"{image} AS {stage.name}" if stage.name else image
            lines += [f"{step.name} {value}", *step.documents]
            if begins:
                lines += [*fixed.values(), *first]
            elif step.name == "ARG":
                lines += [line for name, line in fixed.items() if name in value]
        return "".join(f"{line}\n" for line in [*lines, *last])


def _on_their_lines(read: Sequence[dockerfile_lexer.Step]) -> str:
    """The steps without their here-documents, each on the line where it began: for dockerfile-parse."""
    lines: list[str] = []
    for step in read:
        lines += [""] * (step.line - 1 - len(lines))
        lines.append(step.text)
    return "".join(f"{line}\n" for line in lines)


def _parser(text: str, arguments: Mapping[str, str] | None = None) -> Any:
    return DockerfileParser(fileobj=io.BytesIO(text.encode()), env_replace=True, build_args=dict(arguments or {}))


def _refuse_ambiguous(text: str) -> None:
    """Refuse what buildah would read otherwise than dockerfile-parse: what is checked must be what is built.

    :raises RefusedError: it has a control character, or another character joins its lines
    """
    control = _CONTROL.search(text.replace("\r\n", "\n"))
    if control:
        line = text.replace("\r\n", "\n").count("\n", 0, control.start()) + 1
        raise RefusedError(f"the Dockerfile has a control character in line {line}", solution="remove it")
    directive = _ESCAPE.search(text)
    if directive and directive[1] != "\\":
        raise RefusedError(
            f"the Dockerfile has lines that {directive[1]} joins (# escape=)", solution="join them with backslashes"
        )


def _number(image: str) -> float:
    """The stage that FROM names by number; infinite when it names none so."""
    return int(image) if re.fullmatch("[0-9]{1,9}", image) else math.inf


def _suspect(text: str) -> str:
    """Where the first instruction without a value is, as a part of a sentence."""
    for instruction in _parser(text).structure:
        if not instruction["value"].strip():
            return f" (line {instruction['startline'] + 1}: {instruction['instruction']} has no value)"
    return ""
