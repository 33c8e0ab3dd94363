# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine of a build knows when it reads a Dockerfile: before and after the parent images are pulled."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts
from fedpkg_container.engines import versions
from fedpkg_container.engines.base_image import BaseImage
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.image.resolve.identity import with_parents
from fedpkg_container.image.resolve.parents import parent_config
from fedpkg_container.model.platforms import platform_of


def facts_of_build(
    engine: Buildah, arch: str, environment: Mapping[str, str], arguments: Mapping[str, str] | None = None
) -> BuildFacts:
    """Return what is known of a build on this machine, apart from the parent images.

    :param arch: Koji name of the architecture
    :param environment: ENV that the build adds
    :param arguments: values of ARG, overriding defaults
    """
    return BuildFacts(
        arguments=arguments or {},
        platform=platform_of(arch),
        machine=platform_of(platform.machine()),
        environment=environment,
        version=versions.parse(engine.version()) or None,
    )


def with_base_images(dockerfile: Dockerfile, base_images: Mapping[str, BaseImage]) -> Dockerfile:
    """Return a Dockerfile read with its parent images, which are pulled.

    :param base_images: reference in FROM → image
    :raises RegistryError: if a configuration is malformed
    :raises BuildFailedError: if the Dockerfile is too large with their variables, or their ONBUILD cannot be read
    """
    return with_parents(
        dockerfile, {name: parent_config(name, base.configuration) for name, base in base_images.items()}
    )
