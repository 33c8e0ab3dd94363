"""Changing container.yaml on behalf of a packager: ``KEY=VALUE`` becomes a value in the file, or is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.distgit.container_yaml import FILE, ContainerYaml
from fedpkg_container.distgit.container_yaml_schema import SCHEMA
from fedpkg_container.distgit.safe_read import BYTE_ORDER_MARK, decode, read_bytes
from fedpkg_container.distgit.yaml_document import Foreign, YamlDocument, parse
from fedpkg_container.distgit.yaml_document import KeyPath as Place
from fedpkg_container.distgit.yaml_edit import set_value, unset_value
from fedpkg_container.errors import FedpkgContainerError, RefusedError, UsageError
from fedpkg_container.files import write_atomically
from fedpkg_container.model.findings import ERROR, Finding


@dataclass(frozen=True)
class Edit:
    """A change of the file that is valid and not written yet.

    :param before: the file's text; empty when there is none
    :param findings: warnings about what it will say
    """

    path: Path
    before: str
    after: str
    findings: tuple[Finding, ...] = ()
    mark: str = ""

    def write(self) -> None:
        """Write the file, when anything changes.

        :raises FedpkgContainerError: it cannot be written
        """
        if self.after == self.before:
            return
        try:
            write_atomically(self.path, self.mark + self.after)
        except OSError as error:
            solution = "check the folder's permissions and space"
            raise FedpkgContainerError(f"{self.path} cannot be written: {error.strerror}", solution=solution) from error


def edit(folder: Path, assignments: Sequence[str], unset: Sequence[str]) -> Edit:
    """Work out a change: what is set, in its order, after what is removed.

    :param assignments: ``KEY=VALUE``
    :param unset: keys
    :raises UsageError: an argument cannot be understood
    :raises RefusedError: the file cannot be read, or would not be valid; with findings
    :raises FedpkgContainerError: what is to be removed is not set
    """
    changes = [assignment(text) for text in assignments]
    content = read_bytes(folder, FILE) or b""
    before = after = decode(content, FILE)
    for name in unset:
        after = unset_value(after, _path(name), FILE)
    for path, value in changes:
        after = set_value(after, path, value, FILE)
    findings = ContainerYaml.from_text(after).findings
    if any(finding.severity == ERROR for finding in findings):
        raise RefusedError(
            f"{FILE} is left as it is: it would not be valid",
            findings=[finding for finding in findings if finding.severity == ERROR],
        )
    mark = BYTE_ORDER_MARK if content.startswith(BYTE_ORDER_MARK.encode()) else ""
    return Edit(folder / FILE, before, after, findings, mark)


def assignment(text: str) -> tuple[tuple[str, ...], Any]:
    """``KEY=VALUE`` as a path and a plain value.

    The value is YAML. Where the key holds text, it is taken as it is; where it holds a list, words between commas do.

    :raises UsageError: it is none
    """
    name, sign, written = text.partition("=")
    path = _path(name)
    if not sign:
        raise UsageError(f"{text!r} sets nothing", solution="write KEY=VALUE: platforms.only=x86_64,aarch64")
    schema = schema_at(path)
    document = parse(written, "VALUE")
    is_readable = not document.findings and _is_encodable(written)
    value = _fit(document.values if is_readable else Foreign("no YAML"), (), schema, document, written)
    if not is_readable and (isinstance(value, Foreign) or written.lstrip()[:1] in ("[", "{", '"', "'")):
        problem = document.findings[0].message if document.findings else "it is not UTF-8"
        raise UsageError(f"the value of {name} cannot be read: {problem}", solution="put quotes around text")
    if _has_foreign(value) or not _is_encodable(text):
        raise UsageError(f"the value of {name} is no plain value", solution="put quotes around dates and the like")
    return path, value


def schema_at(path: tuple[str, ...]) -> dict[str, Any]:
    """The part of the schema for a key; empty when there is none."""
    schema = SCHEMA
    for key in path:
        other = schema.get("additionalProperties") or {}
        schema = schema.get("properties", {}).get(key, other)
    return schema


def _path(name: str) -> tuple[str, ...]:
    path = tuple(name.split("."))
    if not all(path):
        raise UsageError(f"{name!r} is no key", solution="write keys with points between: compose.packages")
    return path


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", "string" if "enum" in schema else [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _fit(value: Any, place: Place, schema: dict[str, Any], document: YamlDocument, written: str) -> Any:
    """A value in the form that its key holds, if it can be understood so."""
    kinds = _kinds(schema)
    if kinds == ["string"] and not place and written[:1] not in ("'", '"'):
        return written
    if isinstance(value, list):
        items = schema.get("items", {})
        return [_fit(each, (*place, index), items, document, written) for index, each in enumerate(value)]
    if isinstance(value, dict):
        below = schema.get("properties", {})
        return {key: _fit(each, (*place, key), below.get(key, {}), document, written) for key, each in value.items()}
    if isinstance(value, bool) and "boolean" in kinds:
        return value
    text = document.texts.get(place, "") if place else written
    if "array" in kinds:
        is_quoted = text[:1] in ("'", '"')
        return [value] if is_quoted else [each.strip() for each in text.split(",") if each.strip()]
    if "string" not in kinds:
        return value
    return value if isinstance(value, str) else text


def _has_foreign(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_foreign(each) for each in value.values())
    if isinstance(value, list):
        return any(_has_foreign(each) for each in value)
    return isinstance(value, Foreign)


def _is_encodable(text: str) -> bool:
    """Whether an argument was UTF-8: Python keeps other bytes as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
