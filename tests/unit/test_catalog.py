# SPDX-License-Identifier: GPL-2.0-or-later
"""The catalog: what its pages show, that untrusted text does no harm, and what is read and written again."""

from __future__ import annotations

import json
import re
import tempfile
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpkg_container.registry.catalog import reader
from fedpkg_container.registry.catalog.facts import (
    MAX_DESCRIPTION,
    ArchImage,
    ImageFacts,
    Package,
    Referrer,
    clean,
    safe_url,
    utc_time,
)
from fedpkg_container.registry.catalog.site import SiteWriter
from fedpkg_container.registry.catalog.spdx import parse_spdx
from fedpkg_container.registry.catalog.state import State, Store
from fedpkg_container.registry.catalog.views import (
    Labels,
    Promotion,
    arrange,
    file_name,
)
from tests.support.cataloged import Cataloged, Page, cataloged, check_pages, spdx, two_builds

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[31m\u202e{{ 7 * 7 }}\x00\ufffe"
ATOM = "{http://www.w3.org/2005/Atom}"
ASSETS = Path(__file__).parents[2] / "fedpkg_container" / "registry" / "catalog" / "assets"


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Cataloged]:
    with cataloged(tmp_path) as found:
        yield found


def test_pages_show_what_is_in_the_registry(it: Cataloged) -> None:
    it.labels = replace(it.labels, koji="https://koji.example.org/koji/")
    it.push("fedora", "42", labels={})
    first, second = two_builds(it)
    it.promoted("f42/httpd", "httpd-container-2.4-10", second, "2.4")
    summary = it.update(journal=True)
    assert (summary.repositories, summary.images, summary.fetched, summary.errors) == (2, 3, 3, [])
    check_pages(it)
    index = it.page()
    assert "2 repositories" in index.text and "f42/httpd Web server" in index.text and "amd64, arm64" in index.text
    page = it.repository_page("f42/httpd")
    assert "podman pull registry.example.org/f42/httpd:latest" in page.text and "Serves files." in page.text
    assert page.text.index("httpd-container-2.4-10") < page.text.index("httpd-container-2.4-9"), "RPM's order"
    page = it.image_page("f42/httpd", second)
    assert f"podman pull registry.example.org/f42/httpd@{second}" in page.text
    assert "2.4-10 latest" in page.text and "commit 0123abcd" in page.text and "1 signature, 2 SBOMs" in page.text
    links = page.links()
    assert "https://src.example.org/container/httpd" in links
    koji = "https://koji.example.org/koji/search?match=exact&type=build&terms=httpd-container-2.4-10"
    assert koji in links
    assert "../../repositories/fedora.html" in links, "the parent is in the catalog"
    assert ": 3 packages differ" in page.text
    for change in ("7zip added none 24-1", "httpd changed 2.4.61-1 2.4.62-1", "old removed 1-1 none"):
        assert change in page.text
    assert "There is no build before" in it.image_page("f42/httpd", first).text
    assert re.search(r"Promoted 20\d\d-\d\d-\d\d", page.text)
    manifests = json.loads(it.memory["f42/httpd"].manifests[second])["manifests"] if it.memory else []
    assert len(manifests) == 2 and all(each["digest"] in page.text for each in manifests)


def test_packages_have_an_index_and_data_for_the_search(it: Cataloged) -> None:
    two_builds(it)
    it.push("f42/nginx", "1", labels={}, sbom=spdx([("bash", "5.3-1"), ("libnginx", "1-1"), ("_x", "1")]))
    it.update()
    check_pages(it)
    page = it.page("packages.html")
    groups = [link for link in page.links() if link.startswith("packages/")]
    assert groups == [f"packages/{group}.html" for group in ("0-9", "b", "h", "l", "other")]
    page = it.page("packages/b.html")
    assert "bash 5.2-1 f42/httpd" in page.text and "bash 5.3-1 f42/nginx" in page.text
    found = json.loads((it.site / "search.json").read_text())
    assert found["repositories"] == ["f42/httpd", "f42/nginx"]
    assert found["packages"] == {"7zip": [0], "_x": [1], "bash": [0, 1], "httpd": [0], "libnginx": [1]}


