# SPDX-License-Identifier: GPL-2.0-or-later
"""Parsing untrusted YAML: values, their line numbers, and findings instead of exceptions.

Values are interpreted as in OSBS, which read YAML 1.1 with PyYAML's safe loader. Only plain YAML types are
constructed; other tags are reported as findings.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Union

from fedpkg_container.model.findings import ERROR, Finding

#: Path of a value: keys, and indexes from 0.
KeyPath = tuple[Union[str, int], ...]

#: Maximum nesting depth, and maximum number of values after expanding aliases.
MAX_DEPTH = 50
MAX_VALUES = 20_000

#: Maximum characters of a number: the time for reading one in base 60 (``1:30:00``) grows with their square.
MAX_NUMBER = 1000

#: Maximum characters of a value in a message.
_MAX_TEXT = 60

_STANDARD = "tag:yaml.org,2002:"
_SCALARS = {"str", "null", "bool", "int", "float", "value", "timestamp", "binary", "merge"}
#: Exceptions of ruamel.yaml for invalid YAML, besides its own.
_PARSER_ERRORS = (ValueError, OverflowError, AssertionError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class UnsupportedValue:
    """A value of an unsupported type: not text, number, boolean, null, list or mapping.

    :param kind: description of the type, e.g. ``a date``
    :param text: text of a scalar as written
    """

    kind: str
    text: str = ""


@dataclass
class YamlDocument:
    """A parsed document.

    :param values: plain Python values; None if there are none, or they cannot be read
    :param lines: line numbers of keys and items, from 1
    :param texts: scalars as written, without quotes
    :param root: root of the node tree, with offsets in the text; None if there is none
    """

    values: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    root: Any = None

    def line(self, path: KeyPath) -> int:
        """Return the line of a value, or of the nearest parent with a known line; 0 if unknown."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 0


def parse(text: str, file: str) -> YamlDocument:
    """Parse a text with one document.

    :param file: file name for findings
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from fedpkg_container.distgit.yaml_composer import BoundedComposer

    document = YamlDocument()
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    yaml.Composer = BoundedComposer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ruamel.yaml's warnings are meant for developers
            document.root = yaml.compose(text)
            if document.root is not None:
                _Reader(yaml.constructor, document, file).read(document.root)
    except MarkedYAMLError as error:
        document.findings.append(_syntax(error, text, file))
    except (YAMLError, *_PARSER_ERRORS) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        document.findings.append(
            Finding("yaml-syntax", ERROR, f"invalid YAML: {message}", "check quotes, escapes and directives", file)
        )
    except (RecursionError, LimitExceededError):
        document.values = None
        document.findings.append(
            Finding(
                "yaml-unreadable",
                ERROR,
                f"values are nested more than {MAX_DEPTH} levels deep, or there are more than {MAX_VALUES}",
                "reduce the nesting, and use fewer aliases",
                file,
            )
        )
    return document


def to_plain(value: object) -> object:
    """Replace unsupported values by their text, for display."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return value.text if isinstance(value, UnsupportedValue) else value


