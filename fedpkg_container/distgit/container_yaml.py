# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading and validating container.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.distgit.container_yaml_keys import KEYS, Effect
from fedpkg_container.distgit.container_yaml_schema import EXCLUSIVE, SCHEMA
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.distgit.yaml_document import KeyPath, UnsupportedValue, YamlDocument, abbreviate, parse
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding, closest_match
from fedpkg_container.model.nvr import is_variable, tag_problem
from fedpkg_container.model.platforms import Platforms

#: JSON types in words.
_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "null": "null",
}


def explain(error: Any, document: YamlDocument, file: str) -> Iterator[Finding]:
    """Yield the findings for a validation error.

    :param error: a ``jsonschema.ValidationError``
    """
    path: KeyPath = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        for key in error.instance:
            if key not in known:
                yield _unknown((*path, key), known, document, file)
        return
    message, solution = _sentence(error, path, document)
    yield Finding("yaml-invalid", ERROR, f"{name(path)}{message}", solution, file, document.line(path))


def name(path: KeyPath) -> str:
    """Format a path for messages: ``compose.packages, item 2``."""
    parts = ""
    for number, part in enumerate(path):
        if isinstance(part, int):
            parts += f", item {part + 1}"
        else:
            separator = "" if not parts else ", " if isinstance(path[number - 1], int) else "."
            parts += f"{separator}{abbreviate(part)}"
    return parts


def _unknown(path: KeyPath, known: Iterable[str], document: YamlDocument, file: str) -> Finding:
    key = str(path[-1])
    location = f" in {name(path[:-1])}" if path[:-1] else ""
    match = closest_match(key, known)
    solution = f"did you mean {match}?" if match else f"known keys: {', '.join(sorted(known))}"
    return Finding(
        "yaml-unknown-key", ERROR, f"unknown key {abbreviate(key)}{location}", solution, file, document.line(path)
    )


def _sentence(error: Any, path: KeyPath, document: YamlDocument) -> tuple[str, str]:
    """Return what is wrong, to be appended to the name of the value, and how to fix it."""
    value, expected = error.instance, error.validator_value
    if error.validator == "type":
        return _type(value, [expected] if isinstance(expected, str) else list(expected), path, document)
    if error.validator == "required":
        missing = [key for key in expected if key not in value]
        return f": {' and '.join(missing)} required", f"add {' and '.join(f'{key}: …' for key in missing)}"
    if error.validator == "enum":
        match = closest_match(value, expected) if isinstance(value, str) else ""
        choices = f"must be one of {', '.join(expected)}"
        solution = f"did you mean {match}?" if match else "choose one of these"
        return f" is {_written(value, path, document)}; it {choices}", solution
    if error.validator in ("minimum", "maximum"):
        bound = "at least" if error.validator == "minimum" else "at most"
        return f" is {abbreviate(document.texts.get(path, '?'))}; it must be {bound} {expected}", "change the number"
    if error.validator == "pattern":
        return f" is {abbreviate(value)!r}, which is not valid", _FORMS.get(expected, f"it must match {expected}")
    return " is empty", "add a value, or delete the key"  # minItems, minLength, minProperties


#: Patterns in the schema → how to write a matching value.
_FORMS = {
    "-rpms$": "content set names must end with -rpms",
    "^[0-9a-z]{40}$": "use the full commit ID: 40 digits and lower-case letters",
    "^[^/]": "use a path relative to the checkout, without leading /",
    "^[A-Za-z0-9_-]*$": "use letters, digits, - and _",
}


