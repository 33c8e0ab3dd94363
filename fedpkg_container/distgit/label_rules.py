# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the labels of a Dockerfile (Fedora's container guidelines; koji-containerbuild's checks)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from fedpkg_container.distgit.dockerfile import FILE, Dockerfile, Label
from fedpkg_container.model.findings import ERROR, NOTE, WARNING, Finding
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
    """Yield findings about labels.

    No label is reported as missing while an instruction LABEL cannot be read, which is a separate finding.
    """
    labels = dockerfile.label_details
    final = dockerfile.final_stages
    is_complete = not any(
        item.name == "LABEL" and item.problem and item.stage in final for item in dockerfile.instructions
    )
    if is_complete:
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
    if is_complete:
        yield from _advised(labels)


def _advised(labels: dict[str, Label]) -> Iterator[Finding]:
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
        if not label.unset:  # otherwise reported by the check of all labels of the NVR
            yield Finding("label-unresolved", ERROR, f"label {name} is empty", "set it", FILE, label.line)
        return
    hint, line = _like(labels, name)
    yield Finding("label-missing", ERROR, f"there is no label {name}{hint}", f'add LABEL {name}="…"', FILE, line)


def _like(labels: dict[str, Label], name: str) -> tuple[str, int]:
    """Return a hint to a label with a similar name, to be appended to a message, and its line."""
    others = [other for other in labels if other not in REQUIRED and other not in ADVISED]
    matches = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    return (f", but {matches[0]}", labels[matches[0]].line) if matches else ("", 0)


#: Labels that decide NVR, repository and tags.
IDENTITY = (COMPONENT_LABEL, "name", "version", "release")


def identity_labels(labels: Mapping[str, Label]) -> dict[str, Label]:
    """Return the labels that decide NVR, repository and tags, by their current names."""
    identity = {name: labels.get(name) or labels.get(OLD_LABEL_NAMES[name]) for name in IDENTITY}
    return {name: label for name, label in identity.items() if label is not None}


def _variables(names: frozenset[str]) -> str:
    return ", ".join(f"${name[:MAX_NAME_LENGTH]}" for name in sorted(names))


#: Maximum characters of a variable's name in a message.
MAX_NAME_LENGTH = 80


def incomplete(name: str, label: Label) -> str:
    """Return why a label cannot be used: variables in it have no value; empty if they have, or are not known here."""
    if not label.unset:
        return ""
    verb = "has" if len(label.unset) == 1 else "have"
    return f"label {name} = {label.value!r} is incomplete: {_variables(label.unset)} {verb} no value"


def depends_on_parents(dockerfile: Dockerfile) -> bool:
    """Whether a label of the NVR has a variable that parent images may set."""
    labels = identity_labels(dockerfile.label_details)
    return bool(dockerfile.parents) and any(label.unknown or label.overridable for label in labels.values())


def _unresolved(labels: dict[str, Label]) -> Iterator[Finding]:
    """Yield findings about variables in the labels that decide NVR, repository and tags."""
    for name, label in identity_labels(labels).items():
        if message := incomplete(name, label):
            solution = "set the variable with ENV or ARG above, or write ${NAME:-default}"
            yield Finding("label-unresolved", ERROR, message, solution, FILE, label.line)
        elif label.unknown:
            message = f"label {name} depends on {_variables(label.unknown)}, known only to the builder"
            solution = "no change is needed if the base image sets it; otherwise builders refuse the build"
            yield Finding("label-unknown", NOTE, message, solution, FILE, label.line)
        elif label.overridable:
            message = f"label {name} is {label.value!r} unless the base image sets {_variables(label.overridable)}"
            solution = "no change is needed: builders read the ENV of the base image, which overrides ARG"
            yield Finding("label-unknown", NOTE, message, solution, FILE, label.line)


def _values(all_labels: dict[str, Label]) -> Iterator[Finding]:
    """Yield findings about labels that do not form a valid NVR, repository or tag."""
    yield from _unresolved(all_labels)
    labels = {name: label for name, label in all_labels.items() if not label.unknown and not label.unset}
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
