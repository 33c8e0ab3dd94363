# SPDX-License-Identifier: GPL-2.0-or-later
"""Setting and removing values in the text of a YAML document without changing the rest of it."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import Any

from fedpkg_container.distgit.yaml_document import YamlDocument, parse
from fedpkg_container.errors import FedpkgContainerError, RefusedError

#: Text that needs no quotes, judging by its characters.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*")
#: Words that have another meaning without quotes, in lower case.
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def dump_flow(value: object) -> str:
    """Format a plain value (text, number, boolean, None, list, mapping) in YAML flow style."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {dump_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(dump_flow(item) for item in value) + "]"
    raise TypeError(f"not a plain value: {type(value).__name__}")


def _float(value: float) -> str:
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, exponent, power = text.partition("e")
    # YAML 1.1 requires a point and a sign: 1.0e+16.
    signed = power if power.startswith("-") or not power else f"+{power.removeprefix('+')}"
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{exponent}{signed}"


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(character if character.isprintable() else _escape(character) for character in quoted)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


#: A path of keys.
Keys = tuple[str, ...]

_COLON = re.compile(r"[ \t]*:")
_ALIAS = re.compile(r"\s*\*[^\s,\[\]{}]+")


def set_value(text: str, keys: Keys, value: object, file: str) -> str:
    """Return the text with a value set; missing parent mappings are added.

    :param value: plain value: text, number, boolean, None, list or mapping
    :raises RefusedError: if the text cannot be parsed, or edited in place
    """
    document = _readable(text, file)
    expected = copy.deepcopy(document.values) if document.values is not None else {}
    below = expected
    for key in keys[:-1]:
        if not isinstance(below, dict):
            break
        if below.get(key) is None:
            below[key] = {}
        below = below[key]
    if not isinstance(below, dict):
        raise RefusedError(f"{file}: {'.'.join(keys[:-1])} is not a mapping", solution="unset it first")
    below[keys[-1]] = value
    return _checked(_Editor(text, document, file).set(keys, value), expected, keys, file)


def unset_value(text: str, keys: Keys, file: str) -> str:
    """Return the text without a value, and without parent mappings that become empty.

    :raises FedpkgContainerError: if the value is not set
    :raises RefusedError: if the text cannot be parsed, or edited in place
    """
    document = _readable(text, file)
    expected = copy.deepcopy(document.values)
    parents = [expected]
    for key in keys:
        if not isinstance(parents[-1], dict) or key not in parents[-1]:
            raise FedpkgContainerError(f"{'.'.join(keys)} is not set in {file}")
        parents.append(parents[-1][key])
    while keys:
        del parents[len(keys) - 1][keys[-1]]
        if parents[len(keys) - 1] or len(keys) == 1:
            break
        keys = keys[:-1]
    return _checked(_Editor(text, document, file).unset(keys), expected, keys, file)


def _readable(text: str, file: str) -> YamlDocument:
    document = parse(text, file)
    if document.findings:
        raise RefusedError(f"{file} was not edited, because it has errors", findings=document.findings)
    return document


def _checked(text: str, expected: object, keys: Keys, file: str) -> str:
    document = parse(text, file)
    if document.findings or _canonical(document.values or {}) != _canonical(expected):
        raise _by_hand(keys, file)
    return text


def _canonical(values: object) -> str:
    return json.dumps(values, sort_keys=True, default=repr)


def _by_hand(keys: Keys, file: str) -> RefusedError:
    return RefusedError(
        f"cannot change {'.'.join(keys)} in {file} without changing other values",
        solution="edit the file manually: editing aliases, merged mappings and the like is not supported",
    )


@dataclass(frozen=True)
class _Entry:
    """A key and its value in the text: offsets of the key, the end of its colon, and the value."""

    key: Any
    value: Any
    start: int
    colon: int
    value_start: int
    end: int