def _type(value: object, expected: list[str], path: KeyPath, document: YamlDocument) -> tuple[str, str]:
    kinds = [_KINDS[kind] for kind in expected if kind != "null"]
    subject = "" if path else "the file"
    if value is None:
        return f"{subject} has no value; it must be {' or '.join(kinds)}", "add a value, or delete the key"
    message = f"{subject} is {_written(value, path, document)}; it must be {' or '.join(kinds)}"
    text = document.texts.get(path)
    if "string" in expected and text is not None:
        return message, f'put it in quotes: "{abbreviate(text)}"'
    if "array" in expected and text is not None:
        return message, f"write it as a list: [{abbreviate(text)}]"
    if "boolean" in expected:
        return message, "write true or false, without quotes"
    if "object" in expected:
        return message, "write KEY: VALUE, indented on the next line" if path else "write KEY: VALUE"
    return message, f"write {' or '.join(kinds)}"


def _written(value: object, path: KeyPath, document: YamlDocument) -> str:
    """Describe a value, with its text if it has one."""
    kind = value.kind if isinstance(value, UnsupportedValue) else _KINDS[_json_type(value)]
    text = document.texts.get(path)
    if text is None:
        return kind if value else f"{kind} (empty)"
    return f"{abbreviate(text)!r}, {'a boolean' if isinstance(value, bool) else kind}"


def _json_type(value: object) -> str:
    for kind, json_type in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return json_type
    return "null" if value is None else "object"


FILE = "container.yaml"
#: File names that are easily confused with it, but not read.
MISNAMED = ("container.yml", "Container.yaml", "container.yaml.in", "containers.yaml")


