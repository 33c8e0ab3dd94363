"""What an image is called: labels to NVR, repository and tags."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.build import NVR
from fedpkg_container.model.labels import label
from fedpkg_container.model.names import legal_tag, nvr_part_problem, repository_problem
from fedpkg_container.model.reference import is_tag


@dataclass(frozen=True)
class Tags:
    """The tags of one build: one that names it alone, one that names its version and release, and floating ones."""

    unique: str
    primary: str = ""
    floating: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every tag, the most exact first."""
        return tuple(tag for tag in (self.primary, *self.floating, self.unique) if tag)


def tags_for(
    nvr: NVR, *, task_id: int, scratch: bool, isolated: bool, additional: Iterable[str], now: float | None = None
) -> Tags:
    """The tags of a build (rules of atomic-reactor's tag_from_config).

    A scratch build has a unique one only, an isolated one no floating ones.

    :raises BuildFailedError: an additional tag is none that a registry takes
    """
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now))
    unique = legal_tag(f"{'scratch-' if scratch else ''}{task_id}-{stamp}")
    if scratch:
        return Tags(unique)
    primary = legal_tag(f"{nvr.version}-{nvr.release}")
    if isolated:
        return Tags(unique, primary)
    wanted = [tag for tag in additional if "-" not in tag]
    wrong = [tag for tag in wanted if not is_tag(tag)]
    if wrong:
        raise BuildFailedError(f"not a tag, in additional-tags: {wrong[0][:80]!r}", solution="write one tag a line")
    floating = dict.fromkeys([legal_tag(nvr.version), "latest", *wanted])
    return Tags(unique, primary, tuple(floating))


def repository(name: str) -> str:
    """The label ``name`` as a repository of the registry.

    :raises BuildFailedError: no registry takes it, or it is where builds stage their images
    """
    problem = repository_problem(name)
    if problem:
        raise BuildFailedError(f"the label name = {name!r} {problem}", solution="mend the label")
    return name


def nvr_part(label: str, text: str) -> str:
    """A version or a release.

    :raises BuildFailedError: it is none
    """
    problem = nvr_part_problem(text)
    if problem:
        raise BuildFailedError(f"{label} = {text!r} {problem}", solution=f"mend the label {label}")
    return text


def required(labels: Mapping[str, str], name: str) -> str:
    """The value of a label, under its name or an older spelling.

    :raises BuildFailedError: it is missing or empty
    """
    value = label(labels, name)
    if not value:
        raise BuildFailedError(
            f"the Dockerfile has no label {name}", solution=f'add LABEL {name}="…" to the Dockerfile'
        )
    return value
