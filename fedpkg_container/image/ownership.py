"""Which names a build may have: its package, and its repository in the registry.

Both are labels of the Dockerfile, so its author chooses them. The package must be that of the source repository, and
all images of a registry's repository must be of one package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.naming import is_unique_tag
from fedpkg_container.image.parents import FindBuild
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.nvr import COMPONENT, OLDER
from fedpkg_container.model.options import own_components, repository_path
from fedpkg_container.model.reference import imported
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.referrers import list_tag
from fedpkg_container.registry.repository import Repository

#: The tag that is looked at, where it is set.
LATEST = "latest"


def check_component(component: str, source: str, allowed: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse to record a build of a package that is not that of its source repository.

    :param source: URL of dist-git
    :param allowed: the site's exceptions: name of a source repository, or its path, → packages that it may build
    :raises BuildFailedError: the package is another one
    """
    path = repository_path(source)
    own = own_components(path)
    if component in (*own, *allowed.get(own[0], ()), *allowed.get(path, ())):
        return
    raise BuildFailedError(
        f"{COMPONENT} = {component}, but the source repository is {path}, which builds {' or '.join(own)}",
        solution=f"correct the label; or ask the site to add {component} to {own[0]} in [components] of its builders'"
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
    named = sorted(tag for tag in tags if not is_unique_tag(tag) and not list_tag(tag))
    tag = next((tag for tag in sorted(named, key=lambda tag: tag != LATEST) if repository.head(tag)), "")
    if not tag:
        return
    manifest = repository.manifest(tag)
    owners = _components(repository, manifest)
    if component in owners or component in _recorded(manifest.digest, imported(tags), find_build):
        return
    image = repository.reference.tagged(tag)
    owner = f"an image of {owners[0]}" if owners else f"an image without a label {COMPONENT}"
    raise BuildFailedError(
        f"{repository.name} is the repository of another package's images: {image} is {owner}, and this is {component}",
        solution="choose another name (the label name, or --repository of import-base); or ask the site to remove"
        " these images, if the name is yours",
    )


def _recorded(digest: str, builds: Iterable[int], find_build: FindBuild) -> Iterator[str]:
    """The packages of those of some builds for which Koji recorded an image."""
    for each in builds:
        build = find_build(each)
        if build and digest in RecordedImage.of(build).digests:
            yield build["name"]


def _components(repository: Repository, manifest: Manifest) -> list[str]:
    """The package of an image, by its label and by the older spelling: a base image may have set the other one."""
    if manifest.manifests:
        manifest = repository.manifest(manifest.manifests[0].digest)
    labels = repository.labels(manifest)
    return [labels[name] for name in (COMPONENT, OLDER[COMPONENT]) if labels.get(name)]
