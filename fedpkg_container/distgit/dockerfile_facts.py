# SPDX-License-Identifier: GPL-2.0-or-later
"""Known facts about a build when its Dockerfile is read: arguments, platform, parent images, version of buildah."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.distgit.dockerfile_expansion import Value, unknown
from fedpkg_container.model.platforms import Platform

#: PATH of an image that does not set it.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Arguments that builders set to another value.
BUILD_TIME_ARGUMENTS = ("SOURCE_DATE_EPOCH",)
#: Predefined arguments: of the image's platform, and of the machine that builds it.
TARGET_ARGUMENTS = ("TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT")
MACHINE_ARGUMENTS = ("BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT")
PLATFORM_ARGUMENTS = (*TARGET_ARGUMENTS, *MACHINE_ARGUMENTS)


@dataclass(frozen=True)
class ParentConfig:
    """The parts of a parent image's configuration that affect the reading of a Dockerfile.

    :param environment: its ENV
    :param triggers: its ONBUILD instructions, which are executed after FROM
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    triggers: tuple[str, ...] = ()

    @classmethod
    def read(cls, configuration: Mapping[str, object]) -> ParentConfig:
        """Return the relevant parts of an image configuration, which may contain anything.

        :param configuration: the image's, as stored in a registry
        :raises ValueError: if its ENV or ONBUILD are not lists of texts
        """
        section = configuration.get("config") or {}
        config: Mapping[str, Any] = section if isinstance(section, Mapping) else {}
        lists = (config.get("Env") or [], config.get("OnBuild") or [])
        if not all(isinstance(part, list) and all(isinstance(item, str) for item in part) for part in lists):
            raise ValueError("ENV or ONBUILD of the image is not a list of texts")
        environment = {name: value for name, _, value in (item.partition("=") for item in lists[0])}
        return cls(environment, tuple(lists[1]))


@dataclass(frozen=True)
class BuildFacts:
    """Known facts about a build.

    :param arguments: values of ARG that override defaults
    :param platform: of the image; None if not known
    :param machine: platform of the machine that builds; None if not known
    :param parents: parent images that are known: reference in FROM, with arguments substituted → configuration
    :param environment: variables set at the start of every stage, after ONBUILD of the parent; None: not known yet
    :param version: of buildah; None if not known
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    machine: Platform | None = None
    parents: Mapping[str, ParentConfig] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)
    version: tuple[int, ...] | None = None

    def predefined(self, name: str) -> Value:
        """Return the value of a platform argument."""
        platform = self.platform if name in TARGET_ARGUMENTS else self.machine
        if name.endswith("OS"):
            return Value("linux")
        if platform is None:
            return unknown(name)
        if name.endswith("PLATFORM"):
            return Value(f"linux/{platform}")
        return Value(platform.variant if name.endswith("VARIANT") else platform.architecture)


NOTHING_KNOWN = BuildFacts()
