# SPDX-License-Identifier: GPL-2.0-or-later
"""The parent images of a Dockerfile: their ENV, for labels that depend on it, and whether they exist."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fedpkg_container.distgit.dockerfile import Dockerfile
    from fedpkg_container.distgit.dockerfile_facts import ParentConfig
    from fedpkg_container.model.findings import Finding
    from fedpkg_container.registry.skopeo import Access, Registry

#: Seconds that the registries of the parent images have to respond.
TIMEOUT = 1.0


def known_parents(
    dockerfile: Dockerfile,
    recorded: Mapping[str, Mapping[str, object]] | None = None,
    *,
    replaced: str = "",
    access: Access | None = None,
) -> Dockerfile:
    """Return a Dockerfile read with the ENV of its parent images, if a label of the NVR depends on it.

    The registries of images without a record are queried, without retries. If one of them does not respond in time, the
    values remain unknown: the builder decides.

    :param dockerfile: read without its parent images
    :param recorded: reference in FROM → the parts of its configuration that Koji recorded
    :param replaced: reference whose image is not used (``--koji-parent-build``)
    :param access: registry access settings; None for the user's own
    """
    from dataclasses import replace

    from fedpkg_container.distgit.label_rules import depends_on_parents
    from fedpkg_container.errors import FedpkgContainerError

    if not depends_on_parents(dockerfile):
        return dockerfile
    configurations = _recorded(recorded or {})
    others = [name for name in dockerfile.parents if name not in configurations and name != replaced]
    if others:
        configurations |= _from_registries(others, access)
    try:
        return dockerfile.with_facts(replace(dockerfile.facts, parents=configurations))
    except FedpkgContainerError:
        return dockerfile


def _recorded(recorded: Mapping[str, Mapping[str, object]]) -> dict[str, ParentConfig]:
    from fedpkg_container.distgit.dockerfile_facts import ParentConfig

    configurations = {}
    for name, config in recorded.items():
        with suppress(ValueError):
            configurations[name] = ParentConfig.read({"config": config})
    return configurations


def _from_registries(names: Sequence[str], access: Access | None) -> dict[str, ParentConfig]:
    """Return the configurations of images whose registry responds within ``TIMEOUT``, counted for all of them."""
    from fedpkg_container.distgit.dockerfile_facts import ParentConfig
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.model.platforms import platform_of
    from fedpkg_container.model.reference import ImageReference

    registry = _registry(access, TIMEOUT)
    platform = platform_of("x86_64")
    configurations = {}
    for name in names:
        with suppress(FedpkgContainerError, ValueError):
            configuration = registry.configuration(ImageReference.parse(name), platform)
            configurations[name] = ParentConfig.read(configuration)
    return configurations


def _registry(access: Access | None, timeout: float) -> Registry:
    """Return a client for the registries of parent images, without retries.

    :param timeout: seconds for all of its requests together
    """
    from dataclasses import replace

    from fedpkg_container.errors import RegistryError
    from fedpkg_container.model.limits import Deadline
    from fedpkg_container.registry.skopeo import Access, Registry

    deadline = Deadline("reading the parent images", timeout, error=RegistryError)
    return Registry(replace((access or Access()).without_retries(timeout), deadline=deadline))


#: Seconds that the registries have to respond if the images themselves are checked.
CHECK_TIMEOUT = 15.0


def check_parents(
    dockerfile: Dockerfile, arches: Sequence[str], *, replaced: bool = False, access: Access | None = None
) -> list[Finding]:
    """Return findings about images in FROM that do not exist, or lack an architecture of the build.

    An image whose registry does not respond, or requires other credentials than the user has, is a note.

    :param arches: Koji names of the architectures to build for
    :param replaced: whether the base image is not used (``--koji-parent-build``)
    """
    from dataclasses import replace

    from fedpkg_container.model.platforms import platform_of

    registry = _registry(access, CHECK_TIMEOUT)
    needed: dict[str, list[str]] = {}
    for arch in arches:
        reading = dockerfile.with_facts(replace(dockerfile.facts, platform=platform_of(arch)))
        for name in reading.parents:
            if not (replaced and name == reading.base):
                needed.setdefault(name, []).append(arch)
    lines = {stage.image: stage.line for stage in reversed(dockerfile.stages)}
    return [
        finding
        for name, names in needed.items()
        for finding in _check_parent(registry, name, names, dockerfile.file, lines.get(name, 0))
    ]


def _check_parent(registry: Registry, name: str, arches: Sequence[str], file: str, line: int) -> Iterator[Finding]:
    from fedpkg_container.errors import FedpkgContainerError, NoSuchImageError
    from fedpkg_container.model.findings import ERROR, NOTE, Finding
    from fedpkg_container.model.platforms import platform_of
    from fedpkg_container.model.reference import ImageReference

    try:
        image = ImageReference.parse(name)
        if not image.registry:
            return  # a finding of the Dockerfile
        manifest = registry.manifest(image)
        available = manifest.platforms if manifest.is_index else [registry.configuration(image)]
    except NoSuchImageError:
        yield Finding("parent-missing", ERROR, f"FROM {name}: the image does not exist", "check its name", file, line)
        return
    except FedpkgContainerError as error:
        message = f"FROM {name}: cannot check the image: {error.reason}"
        yield Finding("parent-missing", NOTE, message, "the builder checks it", file, line)
        return
    missing = [arch for arch in arches if not any(map(platform_of(arch).matches, available))]
    if missing:
        message = f"FROM {name}: there is no image for {', '.join(missing)}"
        solution = "use another image, or limit the architectures (platforms in container.yaml)"
        yield Finding("parent-arch", ERROR, message, solution, file, line)
