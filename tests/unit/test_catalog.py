# SPDX-License-Identifier: GPL-2.0-or-later
"""The catalog: what its pages show, that untrusted text does no harm, and what is read and written again."""

from __future__ import annotations

import json
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from fedpkg_container.errors import FedpkgContainerError, RegistryError, UsageError
from fedpkg_container.registry.catalog import reader
from fedpkg_container.registry.catalog.facts import MAX_DESCRIPTION, clean, safe_url, utc_time
from fedpkg_container.registry.catalog.run import FULL_INTERVAL
from fedpkg_container.registry.catalog.spdx import parse_spdx
from fedpkg_container.registry.catalog.views import file_name, image_path, repository_path
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.progress import Progress
from tests.support.cataloged import Cataloged, Page, cataloged, labels_of, spdx

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[31m\u202e{{ 7 * 7 }}\x00\ufffe"
ATOM = "{http://www.w3.org/2005/Atom}"
ASSETS = Path(__file__).parents[2] / "fedpkg_container" / "registry" / "catalog" / "assets"


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Cataloged]:
    with cataloged(tmp_path) as found:
        yield found


def two_builds(it: Cataloged) -> tuple[str, str]:
    """Push two builds of an image; return their digests."""
    base = f"registry.example.org/fedora@sha256:{64 * 'a'}"
    values = {"parent": base, "source": "git+https://src.example.org/container/httpd@0123abcd"}
    first = it.push("f42/httpd", "2.4-9", labels=labels_of("httpd-container", "2.4", "9"),
                    sbom=spdx([("bash", "5.2-1"), ("httpd", "2.4.61-1"), ("old", "1-1")], **values))  # fmt: skip
    labels = labels_of("httpd-container", "2.4", "10", summary="Web server", description="Serves files.")
    second = it.push("f42/httpd", "2.4-10", "latest", signed=True, labels=labels,
                     sbom=spdx([("bash", "5.2-1"), ("httpd", "2.4.62-1"), ("7zip", "24-1")], **values))  # fmt: skip
    return first, second


def check_pages(it: Cataloged) -> list[Page]:
    """Check the properties that every page has, and return all pages."""
    pages = [it.page(path) for path in sorted(it.files()) if path.endswith(".html")]
    for page in pages:
        assert page.all("html") == [{"lang": "en"}]
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
        levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
        assert levels[0] == 1 and all(after - before <= 1 for before, after in zip(levels, levels[1:]))
        assert page.elements[[name for name, _ in page.elements].index("body") + 1][1]["href"] == "#main"
        assert [each["href"] for each in page.all("link") if each["rel"] == "stylesheet"]
        assert all("aria-label" in each for each in page.all("nav")), "several landmarks of a kind need names"
        assert all(each.get("scope") in ("row", "col") for each in page.all("th"))
        assert len(page.all("caption")) == len(page.all("table"))
        identifiers = [each["id"] for _, each in page.elements if "id" in each]
        assert len(set(identifiers)) == len(identifiers)
        assert [each.get("for") for each in page.all("label")] == [each["id"] for each in page.all("input")]
        assert not page.all("style", "img", "iframe", "object", "embed", "form", "base")
        assert all("src" in each for each in page.all("script")), "no inline script"
        assert not [each for _, each in page.elements if "style" in each or any(name.startswith("on") for name in each)]
        (policy,) = [each["content"] for each in page.all("meta") if "http-equiv" in each]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        _check_links(it, page)
    return pages


def _check_links(it: Cataloged, page: Page) -> None:
    where = f"http://catalog.example.org/{page.path.relative_to(it.site)}"
    for link in page.links():
        parts = urlsplit(urljoin(where, link))
        assert parts.scheme in ("http", "https")
        if parts.netloc == "catalog.example.org":
            assert (it.site / parts.path.lstrip("/")).is_file(), f"{page.path}: {link}"
        else:
            assert not page.all("link", "script") or link not in [
                each.get("href", each.get("src")) for each in page.all("link", "script")
            ], "no external resources"


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


