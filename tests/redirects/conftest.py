# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a front end of each kind in front of a real registry and a real mirror."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from fedpkg_container.registry.redirects import Kind
from tests.support.front_ends import Distribution, distribution, open_directory
from tests.support.layered import LayeredImage

#: The repository of the image that registry and mirror have.
REPOSITORY = "f42/hello-web"


@pytest.fixture(scope="session", params=["nginx", "httpd"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return cast(Kind, request.param)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> LayeredImage:
    """An image of three layers."""
    return LayeredImage.make(tmp_path_factory.mktemp("images") / "hello")


@pytest.fixture(scope="session")
def running(kind: Kind, image: LayeredImage) -> Iterator[Distribution]:
    """A front end that does not see the mirror's files; registry and mirror have the image."""
    with open_directory() as directory, distribution(kind, directory) as made:
        image.push(f"{made.registry}/{REPOSITORY}:1.0-1", made.access)
        image.export(made.mirror.tree, REPOSITORY)
        yield made
