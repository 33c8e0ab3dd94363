"""The rules over a checkout and its Dockerfile: everything that can be known before a hub is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fedpkg_container.distgit.checkout import NAMESPACES, Checkout
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.finding import ERROR, WARNING, Finding
from fedpkg_container.model.names import nvr_part_problem, repository_problem

FILE = "Dockerfile"
#: Labels without which no build is possible, and the older spelling of each.
REQUIRED = {"com.redhat.component": "BZComponent", "name": "Name", "version": "Version"}
#: Labels that Fedora's guidelines ask for.
ADVISED = ("maintainer", "summary")


def check(checkout: Checkout) -> list[Finding]:
    """Every finding about a checkout, in the order of the files."""
    return [*_state(checkout), *_dockerfile(checkout), *_container_yaml(checkout)]


def _state(checkout: Checkout) -> Iterator[Finding]:
    if checkout.namespace not in NAMESPACES:
        yield Finding(
            "namespace",
            ERROR,
            f"{checkout.namespace or 'no namespace'}/{checkout.name} is not a container repository",
            f"run this in a checkout of one of the namespaces {', '.join(NAMESPACES)}",
        )
    if checkout.changed:
        yield Finding(
            "uncommitted",
            ERROR,
            f"uncommitted changes in {', '.join(checkout.changed[:5])}{' …' if len(checkout.changed) > 5 else ''}",
            "commit and push them, or stash them: builders see only what is pushed",
        )
    if not checkout.tracks:
        yield Finding(
            "no-upstream",
            ERROR,
            f"branch {checkout.branch} follows no branch of dist-git",
            f"push it with: git push -u origin HEAD:{checkout.branch}",
        )
    if checkout.ahead:
        commits = "commit is" if checkout.ahead == 1 else "commits are"
        yield Finding("unpushed", ERROR, f"{checkout.ahead} {commits} not pushed", "push first: fedpkg push")
    if checkout.behind:
        commits = "commit" if checkout.behind == 1 else "commits"
        yield Finding(
            "behind",
            WARNING,
            f"{checkout.tracks} has {checkout.behind} {commits} that this checkout lacks",
            "pull first when they belong into the build: fedpkg pull",
        )


def _container_yaml(checkout: Checkout) -> Iterator[Finding]:
    if (checkout.path / "container.yaml").exists():
        yield Finding(
            "container-yaml",
            WARNING,
            "container.yaml is not read by builders of this version",
            "the build goes by the Dockerfile alone",
            "container.yaml",
        )


def _dockerfile(checkout: Checkout) -> Iterator[Finding]:
    try:
        dockerfile = Dockerfile.read(checkout.path)
    except RefusedError as error:
        yield Finding("no-dockerfile", ERROR, error.reason, error.solution, FILE)
        return
    if not dockerfile.stages:
        yield Finding("no-from", ERROR, "there is no FROM", "begin the Dockerfile with FROM registry/image:tag", FILE)
    for stage in dockerfile.stages:
        if stage.image in dockerfile.parents and not _names_registry(stage.image):
            yield Finding(
                "from-registry",
                ERROR,
                f"FROM {stage.image} does not say which registry",
                "write it as registry/repository:tag",
                FILE,
                stage.line,
            )
    for image, line in dockerfile.foreign_sources:
        yield Finding(
            "foreign-source",
            ERROR,
            f"files are taken from {image}, which no FROM names",
            f"name it as a stage: FROM {image} AS files, and use --from=files",
            FILE,
            line,
        )
    yield from _labels(dockerfile)


def _names_registry(image: str) -> bool:
    first, slash, _ = image.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def _values(labels: Mapping[str, str]) -> Iterator[Finding]:
    """Labels whose values make no NVR or no repository."""
    checks = {"name": repository_problem, "version": nvr_part_problem, "release": nvr_part_problem}
    for name, problem_of in checks.items():
        value = labels.get(name) or labels.get(name.capitalize())
        if value and (problem := problem_of(value)):
            yield Finding("label-invalid", ERROR, f"label {name} = {value!r} {problem}", "mend the label", FILE)


def _labels(dockerfile: Dockerfile) -> Iterator[Finding]:
    labels = dockerfile.labels
    for name, older in REQUIRED.items():
        if not labels.get(name) and not labels.get(older):
            yield Finding("label-missing", ERROR, f"there is no label {name}", f'add LABEL {name}="…"', FILE)
    yield from _values(labels)
    for name in ADVISED:
        if not labels.get(name):
            yield Finding("label-advised", WARNING, f"there is no label {name}", f'add LABEL {name}="…"', FILE)
    if not labels.get("run") and not labels.get("usage"):
        yield Finding(
            "label-advised", WARNING, "there is neither a label run nor usage", 'add LABEL usage="podman run …"', FILE
        )
