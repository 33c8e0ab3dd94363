# SPDX-License-Identifier: GPL-2.0-or-later
"""Size limits of Dockerfiles, before and after substitution of variables.

Values of ENV, ARG and LABEL can refer to earlier ones, so ten lines can create a value of gigabytes, in every program
that substitutes the variables: the client, the builder and buildah. Therefore an upper bound is computed beforehand,
from lengths only. It holds for every program that reads the file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from fedpkg_container.distgit.dockerfile_words import quoted_words
from fedpkg_container.errors import RefusedError

if TYPE_CHECKING:
    from fedpkg_container.distgit.dockerfile_lexer import Step

#: Maximum size of the file in bytes.
MAX_FILE_BYTES = 256 * 1024
#: Maximum number of instructions.
MAX_INSTRUCTIONS = 1000
#: Maximum number of values set by ENV, ARG and LABEL: buildah's time grows with their square.
MAX_VALUES = 2000
#: Maximum bytes of an instruction, without here-documents. buildah before 1.33 ignores the file from a longer line on.
MAX_INSTRUCTION_LENGTH = 64 * 1024 - 1
#: Maximum characters of a value of ENV, ARG or LABEL, or of a word of another instruction, after substitution.
MAX_VALUE_LENGTH = 32 * 1024
#: Maximum characters of all instructions together, after substitution.
MAX_TOTAL_LENGTH = 1024 * 1024
#: Assumed length of a variable not set in the Dockerfile: it may come from the base image.
UNKNOWN_VALUE_LENGTH = 2048

_SETTING = frozenset({"ARG", "ENV", "LABEL"})
#: Instructions in which some builder substitutes variables.
_SUBSTITUTING = _SETTING | {"RUN", "FROM", "COPY", "ADD", "EXPOSE", "VOLUME", "WORKDIR", "USER", "STOPSIGNAL"}
#: A variable, and whether all matches of a pattern in it are replaced, which may multiply its length.
_VARIABLE = re.compile(r"\$(\{*)(\w+)((?://)?)")
#: Shorter names that other parsers may read there.
_PLAIN, _DIGIT = re.compile("[A-Za-z0-9_]+"), re.compile("[0-9]")


def check_text(text: str) -> None:
    """Check the size of the text.

    :raises RefusedError: if it is too large
    """
    if len(text) > MAX_FILE_BYTES:
        raise RefusedError(
            f"the Dockerfile is larger than {MAX_FILE_BYTES} bytes",
            solution="move files and scripts out of it, and COPY them",
        )


def check_steps(
    steps: Iterable[Step], arguments: Mapping[str, str], environment: Iterable[tuple[str, str]] = ()
) -> None:
    """Check the number and sizes of instructions, also after substitution of variables.

    :param arguments: ARG values of the build
    :param environment: variables from parent images
    :raises RefusedError: if a limit is exceeded; the error names the line and the limit
    """
    lengths = _Lengths(arguments, environment)
    total = 0
    for number, step in enumerate(steps, 1):
        if number > MAX_INSTRUCTIONS:
            raise _limit_error(step.line, f"more than {MAX_INSTRUCTIONS} instructions", "join some of them")
        if len(step.text.encode()) >= MAX_INSTRUCTION_LENGTH:
            reason = f"{step.name[:40]} is longer than {MAX_INSTRUCTION_LENGTH - 1} bytes"
            raise _limit_error(step.line, reason, "move files and scripts out of it, and COPY them")
        total += lengths.add(step)
        if lengths.values > MAX_VALUES:
            reason = f"ENV, ARG and LABEL set more than {MAX_VALUES} values"
            raise _limit_error(step.line, reason, "move the values into a file, and COPY it")
        if total > MAX_TOTAL_LENGTH:
            reason = f"with variables substituted, the instructions may exceed {MAX_TOTAL_LENGTH} characters"
            raise _limit_error(step.line, reason, "use fewer variables")


def check_triggers(number: int, line: int) -> None:
    """Check the number of instructions that ONBUILD of base images and earlier stages adds to all stages.

    :param line: number of the line with FROM
    :raises RefusedError: if it is too large
    """
    if number > MAX_INSTRUCTIONS:
        raise _limit_error(line, f"ONBUILD adds more than {MAX_INSTRUCTIONS} instructions", "use fewer stages")


def _limit_error(line: int, reason: str, solution: str) -> RefusedError:
    return RefusedError(f"line {line} of the Dockerfile: {reason}", solution=solution)


class _Lengths:
    """Upper bounds of the lengths of variables, in any stage."""

    def __init__(self, arguments: Mapping[str, str], environment: Iterable[tuple[str, str]] = ()) -> None:
        self._given = {name: len(value) for name, value in arguments.items()}
        self._known: dict[str, int] = {}
        for name, value in environment:
            self._known[name] = max(self._known.get(name, 0), len(value))
        #: Maximum length of variables whose names contain variables: they may set any variable.
        self._any = 0
        #: Number of values set so far.
        self.values = 0

    def add(self, step: Step) -> int:
        """Add an instruction; return the maximum number of its characters after substitution.

        :raises RefusedError: if a value is too long
        """
        name, value = step.name, step.value
        if name == "ONBUILD":  # checked like the deferred instruction, which is executed when another image is built
            name, value = [*value.split(maxsplit=1), "", ""][:2]
            name = name.upper()
        if name not in _SUBSTITUTING:
            return len(value)
        total = 0
        lengths = []
        for variable, text in _values(name, value):
            length = self._length(text)
            if length > MAX_VALUE_LENGTH:
                what = f"the value of {variable[:80]}" if variable else f"a word of {name}"
                reason = f"{what} may have {length} characters with variables substituted (limit: {MAX_VALUE_LENGTH})"
                raise _limit_error(step.line, reason, "use fewer variables")
            total += len(variable) + length
            lengths.append((variable, length))
        self.values += len(lengths) if name in _SETTING else 0
        total = max(total, len(value))
        if name in ("ARG", "ENV"):
            for variable, length in lengths:
                self._set(variable, length)
        return total

    def _set(self, name: str, length: int) -> None:
        if "$" in name or "\\" in name or '"' in name or "'" in name:
            self._any = max(self._any, length)
        self._known[name] = max(self._known.get(name, 0), self._given.get(name, 0), length)

    def _length(self, text: str) -> int:
        """Return the maximum number of characters of a text after substitution."""
        variables = list(_VARIABLE.finditer(text))
        lengths = [self._of(each[2]) for each in variables]
        length = len(text) + sum(lengths)
        for each, variable in zip(variables, lengths):
            if each[1] and each[3]:  # the replacement is in the rest of the text, with its variables
                length += variable * (len(text) - each.end() + sum(lengths) - variable)
        return length

    def _of(self, name: str) -> int:
        plain, digit = _PLAIN.match(name), _DIGIT.match(name)
        names = {name, plain[0] if plain else name, digit[0] if digit else name}
        return max(self._any, *(self._known.get(alias, UNKNOWN_VALUE_LENGTH) for alias in names))


def _values(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield the words of an instruction subject to substitution, with the variable or label that each sets."""
    words = quoted_words(value)
    if name == "RUN":  # only in its options
        yield from (("", word) for word in itertools.takewhile(lambda word: word.startswith("--"), words))
    elif name not in _SETTING:
        yield from (("", word) for word in words)
    elif name != "ARG" and words and "=" not in words[0]:
        variable, _, rest = value.partition(words[0])[2].partition(" ")
        yield words[0], variable + rest
    else:
        for word in words:
            variable, _, text = word.partition("=")
            yield variable, f"{variable}{text}" if "$" in variable else text
