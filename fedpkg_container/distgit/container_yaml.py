"""Reading and checking container.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.distgit.container_yaml_schema import DEPRECATED, EXCLUSIVE, IGNORED, SCHEMA, UNAVAILABLE
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.distgit.yaml_document import Foreign, KeyPath, YamlDocument, parse, shown
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding, nearest
from fedpkg_container.model.nvr import is_variable, tag_problem
from fedpkg_container.model.platforms import Platforms

_KINDS = {
    "object": "keys and values",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}


def explain(error: Any, document: YamlDocument, file: str) -> Iterator[Finding]:
    """The findings for an error.

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
    """A path in words: ``compose.packages, item 2``."""
    parts = ""
    for number, each in enumerate(path):
        if isinstance(each, int):
            parts += f", item {each + 1}"
        else:
            between = "" if not parts else ", " if isinstance(path[number - 1], int) else "."
            parts += f"{between}{shown(each)}"
    return parts


def _unknown(path: KeyPath, known: Iterable[str], document: YamlDocument, file: str) -> Finding:
    key = str(path[-1])
    where = f" in {name(path[:-1])}" if path[:-1] else ""
    like = nearest(key, known)
    solution = f"did you mean {like}?" if like else f"known are {', '.join(sorted(known))}"
    return Finding(
        "yaml-unknown-key", ERROR, f"there is no key {shown(key)}{where}", solution, file, document.line(path)
    )


def _sentence(error: Any, path: KeyPath, document: YamlDocument) -> tuple[str, str]:
    """What is wrong, to follow the name of the value, and how to mend it."""
    value, wanted = error.instance, error.validator_value
    if error.validator == "type":
        return _type(value, [wanted] if isinstance(wanted, str) else list(wanted), path, document)
    if error.validator == "required":
        missing = [key for key in wanted if key not in value]
        return f": {' and '.join(missing)} must be given", f"add {' and '.join(f'{key}: …' for key in missing)}"
    if error.validator == "enum":
        like = nearest(value, wanted) if isinstance(value, str) else ""
        choices = f"must be one of {', '.join(wanted)}"
        return f" is {_written(value, path, document)}; it {choices}", f"did you mean {like}?" if like else "choose one"
    if error.validator in ("minimum", "maximum"):
        bound = "at least" if error.validator == "minimum" else "at most"
        return f" is {shown(document.texts.get(path, '?'))}; it must be {bound} {wanted}", "mend the number"
    if error.validator == "pattern":
        return f" is {shown(value)!r}, which is not of the right form", _FORMS.get(wanted, f"it must match {wanted}")
    return " is empty", "fill it in, or delete it"  # minItems, minLength, minProperties


_FORMS = {
    "-rpms$": "the name of a content set ends in -rpms",
    "^[0-9a-z]{40}$": "give the whole commit: 40 digits and lower-case letters",
    "^[^/]": "give a path below the checkout, without / in front",
    "^[A-Za-z0-9_-]*$": "use letters, digits, - and _",
}


def _type(value: Any, wanted: list[str], path: KeyPath, document: YamlDocument) -> tuple[str, str]:
    kinds = [_KINDS[kind] for kind in wanted if kind != "null"]
    subject = "" if path else "the file"
    if value is None:
        return f"{subject} has no value; it must be {' or '.join(kinds)}", "give it one, or delete the key"
    message = f"{subject} is {_written(value, path, document)}; it must be {' or '.join(kinds)}"
    text = document.texts.get(path)
    if "string" in wanted and text is not None:
        return message, f'put it in quotes: "{shown(text)}"'
    if "array" in wanted and text is not None:
        return message, f"write it as a list: [{shown(text)}]"
    if "boolean" in wanted:
        return message, "write true or false, without quotes"
    if "object" in wanted:
        return message, "write KEY: VALUE, below it and indented" if path else "write KEY: VALUE"
    return message, f"write {' or '.join(kinds)}"


def _written(value: Any, path: KeyPath, document: YamlDocument) -> str:
    """A value in words, with its text where it has one."""
    kind = value.kind if isinstance(value, Foreign) else _KINDS[_json_type(value)]
    text = document.texts.get(path)
    if text is None:
        return kind if value else f"{kind} (empty)"
    return f"{shown(text)!r}, {'a truth value' if isinstance(value, bool) else kind}"


def _json_type(value: Any) -> str:
    for kind, name_of in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name_of
    return "null" if value is None else "object"


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
        yield from explain(error, document, FILE)
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
