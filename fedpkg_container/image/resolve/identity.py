# SPDX-License-Identifier: GPL-2.0-or-later
"""The identity of a build: NVR and repository from the labels of the Dockerfile, the same for all architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.distgit.label_rules import identity_labels, incomplete
from fedpkg_container.errors import BuildFailedError, RefusedError
from fedpkg_container.image.resolve import names
from fedpkg_container.model.nvr import COMPONENT_LABEL, MAX_NVR_LENGTH, label_value
from fedpkg_container.model.platforms import Platform, platform_of


@dataclass(frozen=True)
class Identity:
    """The NVR of a build, and its repository in the registry.

    :param release: empty for the next release chosen by the hub
    :param repository_path: without the registry
    """

    component: str
    version: str
    release: str
    repository_path: str


def identify(dockerfile: Dockerfile, options: Mapping[str, Any]) -> Identity:
    """Return the identity of a build.

    :raises BuildFailedError: if a label is missing or incomplete, or the labels form no valid NVR or repository
    """
    _check_complete(dockerfile, options)
    labels = dockerfile.labels
    component = names.valid_package(names.required_label(labels, COMPONENT_LABEL))
    version = names.valid_nvr_part("version", names.required_label(labels, "version"))
    release = str(options.get("release") or label_value(labels, "release"))
    if release:
        names.valid_nvr_part("release", release)
    if len(f"{component}-{version}-{release}") > MAX_NVR_LENGTH:
        raise BuildFailedError(
            f"the NVR from the labels has more than {MAX_NVR_LENGTH} characters", solution="shorten the labels"
        )
    try:
        koji.check_NVR({"name": component, "version": version, "release": release or "1"}, strict=True)
    except koji.GenericError as error:
        raise BuildFailedError(
            f"the labels do not form a valid NVR: {error}", solution="fix com.redhat.component"
        ) from error
    return Identity(component, version, release, names.valid_repository(names.required_label(labels, "name")))


def _check_complete(dockerfile: Dockerfile, options: Mapping[str, Any]) -> None:
    for name, label in identity_labels(dockerfile.label_details).items():
        if name == "release" and options.get("release"):
            continue
        if message := incomplete(name, label):
            base = f"neither the Dockerfile nor {dockerfile.base}" if dockerfile.base else "the Dockerfile"
            raise BuildFailedError(
                message, solution=f"{base} sets {'it' if len(label.unset) == 1 else 'them'}: use ENV or ARG"
            )
        if label.unknown:
            variables = ", ".join(f"${variable}" for variable in sorted(label.unknown))
            raise BuildFailedError(
                f"label {name} depends on {variables}, which is not known before the build",
                solution="use another variable, set with ENV or ARG",
            )


@dataclass(frozen=True)
class ArchReadings:
    """The Dockerfile as read for each architecture of a build.

    :param by_platform: platform → the Dockerfile; never empty
    """

    by_platform: Mapping[Platform, Dockerfile]

    @classmethod
    def read(cls, checkout: Path, arches: Sequence[str], facts: BuildFacts) -> ArchReadings:
        """Read the Dockerfile of a checkout.

        :param arches: Koji names of the architectures
        :param facts: what is known of the build, apart from the platform
        :raises RefusedError: if there is none, or it cannot be parsed
        """
        platforms = dict.fromkeys(map(platform_of, arches))
        first, *others = platforms
        dockerfile = Dockerfile.read(checkout, replace(facts, platform=first))
        readings = {other: dockerfile.with_facts(replace(facts, platform=other)) for other in others}
        return cls({first: dockerfile, **readings})

    @property
    def first(self) -> Dockerfile:
        """The Dockerfile of the first architecture."""
        return next(iter(self.by_platform.values()))

    @property
    def needs_parents(self) -> bool:
        """Whether the identity may depend on the parent images, whose ENV takes precedence over ARG."""
        labels = [identity_labels(dockerfile.label_details) for dockerfile in self.by_platform.values()]
        return any("$" in label.written for each in labels for label in each.values())

    def with_parents(self, parents: Mapping[Platform, Mapping[str, ParentConfig]]) -> ArchReadings:
        """Return the Dockerfile read with the parent images.

        :param parents: platform → reference in FROM → configuration
        :raises BuildFailedError: if it is too large with their variables
        """
        return ArchReadings(
            {platform: with_parents(dockerfile, parents[platform]) for platform, dockerfile in self.by_platform.items()}
        )

    def identify(self, options: Mapping[str, Any]) -> Identity:
        """Return the identity of the build.

        :raises BuildFailedError: if the labels are not valid, or differ by architecture
        """
        identities = {platform: identify(each, options) for platform, each in self.by_platform.items()}
        first = next(iter(identities.values()))
        for platform, identity in identities.items():
            if identity != first:
                raise BuildFailedError(
                    f"the labels differ by architecture: {_shown(first)}, but {_shown(identity)} on {platform}",
                    solution="use the same name, version and release for all architectures",
                )
        return first


def _shown(identity: Identity) -> str:
    nvr = "-".join(filter(None, (identity.component, identity.version, identity.release)))
    return f"{nvr} ({identity.repository_path})"


def with_parents(dockerfile: Dockerfile, parents: Mapping[str, ParentConfig]) -> Dockerfile:
    """Return a Dockerfile read with its parent images.

    :param parents: reference in FROM → configuration
    :raises BuildFailedError: if it is too large with their variables, or their ONBUILD cannot be read
    """
    try:
        return dockerfile.with_facts(replace(dockerfile.facts, parents=parents))
    except RefusedError as error:
        raise BuildFailedError(error.reason, solution=error.solution) from error


def check_identity(dockerfile: Dockerfile, expected: Mapping[str, str], arch: str) -> None:
    """Check that the labels on one architecture are those in the plan of the build.

    :param dockerfile: read with its parent images
    :param expected: label → value
    :raises BuildFailedError: if they are not
    """
    labels = dockerfile.labels
    for name, value in expected.items():
        actual = label_value(labels, name)
        if actual != value:
            raise BuildFailedError(
                f"label {name} is {actual!r} on {arch}, but {value!r} in the plan of the build",
                solution="use the same name, version and release for all architectures",
            )
