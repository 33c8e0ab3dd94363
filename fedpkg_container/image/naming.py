"""What an image is called: labels to NVR, repository and tags."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.build import NVR
from fedpkg_container.model.nvr import label, legal_tag, nvr_part_problem, package_problem, repository_problem
from fedpkg_container.model.reference import SCRATCH, UniqueTag, is_floating_tag, is_tag


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


def unique_tag(task_id: int, *, scratch: bool, now: float | None = None) -> str:
    """A tag that no other build has."""
    return str(UniqueTag(task_id, time.time() if now is None else now, SCRATCH if scratch else ""))


def is_unique_tag(tag: str) -> bool:
    """Whether a tag is one that ``unique_tag`` makes, or an import, or the same for the list of another format."""
    return UniqueTag.read(tag) is not None


@dataclass(frozen=True)
class FloatingTags:
    """Where floating tags come from.

    :param policy: of the site: some of version, latest, container-yaml, additional-tags
    :param container_yaml: what container.yaml asks for, instead of all others
    :param additional: the lines of ``additional-tags``
    """

    policy: Collection[str]
    container_yaml: Sequence[str] = ()
    additional: Sequence[str] = ()

    def of(self, nvr: NVR) -> tuple[str, ...]:
        """The floating tags that a build asks for (rules of atomic-reactor's tag_from_config)."""
        if self._by_container_yaml:
            tags = list(self.container_yaml)
        else:
            tags = [legal_tag(nvr.version)] if "version" in self.policy else []
            tags += ["latest"] if "latest" in self.policy else []
            tags += self.additional if "additional-tags" in self.policy else []
        return tuple(tag for tag in dict.fromkeys(tags) if is_floating_tag(tag))

    @property
    def passed_over(self) -> list[str]:
        """What container.yaml asks for and no registry takes, in sentences; a tag with a hyphen needs none."""
        wrong = [tag for tag in self.container_yaml if not is_tag(tag)] if self._by_container_yaml else []
        return [f"tag {tag[:80]!r} of container.yaml is passed over: no registry takes it" for tag in wrong]

    @property
    def _by_container_yaml(self) -> bool:
        return bool(self.container_yaml) and "container-yaml" in self.policy


def repository(name: str) -> str:
    """The label ``name`` as a repository of the registry.

    :raises BuildFailedError: no registry takes it, or it is where builds stage their images
    """
    problem = repository_problem(name)
    if problem:
        raise BuildFailedError(f"the label name = {name!r} {problem}", solution="mend the label")
    return name


def package(text: str) -> str:
    """The label ``com.redhat.component`` as a package.

    :raises BuildFailedError: it is no name of one
    """
    problem = package_problem(text)
    if problem:
        raise BuildFailedError(f"com.redhat.component = {text[:80]!r} {problem}", solution="mend the label")
    return text


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
