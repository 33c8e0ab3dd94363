"""Reading and checking container.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.distgit import container_yaml_errors as errors
from fedpkg_container.distgit.container_yaml_schema import DEPRECATED, EXCLUSIVE, IGNORED, SCHEMA, UNAVAILABLE
from fedpkg_container.distgit.small_file import decode, read_bytes
from fedpkg_container.distgit.yaml_document import YamlDocument, parse, shown
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import is_variable, tag_problem
from fedpkg_container.model.platforms import Platforms

FILE = "container.yaml"
#: Names that look like it and are not read.
_MISTAKEN = ("container.yml", "Container.yaml", "container.yaml.in", "containers.yaml")


@dataclass(frozen=True)
class ContainerYaml:
    """What container.yaml says, as far as it can be read.

    :param exists: there is such a file
    :param values: its keys and values; empty when there is no file or nothing in it that can be read
    :param findings: what is wrong with it
    """

    exists: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    document: YamlDocument = field(default_factory=YamlDocument)

    @classmethod
    def read(cls, folder: Path) -> ContainerYaml:
        """The file in a folder. Never raises: what cannot be read is a finding."""
        try:
            content = read_bytes(folder, FILE)
            if content is None:
                return cls(findings=tuple(_mistaken(folder)))
            return cls.from_text(decode(content, FILE))
        except RefusedError as error:
            return cls(exists=True, findings=(Finding("yaml-unreadable", ERROR, error.reason, error.solution, FILE),))

    @classmethod
    def from_text(cls, text: str) -> ContainerYaml:
        """The content of a file."""
        document = parse(text, FILE)
        findings = list(document.findings)
        readable = all(finding.code not in ("yaml-syntax", "yaml-unreadable") for finding in findings)
        values = document.values if readable and isinstance(document.values, dict) else {}
        if readable:
            findings += _check(document, values)
        return cls(True, values, tuple(sorted(findings, key=lambda finding: finding.line)), document)

    @property
    def platforms(self) -> Platforms:
        """The arches that the image is built for."""
        return Platforms(self._texts("platforms", "only"), self._texts("platforms", "not"))

    @property
    def tags(self) -> tuple[str, ...]:
        """The floating tags that it asks for."""
        return self._texts("tags")

    @property
    def set_release_env(self) -> str:
        """The variable that is to hold the release; empty: none."""
        value = self.get("set_release_env")
        return value if isinstance(value, str) else ""

    @property
    def buildtime_limit(self) -> int:
        """Seconds that a build may take; 0: as the site has it."""
        value = self.get("buildtime_limit")
        return value if isinstance(value, int) else 0

    @property
    def go_modules(self) -> list[Any]:
        """The Go modules that are to be recorded with the build."""
        value = self.get("go", "modules")
        return value if isinstance(value, list) else []

    @property
    def compose(self) -> dict[str, Any]:
        """What is asked of a compose; empty: none."""
        value = self.get("compose")
        return value if isinstance(value, dict) else {}

    @property
    def remote_sources(self) -> tuple[dict[str, Any], ...]:
        """The remote sources, whichever of the two keys they are under; with a name where they have one."""
        one, many = self.get("remote_source"), self.get("remote_sources")
        found = [{"remote_source": one}] if isinstance(one, dict) else many if isinstance(many, list) else []
        return tuple(each for each in found if isinstance(each, dict))

    @property
    def refused(self) -> list[Finding]:
        """Values that are valid, but with which nothing is built."""
        return list(_refused(self))

    def get(self, *path: str) -> Any:
        """A value by its keys; None when it is not there."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _texts(self, *path: str) -> tuple[str, ...]:
        value = self.get(*path)
        items = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return tuple(dict.fromkeys(item for item in items if isinstance(item, str) and item))


def check(folder: Path) -> list[Finding]:
    """Every finding about container.yaml, in the order of its lines."""
    read = ContainerYaml.read(folder)
    return sorted((*read.findings, *read.refused), key=lambda finding: finding.line)


def _mistaken(folder: Path) -> Iterator[Finding]:
    present = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    for name in _MISTAKEN:
        if name in present:
            yield Finding("yaml-name", WARNING, f"{name} is not read", f"rename it to {FILE}", name)


def _check(document: YamlDocument, values: dict[str, Any]) -> Iterator[Finding]:
    import jsonschema

    for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(document.values):
        yield from errors.explain(error, document, FILE)
    present = [key for key in values if key in EXCLUSIVE]
    for key in present[1:]:
        yield Finding(
            "yaml-invalid",
            ERROR,
            f"{present[0]} and {key} exclude each other",
            f"keep one of {', '.join(EXCLUSIVE)}",
            FILE,
            document.line((key,)),
        )
    yield from _tags(document, values)
    yield from _without_effect(document, values)


def _tags(document: YamlDocument, values: dict[str, Any]) -> Iterator[Finding]:
    """Tags that no registry takes. They warn only: OSBS accepted them and passed them over."""
    tags = values.get("tags")
    for index, tag in enumerate(tags if isinstance(tags, list) else []):
        line = document.line(("tags", index))
        if isinstance(tag, str) and "-" in tag:
            message = f"tag {shown(tag)!r} is passed over, since it has a hyphen"
            yield Finding("tag-ignored", WARNING, message, "write it with . or _ instead, or delete it", FILE, line)
        elif isinstance(tag, str) and (problem := tag_problem(tag)):
            yield Finding("tag-invalid", WARNING, f"tag {shown(tag)!r} {problem}", "mend it, or delete it", FILE, line)


def _refused(read: ContainerYaml) -> Iterator[Finding]:
    for key, needs in UNAVAILABLE.items():
        if read.get(key) not in (None, {}, []):
            message = f"{key} needs {needs}, and there is none"
            yield Finding("yaml-unavailable", ERROR, message, "delete it", FILE, read.document.line((key,)))
    variable = read.set_release_env
    if variable and not is_variable(variable):
        message = f"set_release_env: {shown(variable)!r} is no name of a variable"
        line = read.document.line(("set_release_env",))
        yield Finding("yaml-variable", ERROR, message, "write letters, digits and _", FILE, line)


def _without_effect(document: YamlDocument, values: dict[str, Any]) -> Iterator[Finding]:
    for key, value in values.items():
        line = document.line((key,))
        if key in DEPRECATED:
            yield Finding("yaml-deprecated", WARNING, f"{key} is deprecated", DEPRECATED[key], FILE, line)
        elif key in IGNORED and value not in (None, {}, []):
            message = f"builders do not act on {key}"
            yield Finding("yaml-ignored", WARNING, message, IGNORED[key], FILE, line)
