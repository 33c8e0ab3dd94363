"""Variables and labels set by ARG, ENV and LABEL, per instruction, with the semantics of dockerfile-parse.

dockerfile-parse copies all variables for each instruction (``DockerfileParser.context_structure``), so that its memory
grows with the square of the Dockerfile. Here, each value is stored once, with the number of its instruction.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dockerfile_parse.util import extract_key_values

#: Name → numbers of the instructions that set it, and the values.
_History = dict[str, tuple[list[int], list[str]]]


class Variables(Mapping[str, str]):
    """The variables visible to one instruction.

    :param histories: histories of one stage; the first that contains a name takes precedence
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
    """Variables visible to an instruction, and labels set by it.

    :param variables: variables, including those set by the instruction itself
    :param labels: labels set by the instruction, with variables substituted
    """

    variables: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass
class _Stage:
    """Values set so far in a stage, and their histories."""

    args: dict[str, str] = field(default_factory=dict)
    envs: dict[str, str] = field(default_factory=dict)
    args_history: _History = field(default_factory=dict)
    envs_history: _History = field(default_factory=dict)

    def set(self, number: int, values: Mapping[str, str], *, env: bool) -> None:
        """Record the values set by an instruction."""
        current, history = (self.envs, self.envs_history) if env else (self.args, self.args_history)
        current.update(values)
        for name, value in values.items():
            numbers, all_values = history.setdefault(name, ([], []))
            numbers.append(number)
            all_values.append(value)


def settings(structure: Iterable[Mapping[str, object]], arguments: Mapping[str, str]) -> list[Setting]:
    """Return the variables and labels for each instruction.

    :param structure: instructions from dockerfile-parse
    :param arguments: ARG values of the build
    :raises ValueError, IndexError: if an instruction cannot be parsed
    """
    result = []
    global_args: dict[str, str] = {}
    in_stage = False
    stage = _Stage()
    for number, item in enumerate(structure):
        name = item["instruction"]
        labels: dict[str, str] = {}
        if name == "FROM":
            in_stage, stage = True, _Stage()
        elif name in ("ARG", "ENV", "LABEL"):
            values = dict(extract_key_values(name != "ARG", stage.args, stage.envs, item["value"]))
            if name == "LABEL":
                labels = values
            else:
                if name == "ARG":
                    values = {key: _argument(key, values[key], global_args, arguments, in_stage) for key in values}
                    global_args.update({} if in_stage else values)
                stage.set(number, values, env=name == "ENV")
        result.append(Setting(Variables((stage.envs_history, stage.args_history), number), labels))
    return result


def _argument(
    name: str, default: str, global_args: Mapping[str, str], arguments: Mapping[str, str], in_stage: bool
) -> str:
    """Return the value of an ARG: from before the first FROM, from the build, or its default."""
    return global_args[name] if in_stage and name in global_args else arguments.get(name, default)
