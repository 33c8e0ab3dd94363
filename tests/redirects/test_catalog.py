# SPDX-License-Identifier: GPL-2.0-or-later
"""The catalog of a real registry, served by the front end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.registry.catalog.policy import CONTENT_SECURITY_POLICY
from fedpkg_container.registry.redirects import Kind
from fedpkg_container.registry.redirects.template import CATALOG_HEADERS
from tests.support.cataloged import Cataloged, labels_of, spdx
from tests.support.front_ends import Distribution, distribution, open_directory


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with open_directory() as made:
        yield made


@pytest.fixture(scope="module")
def site(directory: Path) -> Path:
    return directory / "site"


@pytest.fixture(scope="module")
def showing(kind: Kind, directory: Path, site: Path) -> Iterator[Distribution]:
    """A front end with the catalog of a registry that has a build with SBOMs and a signature."""
    with distribution(kind, directory, catalog=site) as made:
        it = Cataloged(directory, made.registry, made.access)
        labels = labels_of("hello-container", "1.0", summary="Prints hello")
        it.push("f42/hello", "1.0-1", "latest", labels=labels, sbom=spdx([("bash", "5.2-1")]), signed=True)
        summary = it.update()
        assert (summary.repositories, summary.images, summary.fetched, summary.errors) == (1, 1, 1, [])
        assert it.update().written == 0
        yield made


def test_pages_of_a_real_registry(showing: Distribution, site: Path) -> None:
    """This registry has no referrers API: SBOMs and signatures are in indexes under tags."""
    it = Cataloged(site.parent, showing.registry, showing.access)
    assert "f42/hello Prints hello latest 1.0-1 amd64, arm64" in it.page().text.replace("1.0-1 latest", "latest 1.0-1")
    (page,) = [it.page(path) for path in it.files() if "sha256-" in path]
    assert "hello-container-1.0-1" in page.text and "1 signature, 2 SBOMs" in page.text
    assert "bash 5.2-1 all" in page.text


def test_catalog_is_served_with_a_strict_policy(showing: Distribution, site: Path) -> None:
    for path in ("index.html", "catalog.css", "catalog.js", "search.json", "repositories/f42~hello.html"):
        answer = showing.ask("GET", f"/catalog/{path}")
        assert (answer.status, answer.body) == (200, (site / path).read_bytes()), path
        for name, value in CATALOG_HEADERS.items():
            assert answer.headers[name.lower()] == value
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript", "json": "application/json"}
        assert answer.headers["content-type"].startswith(kind[path.rpartition(".")[2]])
    assert showing.ask("GET", "/catalog/").body == (site / "index.html").read_bytes()
    assert CATALOG_HEADERS["Content-Security-Policy"].startswith(CONTENT_SECURITY_POLICY)


def test_first_page_leads_to_the_catalog(showing: Distribution) -> None:
    answer = showing.ask("GET", "/")
    assert answer.status == 302
    assert answer.headers["location"] in ("/catalog/", f"https://{showing.address}/catalog/")


def test_private_and_other_files_are_not_served(showing: Distribution, site: Path) -> None:
    assert (site / ".catalog" / "state.json").exists()
    (site / "repositories" / ".hidden.html").write_text("secret")
    for path in (".catalog/state.json", ".catalog/", "repositories/.hidden.html", "%2ecatalog/state.json",
                 "../registry.yml", "%2e%2e/pki", "x/../.catalog/state.json"):  # fmt: skip
        answer = showing.ask("GET", f"/catalog/{path}")
        assert answer.status in (301, 400, 403, 404), path  # 301: of the registry, to a path without ".."
        assert answer.status != 301 or "registry" in answer.headers["docker-distribution-api-version"]
    assert showing.ask("POST", "/catalog/index.html", body=b"x").status in (403, 405)


def test_all_else_is_the_registry(showing: Distribution) -> None:
    for path in ("/v2/", "/v2/_catalog", "/v2/catalog/tags/list", "/catalogs", "/index.html"):
        own = showing.ask("GET", path, at=showing.registry.replace("127.0.0.1", "localhost"))
        answer = showing.ask("GET", path)
        assert (answer.status, answer.body) == (own.status, own.body), path
        assert "content-security-policy" not in answer.headers