class _Editor:
    """Edits a text at the offsets of its nodes."""

    def __init__(self, text: str, document: YamlDocument, file: str) -> None:
        self._text = text
        self._root = document.root
        self._file = file
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def set(self, keys: Keys, value: object) -> str:
        mapping, column = self._root, 0
        if mapping is None or mapping.id == "scalar":
            end = len(self._text) if mapping is None or not mapping.value else mapping.start_mark.index
            rest = "" if end == len(self._text) else self._text[mapping.end_mark.index :].lstrip("\r\n")
            return self._with_newline(self._text[:end]) + self._block(keys, value, 0) + rest
        for depth, key in enumerate(keys):
            entry = self._find(mapping, key, keys)
            if entry is None:
                return self._add(mapping, keys[depth:], value, keys)
            if depth == len(keys) - 1:
                return self._replace(entry, value)
            if entry.value.id == "scalar":  # no value yet
                column = entry.key.start_mark.column + 2
                if mapping.flow_style or entry.value.value:
                    return self._replace(entry, _nested(keys[depth + 1 :], value))
                at = self._line_end(entry.colon)
                return self._insert(at, self._block(keys[depth + 1 :], value, column))
            mapping = entry.value
        raise AssertionError("keys are never empty")

    def unset(self, keys: Keys) -> str:
        mapping = self._root
        for key in keys[:-1]:
            entry = self._find(mapping, key, keys)
            if entry is None or entry.value.id != "mapping":
                raise _by_hand(keys, self._file)
            mapping = entry.value
        entry = self._find(mapping, keys[-1], keys)
        if entry is None:
            raise _by_hand(keys, self._file)
        if not mapping.flow_style:
            start = self._line_start(entry.start)
            return self._text[:start] + self._text[self._line_end(entry.end) :]
        entries = [self._entry(key, value, keys) for key, value in mapping.value]
        index = next(number for number, each in enumerate(entries) if each.start == entry.start)
        if index:
            return self._text[: entries[index - 1].end] + self._text[entry.end :]
        end = entries[1].start if len(entries) > 1 else entry.end
        return self._text[: entry.start] + self._text[end:]

    def _find(self, mapping: Any, key: str, keys: Keys) -> _Entry | None:
        matches = [(node, value) for node, value in mapping.value if node.id == "scalar" and node.value == key]
        return self._entry(matches[-1][0], matches[-1][1], keys) if matches else None

    def _entry(self, key: Any, value: Any, keys: Keys) -> _Entry:
        key_end = key.end_mark.index
        colon = _COLON.match(self._text, key_end)
        after = colon.end() if colon else key_end
        if value.start_mark.index < key_end:  # an alias: its node has the offset of the anchor
            alias = _ALIAS.match(self._text, after)
            if alias is None:
                raise _by_hand(keys, self._file)
            return _Entry(key, value, key.start_mark.index, after, alias.end() - len(alias[0].lstrip()), alias.end())
        if _is_blank(value):
            return _Entry(key, value, key.start_mark.index, after, after, after)
        end = max(after, self._end(value, keys))
        return _Entry(key, value, key.start_mark.index, after, value.start_mark.index, end)

    def _end(self, node: Any, keys: Keys) -> int:
        """Return the actual end of a value: marks of block collections are behind the comments that follow."""
        end = int(node.end_mark.index)
        if _is_blank(node):
            return len(self._text[:end].rstrip())
        if node.id == "mapping" and not node.flow_style and node.value:
            key, value = node.value[-1]
            return self._entry(key, value, keys).end
        if node.id == "sequence" and not node.flow_style and node.value:
            last = node.value[-1]
            return self._end(last, keys)
        if node.id == "scalar" and node.style in ("|", ">"):
            header = self._text[node.start_mark.index : end].partition("\n")[0]
            return end if "+" in header else len(self._text[:end].rstrip())
        return end

    def _replace(self, entry: _Entry, value: object) -> str:
        text, node = self._text, entry.value
        is_alias = node.start_mark.index < entry.start
        if not is_alias and node.id == "sequence" and not node.flow_style and isinstance(value, list) and value:
            return self._replace_items(entry, value)
        if _is_blank(node) and not is_alias:
            return f"{text[: entry.colon]} {dump_flow(value)}{text[entry.colon :]}"
        if is_alias or node.id == "scalar" or node.flow_style:
            return text[: entry.value_start] + dump_flow(value) + text[entry.end :]
        rest = text[entry.colon : self._line_stop(entry.colon)]
        return f"{text[: entry.colon]} {dump_flow(value)}{rest}{text[self._line_stop(entry.end) :]}"

    def _replace_items(self, entry: _Entry, value: list[object]) -> str:
        """Replace a list with one item per line: lines of unchanged items are kept, with comments at and above them."""
        items = entry.value.value
        start = previous = self._line_start(items[0].start_mark.index)
        dash = re.compile(r" *- +").match(self._text, start)
        indent = dash[0] if dash else "- "
        lines: dict[str, str] = {}
        for item in items:
            end = self._line_end(self._end(item, ()))
            if item.id == "scalar":
                lines.setdefault(item.value, self._with_newline(self._text[previous:end]))
            previous = end
        new = []
        for item in value:
            existing = lines.get(item) if isinstance(item, str) else None
            new.append(existing or f"{indent}{dump_flow(item)}{self._newline}")
        return self._text[:start] + "".join(new) + self._text[previous:]

    def _add(self, mapping: Any, keys: Keys, value: Any, path: Keys) -> str:
        """Add a key at the end of a mapping."""
        last = self._entry(mapping.value[-1][0], mapping.value[-1][1], path) if mapping.value else None
        if mapping.flow_style:
            pair = dump_flow(_nested(keys, value))[1:-1]
            if last:
                at = last.end
                return f"{self._text[:at]}, {pair}{self._text[at:]}"
            at = self._text.index("{", mapping.start_mark.index) + 1
            return self._text[:at] + pair + self._text[at:]
        if last is None:
            raise _by_hand(path, self._file)
        column = mapping.value[0][0].start_mark.column
        return self._insert(self._line_end(last.end), self._block(keys, value, column))

    def _block(self, keys: Keys, value: object, column: int) -> str:
        """Return a key and its value on separate lines, nested mappings indented."""
        lines = [f"{' ' * (column + 2 * depth)}{dump_flow(key)}:" for depth, key in enumerate(keys)]
        return self._newline.join(lines) + f" {dump_flow(value)}{self._newline}"

    def _insert(self, at: int, lines: str) -> str:
        return self._with_newline(self._text[:at]) + lines + self._text[at:]

    def _with_newline(self, text: str) -> str:
        return text if not text or text.endswith("\n") else text + self._newline

    def _line_start(self, at: int) -> int:
        return self._text.rfind("\n", 0, at) + 1

    def _line_stop(self, at: int) -> int:
        """Return the end of the line, before its newline."""
        end = self._text.find("\n", at)
        end = len(self._text) if end < 0 else end
        return end - 1 if self._text[end - 1 : end] == "\r" and end > at else end

    def _line_end(self, at: int) -> int:
        """Return the start of the next line; an offset at the start of a line is returned unchanged."""
        if at and self._text[at - 1] == "\n":
            return at
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end + 1


def _is_blank(node: Any) -> bool:
    """Whether a value is missing (``key:`` only)."""

    return bool(node.id == "scalar" and node.start_mark.index == node.end_mark.index)


def _nested(keys: Keys, value: Any) -> dict[str, object]:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)