def test_hostile_text_is_escaped_bounded_and_not_linked(it: Cataloged) -> None:
    labels = dict.fromkeys(("summary", "vcs-ref", "com.redhat.component", "version", "release"), HOSTILE)
    labels |= {"description": "x" * 100_000, "url": "javascript:alert(1)//https://example.org", "build-date": HOSTILE}
    packages = [(HOSTILE, HOSTILE), ("n" * 10_000, "1"), ("a/../../b", "1"), ("javascript:alert(1)", "1")]
    sbom = spdx(packages, parent=f"{HOSTILE}@sha256:1", source="git+javascript:alert(1)@1")
    digest = it.push("hello", "latest", labels=labels, sbom=sbom, arches=("<b>", "amd64"), created=HOSTILE,
                     annotations={"org.opencontainers.image.title": HOSTILE})  # fmt: skip
    it.promoted("hello", HOSTILE, digest, HOSTILE)
    it.labels = replace(it.labels, koji="javascript:alert(1)")
    assert it.update(journal=True).errors == []
    pages = check_pages(it)
    for page in pages:
        content = page.path.read_text()
        assert "<script>alert" not in content and "<img" not in content and "<b>" not in content
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ufffe]", content)
        assert not [link for link in page.links() if urlsplit(link).scheme not in ("", "http", "https")]
        assert "{{ 7 * 7 }}" in page.text or "49" not in page.text
        assert len(content) < 40_000
    assert "<script>alert(1)</script>" in it.image_page("hello", digest).text, "shown as text"
    assert "x" * (MAX_DESCRIPTION - 1) + "…" in it.repository_page("hello").text
    ET.parse(it.site / "feed.xml")  # noqa: S314
    safe = re.compile(r"[a-z0-9._~/-]+")
    assert [path for path in it.files() if not safe.fullmatch(path)] == []


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)", "JavaScript:alert(1)", " https://example.org", "https:example.org", "//example.org/x",
        "data:text/html,x", "https://exa mple.org", "https://example.org/\"onclick=x", "https://example.org/\n",
        "https://[::1", "https://", "ftp://example.org", "https://example.org/" + "x" * 3000, "", None, 1,
        "https://example.org/\u202e",
    ],
)  # fmt: skip
def test_urls_that_are_not_linked(text: object) -> None:
    assert safe_url(text) == ""


def test_urls_that_are_linked_have_no_credentials() -> None:
    assert safe_url("https://user:secret@example.org/a?b=c#d") == "https://example.org/a?b=c#d"
    assert safe_url("http://[2001:db8::1]:8080/") == "http://[2001:db8::1]:8080/"


def test_clean_text() -> None:
    assert clean("a\n\tb\x1b[0m  c") == "a b�[0m c"
    assert clean("x" * 1000, 10) == "xxxxxxxxx…"
    assert clean(["x"]) == clean(None) == ""
    assert utc_time("2026-01-02T03:04:05.123456789Z") == "2026-01-02T03:04:05Z"
    assert utc_time("2026-13-02T03:04:05Z") == utc_time("yesterday") == utc_time(5) == ""


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"packages": {}}', b'{"packages": 1}'],
)
def test_documents_that_are_not_spdx(raw: bytes) -> None:
    assert parse_spdx(raw) is None


def test_spdx_with_wrong_types() -> None:
    document = {
        "packages": [1, {}, {"name": 1}, {"name": "a", "versionInfo": []}, {"SPDXID": [], "name": "b"},
                     {"SPDXID": "p", "name": "c", "externalRefs": [1, {"referenceLocator": "pkg:oci/"}]}],
        "relationships": [1, {"relationshipType": [], "relatedSpdxElement": "p"},
                          {"relationshipType": "DESCENDANT_OF", "relatedSpdxElement": {}},
                          {"relationshipType": "DESCENDANT_OF", "relatedSpdxElement": "p"}],
    }  # fmt: skip
    found = parse_spdx(json.dumps(document).encode())
    assert found is not None
    assert (found.packages, found.parent) == ((("a", ""), ("b", ""), ("c", "")), "c")


def test_documents_of_our_builds_are_understood() -> None:
    from fedpkg_container.image.record.sbom import spdx_document
    from tests.unit.test_sbom import described, details, rpm

    subject = described((rpm("bash"), details()), (rpm("openssl", epoch=1), details()))
    found = parse_spdx(spdx_document(subject))
    assert found is not None and subject.base is not None
    assert [name for name, _ in found.packages] == ["bash", "openssl"]
    assert found.packages[1][1].startswith("1:")
    assert found.parent == str(subject.base.at(subject.base.digest))
    url, _, commit = subject.source_url.partition("#")
    assert found.commit == commit and found.source.endswith(url.partition("//")[2])


def test_cosign_tags_are_signatures_and_no_builds(it: Cataloged) -> None:
    digest = it.push("hello", "1", labels={})
    it.push("hello", f"{digest.replace(':', '-')}.sig", labels={"summary": "signature"})
    it.update()
    page = it.image_page("hello", digest)
    assert "cosign.sig all architectures" in page.text and "1 signature," in page.text
    assert it.update().images == 1


def test_sbom_that_is_too_large_is_ignored(it: Cataloged, monkeypatch: pytest.MonkeyPatch) -> None:
    sbom = spdx([("bash", "1")])
    digest = it.push("hello", "1", labels={}, sbom=sbom)
    monkeypatch.setattr(reader, "MAX_SBOM_SIZE", len(sbom) - 1)
    assert it.update().errors == []
    assert "Unknown: there is no SBOM that" in it.image_page("hello", digest).text


