"""The rules over the labels of a Dockerfile (Fedora's container guidelines; koji-containerbuild's checks)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from fedpkg_container.distgit.dockerfile import FILE, Dockerfile, Label
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import COMPONENT, OLDER, nvr_part_problem, package_problem, repository_problem
from fedpkg_container.model.reference import LONGEST_TAG

#: Labels without which no build is possible, and the older spelling of each.
REQUIRED = {name: OLDER[name] for name in (COMPONENT, "name", "version")}
#: Older spellings of labels → the present ones.
DEPRECATED = {older: name for name, older in OLDER.items()} | {
    "Architecture": "architecture",
    "Vendor": "vendor",
    "Authoritative_Registry": "authoritative-source-url",
}
#: Labels that Fedora's guidelines ask for.
ADVISED = ("maintainer", "summary")


def check(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Findings about labels."""
    labels = dockerfile.label_places
    for name, older in REQUIRED.items():
        yield from _required(labels, name, older)
    for older, name in DEPRECATED.items():
        if older in labels:
            yield Finding(
                "label-deprecated",
                WARNING,
                f"label {older} is now called {name}",
                "rename it",
                FILE,
                labels[older].line,
            )
    yield from _values(labels)
    for name in ADVISED:
        if not _value(labels, name):
            hint, line = _like(labels, name)
            yield _advice(f"there is no label {name}{hint}", f'add LABEL {name}="…"', line)
    if not _value(labels, "run") and not _value(labels, "usage"):
        yield _advice("there is neither a label run nor usage", 'add LABEL usage="podman run …"')
    if _value(labels, "install") and not _value(labels, "uninstall"):
        yield _advice("there is a label install, and none that undoes it", 'add LABEL uninstall="…"')


def _value(labels: dict[str, Label], name: str) -> str:
    return labels[name].value if name in labels else ""


def _advice(message: str, solution: str, line: int = 0) -> Finding:
    return Finding("label-advised", WARNING, message, solution, FILE, line)


def _required(labels: dict[str, Label], name: str, older: str) -> Iterator[Finding]:
    if _value(labels, name) or _value(labels, older):
        return
    found = labels.get(name) or labels.get(older)
    if found is not None:
        empty = f"label {name} is empty"
        why = f"{empty}: a variable in it has no value" if "$" in found.written else empty
        yield Finding("label-unresolved", ERROR, why, "set the variable with ENV or ARG above it", FILE, found.line)
        return
    hint, line = _like(labels, name)
    yield Finding("label-missing", ERROR, f"there is no label {name}{hint}", f'add LABEL {name}="…"', FILE, line)


def _like(labels: dict[str, Label], name: str) -> tuple[str, int]:
    """A label that may have been meant for another one, as a part of a sentence, and its line."""
    others = [each for each in labels if each not in REQUIRED and each not in ADVISED]
    like = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    return (f", but {like[0]}", labels[like[0]].line) if like else ("", 0)


def _values(labels: dict[str, Label]) -> Iterator[Finding]:
    """Labels whose values make no NVR, no repository or no tag."""
    checks = {"name": repository_problem, "version": nvr_part_problem, "release": nvr_part_problem}
    for name, problem_of in checks.items():
        found = labels.get(name) or labels.get(name.capitalize())
        if found and found.value and (problem := problem_of(found.value)):
            yield Finding(
                "label-invalid", ERROR, f"label {name} = {found.value!r} {problem}", "mend the label", FILE, found.line
            )
    component = labels.get("com.redhat.component") or labels.get("BZComponent")
    if component and component.value and (problem := package_problem(component.value)):
        message = f"label {COMPONENT} = {component.value!r} {problem}"
        yield Finding("label-invalid", ERROR, message, "mend the label", FILE, component.line)
    version, release = (_value(labels, name) or _value(labels, name.capitalize()) for name in ("version", "release"))
    if len(f"{version}-{release}") > LONGEST_TAG:
        yield Finding(
            "label-invalid",
            ERROR,
            f"version and release make a tag of more than {LONGEST_TAG} characters",
            "shorten them",
            FILE,
            labels["version"].line if "version" in labels else 0,
        )
