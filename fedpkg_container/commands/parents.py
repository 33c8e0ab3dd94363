# SPDX-License-Identifier: GPL-2.0-or-later
"""The ENV of parent images, for labels of a Dockerfile that depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.distgit.dockerfile import Dockerfile
    from fedpkg_container.registry.skopeo import Access

#: Seconds that the registries of the parent images have to respond.
TIMEOUT = 1.0


def known_parents(dockerfile: Dockerfile, access: Access | None = None) -> Dockerfile:
    """Return a Dockerfile read with the ENV of its parent images, if a label of the NVR depends on it.

    The registries are queried without retries. If one of them does not respond in time, the values remain unknown: the
    builder decides.

    :param dockerfile: read without its parent images
    :param access: registry access settings; None for the user's own
    """
    from fedpkg_container.distgit.label_rules import depends_on_parents

    if not depends_on_parents(dockerfile):
        return dockerfile
    from dataclasses import replace

    from fedpkg_container.distgit.dockerfile_facts import ParentConfig
    from fedpkg_container.errors import FedpkgContainerError, RegistryError
    from fedpkg_container.model.limits import Deadline
    from fedpkg_container.model.platforms import platform_of
    from fedpkg_container.model.reference import ImageReference
    from fedpkg_container.registry.skopeo import Access, Registry

    deadline = Deadline("reading the parent images", TIMEOUT, error=RegistryError)
    registry = Registry(replace((access or Access()).without_retries(TIMEOUT), deadline=deadline))
    platform = platform_of("x86_64")
    try:
        configurations = {
            name: ParentConfig.read(registry.configuration(ImageReference.parse(name), platform))
            for name in dockerfile.parents
        }
        return dockerfile.with_facts(replace(dockerfile.facts, parents=configurations))
    except (FedpkgContainerError, ValueError):
        return dockerfile