def test_nothing_is_read_or_written_again(it: Cataloged) -> None:
    two_builds(it)
    assert it.memory
    it.update(journal=True)
    times = {path: path.stat().st_mtime_ns for path in it.site.rglob("*.html")}
    it.memory.seen.clear()
    summary = it.update(journal=True)
    assert (summary.queried, summary.fetched, summary.written) == (0, 0, 0)
    assert it.memory.seen == []
    assert {path: path.stat().st_mtime_ns for path in it.site.rglob("*.html")} == times


def test_without_a_journal_only_tags_are_read_again(it: Cataloged) -> None:
    two_builds(it)
    assert it.memory
    it.update()
    it.memory.seen.clear()
    summary = it.update()
    assert (summary.queried, summary.fetched, summary.written) == (1, 0, 0)
    assert {method for method, path, _ in it.memory.seen if "manifests" in path} == {"HEAD"}
    assert it.memory.asked("blobs|referrers") == 0


def test_the_journal_names_what_changed(it: Cataloged) -> None:
    two_builds(it)
    it.push("other", "1", labels={})
    assert it.memory
    it.update(journal=True)
    it.push("other", "2", labels={"summary": "two"})
    third = it.push("f42/httpd", "2.4-11", labels=labels_of("httpd-container", "2.4", "11"))
    assert it.update(journal=True).queried == 0
    it.promoted("f42/httpd", "httpd-container-2.4-11", third, "2.4")
    it.memory.seen.clear()
    summary = it.update(journal=True)
    assert (summary.queried, summary.fetched) == (1, 1)
    assert it.memory.asked("/v2/other/") == 0
    assert "httpd-container-2.4-11" in it.repository_page("f42/httpd").text
    it.time += FULL_INTERVAL
    assert it.update(journal=True).fetched == 1, "changes made without promote are found within a day"
    assert it.update(journal=True, full=True).queried == 2


def test_new_signatures_of_known_images_are_found(it: Cataloged) -> None:
    values = {"labels": labels_of("hello", "1"), "sbom": spdx([("bash", "1")])}
    digest = it.push("hello", "1", **values)
    it.update()
    assert "0 signatures" in it.image_page("hello", digest).text
    assert it.push("hello", "1", signed=True, **values) == digest
    it.update()
    assert "0 signatures" in it.image_page("hello", digest).text
    it.time += FULL_INTERVAL
    it.update()
    assert "1 signature," in it.image_page("hello", digest).text


def test_cosign_tags_are_signatures_and_no_builds(it: Cataloged) -> None:
    digest = it.push("hello", "1", labels={})
    it.push("hello", f"{digest.replace(':', '-')}.sig", labels={"summary": "signature"})
    it.update()
    page = it.image_page("hello", digest)
    assert "cosign.sig all architectures" in page.text and "1 signature," in page.text
    assert it.update().images == 1


def test_pages_of_what_is_gone_are_deleted(it: Cataloged) -> None:
    first, second = two_builds(it)
    gone = it.push("gone/image", "1", labels={}, sbom=spdx([("zlib", "1")]))
    (it.site / "packages").mkdir(parents=True)
    it.site.joinpath("packages").rmdir()
    it.update()
    own = it.site / "packages" / "notes.txt"
    own.write_text("not ours")
    assert {repository_path("gone/image"), image_path("gone/image", gone), "packages/z.html"} <= it.files()
    assert it.memory
    del it.memory.repositories["gone/image"], it.memory["f42/httpd"].manifests["2.4-9"]
    it.update()
    assert not [path for path in it.files() if "gone" in path or "/z.html" in path]
    assert image_path("f42/httpd", first) not in it.files() and image_path("f42/httpd", second) in it.files()
    assert not (it.site / "repositories" / "gone~image").exists()
    assert own.read_text() == "not ours"
    assert len(list((it.site / ".catalog" / "packages").iterdir())) == 1
    check_pages(it)


def test_a_repository_that_cannot_be_read_keeps_its_pages(it: Cataloged) -> None:
    two_builds(it)
    it.push("other", "1", labels={})
    it.update()
    files = it.files()
    it.push("other", "2", labels=labels_of("other", "2"))
    assert it.memory
    it.memory.faults["/v2/f42/httpd/tags"] = [403]
    summary = it.update()
    assert len(summary.errors) == 1 and summary.errors[0].startswith("f42/httpd: ")
    assert files < it.files()
    assert "other-2-1" in it.repository_page("other").text


