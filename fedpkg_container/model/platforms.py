"""Architectures by their two names, Koji's and those of images (Go's), and those that a build is for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """What an image runs on, as manifests name it.

    :param architecture: Go's name, arm64
    :param variant: which of its kind, v8; empty where there is one only
    """

    architecture: str
    variant: str = ""

    def options(self, prefix: str = "") -> list[str]:
        """Arguments for buildah, or with ``override-`` for skopeo."""
        variant = [f"--{prefix}variant", self.variant] if self.variant else []
        return [f"--{prefix}arch", self.architecture, *variant]

    def __str__(self) -> str:
        return f"{self.architecture}/{self.variant}" if self.variant else self.architecture

    def fits(self, listed: object) -> bool:
        """Whether the platform of a member of a list is this one; a list may leave the variant out.

        :param listed: what the list says, whatever that is
        """
        if not isinstance(listed, Mapping):
            return False
        variant = listed.get("variant") or self.variant
        same = listed.get("architecture") == self.architecture and variant == self.variant
        return same and listed.get("os", "linux") == "linux"


#: Koji's names of arches → what images say, where that differs. Variants are those of distributions' own images.
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
    """The platform that an arch of Koji is."""
    return _PLATFORMS.get(arch, Platform(arch))


def go_arch(arch: str) -> str:
    """Go's name of an arch of Koji."""
    return platform_of(arch).architecture


def koji_arch(architecture: str, variant: str = "") -> str:
    """Koji's name of what an image says that it runs on.

    :raises ValueError: it is none that a file could be called by
    """
    if not re.fullmatch("[a-z0-9_]{1,32}", architecture):
        raise ValueError(f"not an arch: {architecture[:100]!r}")
    known = {platform.architecture: arch for arch, platform in reversed(_PLATFORMS.items())}
    exactly = {platform: arch for arch, platform in reversed(_PLATFORMS.items())}
    return exactly.get(Platform(architecture, variant)) or known.get(architecture, architecture)


@dataclass(frozen=True)
class Platforms:
    """``platforms`` of container.yaml, in Koji's names of arches.

    :param only: the arches to build for; empty for all
    :param excluded: arches not to build for
    """

    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def choose(self, arches: Sequence[str]) -> list[str]:
        """Those of some arches that are built for, in the same order."""
        return [arch for arch in arches if arch not in self.excluded and (not self.only or arch in self.only)]


#: For every arch of the build tag.
EVERYWHERE = Platforms()
