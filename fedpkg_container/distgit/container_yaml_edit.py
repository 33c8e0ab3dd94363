# SPDX-License-Identifier: GPL-2.0-or-later
"""Editing container.yaml by ``KEY=VALUE`` assignments; edits that would make it invalid are rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.distgit.container_yaml import FILE, ContainerYaml
from fedpkg_container.distgit.container_yaml_schema import SCHEMA
from fedpkg_container.distgit.safe_read import BYTE_ORDER_MARK, decode, read_bytes
from fedpkg_container.distgit.yaml_document import KeyPath, UnsupportedValue, YamlDocument, parse
from fedpkg_container.distgit.yaml_edit import set_value, unset_value
from fedpkg_container.errors import FedpkgContainerError, RefusedError, UsageError
from fedpkg_container.files import write_atomically
from fedpkg_container.model.findings import ERROR, Finding


@dataclass(frozen=True)
class Edit:
    """A valid change of the file, not written yet.

    :param before: current text of the file; empty if there is none
    :param findings: warnings about the new text
    :param mark: byte order mark of the file, if it has one
    """

    path: Path
    before: str
    after: str
    findings: tuple[Finding, ...] = ()
    mark: str = ""

    def write(self) -> None:
        """Write the file if the text has changed.

        :raises FedpkgContainerError: if it cannot be written
        """
        if self.after == self.before:
            return
        try:
            write_atomically(self.path, self.mark + self.after)
        except OSError as error:
            solution = "check the permissions and free space of the directory"
            raise FedpkgContainerError(f"cannot write {self.path}: {error.strerror}", solution=solution) from error


def edit(directory: Path, assignments: Sequence[str], unset: Sequence[str]) -> Edit:
    """Compute an edit: first keys are removed, then the assignments are applied in order.

    :param assignments: ``KEY=VALUE``
    :param unset: keys to remove
    :raises UsageError: if an argument cannot be parsed
    :raises RefusedError: if the file cannot be read, or would become invalid; with findings
    :raises FedpkgContainerError: if a key to remove is not set
    """
    changes = [assignment(text) for text in assignments]
    content = read_bytes(directory, FILE) or b""
    before = after = decode(content, FILE)
    for key in unset:
        after = unset_value(after, _path(key), FILE)
    for path, value in changes:
        after = set_value(after, path, value, FILE)
    findings = ContainerYaml.from_text(after).findings
    if any(finding.severity == ERROR for finding in findings):
        raise RefusedError(
            f"{FILE} was not changed: the result would be invalid",
            findings=[finding for finding in findings if finding.severity == ERROR],
        )
    mark = BYTE_ORDER_MARK if content.startswith(BYTE_ORDER_MARK.encode()) else ""
    return Edit(directory / FILE, before, after, findings, mark)


def assignment(text: str) -> tuple[tuple[str, ...], object]:
    """Parse ``KEY=VALUE`` into a path and a plain value.

    The value is parsed as YAML, except that it is taken literally if the key holds text, and split at commas if the
    key holds a list.

    :raises UsageError: if the text is not a valid assignment
    """
    key, sign, written = text.partition("=")
    path = _path(key)
    if not sign:
        raise UsageError(f"{text!r} is not an assignment", solution="use KEY=VALUE, e.g. platforms.only=x86_64,aarch64")
    schema = schema_at(path)
    document = parse(written, "VALUE")
    is_readable = not document.findings and _is_encodable(written)
    value = _fit(document.values if is_readable else UnsupportedValue("invalid YAML"), (), schema, document, written)
    if not is_readable and (isinstance(value, UnsupportedValue) or written.lstrip()[:1] in ("[", "{", '"', "'")):
        problem = document.findings[0].message if document.findings else "it is not UTF-8"
        raise UsageError(f"cannot parse the value of {key}: {problem}", solution="put text in quotes")
    if _has_foreign(value) or not _is_encodable(text):
        raise UsageError(f"unsupported type of value for {key}", solution="put dates and similar values in quotes")
    return path, value


def schema_at(path: tuple[str, ...]) -> dict[str, object]:
    """Return the part of the schema for a key; empty if there is none."""
    schema = SCHEMA
    for key in path:
        other = schema.get("additionalProperties") or {}
        schema = schema.get("properties", {}).get(key, other)
    return schema


def _path(key: str) -> tuple[str, ...]:
    path = tuple(key.split("."))
    if not all(path):
        raise UsageError(f"invalid key {key!r}", solution="separate keys with dots, e.g. compose.packages")
    return path


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", "string" if "enum" in schema else [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _fit(value: Any, path: KeyPath, schema: dict[str, Any], document: YamlDocument, written: str) -> object:
    """Convert a value to the type that its key holds, if possible."""
    kinds = _kinds(schema)
    if kinds == ["string"] and not path and written[:1] not in ("'", '"'):
        return written
    if isinstance(value, list):
        items = schema.get("items", {})
        return [_fit(item, (*path, index), items, document, written) for index, item in enumerate(value)]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {
            key: _fit(item, (*path, key), properties.get(key, {}), document, written) for key, item in value.items()
        }
    if isinstance(value, bool) and "boolean" in kinds:
        return value
    text = document.texts.get(path, "") if path else written
    if "array" in kinds:
        is_quoted = text[:1] in ("'", '"')
        return [value] if is_quoted else [item.strip() for item in text.split(",") if item.strip()]
    if "string" not in kinds:
        return value
    return value if isinstance(value, str) else text


def _has_foreign(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_foreign(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_foreign(item) for item in value)
    return isinstance(value, UnsupportedValue)


def _is_encodable(text: str) -> bool:
    """Whether an argument was valid UTF-8: Python represents other bytes as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
