"""Pages of tags and of the catalog: read to their end, or refused."""

from __future__ import annotations

import pytest

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry import repository as repositories_of
from fedpkg_container.registry.repository import Repository, repositories
from tests.registry.conftest import Serve
from tests.support.memory_registry import Fault
from tests.support.pushing import image


@pytest.mark.parametrize("link", ["{}", "https://HOST{}"])
def test_pages_by_relative_and_absolute_links(serve: Serve, link: str) -> None:
    server, repository = serve(page=2)
    server.link = link.replace("HOST", server.address)
    for number in range(7):
        image(repository, "one", f"tag-{number}")
    assert list(repository.tags()) == ["latest", *(f"tag-{number}" for number in range(7))]
    assert server.asked("GET /v2/hello/tags/list") == 4
    for name in "abc":
        image(Repository(repository.http, name), "one", "x")
    assert list(repositories(repository.http)) == ["a", "b", "c", "hello"]


def test_a_link_that_is_relative_to_the_page(serve: Serve) -> None:
    server, repository = serve()
    pages = [(b'{"tags": ["a"]}', '<list?last=a>; rel="next"'), (b'{"tags": ["b"]}', "")]
    server.faults["/tags/list"] = [Fault(200, {"Link": link} if link else {}, body) for body, link in pages]
    assert list(repository.tags()) == ["a", "b"]
    assert server.asked("GET /v2/hello/tags/list") == 2


def test_pages_that_go_round_or_have_no_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve()
    same = Fault(200, {"Link": '</v2/hello/tags/list?last=a>; rel="next"'}, b'{"tags": ["a"]}')
    server.faults["/tags/list"] = [same] * 10
    with pytest.raises(RegistryError, match="lists tags without end"):
        list(repository.tags())
    assert len(server.faults["/tags/list"]) == 8
    monkeypatch.setattr(repositories_of, "PAGES", 5)
    following = [f'</v2/hello/tags/list?last={number}>; rel="next"' for number in range(9)]
    server.faults["/tags/list"] = [Fault(200, {"Link": each}, b'{"tags": ["a"]}') for each in following]
    with pytest.raises(RegistryError, match="lists tags without end"):
        list(repository.tags())
    assert len(server.faults["/tags/list"]) == 4


def test_a_page_of_another_server_is_not_asked_for(serve: Serve) -> None:
    server, repository = serve()
    away = Fault(200, {"Link": '<https://127.0.0.1:9/v2/hello/tags/list>; rel="next"'}, b'{"tags": []}')
    server.faults["/tags/list"] = [away]
    with pytest.raises(RegistryError, match="sends on to another server: https://127.0.0.1:9/"):
        list(repository.tags())


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b'{"tags": "abc"}', b'{"tags": {"a": 1}}', b'{"tags": ["a b"]}', b'{"tags": ["-x"]}',
     b'{"tags": [null]}', b'{"tags": ["x\\ny"]}', b"<html>", b"[" * 100_000],
)  # fmt: skip
def test_lists_of_tags_that_are_none(serve: Serve, body: bytes) -> None:
    server, repository = serve()
    server.faults["/tags/list"] = [Fault(200, {}, body)]
    with pytest.raises(RegistryError):
        list(repository.tags())


@pytest.mark.parametrize("body", [b'{"tags": null}', b'{"name": "hello"}', b'{"tags": []}'])
def test_lists_of_no_tags(serve: Serve, body: bytes) -> None:
    server, repository = serve()
    server.faults["/tags/list"] = [Fault(200, {}, body)]
    assert list(repository.tags()) == []
    server.faults["/tags/list"] = [404]
    assert list(repository.tags()) == []


def test_a_catalog_with_names_that_are_none(serve: Serve) -> None:
    server, repository = serve()
    server.faults["/_catalog"] = [Fault(200, {}, b'{"repositories": ["fine", "../../etc"]}')]
    with pytest.raises(RegistryError, match="etc"):
        list(repositories(repository.http))