def abbreviate(text: str) -> str:
    """Return text from the file for use in a message: on one line, and shortened."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]}…"


def _syntax(error: Any, text: str, file: str) -> Finding:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    lines = text.split("\n")
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    indentation = written[: len(written) - len(written.lstrip())]
    problem = error.problem or error.context or "invalid YAML"
    solution = "check indentation, quotes and brackets"
    if "\t" in indentation:
        problem, solution = "the line is indented with a tab", "indent with spaces"
    elif "another document" in problem:
        problem, solution = "start of a second document", "keep only one document, and remove ---"
    return Finding("yaml-syntax", ERROR, problem, solution, file, line)


class LimitExceededError(Exception):
    """The document exceeds a limit."""


class _Reader:
    """Constructs values from nodes."""

    def __init__(self, constructor: Any, document: YamlDocument, file: str) -> None:
        self._constructor = constructor
        self._document = document
        self._file = file
        self._count = 0
        self._reported: set[Finding] = set()

    def read(self, root: object) -> None:
        self._document.values = self._value(root, ())

    def _value(self, node: Any, path: KeyPath) -> Any:
        self._enter(len(path))
        tag = str(node.tag)
        kind = tag[len(_STANDARD) :] if tag.startswith(_STANDARD) else tag
        if node.id == "scalar":
            self._document.texts[path] = node.value
            return self._scalar(node, kind)
        if node.id == "mapping" and kind == "map":
            return self._mapping(node, path)
        if node.id == "sequence" and kind == "seq":
            items = []
            for index, item in enumerate(node.value):
                below = (*path, index)
                self._document.lines[below] = item.start_mark.line + 1
                items.append(self._value(item, below))
            return items
        return self._refused(node, kind)

    def _enter(self, depth: int, values: int = 1) -> None:
        self._count += values
        if depth > MAX_DEPTH or self._count > MAX_VALUES:
            raise LimitExceededError

    def _scalar(self, node: Any, kind: str) -> object:
        if kind in ("str", "value", "merge"):
            return node.value
        if kind == "timestamp":
            return UnsupportedValue("a date", node.value)
        if kind == "binary":
            return UnsupportedValue("binary data", node.value)
        if kind == "null":
            return None
        if kind not in _SCALARS:
            return self._refused(node, kind)
        try:
            if kind in ("int", "float") and len(node.value) > MAX_NUMBER:
                raise ValueError("a number is too long")
            return getattr(self._constructor, f"construct_yaml_{kind}")(node)
        except (ValueError, LookupError, OverflowError):
            self._add(
                "yaml-syntax",
                f"{abbreviate(node.value)!r} is not a valid {kind}",
                "fix the value, or remove its tag",
                node,
            )
            return UnsupportedValue("a value that cannot be read", node.value)

    def _refused(self, node: object, kind: str) -> UnsupportedValue:
        self._add(
            "yaml-tag",
            f"unsupported type {abbreviate(kind)}",
            "use only text, numbers, booleans, lists and mappings",
            node,
        )
        return UnsupportedValue("a value of an unsupported type")

    def _mapping(self, node: object, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in self._merged(node, len(path)):
            if key.value not in values:
                below = (*path, key.value)
                self._document.lines[below] = key.start_mark.line + 1
                values[key.value] = self._value(value, below)
        return values

    def _merged(self, node: Any, depth: int) -> Iterator[tuple[Any, Any]]:
        """Yield the effective entries: the last of those with equal keys, then those of merged mappings (``<<``)."""
        self._enter(depth)
        entries: dict[str, tuple[Any, Any]] = {}
        merges = []
        for key, value in node.value:
            if key.id != "scalar":
                self._add("yaml-invalid", "keys must be text", "write KEY: VALUE", key)
            elif str(key.tag) == _STANDARD + "merge":
                merges.append(value)
            else:
                self._check_key(key, entries)
                entries[key.value] = (key, value)
        yield from entries.values()
        for value in merges:
            sources = [value] if value.id == "mapping" else value.value if value.id == "sequence" else []
            self._enter(depth, len(sources))
            for merged in sources:
                if merged.id == "mapping":
                    self._enter(depth, len(merged.value))  # those that are overridden take time, too
                    yield from self._merged(merged, depth + 1)

    def _check_key(self, key: Any, before: dict[str, tuple[Any, Any]]) -> None:
        if not str(key.tag).startswith(_STANDARD):
            self._refused(key, str(key.tag))
        if key.value in before:
            first = before[key.value][0].start_mark.line + 1
            self._add(
                "yaml-duplicate-key",
                f"duplicate key {abbreviate(key.value)}, already on line {first}",
                "keep only one of them",
                key,
            )

    def _add(self, code: str, message: str, solution: str, node: Any) -> None:
        finding = Finding(code, ERROR, message, solution, self._file, node.start_mark.line + 1)
        if finding not in self._reported:
            self._reported.add(finding)
            self._document.findings.append(finding)
