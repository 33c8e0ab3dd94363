"""Checks of the labels of a Dockerfile (Fedora's container guidelines; koji-containerbuild's checks)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from fedpkg_container.distgit.dockerfile import FILE, Dockerfile, Label
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import (
    COMPONENT_LABEL,
    OLD_LABEL_NAMES,
    nvr_part_problem,
    package_problem,
    repository_problem,
)
from fedpkg_container.model.reference import MAX_TAG_LENGTH

#: Labels required for a build → their old names.
REQUIRED = {name: OLD_LABEL_NAMES[name] for name in (COMPONENT_LABEL, "name", "version")}
#: Old names of labels → current names.
DEPRECATED = {older: name for name, older in OLD_LABEL_NAMES.items()} | {
    "Architecture": "architecture",
    "Vendor": "vendor",
    "Authoritative_Registry": "authoritative-source-url",
}
#: Labels recommended by Fedora's guidelines.
ADVISED = ("maintainer", "summary")


def check(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Yield findings about labels."""
    labels = dockerfile.label_details
    for name, older in REQUIRED.items():
        yield from _required(labels, name, older)
    for older, name in DEPRECATED.items():
        if older in labels:
            yield Finding(
                "label-deprecated",
                WARNING,
                f"label {older} has been renamed to {name}",
                "rename the label",
                FILE,
                labels[older].line,
            )
    yield from _values(labels)
    for name in ADVISED:
        if not _value(labels, name):
            hint, line = _like(labels, name)
            yield _advice(f"there is no label {name}{hint}", f'add LABEL {name}="…"', line)
    if not _value(labels, "run") and not _value(labels, "usage"):
        yield _advice("there is no label run or usage", 'add LABEL usage="podman run …"')
    if _value(labels, "install") and not _value(labels, "uninstall"):
        yield _advice("there is a label install, but no label uninstall", 'add LABEL uninstall="…"')


def _value(labels: dict[str, Label], name: str) -> str:
    return labels[name].value if name in labels else ""


def _advice(message: str, solution: str, line: int = 0) -> Finding:
    return Finding("label-advised", WARNING, message, solution, FILE, line)


def _required(labels: dict[str, Label], name: str, older: str) -> Iterator[Finding]:
    if _value(labels, name) or _value(labels, older):
        return
    label = labels.get(name) or labels.get(older)
    if label is not None:
        empty = f"label {name} is empty"
        message = f"{empty}: a variable in it has no value" if "$" in label.written else empty
        yield Finding("label-unresolved", ERROR, message, "set the variable with ENV or ARG above it", FILE, label.line)
        return
    hint, line = _like(labels, name)
    yield Finding("label-missing", ERROR, f"there is no label {name}{hint}", f'add LABEL {name}="…"', FILE, line)


def _like(labels: dict[str, Label], name: str) -> tuple[str, int]:
    """Return a hint to a label with a similar name, to be appended to a message, and its line."""
    others = [other for other in labels if other not in REQUIRED and other not in ADVISED]
    matches = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    return (f", but {matches[0]}", labels[matches[0]].line) if matches else ("", 0)


def _values(labels: dict[str, Label]) -> Iterator[Finding]:
    """Yield findings about labels that do not form a valid NVR, repository or tag."""
    checks = {"name": repository_problem, "version": nvr_part_problem, "release": nvr_part_problem}
    for name, problem_of in checks.items():
        label = labels.get(name) or labels.get(name.capitalize())
        if label and label.value and (problem := problem_of(label.value)):
            message = f"label {name} = {label.value!r} {problem}"
            yield Finding("label-invalid", ERROR, message, "fix the label", FILE, label.line)
    component = labels.get("com.redhat.component") or labels.get("BZComponent")
    if component and component.value and (problem := package_problem(component.value)):
        message = f"label {COMPONENT_LABEL} = {component.value!r} {problem}"
        yield Finding("label-invalid", ERROR, message, "fix the label", FILE, component.line)
    version, release = (_value(labels, name) or _value(labels, name.capitalize()) for name in ("version", "release"))
    if len(f"{version}-{release}") > MAX_TAG_LENGTH:
        yield Finding(
            "label-invalid",
            ERROR,
            f"version and release form a tag longer than {MAX_TAG_LENGTH} characters",
            "shorten them",
            FILE,
            labels["version"].line if "version" in labels else 0,
        )
