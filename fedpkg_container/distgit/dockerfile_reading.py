# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading the instructions of a Dockerfile with variables, as buildah executes them (imagebuilder's dispatchers)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from fedpkg_container.distgit import dockerfile_limits, dockerfile_words
from fedpkg_container.distgit.dockerfile_expansion import EMPTY, SPECIAL, Expansion, Lookup, Value, unknown
from fedpkg_container.distgit.dockerfile_facts import (
    BUILD_TIME_ARGUMENTS,
    DEFAULT_PATH,
    PLATFORM_ARGUMENTS,
    BuildFacts,
    ParentConfig,
)
from fedpkg_container.distgit.dockerfile_lexer import Source, Step, read_source
from fedpkg_container.distgit.dockerfile_patterns import Budget
from fedpkg_container.distgit.dockerfile_variables import StageVariables
from fedpkg_container.distgit.dockerfile_words import DockerfileParseError, DockerfileSyntaxError
from fedpkg_container.model.buildah import (
    HEADING_PLATFORM,
    HERE_DOCUMENTS,
    IGNORED_DEFAULTS,
    STAGE_ARGUMENTS,
    Feature,
)

SCRATCH = "scratch"
#: Instructions in whose arguments variables are substituted, apart from ENV, LABEL, ARG and FROM.
_LISTS = frozenset({"COPY", "ADD", "VOLUME"})
_TEXTS = frozenset({"WORKDIR", "USER", "STOPSIGNAL"})
#: Instructions in whose options variables are substituted.
_OPTIONS = frozenset({"COPY", "ADD", "RUN", "FROM"})


@dataclass(frozen=True)
class Instruction:
    """An instruction.

    :param name: name in upper case
    :param value: the rest, as written
    :param line: line number, from 1
    :param stage: number of its stage, from 0; -1 before the first FROM
    :param words: its words after the options, with variables substituted where buildah does
    :param option_values: its options, e.g. ``--from=build``, with variables substituted
    :param pairs: names and values that ENV, ARG or LABEL set
    :param is_json: whether the words are from a JSON array
    :param documents: lines of its here-documents
    :param problem: why buildah refuses the instruction, to be used after its name; empty if it accepts it
    :param is_unparsable: whether buildah refuses it even if it is not executed
    :param features: what it needs of newer versions of buildah
    """

    name: str
    value: str
    line: int
    stage: int
    words: tuple[Value, ...] = ()
    option_values: tuple[Value, ...] = ()
    pairs: tuple[tuple[str, Value], ...] = ()
    is_json: bool = False
    documents: tuple[str, ...] = ()
    problem: str = ""
    is_unparsable: bool = False
    features: frozenset[Feature] = frozenset()

    @property
    def options(self) -> list[str]:
        """The options as texts; an unknown variable is left in them."""
        return [option.text for option in self.option_values]

    @property
    def arguments(self) -> list[str]:
        """The words as texts; an unknown variable is left in them."""
        return [word.text for word in self.words]


@dataclass(frozen=True)
class Stage:
    """A build stage.

    :param image: image or stage named in FROM, with arguments substituted
    :param name: name after AS; empty if there is none
    :param line: line number, from 1
    :param below: number of the earlier stage that FROM names; None if it names an image
    :param written: image or stage as written in FROM
    :param value: ``image``, and the variables in it
    """

    image: str
    name: str
    line: int
    below: int | None
    written: str = ""
    value: Value = EMPTY

    @property
    def is_earlier_stage(self) -> bool:
        """Whether FROM names an earlier stage, not an image."""
        return self.below is not None


class Reading(NamedTuple):
    """A Dockerfile as buildah reads it.

    :param instructions: the instructions of the file
    :param triggered: instructions from ONBUILD of the parents, which are executed after FROM
    :param environment: ENV of the image, as far as it is known
    """

    instructions: list[Instruction]
    stages: list[Stage]
    triggered: list[Instruction]
    environment: Mapping[str, Value]