@dataclass(frozen=True)
class ContainerYaml:
    """Contents of container.yaml, as far as readable.

    :param exists: whether the file exists
    :param values: its keys and values; empty if there is no file, or it cannot be parsed
    :param findings: problems found
    """

    exists: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    document: YamlDocument = field(default_factory=YamlDocument)

    @classmethod
    def read(cls, directory: Path) -> ContainerYaml:
        """Read the file in a directory. Never raises; an unreadable file is a finding."""
        try:
            content = read_bytes(directory, FILE)
            if content is None:
                return cls(findings=tuple(_misnamed_files(directory)))
            return cls.from_text(decode(content, FILE))
        except RefusedError as error:
            return cls(exists=True, findings=(Finding("yaml-unreadable", ERROR, error.reason, error.solution, FILE),))

    @classmethod
    def from_text(cls, text: str) -> ContainerYaml:
        """Parse the content of the file."""
        document = parse(text, FILE)
        findings = list(document.findings)
        readable = all(finding.code not in ("yaml-syntax", "yaml-unreadable") for finding in findings)
        values = document.values if readable and isinstance(document.values, dict) else {}
        if readable:
            findings += _check(document, values)
        return cls(True, values, tuple(sorted(findings, key=lambda finding: finding.line)), document)

    @property
    def platforms(self) -> Platforms:
        """The architectures to build."""
        return Platforms(self._texts("platforms", "only"), self._texts("platforms", "not"))

    @property
    def tags(self) -> tuple[str, ...]:
        """The requested floating tags."""
        return self._texts("tags")

    @property
    def set_release_env(self) -> str:
        """Name of the variable to set to the release; empty if not set."""
        value = self.get("set_release_env")
        return value if isinstance(value, str) else ""

    @property
    def buildtime_limit(self) -> int:
        """Time limit of the build in seconds; 0 for the site's limit."""
        value = self.get("buildtime_limit")
        return value if isinstance(value, int) else 0

    @property
    def go_modules(self) -> list[object]:
        """The Go modules to record with the build."""
        value = self.get("go", "modules")
        return value if isinstance(value, list) else []

    @property
    def compose(self) -> dict[str, object]:
        """The requested compose; empty if not set."""
        value = self.get("compose")
        return value if isinstance(value, dict) else {}

    @property
    def remote_sources(self) -> tuple[dict[str, object], ...]:
        """The remote sources, from either of the two keys, with their names if they have one."""
        single, several = self.get("remote_source"), self.get("remote_sources")
        sources = [{"remote_source": single}] if isinstance(single, dict) else several
        return tuple(source for source in (sources if isinstance(sources, list) else []) if isinstance(source, dict))

    @property
    def refused(self) -> list[Finding]:
        """Findings about valid values that prevent a build."""
        return list(_unsupported(self))

    def get(self, *path: str) -> Any:
        """Return the value at a path of keys; None if it is not set."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _texts(self, *path: str) -> tuple[str, ...]:
        value = self.get(*path)
        items = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return tuple(dict.fromkeys(item for item in items if isinstance(item, str) and item))


def check(directory: Path) -> list[Finding]:
    """Return all findings about container.yaml, in line order."""
    container_yaml = ContainerYaml.read(directory)
    return sorted((*container_yaml.findings, *container_yaml.refused), key=lambda finding: finding.line)


def _misnamed_files(directory: Path) -> Iterator[Finding]:
    existing = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    for file in MISNAMED:
        if file in existing:
            yield Finding("yaml-name", WARNING, f"{file} is ignored", f"rename it to {FILE}", file)


def _check(document: YamlDocument, values: dict[str, object]) -> Iterator[Finding]:
    import jsonschema

    for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(document.values):
        yield from explain(error, document, FILE)
    present = [key for key in values if key in EXCLUSIVE]
    for key in present[1:]:
        yield Finding(
            "yaml-invalid",
            ERROR,
            f"{present[0]} and {key} are mutually exclusive",
            f"keep only one of {', '.join(EXCLUSIVE)}",
            FILE,
            document.line((key,)),
        )
    yield from _tags(document, values)
    yield from _ineffective(document, values)


def _tags(document: YamlDocument, values: dict[str, object]) -> Iterator[Finding]:
    """Yield findings about invalid tags. They are only warnings, since OSBS accepted and ignored such tags."""
    tags = values.get("tags")
    for index, tag in enumerate(tags if isinstance(tags, list) else []):
        line = document.line(("tags", index))
        if isinstance(tag, str) and "-" in tag:
            message = f"tag {abbreviate(tag)!r} is ignored because it contains a hyphen"
            solution = "replace the hyphen with . or _, or delete the tag"
            yield Finding("tag-ignored", WARNING, message, solution, FILE, line)
        elif isinstance(tag, str) and (problem := tag_problem(tag)):
            message = f"tag {abbreviate(tag)!r} {problem}"
            yield Finding("tag-invalid", WARNING, message, "fix the tag, or delete it", FILE, line)


def _unsupported(container_yaml: ContainerYaml) -> Iterator[Finding]:
    for key in KEYS:
        if key.effect is Effect.REFUSED and key.applies_to(container_yaml.get(*key.path)):
            message = f"key {key.name} is not supported: {key.reason}"
            line = container_yaml.document.line(key.path)
            yield Finding("yaml-unavailable", ERROR, message, key.solution, FILE, line)
    variable = container_yaml.set_release_env
    if variable and not is_variable(variable):
        message = f"set_release_env: {abbreviate(variable)!r} is not a valid variable name"
        line = container_yaml.document.line(("set_release_env",))
        yield Finding("yaml-variable", ERROR, message, "use letters, digits and _", FILE, line)


#: Effect of a key → code, severity and message of the finding.
_WARNINGS = {
    Effect.DEPRECATED: ("yaml-deprecated", WARNING, "is deprecated"),
    Effect.IGNORED: ("yaml-ignored", WARNING, "is ignored by builders"),
    Effect.REPLACED: ("yaml-replaced", WARNING, "has no effect"),
}


def _ineffective(document: YamlDocument, values: dict[str, object]) -> Iterator[Finding]:
    for key in KEYS:
        value: object = values
        for name in key.path:
            value = value.get(name) if isinstance(value, dict) else None
        if key.effect in _WARNINGS and key.applies_to(value):
            code, severity, message = _WARNINGS[key.effect]
            text = f"key {key.name} {message}: {key.reason}"
            yield Finding(code, severity, text, key.solution, FILE, document.line(key.path))
