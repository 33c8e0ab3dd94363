"""What is wrong with a value of container.yaml, in one sentence, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fedpkg_container.distgit.yaml_document import Foreign, Path, YamlDocument, shown
from fedpkg_container.model.findings import ERROR, Finding, nearest

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
    path: Path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        for key in error.instance:
            if key not in known:
                yield _unknown((*path, key), known, document, file)
        return
    message, solution = _sentence(error, path, document)
    yield Finding("yaml-invalid", ERROR, f"{name(path)}{message}", solution, file, document.line(path))


def name(path: Path) -> str:
    """A path in words: ``compose.packages, item 2``."""
    parts = ""
    for number, each in enumerate(path):
        if isinstance(each, int):
            parts += f", item {each + 1}"
        else:
            between = "" if not parts else ", " if isinstance(path[number - 1], int) else "."
            parts += f"{between}{shown(each)}"
    return parts


def _unknown(path: Path, known: Iterable[str], document: YamlDocument, file: str) -> Finding:
    key = str(path[-1])
    where = f" in {name(path[:-1])}" if path[:-1] else ""
    like = nearest(key, known)
    solution = f"did you mean {like}?" if like else f"known are {', '.join(sorted(known))}"
    return Finding(
        "yaml-unknown-key", ERROR, f"there is no key {shown(key)}{where}", solution, file, document.line(path)
    )


def _sentence(error: Any, path: Path, document: YamlDocument) -> tuple[str, str]:
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


def _type(value: Any, wanted: list[str], path: Path, document: YamlDocument) -> tuple[str, str]:
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


def _written(value: Any, path: Path, document: YamlDocument) -> str:
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
