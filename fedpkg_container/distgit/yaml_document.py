"""Reading YAML that anybody may have written: values, the line of each, and findings instead of exceptions.

Values mean what they meant to OSBS, which read YAML 1.1 with PyYAML's safe loader. Only the types of plain YAML are
made; whatever else a tag asks for is a finding.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Union

from fedpkg_container.model.findings import ERROR, Finding

#: Where a value is: keys, and indexes from 0.
KeyPath = tuple[Union[str, int], ...]

#: How deep collections may lie in one another, and how many values there may be once aliases are followed.
DEEPEST = 50
MOST_VALUES = 20_000

#: The longest part of a value that a message repeats.
_SHOWN = 60

_STANDARD = "tag:yaml.org,2002:"
_SCALARS = {"str", "null", "bool", "int", "float", "value", "timestamp", "binary", "merge"}
#: What ruamel.yaml raises at input that is no YAML, besides errors of its own.
_PARSER_ERRORS = (ValueError, OverflowError, AssertionError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Foreign:
    """A value that is neither text, number, truth value nor nothing.

    :param kind: what it is, in words: ``a date``
    :param text: as it is written, as far as it is a scalar
    """

    kind: str
    text: str = ""


@dataclass
class YamlDocument:
    """What was read.

    :param values: plain Python values; None when there are none or they cannot be read
    :param lines: of each key and each item, from 1
    :param texts: of each scalar, as it is written but without quotes
    :param root: the tree of nodes, with their places in the text; None when there is none
    """

    values: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    root: Any = None

    def line(self, path: KeyPath) -> int:
        """The line of a value, or of what it is part of; 0 when that is not known."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 0


def parse(text: str, file: str) -> YamlDocument:
    """Read a text with one document.

    :param file: what findings name
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    document = YamlDocument()
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of ruamel.yaml are for programmers
            document.root = yaml.compose(text)
            if document.root is not None:
                _Reader(yaml.constructor, document, file).read(document.root)
    except MarkedYAMLError as error:
        document.findings.append(_syntax(error, text, file))
    except (YAMLError, *_PARSER_ERRORS) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        document.findings.append(
            Finding("yaml-syntax", ERROR, f"this is not YAML: {said}", "check quotes, escapes and directives", file)
        )
    except (RecursionError, _TooMuchError):
        document.values = None
        document.findings.append(
            Finding(
                "yaml-unreadable",
                ERROR,
                f"values lie more than {DEEPEST} deep in one another, or are more than {MOST_VALUES}",
                "write them flatter, and use fewer aliases",
                file,
            )
        )
    return document


def plain(value: Any) -> Any:
    """A value with its foreign parts as the text that they are written as, to be shown."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.text if isinstance(value, Foreign) else value


def shown(text: str) -> str:
    """Text from the file as a part of a message: in one line, and not all of a long one."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _syntax(error: Any, text: str, file: str) -> Finding:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    lines = text.split("\n")
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    indentation = written[: len(written) - len(written.lstrip())]
    problem = error.problem or error.context or "no YAML"
    solution = "check the indentation, quotes and brackets there"
    if "\t" in indentation:
        problem, solution = "the line is indented with a tab", "indent with spaces"
    elif "another document" in problem:
        problem, solution = "a second document begins here", "keep one document, without --- between"
    return Finding("yaml-syntax", ERROR, problem, solution, file, line)


class _TooMuchError(Exception):
    """More values than anybody writes."""


class _Reader:
    """Makes values from nodes."""

    def __init__(self, constructor: Any, document: YamlDocument, file: str) -> None:
        self._constructor = constructor
        self._document = document
        self._file = file
        self._count = 0

    def read(self, root: Any) -> None:
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
            for index, each in enumerate(node.value):
                below = (*path, index)
                self._document.lines[below] = each.start_mark.line + 1
                items.append(self._value(each, below))
            return items
        return self._refused(node, kind)

    def _enter(self, depth: int) -> None:
        self._count += 1
        if depth > DEEPEST or self._count > MOST_VALUES:
            raise _TooMuchError

    def _scalar(self, node: Any, kind: str) -> Any:
        if kind in ("str", "value", "merge"):
            return node.value
        if kind == "timestamp":
            return Foreign("a date", node.value)
        if kind == "binary":
            return Foreign("binary data", node.value)
        if kind == "null":
            return None
        if kind not in _SCALARS:
            return self._refused(node, kind)
        try:
            value = getattr(self._constructor, f"construct_yaml_{kind}")(node)
            str(value)  # Python writes no number of more than 4,300 digits, and messages would have to
            return value
        except (ValueError, LookupError, OverflowError):
            self._add("yaml-syntax", f"{shown(node.value)!r} is no {kind}", "leave out the tag, or mend it", node)
            return Foreign("a value that cannot be read", node.value)

    def _refused(self, node: Any, kind: str) -> Foreign:
        self._add(
            "yaml-tag", f"values of type {shown(kind)} are not read", "write plain text, numbers, lists and keys", node
        )
        return Foreign("a value of a type that is not read")

    def _mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in self._merged(node, len(path)):
            if key.value not in values:
                below = (*path, key.value)
                self._document.lines[below] = key.start_mark.line + 1
                values[key.value] = self._value(value, below)
        return values

    def _merged(self, node: Any, depth: int) -> Iterator[tuple[Any, Any]]:
        """The entries that count: the last of those with the same key, then those of merged mappings (``<<``)."""
        self._enter(depth)
        own: dict[str, tuple[Any, Any]] = {}
        merges = []
        for key, value in node.value:
            if key.id != "scalar":
                self._add("yaml-invalid", "a key must be text", "write KEY: VALUE", key)
            elif str(key.tag) == _STANDARD + "merge":
                merges.append(value)
            else:
                self._check_key(key, own)
                own[key.value] = (key, value)
        yield from own.values()
        for value in merges:
            for each in [value] if value.id == "mapping" else value.value if value.id == "sequence" else []:
                if each.id == "mapping":
                    yield from self._merged(each, depth + 1)

    def _check_key(self, key: Any, before: dict[str, tuple[Any, Any]]) -> None:
        if not str(key.tag).startswith(_STANDARD):
            self._refused(key, str(key.tag))
        if key.value in before:
            first = before[key.value][0].start_mark.line + 1
            self._add(
                "yaml-duplicate-key", f"{shown(key.value)} is given twice, first on line {first}", "keep one", key
            )

    def _add(self, code: str, message: str, solution: str, node: Any) -> None:
        finding = Finding(code, ERROR, message, solution, self._file, node.start_mark.line + 1)
        if finding not in self._document.findings:
            self._document.findings.append(finding)
