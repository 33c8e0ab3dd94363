# SPDX-License-Identifier: GPL-2.0-or-later
"""A Dockerfile: its instructions, stages, labels and parents, as buildah reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fedpkg_container.distgit import dockerfile_limits
from fedpkg_container.distgit.dockerfile_expansion import Value
from fedpkg_container.distgit.dockerfile_facts import NOTHING_KNOWN, TARGET_ARGUMENTS, BuildFacts
from fedpkg_container.distgit.dockerfile_lexer import Source, Step, read_source
from fedpkg_container.distgit.dockerfile_limits import MAX_FILE_BYTES
from fedpkg_container.distgit.dockerfile_reading import SCRATCH, Instruction, Reading, Stage, read, read_alone
from fedpkg_container.distgit.dockerfile_words import split_name, split_options
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.errors import RefusedError

__all__ = ["FILE", "SCRATCH", "Dockerfile", "Instruction", "Label", "Stage"]


@dataclass(frozen=True)
class Label:
    """A label of the image.
    :param value: value with variables substituted; unknown variables are left in it
    :param line: line number of the instruction that sets it, from 1
    :param written: that instruction as written
    :param unknown: variables in it whose values are not known here
    :param unset: variables in it without a value
    :param overridable: arguments in it, which the ENV of a parent that is not known here would override
    """

    value: str
    line: int
    written: str
    unknown: frozenset[str] = frozenset()
    unset: frozenset[str] = frozenset()
    overridable: frozenset[str] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether all variables in it have a value."""
        return not self.unknown and not self.unset


FILE = "Dockerfile"
#: Names of the file, in buildah's order: the first that exists is used.
FILES = ("Containerfile", FILE)
#: Option of COPY or RUN that names an image or a stage: ``--from=x``, ``--mount=type=bind,from=x``.
_FROM_OPTION = re.compile(r"(?:^--|,|=)from=([^\s,]+)", re.MULTILINE)
#: Instructions that can copy from an image or a stage.
_COPYING = ("COPY", "ADD", "RUN")
#: What a rewritten option may consist of: nothing that buildah would substitute.
_PLAIN_OPTION = re.compile(r"--[A-Za-z0-9=,.:/@_+-]+")


