# SPDX-License-Identifier: GPL-2.0-or-later
"""Parents of a build: how often their configurations are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedpkg_container.image.config import read_builder_config
from fedpkg_container.image.resolve.parents import Parent, ParentResolver
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Access, Registry

DIGEST = "sha256:" + "1" * 64


class CountingRegistry(Registry):
    """A registry that answers from memory, and counts."""

    reads = 0

    def configuration(self, image: ImageReference, platform: Platform | None = None) -> dict[str, Any]:
        self.reads += 1
        return {"config": {"Env": [f"IMAGE={image.repository} {platform}"]}}


def test_a_configuration_is_read_once_for_each_platform(tmp_path: Path) -> None:
    """By the search for its Koji build, and for its ENV."""
    registry = CountingRegistry(Access())
    first, second = Platform("amd64"), Platform("s390x")
    site = tmp_path / "site.conf"
    site.write_text("[registry]\ncandidate = candidate.io\n")
    resolver = ParentResolver(read_builder_config(site), registry, [first, second], lambda _: None)
    parent = Parent("r.io/base:1", ImageReference.parse(f"r.io/base@{DIGEST}"), None)
    assert resolver._find_koji_build(parent.pinned, first) is None
    for _ in range(2):
        assert resolver.config_of(parent, first).environment == {"IMAGE": "base amd64"}
        assert resolver.config_of(parent, second).environment == {"IMAGE": "base s390x"}
    assert registry.reads == 2