def test_an_unavailable_registry_is_reported_once(it: Cataloged) -> None:
    for number in range(40):
        it.push(f"image-{number}", "1", labels={}, arches=())
    assert it.memory
    it.memory.faults["tags/list|/v2/$"] = [503] * 1000
    errors = it.update().errors
    assert re.fullmatch("[0-9]+ more repositories were skipped because the registry is unavailable", errors[-1])
    assert len(errors) < 30


def test_interrupted_run_continues(it: Cataloged) -> None:
    class Interrupting(Progress):
        done = 0

        def advanced(self) -> None:
            self.done += 1
            if self.done == 3:
                raise KeyboardInterrupt

    for number in range(12):
        it.push(f"image-{number}", "1", labels={"summary": str(number)}, arches=("amd64",))
    with pytest.raises(KeyboardInterrupt):
        it.update(progress=Interrupting())
    assert "index.html" not in it.files()
    summary = it.update()
    assert (summary.repositories, summary.queried) == (12, 12)
    assert summary.fetched == 10


def test_sbom_that_is_too_large_is_ignored(it: Cataloged, monkeypatch: pytest.MonkeyPatch) -> None:
    sbom = spdx([("bash", "1")])
    digest = it.push("hello", "1", labels={}, sbom=sbom)
    monkeypatch.setattr(reader, "MAX_SBOM_SIZE", len(sbom) - 1)
    assert it.update().errors == []
    assert "Unknown: there is no SBOM that" in it.image_page("hello", digest).text


def test_an_unreadable_registry_changes_nothing(it: Cataloged) -> None:
    two_builds(it)
    it.update()
    before = it.page().path.read_bytes()
    assert it.memory
    it.memory.faults["_catalog"] = [503]
    with pytest.raises(RegistryError):
        it.update()
    it.memory.repositories.clear()
    with pytest.raises(RegistryError, match="lists no repositories"):
        it.update()
    assert it.page().path.read_bytes() == before


def test_registry_without_catalog_shows_what_was_promoted(it: Cataloged) -> None:
    _, second = two_builds(it)
    it.push("other", "1", labels={})
    it.promoted("f42/httpd", "httpd-container-2.4-10", second, "2.4")
    assert it.memory
    it.memory.faults["_catalog"] = [404]
    assert it.update(journal=True).repositories == 1


def test_prefix_and_staging(it: Cataloged) -> None:
    for name in ("fedora/hello", "fedorax/hello", "staging/1"):
        it.push(name, "1", labels={})
    it.prefix = "fedora"
    assert it.update().repositories == 1
    it.prefix = ""
    assert it.update().repositories == 2
    assert not [path for path in it.files() if "staging" in path]


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


def test_directories_that_are_refused(it: Cataloged, tmp_path: Path) -> None:
    it.push("hello", "1", labels={})
    for path, reason in ((tmp_path, "is not empty, and not a catalog"), (tmp_path / "file", "is not a directory")):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match=reason):
            it.update(directory=path)
    it.update()
    with locked(it.site / ".catalog" / "lock", it.site), pytest.raises(FedpkgContainerError, match="is locked by"):
        it.update()


def test_permissions_do_not_depend_on_the_umask(it: Cataloged) -> None:
    import os

    two_builds(it)
    umask = os.umask(0o077)
    try:
        it.update()
    finally:
        os.umask(umask)
    for path in it.site.rglob("*"):
        private = ".catalog" in path.relative_to(it.site).parts
        if not private:
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert it.site.stat().st_mode & 0o777 == 0o755
    assert (it.site / ".catalog").stat().st_mode & 0o777 == 0o700


def test_damaged_state_and_pages_are_made_again(it: Cataloged) -> None:
    two_builds(it)
    it.update()
    content = it.page().path.read_bytes()
    state = it.site / ".catalog" / "state.json"
    for damage in ("", '{"format": 1, "images": {"a": {"b": {}}}}'):
        state.write_text(damage)
        assert it.update().fetched == 2
    page = next((it.site / "repositories").rglob("sha256-*.html"))
    page.write_text("")
    it.update(full=True)
    assert page.read_text()
    assert it.page().path.read_bytes() == content


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
