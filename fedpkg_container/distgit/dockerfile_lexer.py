"""The lines of a Dockerfile as steps: put together once, so that who checks them and who builds them have the same.

dockerfile-parse and buildah do not agree on which lines belong together: on a backslash before the end of the file or
before an empty line, on one within the name of an instruction, and on here-documents, which dockerfile-parse does not
know. Both get what is read here: each instruction on a line of its own, and no comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fedpkg_container.errors import RefusedError

#: The instructions that may have here-documents; of those that ONBUILD gives, none is read.
_BEGINNERS = ("RUN", "COPY", "ADD", "ONBUILD")
#: The instructions that have options which builders look at.
_OPTIONED = ("FROM", "RUN", "COPY", "ADD")
_SKIPPED = re.compile(r"\s*(?:#.*)?")
_CONTINUED = re.compile(r"\\[ \t]*$")
_NEARLY_CONTINUED = re.compile(r"\\\s+$")
#: What some builder may take for a here-document: at the beginning of a word, or after a variable that may be empty.
_DOUBTFUL = re.compile(r"(?:^|(?<=\s))[0-9]*<<(?![<\s]|$)")
_DOUBTFUL_ANYWHERE = re.compile(r"(?<!<)<<(?![<\s]|$)")
#: What all take for one.
_BEGIN = re.compile(r"[0-9]*<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_]*)\2")
#: Words of a command line, with the quotes around them.
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
#: Variables with conditions: ``${x:?}`` is an error, with which some builders look for no here-document.
_CONDITION = re.compile(r"\$\{(?![A-Za-z0-9_]+\})")
#: Where half of the sign could hide that begins a here-document: ``${x:-<}<EOF``.
_HIDDEN = re.compile(r"\$\{[^}]*<")
_OPTIONS = re.compile(r"(?:--\S*(?:\s+|$))+")
_PLAIN = re.compile(r"(?:--[a-z]+(?:-[a-z]+)*(?:=[^\s\"'\\]*)?[ \t]*)*", re.ASCII)


@dataclass(frozen=True)
class Step:
    """An instruction.

    :param line: number of its first line, from 1
    :param name: in capitals
    :param value: what follows in one line, which does not end with a backslash
    :param documents: the lines of its here-documents, with those that end them
    """

    line: int
    name: str
    value: str
    documents: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole of it but its here-documents."""
        return f"{self.name} {self.value}"


def read(text: str) -> list[Step]:
    """The steps of a Dockerfile.

    :raises RefusedError: one does not end, or builders would read it in different ways
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
                    f"line {number} ends with a backslash, and nothing follows", solution="remove the backslash"
                )
            parts[-1] = _CONTINUED.sub("", parts[-1])
            parts.append(lines[following])
            number = following + 1
        step = "".join(parts)
        if _NEARLY_CONTINUED.search(step):
            raise RefusedError(
                f"line {number}: an unusual space follows the backslash at its end", solution="remove the space"
            )
        name, value = split(step)
        inner, rest = split(value) if name == "ONBUILD" else (name, value)
        if inner in _OPTIONED:
            _check_options(rest, first + 1)
        begun = number
        for tabs, word in _documents(name, value, first + 1):
            number = _end(lines, number, word, tabs=bool(tabs), beginning=first + 1)
        yield Step(first + 1, name, value, tuple(lines[begun:number]))


def split(text: str) -> tuple[str, str]:
    """The name of an instruction, in capitals, and what follows."""
    name, value = [*text.strip().split(maxsplit=1), "", ""][:2]
    return name.upper(), value


def _next(lines: list[str], number: int) -> int:
    """The next line that is neither empty nor a comment; how many there are when there is none."""
    return next((each for each in range(number, len(lines)) if not _SKIPPED.fullmatch(lines[each])), len(lines))


def _documents(name: str, value: str, line: int) -> list[tuple[str, str]]:
    """The here-documents that an instruction begins: words of their own.

    :raises RefusedError: something looks like one, which builders could take for one, or not
    """
    if name not in _BEGINNERS:
        return []
    condition = _CONDITION.search(value)
    doubtful = (_DOUBTFUL_ANYWHERE if condition else _DOUBTFUL).findall(value) or _HIDDEN.findall(value)
    if not doubtful:
        return []
    words = [_BEGIN.fullmatch(word) for word in _WORD.findall(value)]
    found = [(word[1], word[3]) for word in words if word]
    unclear = _WORD.sub("", value).strip() or condition or name == "ONBUILD"
    if unclear or len(found) != len(doubtful):
        raise RefusedError(
            f"line {line}: what follows << may be meant as a here-document, or not",
            solution="put a space after <<, or move the command into a file",
        )
    return found


def _end(lines: list[str], number: int, word: str, *, tabs: bool, beginning: int) -> int:
    """The line after a here-document.

    :param tabs: those before its last word do not count
    :raises RefusedError: it does not end
    """
    for end in range(number, len(lines)):
        if (lines[end].lstrip("\t") if tabs else lines[end]) == word:
            return end + 1
    raise RefusedError(
        f"the here-document {word} of line {beginning} does not end", solution=f"add a line that holds {word} alone"
    )


def _check_options(value: str, line: int) -> None:
    """Refuse options with quotes, variables in their names, or spaces that only some builders end a word at."""
    options = _OPTIONS.match(value)
    if options and not (_PLAIN.fullmatch(options[0]) and options[0].isascii()):
        raise RefusedError(
            f"line {line}: an option has quotes, backslashes or other characters that builders read in different ways",
            solution="write it plainly: --name=value",
        )
