# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that a source repository may build; owners of registry repositories are in tests/e2e/test_ownership.py."""

from __future__ import annotations

import pytest

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.resolve.names import check_component, check_reserved
from fedpkg_container.model.options import repository_path

COMMIT = "0" * 40


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (f"git+https://src.example.org/container/hello#{COMMIT}", "container/hello"),
        (f"git+https://src.example.org:8443/container/hello.git#{COMMIT}", "container/hello"),
        (f"git+ssh://me@src.example.org/container/hello.git/#{COMMIT}", "container/hello"),
        (f"git://src.example.org/hello#{COMMIT}", "hello"),
        (f"git+https://src.example.org/container/hello/..#{COMMIT}", "container/hello/.."),
        (f"git+https://src.example.org/container/evil#{COMMIT}/hello", "container/evil"),
        ("git+https://src.example.org/container/evil?/hello#x", "container/evil"),
    ],
)
def test_repository_path_of_a_source_url(source: str, path: str) -> None:
    assert repository_path(source) == path


@pytest.mark.parametrize("component", ["hello", "hello-container", "tools", "tools-container"])
def test_allowed_packages_of_a_source_repository(component: str) -> None:
    allowed = {"hello": ("tools",), "container/hello": ("tools-container",), "other": ("evil",)}
    check_component(component, f"git+https://h/container/hello.git#{COMMIT}", allowed)
    for evil in ("evil", "hello-containe", "hello-container-container", "Hello", ""):
        with pytest.raises(BuildFailedError, match="the source repository container/hello builds hello or"):
            check_component(evil, f"git+https://h/container/hello#{COMMIT}", allowed)


def test_exception_by_path_applies_to_that_path() -> None:
    allowed = {"container/hello": ("tools",)}
    with pytest.raises(BuildFailedError):
        check_component("tools", f"git+https://h/fork/hello#{COMMIT}", allowed)


def test_reserved_repository() -> None:
    reserved = {"hello-web": ("hello-web-container",)}
    check_reserved("hello-web", "hello-web-container", reserved)
    check_reserved("other", "evil", reserved)
    with pytest.raises(
        BuildFailedError, match="hello-web is reserved for images of hello-web-container, but this package is"
    ):
        check_reserved("hello-web", "evil", reserved)
