"""How large a Dockerfile may be, also when its variables are filled in.

Values of ENV, ARG and LABEL can name earlier ones, so that ten lines make a value of gigabytes. All who read the
Dockerfile would fill in the same: the client, the builder and buildah. So an upper bound is computed before anything
is filled in, from lengths alone. It holds for buildah too, which fills in more variables than dockerfile-parse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from dockerfile_parse.util import WordSplitter

from fedpkg_container.errors import RefusedError

if TYPE_CHECKING:
    from fedpkg_container.distgit.dockerfile_lexer import Step

#: Bytes of the file.
LONGEST_FILE = 256 * 1024
#: Instructions of the file.
MOST_INSTRUCTIONS = 1000
#: Values that ENV, ARG and LABEL set: buildah needs time that grows with their square.
MOST_VALUES = 2000
#: Characters of one instruction, without its here-documents. Linux starts no program with an argument of 128 KiB.
LONGEST_INSTRUCTION = 64 * 1024
#: Characters of one value of ENV, ARG or LABEL, or of one word of another instruction, with its variables filled in.
LONGEST_VALUE = 32 * 1024
#: Characters of all instructions together, with their variables filled in.
LARGEST_TOTAL = 1024 * 1024
#: Characters that a variable is taken to have that the Dockerfile does not set: it may come from the base image.
UNKNOWN = 2048

_SETTING = frozenset({"ARG", "ENV", "LABEL"})
#: Instructions in which some builder fills in variables.
_FILLED_IN = _SETTING | {"FROM", "COPY", "ADD", "EXPOSE", "VOLUME", "WORKDIR", "USER", "STOPSIGNAL"}
#: A variable, and whether a pattern in it is replaced, which may multiply its length.
_VARIABLE = re.compile(r"\$(\{*)(\w+)(/?)")
#: Shorter names that another program may read there.
_PLAIN, _DIGIT = re.compile("[A-Za-z0-9_]+"), re.compile("[0-9]")


def check_text(text: str) -> None:
    """Refuse a Dockerfile that is too long.

    :raises RefusedError: it is
    """
    if len(text) > LONGEST_FILE:
        raise RefusedError(
            f"the Dockerfile has more than {LONGEST_FILE} bytes", solution="move files and scripts out of it, for COPY"
        )


def check_steps(steps: Iterable[Step], arguments: Mapping[str, str]) -> None:
    """Refuse a Dockerfile that is too large, or would be with its variables filled in.

    :param arguments: values of ARG that the build gives
    :raises RefusedError: it is; names the line and the limit
    """
    lengths = _Lengths(arguments)
    total = 0
    for number, step in enumerate(steps, 1):
        if number > MOST_INSTRUCTIONS:
            raise _refusal(step.line, f"there are more than {MOST_INSTRUCTIONS} instructions", "join some of them")
        if len(step.text) > LONGEST_INSTRUCTION:
            reason = f"{step.name[:40]} has more than {LONGEST_INSTRUCTION} characters"
            raise _refusal(step.line, reason, "move files and scripts out of it, for COPY")
        total += lengths.add(step)
        if lengths.values > MOST_VALUES:
            reason = f"ENV, ARG and LABEL set more than {MOST_VALUES} values"
            raise _refusal(step.line, reason, "move them into a file, for COPY")
        if total > LARGEST_TOTAL:
            reason = f"with variables filled in, the instructions may have more than {LARGEST_TOTAL} characters"
            raise _refusal(step.line, reason, "use fewer variables")


def _refusal(line: int, reason: str, solution: str) -> RefusedError:
    return RefusedError(f"line {line} of the Dockerfile: {reason}", solution=solution)


class _Lengths:
    """How long variables may be, in whatever stage."""

    def __init__(self, arguments: Mapping[str, str]) -> None:
        self._given = {name: len(value) for name, value in arguments.items()}
        self._known: dict[str, int] = {}
        #: Of a variable whose name is made of variables: it may be any.
        self._any = 0
        #: How many were set.
        self.values = 0

    def add(self, step: Step) -> int:
        """Add an instruction; the characters that it may have when its variables are filled in.

        :raises RefusedError: a value is too long
        """
        name, value = step.name, step.value
        if name == "ONBUILD":  # as if it were executed: it is where another image is built on this one
            name, value = [*value.split(maxsplit=1), "", ""][:2]
            name = name.upper()
        if name not in _FILLED_IN:
            return len(value)
        total = 0
        found = []
        for variable, text in _values(name, value):
            length = self._length(text)
            if length > LONGEST_VALUE:
                what = f"the value of {variable[:80]}" if variable else f"a word of {name}"
                reason = f"{what} may have {length} characters with variables filled in, {LONGEST_VALUE} are allowed"
                raise _refusal(step.line, reason, "use fewer variables")
            total += len(variable) + length
            found.append((variable, length))
        self.values += len(found) if name in _SETTING else 0
        if name in ("ARG", "ENV"):
            for variable, length in found:
                self._set(variable, length)
        return total

    def _set(self, name: str, length: int) -> None:
        if "$" in name or "\\" in name or '"' in name or "'" in name:
            self._any = max(self._any, length)
        self._known[name] = max(self._known.get(name, 0), self._given.get(name, 0), length)

    def _length(self, text: str) -> int:
        """The characters that a text may have when its variables are filled in."""
        length = len(text)
        for braces, name, slash in _VARIABLE.findall(text):
            length += self._of(name) * (len(text) if braces and slash else 1)
        return length

    def _of(self, name: str) -> int:
        plain, digit = _PLAIN.match(name), _DIGIT.match(name)
        names = {name, plain[0] if plain else name, digit[0] if digit else name}
        return max(self._any, *(self._known.get(each, UNKNOWN) for each in names))


def _values(name: str, value: str) -> Iterator[tuple[str, str]]:
    """The words of an instruction in which variables are filled in, with the name that each gives a value."""
    words = list(WordSplitter(value).split(dequote=False))
    if name not in _SETTING:
        yield from (("", word) for word in words)
    elif name != "ARG" and words and "=" not in words[0]:
        variable, _, rest = value.partition(words[0])[2].partition(" ")
        yield words[0], variable + rest
    else:
        for word in words:
            variable, _, text = word.partition("=")
            yield variable, f"{variable}{text}" if "$" in variable else text