class Dockerfile:
    """A parsed Dockerfile.

    :param text: content of the file
    :param facts: what is known of the build; unknown variables are neither empty nor errors
    :raises RefusedError: if it cannot be split into instructions, or is too large (``dockerfile_limits``)
    """

    #: Name of the file that it was read from.
    file = FILE

    def __init__(self, text: str, facts: BuildFacts = NOTHING_KNOWN) -> None:
        dockerfile_limits.check_text(text)
        self._source: Source = read_source(text)
        self.facts = facts
        environment = (item for parent in facts.parents.values() for item in parent.environment.items())
        dockerfile_limits.check_steps(self._source.steps, facts.arguments, environment)
        self._reading: Reading = read(self._source, facts)
        self._text = text

    @classmethod
    def read(cls, directory: Path, facts: BuildFacts = NOTHING_KNOWN, *, name: str = "") -> Dockerfile:
        """Read and parse the Containerfile or Dockerfile in a directory; links out of the directory are not followed.

        :param facts: what is known of the build
        :param name: file name; by default the one that buildah uses
        :raises RefusedError: if there is none, or it is not text
        """
        name = name or find_file(directory)
        content = read_bytes(directory, name, max_bytes=MAX_FILE_BYTES)
        if content is None:
            reason = f"there is no {' or '.join(FILES[::-1])} in {directory}"
            raise RefusedError(reason, solution="add one, commit and push it")
        dockerfile = cls(decode(content, name), facts)
        dockerfile.file = name
        return dockerfile

    def with_facts(self, facts: BuildFacts) -> Dockerfile:
        """Return the same file, read with other facts.

        :raises RefusedError: if it is too large with them, or ONBUILD of a parent cannot be read
        """
        dockerfile = Dockerfile(self._text, facts)
        dockerfile.file = self.file
        return dockerfile

    @property
    def text(self) -> str:
        """The content of the file."""
        return self._text

    @property
    def has_here_documents(self) -> bool:
        """Whether it contains here-documents; old versions of buildah parse their lines as instructions."""
        return any(step.documents for step in self._source.steps)

    @property
    def instructions(self) -> list[Instruction]:
        """All instructions in order, without comments."""
        return self._reading.instructions

    @property
    def triggered(self) -> list[Instruction]:
        """The instructions from ONBUILD of known parents and of earlier stages."""
        return self._reading.triggered

    @property
    def environment(self) -> Mapping[str, Value]:
        """The ENV of the image, without that of an unknown parent."""
        return self._reading.environment

    @cached_property
    def effective_instructions(self) -> list[Instruction]:
        """All instructions in order, with ONBUILD replaced by the instruction that it defers."""
        return [self._undeferred(item) if item.name == "ONBUILD" else item for item in self.instructions]

    def _undeferred(self, item: Instruction) -> Instruction:
        name, value = split_name(item.words[0].text if item.words else "")
        if name in ("FROM", "ONBUILD"):
            return item
        return read_alone(Step(item.line, name, value), item.stage, self._source.escape)

    @property
    def stages(self) -> list[Stage]:
        """All stages in order."""
        return self._reading.stages

    @property
    def parents(self) -> list[str]:
        """The parent images as written in FROM, with arguments substituted, in order, without duplicates.

        Without ``scratch``, earlier stages, and names that are not known.
        """
        images = [stage.image for stage in self.stages if _is_parent(stage) and stage.value.is_known]
        return list(dict.fromkeys(images))

    @property
    def final_stages(self) -> list[int]:
        """Numbers of the stages that make up the image: the last stage and the stages that it is based on."""
        return self._chain(len(self.stages) - 1) if self.stages else []

    def _chain(self, last: int) -> list[int]:
        """Return the numbers of a stage and of the stages that it is based on, lowest first."""
        chain = [last]
        while (below := self.stages[chain[-1]].below) is not None:
            chain.append(below)
        return chain[::-1]

    def _stage_numbers(self, until: int) -> dict[str, int]:
        """Return the names and numbers by which the stages before another one are named → their numbers."""
        numbers = {str(number): number for number in range(until)}
        return numbers | {self.stages[number].name: number for number in range(until) if self.stages[number].name}

    def base_of(self, stage: int) -> str:
        """Return the image that a stage is based on, through any earlier stages; empty for ``scratch``."""
        image = self.stages[self._chain(stage)[0]].image
        return "" if image == SCRATCH else image

    @cached_property
    def built_stages(self) -> frozenset[int]:
        """Numbers of the stages to build: those of the image, and those that files are copied from."""
        numbers = self._stage_numbers(len(self.stages))
        needs: dict[int, set[int]] = {number: set() for number in range(len(self.stages))}
        for number, stage in enumerate(self.stages):
            if stage.below is not None:
                needs[number].add(stage.below)
        for instruction in [*self.instructions, *self.triggered]:
            if instruction.stage >= 0:
                sources = _copied_from(instruction)
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
        built = self.built_stages
        executed = [*self.instructions, *self.triggered]
        return sorted(item.line for item in executed if item.name == "RUN" and item.stage in built)

    @property
    def base(self) -> str:
        """The base image: the image that the last stage is based on; empty for ``scratch``."""
        return self.base_of(len(self.stages) - 1) if self.stages else ""

    @cached_property
    def label_details(self) -> dict[str, Label]:
        """The labels of the image, including those of the earlier stages that it is based on."""
        labels = self._labels_of(self._reading)
        if not self._may_be_overridden:
            return labels
        cautious = self._labels_of(read(self._source, self.facts, is_cautious=True))
        for name, label in labels.items():
            if label.is_complete and name in cautious:
                labels[name] = replace(label, overridable=cautious[name].unknown)
        return labels

    @property
    def _may_be_overridden(self) -> bool:
        """Whether the ENV of a parent image that is not known may override ARG in this file."""
        return any(item.name == "ARG" for item in self.instructions) and any(
            stage.image not in self.facts.parents for stage in self.stages if stage.image in self.parents
        )

    def _labels_of(self, reading: Reading) -> dict[str, Label]:
        labels: dict[str, Label] = {}
        by_stage: dict[int, list[Instruction]] = {}
        for item in (*reading.triggered, *reading.instructions):
            if item.name == "LABEL":
                by_stage.setdefault(item.stage, []).append(item)
        for item in (item for number in self.final_stages for item in by_stage.get(number, [])):
            written = item.value
            for name, value in item.pairs:
                labels[name] = Label(value.text, item.line, written, value.unknown, value.unset)
        return labels

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the image whose values are known, with variables substituted."""
        unknown = self.unknown_labels
        return {name: label.value for name, label in self.label_details.items() if name not in unknown}

    @property
    def unknown_labels(self) -> frozenset[str]:
        """The labels of the image whose values are not known here."""
        return frozenset(name for name, label in self.label_details.items() if label.unknown or label.overridable)

    @property
    def foreign_sources(self) -> list[tuple[str, int]]:
        """Images that COPY, ADD or RUN --mount use without a FROM, with line numbers.

        They could be neither pinned to a digest nor recorded as parent images.
        """
        known = {stage.name for stage in self.stages if stage.name} | {str(n) for n in range(len(self.stages))}
        known |= set(self.parents)
        sources = []
        for instruction in (*self.effective_instructions, *self.triggered):
            if self.facts.platform is None and _depends_on_platform(instruction):
                continue  # builders know the platform
            sources += [(image, instruction.line) for image in _copied_from(instruction) if image not in known]
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
        lines: list[str] = self._source.head
        stages = iter(enumerate(self.stages))
        built = self.built_stages
        for step, instruction in zip(self._source.steps, self.instructions):
            value = step.value
            if step.name == "FROM":
                number, stage = next(stages)
                # buildah 1.28 fails at the end ("layer not known") if a stage is the base of unused stages only.
                is_unused = stage.is_earlier_stage and number not in built
                image = SCRATCH if is_unused else pinned.get(stage.image, stage.image)
                if image and image != stage.written:
                    value = f"{image} AS {stage.name}" if stage.name else image
            elif instruction.name in _COPYING:
                value = self._with_pinned_sources(instruction, pinned)
            lines += [f"{step.name} {value}", *step.documents]
            if step.name == "FROM":
                lines += [*overrides.values(), *first]
            elif step.name == "ARG":
                lines += [line for name, line in overrides.items() if name in value]
        return "".join(f"{line}\n" for line in [*lines, *last])

    def _with_pinned_sources(self, instruction: Instruction, pinned: Mapping[str, str]) -> str:
        """Return the value of COPY, ADD or RUN with its images replaced, and the names of stages substituted."""
        value = instruction.value
        if instruction.problem or not any(_FROM_OPTION.search(option) for option in instruction.options):
            return value
        stages = self._stage_numbers(instruction.stage)
        written, _ = split_options(value)
        for option, known in reversed(list(zip(written, instruction.option_values))):
            if not known.is_known or not _FROM_OPTION.search(known.text):
                continue
            text = _FROM_OPTION.sub(lambda match: _pinned_source(match, stages, pinned), known.text)
            if text != value[option.start : option.end] and _PLAIN_OPTION.fullmatch(text):
                value = value[: option.start] + text + value[option.end :]
        return value


def find_file(directory: Path) -> str:
    """Return the name of the Containerfile or Dockerfile that buildah uses; ``Dockerfile`` if there is neither."""
    return next((name for name in FILES if os.path.lexists(directory / name)), FILE)


def _is_parent(stage: Stage) -> bool:
    return not stage.is_earlier_stage and stage.image not in (SCRATCH, "")


def _depends_on_platform(instruction: Instruction) -> bool:
    """Whether the options of an instruction are not known, only because of the platform."""
    unknown = frozenset().union(*(option.unknown for option in instruction.option_values))
    return bool(unknown) and unknown.issubset(TARGET_ARGUMENTS)


def _copied_from(instruction: Instruction) -> Iterable[str]:
    """Return the images and stages that an instruction copies from."""
    if instruction.name not in _COPYING:
        return []
    return _FROM_OPTION.findall("\n".join(instruction.options))


def _pinned_source(match: re.Match[str], stages: Mapping[str, int], pinned: Mapping[str, str]) -> str:
    """Return the ``from=`` of an option with the image to use; stages take precedence."""
    prefix, source = match[0][: -len(match[1])], match[1]
    return prefix + (source if source in stages else pinned.get(source, source))
