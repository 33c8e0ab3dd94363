"""What ARG, ENV and LABEL of a Dockerfile set, line by line, as dockerfile-parse reads them.

dockerfile-parse copies all variables for each instruction (``DockerfileParser.context_structure``): memory grows with
the square of the Dockerfile. Here each value is kept once, with the number of the instruction that sets it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dockerfile_parse.util import extract_key_values

#: Name → numbers of the instructions that set it, and its values.
_History = dict[str, tuple[list[int], list[str]]]


class Variables(Mapping[str, str]):
    """Variables as one instruction sees them.

    :param histories: of one stage; of a name that several have, the value of the first counts
    :param until: number of the instruction
    """

    def __init__(self, histories: Iterable[_History], until: int) -> None:
        self._histories = tuple(histories)
        self._until = until

    def __getitem__(self, name: str) -> str:
        for history in self._histories:
            numbers, values = history.get(name, ((), ()))
            position = bisect.bisect_right(numbers, self._until)
            if position:
                return values[position - 1]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys(name for history in self._histories for name in history)
        return (name for name in names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Setting:
    """What one instruction sees and sets.

    :param variables: those that it sets included
    :param labels: those that it sets, with variables filled in
    """

    variables: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass
class _Stage:
    """What a stage has set so far, and when."""

    args: dict[str, str] = field(default_factory=dict)
    envs: dict[str, str] = field(default_factory=dict)
    args_history: _History = field(default_factory=dict)
    envs_history: _History = field(default_factory=dict)

    def set(self, number: int, values: Mapping[str, str], *, env: bool) -> None:
        """Remember what an instruction sets."""
        now, history = (self.envs, self.envs_history) if env else (self.args, self.args_history)
        now.update(values)
        for name, value in values.items():
            numbers, all_values = history.setdefault(name, ([], []))
            numbers.append(number)
            all_values.append(value)


def settings(structure: Iterable[Mapping[str, Any]], arguments: Mapping[str, str]) -> list[Setting]:
    """What each instruction sees and sets.

    :param structure: of dockerfile-parse
    :param arguments: values of ARG that the build gives
    :raises ValueError, IndexError: an instruction cannot be read
    """
    found = []
    before: dict[str, str] = {}
    in_stage = False
    stage = _Stage()
    for number, each in enumerate(structure):
        name = each["instruction"]
        labels: dict[str, str] = {}
        if name == "FROM":
            in_stage, stage = True, _Stage()
        elif name in ("ARG", "ENV", "LABEL"):
            values = dict(extract_key_values(name != "ARG", stage.args, stage.envs, each["value"]))
            if name == "LABEL":
                labels = values
            else:
                if name == "ARG":
                    values = {key: _argument(key, values[key], before, arguments, in_stage) for key in values}
                    before.update({} if in_stage else values)
                stage.set(number, values, env=name == "ENV")
        found.append(Setting(Variables((stage.envs_history, stage.args_history), number), labels))
    return found


def _argument(name: str, default: str, before: Mapping[str, str], arguments: Mapping[str, str], in_stage: bool) -> str:
    """The value of ARG: of one before the first FROM, of the build, or its own default."""
    return before[name] if in_stage and name in before else arguments.get(name, default)
