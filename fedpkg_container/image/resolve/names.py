# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of a build: from labels to NVR, repository and tags, and which packages may use them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.resolve.parents import FindBuild
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.nvr import (
    COMPONENT_LABEL,
    NVR,
    OLD_LABEL_NAMES,
    label_value,
    nvr_part_problem,
    package_problem,
    repository_problem,
    sanitize_tag,
)
from fedpkg_container.model.options import default_components, repository_path
from fedpkg_container.model.reference import SCRATCH, UniqueTag, imported_builds, is_floating_tag, is_tag
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.referrers import is_derived_tag
from fedpkg_container.registry.repository import Repository


@dataclass(frozen=True)
class BuildTags:
    """The tags of one build: a unique one, that of its version and release (primary), and floating ones."""

    unique: str
    primary: str = ""
    floating: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All tags, the most specific first."""
        return tuple(tag for tag in (self.primary, *self.floating, self.unique) if tag)


def unique_tag(task_id: int, *, scratch: bool, now: float | None = None) -> str:
    """Return a tag that no other build has."""
    return str(UniqueTag(task_id, time.time() if now is None else now, SCRATCH if scratch else ""))


def is_unique_tag(tag: str) -> bool:
    """Return whether a tag is from ``unique_tag`` or from an import, for any manifest format."""
    return UniqueTag.read(tag) is not None


@dataclass(frozen=True)
class RequestedFloatingTags:
    """The floating tags that a build requests.

    :param policy: sources that the site allows: some of version, latest, container-yaml, additional-tags
    :param container_yaml: tags of container.yaml, which replace all others
    :param additional: lines of ``additional-tags``
    """

    policy: Collection[str]
    container_yaml: Sequence[str] = ()
    additional: Sequence[str] = ()

    def of(self, nvr: NVR) -> tuple[str, ...]:
        """Return the floating tags of a build (rules of atomic-reactor's tag_from_config)."""
        if self._by_container_yaml:
            tags = list(self.container_yaml)
        else:
            tags = [sanitize_tag(nvr.version)] if "version" in self.policy else []
            tags += ["latest"] if "latest" in self.policy else []
            tags += self.additional if "additional-tags" in self.policy else []
        return tuple(tag for tag in dict.fromkeys(tags) if is_floating_tag(tag))

    @property
    def warnings(self) -> list[str]:
        """Warnings about invalid tags in container.yaml; a tag with a hyphen is ignored without one."""
        invalid = [tag for tag in self.container_yaml if not is_tag(tag)] if self._by_container_yaml else []
        return [f"ignoring tag {tag[:80]!r} of container.yaml: it is not a valid image tag" for tag in invalid]

    @property
    def _by_container_yaml(self) -> bool:
        return bool(self.container_yaml) and "container-yaml" in self.policy


def valid_repository(name: str) -> str:
    """Return the value of the label ``name``, the image's repository.

    :raises BuildFailedError: if it is not a valid repository, or reserved for staging
    """
    problem = repository_problem(name)
    if problem:
        raise BuildFailedError(f"the label name = {name!r} {problem}", solution="fix the label")
    return name


def valid_package(text: str) -> str:
    """Return the value of the label ``com.redhat.component``, the package.

    :raises BuildFailedError: if it is not a valid package name
    """
    problem = package_problem(text)
    if problem:
        raise BuildFailedError(f"com.redhat.component = {text[:80]!r} {problem}", solution="fix the label")
    return text


def valid_nvr_part(label: str, text: str) -> str:
    """Return a version or release.

    :raises BuildFailedError: if it is not a valid one
    """
    problem = nvr_part_problem(text)
    if problem:
        raise BuildFailedError(f"{label} = {text!r} {problem}", solution=f"fix the label {label}")
    return text


def required_label(labels: Mapping[str, str], name: str) -> str:
    """Return the value of a label, under its name or an older spelling.

    :raises BuildFailedError: if it is missing or empty
    """
    value = label_value(labels, name)
    if not value:
        raise BuildFailedError(
            f"the Dockerfile has no label {name}", solution=f'add LABEL {name}="…" to the Dockerfile'
        )
    return value


#: Tag whose image decides who owns a repository, if it exists.
PREFERRED_TAG = "latest"


def check_component(component: str, source: str, allowed: Mapping[str, tuple[str, ...]]) -> None:
    """Check that a package is that of its source repository.

    :param source: dist-git URL
    :param allowed: exceptions of the site: name or path of a source repository → packages that it may build
    :raises BuildFailedError: if it is another package
    """
    path = repository_path(source)
    own_packages = default_components(path)
    if component in (*own_packages, *allowed.get(own_packages[0], ()), *allowed.get(path, ())):
        return
    raise BuildFailedError(
        f"{COMPONENT_LABEL} = {component}, but the source repository {path} builds {' or '.join(own_packages)}",
        solution=f"fix the label; or contact the site administrators to add {component} to {own_packages[0]} in"
        " [components] of the builders' configuration. A scratch build may have any name",
    )


def check_reserved(name: str, component: str, reserved: Mapping[str, tuple[str, ...]]) -> None:
    """Check that a repository is not reserved for other packages.

    :param name: registry repository
    :param reserved: repository → packages that it is reserved for
    :raises BuildFailedError: if it is reserved for others
    """
    if component not in reserved.get(name, (component,)):
        raise BuildFailedError(
            f"{name} is reserved for images of {', '.join(reserved[name])}, but this package is {component}",
            solution="choose another name (the label name); or contact the site administrators to change [repositories]"
            " of the builders' configuration",
        )


def check_owner(repository: Repository, component: str, find_build: FindBuild) -> None:
    """Check that a repository does not belong to another package.

    The owner is the package of one tagged image: according to its label, or to Koji for a base image imported under
    another name. Unique tags do not count, as scratch builds and failed builds have them too.

    :raises BuildFailedError: if the image is of another package, or has no label that names its package
    :raises RegistryError: if the registry is unavailable or refuses the request
    """
    tags = list(repository.tags())
    candidates = sorted(tag for tag in tags if not is_unique_tag(tag) and not is_derived_tag(tag))
    tag = next((tag for tag in sorted(candidates, key=lambda tag: tag != PREFERRED_TAG) if repository.head(tag)), "")
    if not tag:
        return
    manifest = repository.manifest(tag)
    owners, builds = _labeled_packages(repository, manifest)
    if owners[:1] == [component]:
        return
    if component in _recorded_packages(manifest.digest, [*builds, *imported_builds(tags)], find_build):
        return
    image = repository.reference.tagged(tag)
    owner = f"an image of {owners[0]}" if owners else f"an image without a label {COMPONENT_LABEL}"
    raise BuildFailedError(
        f"{repository.name} belongs to another package: {image} is {owner}, but this package is {component}",
        solution="choose another name (the label name, or --repository of import-base); or, if the name is yours,"
        " contact the site administrators to remove these images",
    )


def _recorded_packages(digest: str, builds: Iterable[str | int], find_build: FindBuild) -> Iterator[str]:
    """Yield the packages of those builds for which Koji recorded an image."""
    for nvr_or_id in builds:
        build = find_build(nvr_or_id)
        if build and digest in RecordedImage.of(build).digests:
            yield build["name"]


def _labeled_packages(repository: Repository, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Return the packages that an image may be of, and the NVRs of the image for all of them but the first.

    Either spelling of the label may be from the base image, whose package does not own the repository: the first is
    right for images of these builders, which set it; for another one, Koji must have recorded the image.
    """
    if manifest.manifests:
        manifest = repository.manifest(manifest.manifests[0].digest)
    labels = repository.labels(manifest)
    owners = [labels[name] for name in (COMPONENT_LABEL, OLD_LABEL_NAMES[COMPONENT_LABEL]) if labels.get(name)]
    version, release = label_value(labels, "version"), label_value(labels, "release")
    if nvr_part_problem(version) or nvr_part_problem(release):
        return owners, []
    return owners, [f"{owner}-{version}-{release}" for owner in owners[1:] if not package_problem(owner)]
