# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures by their Koji names and their image (Go) names, and the selection of architectures for a build."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """The platform of an image, as in manifests.

    :param architecture: Go name, e.g. arm64
    :param variant: CPU variant, e.g. v8; empty if there is only one
    """

    architecture: str
    variant: str = ""

    def options(self, prefix: str = "") -> list[str]:
        """Return command-line arguments for buildah, or, with ``override-``, for skopeo."""
        variant = [f"--{prefix}variant", self.variant] if self.variant else []
        return [f"--{prefix}arch", self.architecture, *variant]

    def __str__(self) -> str:
        return f"{self.architecture}/{self.variant}" if self.variant else self.architecture

    def matches(self, platform: object) -> bool:
        """Whether an entry of an image index is for this platform; the entry may omit the variant.

        :param listed: the ``platform`` object of the entry, unchecked
        """
        if not isinstance(platform, Mapping):
            return False
        variant = platform.get("variant") or self.variant
        same = platform.get("architecture") == self.architecture and variant == self.variant
        return same and platform.get("os", "linux") == "linux"


#: Koji architecture → platform, where the names differ. Variants are those used in distributions' images.
_PLATFORMS = {
    "x86_64": Platform("amd64"),
    "aarch64": Platform("arm64", "v8"),
    "i386": Platform("386"),
    "i686": Platform("386"),
    "armhfp": Platform("arm", "v7"),
    "armv7hl": Platform("arm", "v7"),
    "arm": Platform("arm"),
}


def platform_of(arch: str) -> Platform:
    """Return the platform of a Koji architecture."""
    return _PLATFORMS.get(arch, Platform(arch))


def go_arch(arch: str) -> str:
    """Return the Go name of a Koji architecture."""
    return platform_of(arch).architecture


def koji_arch(architecture: str, variant: str = "") -> str:
    """Return the Koji name of an image's architecture.

    :raises ValueError: if the name is not safe to use in a file name
    """
    if not re.fullmatch("[a-z0-9_]{1,32}", architecture):
        raise ValueError(f"invalid architecture name: {architecture[:100]!r}")
    by_architecture = {platform.architecture: arch for arch, platform in reversed(_PLATFORMS.items())}
    by_platform = {platform: arch for arch, platform in reversed(_PLATFORMS.items())}
    return by_platform.get(Platform(architecture, variant)) or by_architecture.get(architecture, architecture)


@dataclass(frozen=True)
class Platforms:
    """``platforms`` in container.yaml, as Koji architecture names.

    :param only: architectures to build for; empty for all
    :param excluded: architectures to exclude
    """

    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def select(self, arches: Sequence[str]) -> list[str]:
        """Return the selected architectures, in the given order."""
        return [arch for arch in arches if arch not in self.excluded and (not self.only or arch in self.only)]


#: All architectures of the build tag.
ALL_PLATFORMS = Platforms()
