"""Names of a build: from labels to NVR, repository and tags, and which package may have which."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.resolve.parents import FindBuild
from fedpkg_container.model.build import NVR
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.nvr import (
    COMPONENT,
    OLDER,
    label,
    legal_tag,
    nvr_part_problem,
    package_problem,
    repository_problem,
)
from fedpkg_container.model.options import own_components, repository_path
from fedpkg_container.model.reference import SCRATCH, UniqueTag, imported, is_floating_tag, is_tag
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.referrers import list_tag
from fedpkg_container.registry.repository import Repository


@dataclass(frozen=True)
class BuildTags:
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
class RequestedFloatingTags:
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
    def warnings(self) -> list[str]:
        """What container.yaml asks for and no registry takes, in sentences; a tag with a hyphen needs none."""
        invalid = [tag for tag in self.container_yaml if not is_tag(tag)] if self._by_container_yaml else []
        return [f"tag {tag[:80]!r} of container.yaml is passed over: no registry takes it" for tag in invalid]

    @property
    def _by_container_yaml(self) -> bool:
        return bool(self.container_yaml) and "container-yaml" in self.policy


def valid_repository(name: str) -> str:
    """The label ``name`` as a repository of the registry.

    :raises BuildFailedError: no registry takes it, or it is where builds stage their images
    """
    problem = repository_problem(name)
    if problem:
        raise BuildFailedError(f"the label name = {name!r} {problem}", solution="mend the label")
    return name


def valid_package(text: str) -> str:
    """The label ``com.redhat.component`` as a package.

    :raises BuildFailedError: it is no name of one
    """
    problem = package_problem(text)
    if problem:
        raise BuildFailedError(f"com.redhat.component = {text[:80]!r} {problem}", solution="mend the label")
    return text


def valid_nvr_part(label: str, text: str) -> str:
    """A version or a release.

    :raises BuildFailedError: it is none
    """
    problem = nvr_part_problem(text)
    if problem:
        raise BuildFailedError(f"{label} = {text!r} {problem}", solution=f"mend the label {label}")
    return text


def required_label(labels: Mapping[str, str], name: str) -> str:
    """The value of a label, under its name or an older spelling.

    :raises BuildFailedError: it is missing or empty
    """
    value = label(labels, name)
    if not value:
        raise BuildFailedError(
            f"the Dockerfile has no label {name}", solution=f'add LABEL {name}="…" to the Dockerfile'
        )
    return value


#: The tag that is looked at, where it is set.
PREFERRED_TAG = "latest"


def check_component(component: str, source: str, allowed: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse to record a build of a package that is not that of its source repository.

    :param source: URL of dist-git
    :param allowed: the site's exceptions: name of a source repository, or its path, → packages that it may build
    :raises BuildFailedError: the package is another one
    """
    path = repository_path(source)
    own_packages = own_components(path)
    if component in (*own_packages, *allowed.get(own_packages[0], ()), *allowed.get(path, ())):
        return
    raise BuildFailedError(
        f"{COMPONENT} = {component}, but the source repository is {path}, which builds {' or '.join(own_packages)}",
        solution=f"correct the label; or ask the site to add {component} to {own_packages[0]} in [components] of its builders'"
        " configuration. A scratch build may have any name",
    )


def check_reserved(name: str, component: str, reserved: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse to bring an image of a package into a repository that the site reserves for others.

    :param name: of the repository in the registry
    :param reserved: repository → the packages that it is for
    :raises BuildFailedError: it is for others
    """
    if component not in reserved.get(name, (component,)):
        raise BuildFailedError(
            f"{name} is reserved for images of {', '.join(reserved[name])}, and this is {component}",
            solution="choose another name (the label name); or ask the site to change [repositories] of its builders'"
            " configuration",
        )


def check_owner(repository: Repository, component: str, find_build: FindBuild) -> None:
    """Refuse to bring an image of a package into the repository of another one.

    The image under one tag tells whose it is; of a base image that was imported under another name, Koji does. Tags of
    single builds do not: scratch builds and builds that failed have them as well.

    :raises BuildFailedError: the image there is of another package, or does not say of which it is
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    tags = list(repository.tags())
    candidates = sorted(tag for tag in tags if not is_unique_tag(tag) and not list_tag(tag))
    tag = next((tag for tag in sorted(candidates, key=lambda tag: tag != PREFERRED_TAG) if repository.head(tag)), "")
    if not tag:
        return
    manifest = repository.manifest(tag)
    owners = _labeled_packages(repository, manifest)
    if component in owners or component in _recorded_packages(manifest.digest, imported(tags), find_build):
        return
    image = repository.reference.tagged(tag)
    owner = f"an image of {owners[0]}" if owners else f"an image without a label {COMPONENT}"
    raise BuildFailedError(
        f"{repository.name} is the repository of another package's images: {image} is {owner}, and this is {component}",
        solution="choose another name (the label name, or --repository of import-base); or ask the site to remove"
        " these images, if the name is yours",
    )


def _recorded_packages(digest: str, builds: Iterable[int], find_build: FindBuild) -> Iterator[str]:
    """The packages of those of some builds for which Koji recorded an image."""
    for build_id in builds:
        build = find_build(build_id)
        if build and digest in RecordedImage.of(build).digests:
            yield build["name"]


def _labeled_packages(repository: Repository, manifest: Manifest) -> list[str]:
    """The package of an image, by its label and by the older spelling: a base image may have set the other one."""
    if manifest.manifests:
        manifest = repository.manifest(manifest.manifests[0].digest)
    labels = repository.labels(manifest)
    return [labels[name] for name in (COMPONENT, OLDER[COMPONENT]) if labels.get(name)]
