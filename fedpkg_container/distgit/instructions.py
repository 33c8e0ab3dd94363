"""What a Dockerfile consists of: instructions, and the stages and labels that some of them make."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass

from dockerfile_parse.util import WordSplitter


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
