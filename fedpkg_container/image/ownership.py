"""Whose a repository is: the label ``name`` says where an image goes, and all images there are to be of one package."""

from __future__ import annotations

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.naming import is_unique_tag
from fedpkg_container.model.labels import COMPONENT, OLDER
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.referrers import is_fallback_tag
from fedpkg_container.registry.repository import Repository

#: The tag that is looked at, where it is set.
LATEST = "latest"


def check_owner(repository: Repository, component: str) -> None:
    """Refuse to build a package into the repository of another one.

    The image under one tag tells whose it is. Tags of single builds do not: scratch builds and builds that failed
    have them as well.

    :raises BuildFailedError: the image there is of another package, or does not say of which it is
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    tags = sorted(tag for tag in repository.tags() if not is_unique_tag(tag) and not is_fallback_tag(tag))
    if not tags:
        return
    tag = LATEST if LATEST in tags else tags[0]
    owners = _components(repository, repository.manifest(tag))
    if component in owners:
        return
    image = repository.reference.tagged(tag)
    owner = f"an image of {owners[0]}" if owners else f"an image without a label {COMPONENT}"
    raise BuildFailedError(
        f"the label name = {repository.name!r} is the name of another package's images: {image} is {owner},"
        f" and this is {component}",
        solution="choose another name; or ask the site to remove these images, if the name is yours",
    )


def _components(repository: Repository, manifest: Manifest) -> list[str]:
    """The package of an image, by its label and by the older spelling: a base image may have set the other one."""
    if manifest.manifests:
        manifest = repository.manifest(manifest.manifests[0].digest)
    labels = repository.labels(manifest)
    return [labels[name] for name in (COMPONENT, OLDER[COMPONENT]) if labels.get(name)]
