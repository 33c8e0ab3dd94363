# SPDX-License-Identifier: GPL-2.0-or-later
"""Architecture names in images, and selection of images from an image index."""

from __future__ import annotations

from typing import Any

import pytest

from fedpkg_container.errors import NoSuchImageError
from fedpkg_container.image.publish.index import format_warnings
from fedpkg_container.model.platforms import Platform, platform_of
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, Manifest


def _digest(name: str) -> str:
    return digest_of(name.encode())


def _member(name: str, **platform: str) -> dict[str, Any]:
    return {"digest": _digest(name), "size": 1, "mediaType": MANIFEST, "platform": platform}


LIST = Manifest.of(
    {
        "mediaType": MANIFEST_LIST,
        "manifests": [
            {**_member("nonsense"), "platform": "amd64"},
            _member("windows", architecture="amd64", os="windows"),
            _member("amd64", architecture="amd64", os="linux"),
            _member("armv6", architecture="arm", os="linux", variant="v6"),
            _member("armv7", architecture="arm", os="linux", variant="v7"),
            _member("arm64", architecture="arm64", os="linux"),
            {"digest": "no platform", "mediaType": MANIFEST},
        ],
    },
)
SINGLE = Manifest.of({"mediaType": MANIFEST})


@pytest.mark.parametrize(
    ("arch", "name"), [("x86_64", "amd64"), ("armhfp", "armv7"), ("armv7hl", "armv7"), ("aarch64", "arm64")]
)
def test_image_of_an_architecture_in_an_index(arch: str, name: str) -> None:
    assert LIST.digest_for(platform_of(arch)) == _digest(name)


def test_index_without_the_architecture() -> None:
    with pytest.raises(NoSuchImageError, match="no image for s390x"):
        LIST.digest_for(platform_of("s390x"))


def test_single_image_is_not_searched() -> None:
    assert SINGLE.digest_for(platform_of("s390x")) == SINGLE.digest


def test_platform_options_of_programs() -> None:
    assert platform_of("x86_64").options() == ["--arch", "amd64"]
    assert platform_of("aarch64").options("override-") == ["--override-arch", "arm64", "--override-variant", "v8"]
    assert platform_of("riscv64") == Platform("riscv64")


@pytest.mark.parametrize(
    ("formats", "said"), [(("v2s2",), None), (("v2s2", "oci"), "OCI variant of the image"), (("oci", "v2s2"), "image")]
)
def test_lost_healthcheck_gives_a_warning(formats: tuple[str, ...], said: str | None) -> None:
    with_it = {"config": {"Healthcheck": {"Test": ["CMD", "true"]}}}
    expected = [f"the {said} has no HEALTHCHECK: the OCI format does not support it"] if said else []
    assert format_warnings(lambda: with_it, formats) == expected
    assert format_warnings(lambda: {"config": {}}, formats) == []