def test_images_of_other_kinds(it: Cataloged) -> None:
    """An image without index, an index with an attestation, an invalid configuration, SBOMs that are not valid."""
    from fedpkg_container.registry.manifests import OCI_INDEX, OCI_MANIFEST, Manifest
    from fedpkg_container.registry.referrers import Artifact, attach

    with it.repository("odd") as repository:
        blob = {"mediaType": "text/plain", "digest": repository.push(b"not JSON"), "size": 8}
        image = Manifest.of({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": blob, "layers": []})
        for name in (image.digest, "artifact"):
            repository.put_manifest(name, image)
        attach(repository, image.digest, Artifact("application/spdx+json", "x", b"not JSON", "2026"))
        unknown = {**image.descriptor, "platform": {"os": "unknown", "architecture": "unknown"}}
        windows = {**image.descriptor, "platform": {"os": "windows", "architecture": "arm", "variant": "v7"}}
        for name, members in (("empty", []), ("index", [unknown, windows])):
            repository.put_manifest(name, Manifest.of(
                {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}))  # fmt: skip
    assert it.update().errors == []
    check_pages(it)
    text = it.repository_page("odd").text
    assert "windows/arm/v7" in text and "none" in text


def test_feed(it: Cataloged) -> None:
    first, second = two_builds(it)
    it.labels = replace(it.labels, url="https://registry.example.org/catalog")
    entries = [it.promoted("f42/httpd", f"httpd-container-2.4-{number}", digest, "2.4", "latest")
               for number, digest in ((9, first), (10, second))]  # fmt: skip
    it.promoted("gone", "gone-1-1", f"sha256:{64 * '0'}")
    it.update(journal=True)
    feed = ET.parse(it.site / "feed.xml").getroot()  # noqa: S314
    assert feed.tag == f"{ATOM}feed"
    required = ("id", "title", "updated")
    assert all(len(feed.findall(f"{ATOM}{name}")) == 1 for name in required)
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links["self"] == "https://registry.example.org/catalog/feed.xml"
    found = feed.findall(f"{ATOM}entry")
    assert len(found) == 3
    assert all(len(entry.findall(f"{ATOM}{name}")) == 1 for entry in found for name in (*required, "summary", "link"))
    identifiers = [entry.findtext(f"{ATOM}id") for entry in found]
    assert {uuid.UUID(entry.id).urn for entry in entries} < set(identifiers) and len(set(identifiers)) == 3
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text.text or "") for text in feed.iter(f"{ATOM}updated")
    )
    base = "https://registry.example.org/catalog/"
    for entry in found:
        link = entry.find(f"{ATOM}link")
        href = (link.get("href") or "") if link is not None else ""
        assert href.startswith(base) and (it.site / href[len(base) :]).is_file()
    text = (it.site / "feed.xml").read_text()
    assert entries[0].by["user"] + "@" not in text and entries[0].by["host"] not in text, "authors are not published"
    it.update()
    assert "feed.xml" not in it.files() and "feed.xml" not in " ".join(it.page().links())


def test_file_names_are_unique_and_short() -> None:
    names = ["a/b", "a-b", "a.b", "a", "a/b/c", *(f"{'a' * 240}{number}" for number in range(3))]
    found = {file_name(name) for name in names}
    assert len(found) == len(names) and all(len(name) <= 200 and "/" not in name for name in found)


def _themes() -> list[dict[str, str]]:
    text = (ASSETS / "catalog.css").read_text()
    light, dark = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{[^}]*\}", text)
    ]
    return [light, dark]


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", _themes())
def test_contrast_is_that_of_wcag_aa(theme: dict[str, str]) -> None:
    for text in ("text", "muted", "link"):
        for ground in ("background", "surface"):
            lighter, darker = sorted((_luminance(theme[text]), _luminance(theme[ground])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, f"{text} on {ground}"


def test_assets_load_nothing_from_elsewhere() -> None:
    for path in ASSETS.iterdir():
        assert not re.search(r"https?:|//[a-z]|@import|url\(|innerHTML|eval\(", path.read_text()), path


_TEXT = st.text(max_size=60) | st.sampled_from(["<", '"', "&amp;", "javascript:x", "a" * 5000, "-->", "{% x %}"])


@given(values=st.lists(_TEXT, min_size=8, max_size=8))
@settings(max_examples=25)
def test_any_text_gives_well_formed_pages(values: list[str]) -> None:
    """Labels, annotations, SBOMs and types of artifacts of any content."""
    title, arch, kind, *rest = map(clean, values)
    digest = f"sha256:{64 * '1'}"
    facts = ImageFacts(
        digest, component=rest[0], version=rest[1], release=rest[2], summary=rest[3], description=rest[4],
        source=values[0], commit=title, parent=title,
        arches=(ArchImage(arch, digest, 1, 1),), referrers=(Referrer(digest, title, kind),),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        store, state = Store(directory), State()
        store.write_packages(digest, [Package(title or "x", arch, (arch,))])
        view = arrange("hello", {"latest": digest}, {digest: facts}, {})
        promotion = Promotion("urn:x", "2026-01-02T03:04:05Z", "hello", title, digest, (arch,))
        writer = SiteWriter(directory, state, store, Labels(title, "registry.example.org", has_feed=True), full=False)
        writer.write([view], [promotion])
        pages = [Page.read(directory / path) for path in state.pages if path.endswith(".html")]
        assert len(pages) >= 4
        assert not [each for page in pages for each in page.all("img", "style", "iframe")]
        assert all(len(page.all("script")) == 1 for page in pages)
        ET.parse(directory / "feed.xml")  # noqa: S314