def read(source: Source, facts: BuildFacts, *, is_cautious: bool = False) -> Reading:
    """Return the instructions and stages of a Dockerfile.

    :param is_cautious: whether arguments are unknown in a stage whose parent is, since its ENV may override them
    :raises RefusedError: if a parent's ONBUILD cannot be read, or is too large
    """
    reader = _Reader(source, facts, is_cautious=is_cautious)
    for step in source.steps:
        reader.add(step)
    state = reader.state
    environment = {name: Value(value) for name, value in state.parent.items()} | state.own
    if state.is_known:
        environment.setdefault("PATH", Value(DEFAULT_PATH))
    return Reading(reader.instructions, reader.stages, reader.triggered, environment)


def read_alone(step: Step, stage: int, escape: str) -> Instruction:
    """Return an instruction with all variables unknown, e.g. one deferred by ONBUILD."""
    reader = _Reader(Source((), escape), BuildFacts())
    reader.state.is_known = False
    return replace(reader.evaluate(step), stage=stage)


class _Reader:
    """Reads the instructions in order."""

    def __init__(self, source: Source, facts: BuildFacts, *, is_cautious: bool = False) -> None:
        self._is_cautious = is_cautious
        self._escape = source.escape
        self._facts = facts
        self._budget = Budget()
        self._parsed: dict[tuple[str, ...], Source] = {}
        self._heading: dict[str, Value] = {name: unknown(name) for name in BUILD_TIME_ARGUMENTS}
        self._states: list[StageVariables] = []
        self.state = StageVariables()
        self.instructions: list[Instruction] = []
        self.stages: list[Stage] = []
        self.triggered: list[Instruction] = []

    def add(self, step: Step) -> None:
        """Read an instruction."""
        if step.name == "FROM":
            self._start_stage(step)
        else:
            self.instructions.append(self.evaluate(step))

    def evaluate(self, step: Step) -> Instruction:
        """Return an instruction, and note what it sets."""
        stage = len(self.stages) - 1
        expansion = Expansion(self.state.lookup, self._budget)
        if stage < 0:
            expansion.lookup = self._lookup_in_heading(expansion)
        instruction = Instruction(step.name, step.value, step.line, stage, documents=step.documents)
        if step.documents:
            expansion.features.add(HERE_DOCUMENTS)
        try:
            instruction = self._evaluate(instruction, expansion)
        except DockerfileSyntaxError as error:
            is_unparsable = isinstance(error, DockerfileParseError)
            instruction = replace(instruction, problem=error.reason, is_unparsable=is_unparsable)
        return replace(instruction, features=frozenset(expansion.features))

    def _lookup_in_heading(self, expansion: Expansion) -> Lookup:
        def lookup(name: str) -> Value | None:
            if name in self._heading:
                return self._heading[name]
            if name not in PLATFORM_ARGUMENTS:
                return None if self.state.is_known else unknown(name)
            expansion.features.add(HEADING_PLATFORM)
            if HEADING_PLATFORM.known_to(self._facts.version) is False:
                return None
            return self._facts.predefined(name)

        return lookup

    def _evaluate(self, instruction: Instruction, expansion: Expansion) -> Instruction:
        name = instruction.name
        written, rest = dockerfile_words.split_options(instruction.value)
        options = tuple(Value(option.text) for option in written)
        if name in _OPTIONS:
            inner = Expansion(self.state.option_lookup, self._budget)
            options = tuple(inner.expand(option.text) for option in options)
            expansion.features |= inner.features
        instruction = replace(instruction, option_values=options)
        if name in ("ENV", "LABEL"):
            pairs = [
                (expansion.expand(key), expansion.expand(value))
                for key, value in dockerfile_words.assignments(rest, self._escape)
            ]
            instruction = replace(instruction, pairs=tuple((key.text, value) for key, value in pairs))
            if name == "ENV":
                self.state.own.update(instruction.pairs)
            return instruction
        if name == "ARG":
            return replace(instruction, pairs=tuple(self._declare(rest, expansion, instruction.stage)))
        if name == "ONBUILD":
            self.state.triggers.append(rest)
            return replace(instruction, words=(Value(rest),) if rest else ())
        return self._with_words(instruction, rest, expansion)

    def _with_words(self, instruction: Instruction, rest: str, expansion: Expansion) -> Instruction:
        name = instruction.name
        if name in _LISTS:
            array = dockerfile_words.json_array(rest)
            words = dockerfile_words.split_words(rest) if array is None else array
            return replace(instruction, words=tuple(map(expansion.expand, words)), is_json=array is not None)
        if name in _TEXTS:
            return replace(instruction, words=(expansion.expand(rest),) if rest else ())
        if name == "EXPOSE":
            return replace(instruction, words=tuple(map(expansion.expand, dockerfile_words.split_words(rest))))
        if name == "HEALTHCHECK":
            kind, command = [*rest.split(maxsplit=1), "", ""][:2]
            dockerfile_words.json_array(command)
            return replace(instruction, words=tuple(Value(word) for word in (kind, command) if word))
        array = dockerfile_words.json_array(rest) if name in ("CMD", "ENTRYPOINT", "RUN", "SHELL") else None
        if array is not None:
            return replace(instruction, words=tuple(map(Value, array)), is_json=True)
        return replace(instruction, words=(Value(rest),) if rest else ())

    def _declare(self, rest: str, expansion: Expansion, stage: int) -> list[tuple[str, Value]]:
        """Declare the arguments of an ARG instruction; return them with their defaults."""
        words = dockerfile_words.quoted_words(rest, self._escape)
        if not words:
            raise DockerfileSyntaxError("has no name")
        self.state.declared += words
        pairs = []
        for word in [expansion.expand(word) for word in words]:
            name, equals, text = word.text.partition("=")
            default = Value(text, word.unknown, word.unset) if equals else None
            pairs.append((name, default or EMPTY))
            self._set_argument(self._heading if stage < 0 else self.state.arguments, name, default)
        return pairs

    def _set_argument(self, target: dict[str, Value], name: str, default: Value | None) -> None:
        if name in BUILD_TIME_ARGUMENTS:
            return
        if name in self._facts.arguments:
            target[name] = Value(self._facts.arguments[name])
        elif name in PLATFORM_ARGUMENTS:
            target[name] = self._predefined(name, default)
        elif default is not None:
            target[name] = default
        elif name in self._heading:
            target[name] = self._heading[name]

    def _predefined(self, name: str, default: Value | None) -> Value:
        """Return the value of a declared platform argument: defaults are ignored, but not by all versions."""
        value = self._facts.predefined(name)
        if default is None or name in ("TARGETOS", "TARGETARCH"):
            return value
        if name in ("TARGETPLATFORM", "BUILDPLATFORM"):
            raise DockerfileSyntaxError(f"sets {name}, which newer versions of buildah refuse")
        if name == "TARGETVARIANT" and value.text:
            return value
        ignored = IGNORED_DEFAULTS.known_to(self._facts.version)
        return unknown(name) if ignored is None else value if ignored else default

    def _start_stage(self, step: Step) -> None:
        """Read FROM, and prepare the variables of its stage."""
        number = len(self.stages)
        instruction = Instruction("FROM", step.value, step.line, number)
        written = name = ""
        image = EMPTY
        expansion = Expansion(self._lookup_in_from, self._budget)
        try:
            options, rest = dockerfile_words.split_options(step.value)
            words = dockerfile_words.split_words(rest)
            written = words[0] if words else ""
            name = words[2] if len(words) == 3 else ""
            if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
                raise DockerfileSyntaxError("requires either one argument, or three: FROM IMAGE [AS NAME]")
            image = expansion.expand(written)
            instruction = replace(instruction, option_values=tuple(expansion.expand(each.text) for each in options))
        except DockerfileSyntaxError as error:
            instruction = replace(instruction, problem=error.reason)
        words_read = (image, Value("AS"), Value(name)) if name else (image,)
        self.instructions.append(
            replace(instruction, words=words_read if written else (), features=frozenset(expansion.features))
        )
        earlier = self._earlier_stage(image.text)
        self.stages.append(Stage(image.text, name, step.line, earlier, written, image))
        self.state = self._based_on(image, earlier, written)
        self._states.append(self.state)
        self._execute_triggers(image, earlier)
        for variable, value in self._facts.environment.items():
            self.state.own[variable] = unknown(variable) if value is None else Value(value)

    def _lookup_in_from(self, name: str) -> Value | None:
        if name in self._heading:
            return self._heading[name]
        return self._facts.predefined(name) if name in PLATFORM_ARGUMENTS else None

    def _earlier_stage(self, image: str) -> int | None:
        """Return the number of the stage that FROM names; None if it is an image.

        In buildah the number of a stage is the name of a stage without one: ``00`` is an image, as in COPY it is not.
        """
        for number in range(len(self.stages) - 1, -1, -1):
            if image == (self.stages[number].name or str(number)):
                return number
        return None

    def _based_on(self, image: Value, earlier: int | None, written: str) -> StageVariables:
        arguments = {name: unknown(name) for name in BUILD_TIME_ARGUMENTS}
        if earlier is not None:
            below = self._states[earlier]
            state = StageVariables(below.parent, below.is_known, dict(below.own), arguments)
            state.is_overridable = below.is_overridable
            self._inherit_arguments(state, below, written)
            return state
        if image.text == SCRATCH:
            return StageVariables(arguments=arguments)
        config = self._facts.parents.get(image.text) if image.is_known else None
        state = StageVariables(config.environment if config else {}, config is not None, arguments=arguments)
        state.is_overridable = self._is_cautious and not state.is_known
        return state

    def _inherit_arguments(self, state: StageVariables, below: StageVariables, written: str) -> None:
        """Declare the arguments of the stage below, as newer versions of buildah do.

        Some of them substitute variables and remove quotes, whatever their version is: unknown.
        """
        known = STAGE_ARGUMENTS.known_to(self._facts.version)
        if known is False or "$" in written:
            return
        state.declared = list(below.declared)
        for word in below.declared:
            name, equals, default = word.partition("=")
            if not equals or name not in PLATFORM_ARGUMENTS:
                self._set_argument(state.arguments, name, Value(default) if equals else None)
            if (known is None or SPECIAL.intersection(word)) and name in state.arguments:
                state.arguments[name] = unknown(name)

    def _execute_triggers(self, image: Value, earlier: int | None) -> None:
        """Read the ONBUILD instructions of the parent, which buildah executes after FROM."""
        if earlier is not None:
            triggers: Iterable[str] = self._states[earlier].triggers
        else:
            config = self._facts.parents.get(image.text, ParentConfig())
            triggers = config.triggers if image.is_known else ()
        source = self._parse_triggers(tuple(triggers))
        dockerfile_limits.check_triggers(len(self.triggered) + len(source.steps), self.stages[-1].line)
        line, declared = self.stages[-1].line, list(self.state.declared)
        self.triggered += [self.evaluate(replace(step, line=line)) for step in source.steps if step.name != "FROM"]
        self.state.declared = declared

    def _parse_triggers(self, triggers: tuple[str, ...]) -> Source:
        """Return ONBUILD instructions as a file, parsed once for all stages with the same parent."""
        if triggers not in self._parsed:
            text = "".join(f"{trigger}\n" for trigger in triggers)
            dockerfile_limits.check_text(text)
            source = read_source(text)
            dockerfile_limits.check_steps(source.steps, self._facts.arguments)
            self._parsed[triggers] = source
        return self._parsed[triggers]
