# SPDX-License-Identifier: GPL-2.0-or-later
"""A front end with access to the mirror's files redirects only blobs that exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.registry.redirects import Kind
from tests.support.clients import pull
from tests.support.front_ends import Distribution, distribution, open_directory
from tests.support.layered import LayeredImage


@pytest.fixture(scope="module")
def seeing(kind: Kind, image: LayeredImage) -> Iterator[Distribution]:
    with open_directory() as directory, distribution(kind, directory, sees_tree=True) as made:
        image.push(f"{made.address}/new:1", made.access)
        yield made


def test_unexported_blobs_are_served_by_the_registry(seeing: Distribution, image: LayeredImage, tmp_path: Path) -> None:
    pull(seeing, "new:1", tmp_path / "store")
    assert seeing.mirror.log.requests() == []
    image.export(seeing.mirror.tree, "new")
    missing = seeing.mirror.tree / "v2" / "new" / "blobs" / image.layers[0]
    content = missing.read_bytes()
    missing.unlink()
    pull(seeing, "new:1", tmp_path / "again")
    asked = {each.path.rpartition("/")[2] for each in seeing.mirror.log.requests()}
    assert asked == {*image.blobs} - {image.layers[0]}
    missing.write_bytes(content)
    assert seeing.is_redirected(f"/v2/new/blobs/{image.layers[0]}")


def test_directory_is_not_a_blob(seeing: Distribution, image: LayeredImage) -> None:
    directory = seeing.mirror.tree / "v2" / "directory" / "blobs" / image.layers[0]
    directory.mkdir(parents=True)
    assert not seeing.is_redirected(f"/v2/directory/blobs/{image.layers[0]}")


def test_no_name_escapes_the_tree(seeing: Distribution) -> None:
    (seeing.mirror.tree / "blobs").mkdir(exist_ok=True)
    digest = "sha256:" + "0" * 64
    (seeing.mirror.tree / "blobs" / digest).touch()
    for name in ("..", "a/../..", "%2e%2e", "a%2f..%2f..", "a/%2e%2e/.."):
        assert not seeing.is_redirected(f"/v2/{name}/blobs/{digest}")
