"""Here-documents of RUN, COPY and ADD, which dockerfile-parse does not know: their lines are no instructions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fedpkg_container.errors import RefusedError

#: As many here-documents as one Dockerfile may have.
MOST = 100
_MARK = "# here-document line "
_BEGIN = re.compile(r"<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_]*)\2(?=\s|$)")
#: Words of a command line, with the quotes around them.
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
#: Lines as buildah has them: dockerfile-parse and it know no other ends of lines.
_LINE = re.compile(r"[^\n]*\n|[^\n]+")

Structure = Callable[[str], list[dict[str, Any]]]


def hide(text: str, structure: Structure) -> tuple[str, list[str]]:
    """The text with every line of a here-document as a comment, and these lines; line numbers stay.

    :param structure: takes a text apart into instructions
    :raises RefusedError: there are too many, or one does not end
    """
    hidden: list[str] = []
    after = 0
    for _ in range(MOST):
        lines = _LINE.findall(text)
        found = next((each for each in structure(text) if each["startline"] >= after and _words(each)), None)
        if found is None:
            return text, hidden
        after = found["endline"] + 1
        for strip, _, word in _words(found):
            end = _end(lines, after, word, strip=bool(strip))
            if end is None:
                raise RefusedError(
                    f"the here-document {word} of line {found['startline'] + 1} does not end",
                    solution=f"add a line that holds {word} alone",
                )
            for number in range(after, end + 1):
                hidden.append(lines[number])
                lines[number] = f"{_MARK}{len(hidden) - 1}\n"
            after = end + 1
        text = "".join(lines)
    raise RefusedError(f"the Dockerfile has more than {MOST} here-documents", solution="put them into files")


def show(text: str, hidden: list[str]) -> str:
    """The text with its here-documents back in it."""
    return re.sub(rf"^{_MARK}(\d+)\n", lambda found: hidden[int(found[1])], text, flags=re.MULTILINE)


def _words(instruction: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The here-documents that an instruction begins: words of their own.

    :raises RefusedError: something inside of a quoted word looks like one: builders could take it for one, or not
    """
    if instruction["instruction"] not in ("RUN", "COPY", "ADD"):
        return []
    value = instruction["value"]
    found = _BEGIN.findall(value)
    if found and len(found) != sum(1 for word in _WORD.findall(value) if _BEGIN.fullmatch(word.lstrip("0123456789"))):
        raise RefusedError(
            f"line {instruction['startline'] + 1}: {found[0][2]} after << may be meant as a here-document, or not",
            solution="put a space after <<, or move the command into a file",
        )
    return found


def _end(lines: list[str], first: int, word: str, *, strip: bool) -> int | None:
    for number in range(first, len(lines)):
        line = lines[number].rstrip("\r\n")
        if (line.lstrip("\t") if strip else line) == word:
            return number
    return None
