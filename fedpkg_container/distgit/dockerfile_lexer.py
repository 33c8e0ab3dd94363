"""Splitting a Dockerfile into instructions, so that the checks and the build use exactly the same ones.

dockerfile-parse and buildah differ in which lines they join: for a backslash at the end of the file or before an empty
line, for one within the name of an instruction, and for here-documents, which dockerfile-parse does not support. Both
get the output of this module: each instruction on one line, and no comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fedpkg_container.errors import RefusedError

#: Instructions that may have here-documents; those deferred by ONBUILD may not.
_HERE_DOCUMENT_INSTRUCTIONS = ("RUN", "COPY", "ADD", "ONBUILD")
#: Instructions with options that builders evaluate.
_INSTRUCTIONS_WITH_OPTIONS = ("FROM", "RUN", "COPY", "ADD")
_SKIPPED = re.compile(r"\s*(?:#.*)?")
_CONTINUED = re.compile(r"\\[ \t]*$")
_NEARLY_CONTINUED = re.compile(r"\\\s+$")
#: What some builders may parse as a here-document: at the start of a word, or after a variable that may be empty.
_AMBIGUOUS = re.compile(r"(?:^|(?<=\s))[0-9]*<<(?![<\s]|$)")
_AMBIGUOUS_ANYWHERE = re.compile(r"(?<!<)<<(?![<\s]|$)")
#: What all builders parse as a here-document.
_HERE_DOCUMENT = re.compile(r"[0-9]*<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_]*)\2")
#: Words of a command line, including their quotes.
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
#: Variables with modifiers: ``${x:?}`` is an error, after which some builders do not look for here-documents.
_CONDITION = re.compile(r"\$\{(?![A-Za-z0-9_]+\})")
#: A variable that may hide half of the ``<<`` operator: ``${x:-<}<EOF``.
_HIDDEN = re.compile(r"\$\{[^}]*<")
_OPTIONS = re.compile(r"(?:--\S*(?:\s+|$))+")
_PLAIN = re.compile(r"(?:--[a-z]+(?:-[a-z]+)*(?:=[^\s\"'\\]*)?[ \t]*)*", re.ASCII)


@dataclass(frozen=True)
class Step:
    """An instruction with its here-documents.

    :param line: number of its first line, from 1
    :param name: name in upper case
    :param value: the rest, joined into one line without a trailing backslash
    :param documents: lines of its here-documents, including the delimiters
    """

    line: int
    name: str
    value: str
    documents: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The instruction without its here-documents."""
        return f"{self.name} {self.value}"


def split_instructions(text: str) -> list[Step]:
    """Split a Dockerfile into steps.

    :raises RefusedError: if an instruction is incomplete, or builders would parse it differently
    """
    return list(_read(text.replace("\r\n", "\n").split("\n")))


def _read(lines: list[str]) -> Iterator[Step]:
    number = 0
    while (first := _next(lines, number)) < len(lines):
        parts, number = [lines[first]], first + 1
        while _CONTINUED.search(parts[-1]):
            following = _next(lines, number)
            if following == len(lines):
                raise RefusedError(
                    f"line {number} ends with a backslash, but no line follows", solution="remove the backslash"
                )
            parts[-1] = _CONTINUED.sub("", parts[-1])
            parts.append(lines[following])
            number = following + 1
        step = "".join(parts)
        if _NEARLY_CONTINUED.search(step):
            raise RefusedError(
                f"line {number}: unusual whitespace after the backslash at the end", solution="remove the whitespace"
            )
        name, value = split_name(step)
        inner, rest = split_name(value) if name == "ONBUILD" else (name, value)
        if inner in _INSTRUCTIONS_WITH_OPTIONS:
            _check_options(rest, first + 1)
        first_document = number
        for tabs, word in _documents(name, value, first + 1):
            number = _end(lines, number, word, tabs=bool(tabs), beginning=first + 1)
        yield Step(first + 1, name, value, tuple(lines[first_document:number]))


def split_name(text: str) -> tuple[str, str]:
    """Split an instruction into its name, in upper case, and its value."""
    name, value = [*text.strip().split(maxsplit=1), "", ""][:2]
    return name.upper(), value


def _next(lines: list[str], number: int) -> int:
    """Return the next line that is neither empty nor a comment, or the number of lines if there is none."""
    return next((index for index in range(number, len(lines)) if not _SKIPPED.fullmatch(lines[index])), len(lines))


def _documents(name: str, value: str, line: int) -> list[tuple[str, str]]:
    """Return the here-documents of an instruction: whether leading tabs are stripped, and the delimiter.

    :raises RefusedError: if builders may disagree on whether something is a here-document
    """
    if name not in _HERE_DOCUMENT_INSTRUCTIONS:
        return []
    condition = _CONDITION.search(value)
    doubtful = (_AMBIGUOUS_ANYWHERE if condition else _AMBIGUOUS).findall(value) or _HIDDEN.findall(value)
    if not doubtful:
        return []
    words = [_HERE_DOCUMENT.fullmatch(word) for word in _WORD.findall(value)]
    documents = [(word[1], word[3]) for word in words if word]
    unclear = _WORD.sub("", value).strip() or condition or name == "ONBUILD"
    if unclear or len(documents) != len(doubtful):
        raise RefusedError(
            f"line {line}: ambiguous <<, which may or may not start a here-document",
            solution="put a space after <<, or move the command into a file",
        )
    return documents


def _end(lines: list[str], number: int, word: str, *, tabs: bool, beginning: int) -> int:
    """Return the index of the line after a here-document.

    :param tabs: whether tabs before the delimiter are ignored
    :raises RefusedError: if the delimiter is missing
    """
    for end in range(number, len(lines)):
        if (lines[end].lstrip("\t") if tabs else lines[end]) == word:
            return end + 1
    raise RefusedError(
        f"here-document {word} in line {beginning} is not terminated", solution=f"add a line that only contains {word}"
    )


def _check_options(value: str, line: int) -> None:
    """Reject options with quotes, variables in their names, or whitespace that not all builders treat as such."""
    options = _OPTIONS.match(value)
    if options and not (_PLAIN.fullmatch(options[0]) and options[0].isascii()):
        raise RefusedError(
            f"line {line}: an option contains quotes, backslashes or other characters that builders parse differently",
            solution="use the form --name=value, without quotes",
        )
