# SPDX-License-Identifier: GPL-2.0-or-later
"""Check the language of documentation, docstrings, comments and messages: ``python -m tests.prose``.

Part of ``make lint``. The patterns are the words that docs/glossary.md lists as not used, as far as a pattern can find
them. Code is not checked: code blocks and code spans of Markdown, ``literals`` of docstrings, Python's None, names,
and string literals without spaces. Paths below docs/, and links in Markdown, must lead to files.

A section of a Markdown file between ``<!-- prose: off -->`` and ``<!-- prose: on -->`` is not checked.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Globs of the checked files, relative to the root.
FILES = (
    "*.md",
    "Makefile",
    "completion/*",
    "docs/**/*.md",
    "docs/**/*.schema.json",
    "docs/*.py",
    "docs/man/*",
    "fedpkg_container/**/*.py",
    "packaging/**/*",
    "benchmarks/**/*.py",
    "tests/**/*.py",
    "tests/systems/*",
    "debian/*",
    "pyproject.toml",
)
#: Files that consist of the phrases that are found.
_PHRASES = {"tests/prose.py", "tests/unit/test_prose.py"}
_UNITS = "second|minute|hour|arch|architecture|line|builder|module|image|page|process|build|file|registry|repository"
_COMPARED = "longer|more|less|later|older|newer|larger|smaller"
#: Pattern → what to write instead. A pattern matches in lower case, and with a capital first letter.
PATTERNS = {
    "mend(s|ed|ing)?": "fix, repair, correct",
    "ask(s|ed|ing)?": "request, query, retry, fetch",
    "say(s|ing)?|said|tells?|told|telling|complain(s|ed|ing)?": "report, print, log, warn, state",
    "go(es|ing)? on|gone on|went on": "continue, keep running",
    "begin(s|ning|nings)?|began|begun": "start",
    "anew": "again",
    "of (its|their) own": "separate, own",
    f"(?<!there )(is|are|was|were) (no (?!{_COMPARED})\\w+|none)": "is not a (valid)",
    "whoever|(no|some|every|any)body": "the user, the caller, no user, another process",
    "what (is|was|are) there|what (came|comes|has come)|what it has": "existing images, the response, its contents",
    f"(bytes?|requests?|questions?|polls?) an? ({_UNITS})|(tags?|objects?|subjects?|one) a (line|module)": "per",
    "(?<!written )as [0-9]+[KMGT]": "e.g.",
    "tags? of koji": "Koji tag",
    "folders?": "directory",
    "arch lists?|lists? of arch(es)?": "image index",
    "lets? through|letting through": "accepts, allows",
    "tak(e|es|en|ing) apart": "parse",
    "put together": "assemble",
    "rooms?": "package, module",
    "at the most|for ever": "at most, forever",
    "h(o|e)lds? off": "prevent, mitigate",
}
_EXPRESSION = re.compile(
    "|".join(rf"(?P<p{number}>\b(?:{pattern})\b)" for number, pattern in enumerate(PATTERNS)),
)
_ADVICE = list(PATTERNS.values())


@dataclass(frozen=True)
class Hit:
    """One phrase that is not plain technical English.

    :param line: from 1
    """

    path: str
    line: int
    phrase: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase!r}: write {self.advice}"


def hits(path: str, text: str) -> list[Hit]:
    """Return the hits in a file.

    :param path: decides how the text is read
    """
    if path.endswith(".py"):
        parts: Iterable[tuple[int, str]] = python_prose(text)
    elif path.endswith(".md"):
        parts = [(1, markdown_prose(text))]
    elif Path(path).suffix == ".1":
        parts = [(1, re.sub(r"\\f[BIRP]|\\&", "", text.replace("\\-", "-")))]
    else:
        parts = [(1, text)]
    return sorted(
        (hit for first, part in parts for hit in _in_part(path, first, part)), key=lambda hit: (hit.line, hit.phrase)
    )


def dead_links(path: str, text: str, root: Path = ROOT) -> list[Hit]:
    """Return the paths below docs/, and for Markdown the relative links, that lead to no file."""
    here = (root / path).parent
    targets = [
        (match, root / match[0]) for match in re.finditer(r"(?<![\w/])docs/[\w./-]*\w\.(?:md|json|svg|py)\b", text)
    ]
    if path.endswith(".md"):
        targets = [(match, here / match[1]) for match in re.finditer(r"\]\(([\w./-]+)(?:#[^)]*)?\)", text)]
    return [
        Hit(path, text.count("\n", 0, match.start()) + 1, match[0], "the path of an existing file")
        for match, target in targets
        if not target.exists()
    ]


def _in_part(path: str, first: int, text: str) -> Iterator[Hit]:
    # Only a capital first letter is folded: BEGIN of a certificate or of SQL is code.
    folded = re.sub(r"\b[A-Z](?=[a-z])", lambda match: match[0].lower(), text)
    for match in _EXPRESSION.finditer(re.sub(r"\n(?=[^\n])", " ", folded)):
        phrase = text[match.start() : match.end()].replace("\n", " ")
        number = int((match.lastgroup or "p0")[1:])
        yield Hit(path, first + text.count("\n", 0, match.start()), phrase, _ADVICE[number])


def markdown_prose(text: str) -> str:
    """Return Markdown with everything blanked that is not prose; line numbers stay."""
    text = re.sub(r"<!-- prose: off -->.*?(<!-- prose: on -->|\Z)", _blank, text, flags=re.DOTALL)
    text = re.sub(r"^(`{3,}).*?^\1", _blank, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(?: {4}|\t).*$", _blank, text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]+`", _blank, text)
    return re.sub(r"\]\([^)\s]*\)", _blank, text)


def python_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the docstrings, comments and messages of a Python file, with the number of their first line."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], _without_literals(token.string)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, _without_literals(node.value)


def _without_literals(text: str) -> str:
    return re.sub(r"``[^`]+``|`[^`]+`|'[^'\s]+'|(?<=\bis )None\b", _blank, text)


def _blank(match: re.Match[str]) -> str:
    """Replace everything but line ends by a character that no pattern has."""
    return re.sub(r"[^\n]", "_", match[0])


def check(texts: dict[str, str], root: Path = ROOT) -> list[Hit]:
    """Return the hits and dead links in files.

    :param texts: path → contents
    """
    return [hit for path, text in sorted(texts.items()) for hit in [*hits(path, text), *dead_links(path, text, root)]]


def checked_files(root: Path = ROOT) -> dict[str, str]:
    """Return path → contents of the checked files."""
    paths = {path for pattern in FILES for path in root.glob(pattern) if path.is_file()}
    relative = {path: path.relative_to(root) for path in paths}
    return {
        str(name): path.read_text()
        for path, name in relative.items()
        if "_build" not in name.parts and str(name) not in _PHRASES
    }


def named_files(paths: Iterable[str], checked: dict[str, str]) -> dict[str, str]:
    """Return path → contents of named files, and of the checked files in named directories.

    :param checked: path → contents of all checked files
    :raises OSError: a file cannot be read
    """
    named: dict[str, str] = {}
    for each in map(Path, paths):
        path = each.resolve()
        if path.is_dir():
            named |= {name: text for name, text in checked.items() if path in (ROOT / name).parents}
        else:
            named[str(path.relative_to(ROOT) if ROOT in path.parents else path)] = path.read_text()
    return named


def main() -> int:
    """Print the hits; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.prose", description="check the language")
    parser.add_argument("paths", nargs="*", help="files and directories; the default is everything")
    arguments = parser.parse_args()
    texts = checked_files()
    if arguments.paths:
        try:
            texts = named_files(arguments.paths, texts)
        except (OSError, UnicodeDecodeError) as problem:
            parser.error(str(problem))
    found = check(texts)
    for hit in found:
        print(hit, file=sys.stderr)
    print(f"prose: {len(texts)} files, {len(found)} errors")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
