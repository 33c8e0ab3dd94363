# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry with builds that have labels, SBOMs and signatures, and its catalog."""

from __future__ import annotations

import contextlib
import html.parser
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from fedpkg_container.registry.catalog.run import Options, Summary, update_catalog
from fedpkg_container.registry.catalog.views import Labels, image_path, repository_path
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import OCI_INDEX, OCI_MANIFEST, Manifest
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import JournalEntry, TagMove
from fedpkg_container.registry.referrers import Artifact, attach
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support.memory_registry import MemoryRegistry, memory_registry
from tests.support.registries import access
from tests.support.storage import stored

SBOM, SIGNATURE = "application/spdx+json", "application/vnd.dev.sigstore.bundle.v0.3+json"
Packages = Sequence[tuple[str, str]]
#: Elements that have no end tag.
_VOID = frozenset({"meta", "link", "input", "br"})


def spdx(packages: Packages, *, parent: str = "", source: str = "") -> bytes:
    """An SPDX document.

    :param parent: pull spec by digest
    :param source: ``git+URL@COMMIT``
    """
    elements: list[dict[str, Any]] = [
        {"SPDXID": "SPDXRef-Image", "name": "image", "primaryPackagePurpose": "CONTAINER"}
    ]
    related = []
    if parent:
        location, _, digest = parent.partition("@")
        purl = f"pkg:oci/{location.rpartition('/')[2]}@{digest}?repository_url={location}"
        elements.append({"SPDXID": "SPDXRef-Parent", "name": "parent", "primaryPackagePurpose": "CONTAINER",
                         "externalRefs": [{"referenceLocator": purl}]})  # fmt: skip
        related.append(("DESCENDANT_OF", "SPDXRef-Parent"))
    if source:
        elements.append({"SPDXID": "SPDXRef-Source", "name": "source", "primaryPackagePurpose": "SOURCE",
                         "downloadLocation": source})  # fmt: skip
        related.append(("GENERATED_FROM", "SPDXRef-Source"))
    elements += [{"SPDXID": f"SPDXRef-{number}", "name": name, "versionInfo": version}
                 for number, (name, version) in enumerate(packages)]  # fmt: skip
    relationships = [{"spdxElementId": "SPDXRef-Image", "relationshipType": kind, "relatedSpdxElement": element}
                     for kind, element in related]  # fmt: skip
    return json.dumps({"spdxVersion": "SPDX-2.3", "packages": elements, "relationships": relationships}).encode()


def push(
    repository: Repository, *tags: str, labels: Mapping[str, str], sbom: bytes | None = None, signed: bool = False,
    arches: Sequence[str] = ("amd64", "arm64"), created: str = "2026-01-02T03:04:05.678Z", size: int = 1000,
    annotations: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Push an index under tags; return its digest.

    :param sbom: document for each architecture
    :param size: of the layer of each architecture
    """
    repository = stored(repository)
    members = []
    for arch in arches:
        config = {"architecture": arch, "os": "linux", "created": created, "config": {"Labels": dict(labels)}}
        blobs = [json.dumps(config).encode(), arch.encode().ljust(size, b".")]
        described = [{"mediaType": "application/octet-stream", "digest": repository.push(blob), "size": len(blob)}
                     for blob in blobs]  # fmt: skip
        image = Manifest.of(
            {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described[0], "layers": described[1:]}
        )
        repository.put_manifest(image.digest, image)
        if sbom is not None:
            attach(repository, image.digest, Artifact(SBOM, "x.spdx.json", sbom, "2026-01-02T03:04:05Z"))
        members.append({**image.descriptor, "platform": {"os": "linux", "architecture": arch}})
    index = Manifest.of(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members, "annotations": dict(annotations or {})}
    )
    for name in (index.digest, *tags):
        repository.put_manifest(name, index)
    if signed:
        attach(repository, index.digest, Artifact(SIGNATURE, "x.sigstore.json", index.digest.encode(), "2026-01-02"))
    return index.digest


def labels_of(component: str, version: str, release: str = "1", **more: str) -> dict[str, str]:
    """The labels of a build."""
    return {"com.redhat.component": component, "version": version, "release": release, **more}


@dataclass
class Cataloged:
    """A registry and its catalog below ``directory / "site"``."""

    directory: Path
    host: str
    access: Access
    memory: MemoryRegistry | None = None
    time: float = 1_800_000_000.0
    labels: Labels = field(default_factory=lambda: Labels("Images of registry.example.org", "registry.example.org"))
    prefix: str = ""

    @property
    def site(self) -> Path:
        """Output directory."""
        return self.directory / "site"

    @property
    def journal(self) -> Path:
        """The promotion journal."""
        return self.directory / "promotions.jsonl"

    @contextlib.contextmanager
    def repository(self, name: str) -> Iterator[Repository]:
        """A repository of the registry."""
        with self.http() as http:
            yield Repository(http, name)

    def http(self) -> RegistryHTTP:
        """The registry."""
        return Registry(self.access).http(self.host)

    def push(self, repository: str, *tags: str, **values: Any) -> str:
        """Push a build; return its digest."""
        with self.repository(repository) as opened:
            return push(opened, *tags, **values)

    def promoted(self, repository: str, nvr: str, digest: str, *tags: str) -> JournalEntry:
        """Record a completed promotion."""
        entry = JournalEntry.start(
            "promote", target="stable", repository=f"{self.host}/{repository}", nvr=nvr, digest=digest,
            tags={tag: TagMove("", digest) for tag in tags},
        ).done()  # fmt: skip
        Journal(self.journal).append(entry)
        return entry

    def update(self, *, journal: bool = False, progress: Progress | None = None, **options: Any) -> Summary:
        """Update the catalog."""
        labels = replace(self.labels, has_feed=journal)
        values: dict[str, Any] = {"directory": self.site, "labels": labels, "now": lambda: self.time}
        values |= {"journal": self.journal if journal else None, **options}
        access = replace(self.access, retry_timeout=0.0, attempts=1)
        return update_catalog(Target("stable", self.host, access, self.prefix), Options(**values), progress)

    def page(self, path: str = "index.html") -> Page:
        """A parsed page."""
        return Page.read(self.site / path)

    def repository_page(self, name: str) -> Page:
        """The page of a repository."""
        return self.page(repository_path(name))

    def image_page(self, name: str, digest: str) -> Page:
        """The page of an image."""
        return self.page(image_path(name, digest))

    def files(self) -> set[str]:
        """Paths of all public files."""
        paths = {str(path.relative_to(self.site)) for path in self.site.rglob("*") if path.is_file()}
        return {path for path in paths if not path.startswith(".")}


@contextlib.contextmanager
def cataloged(directory: Path) -> Iterator[Cataloged]:
    """A registry in memory, without images."""
    with memory_registry(directory, token=False) as memory:
        yield Cataloged(directory, memory.address, access(directory, memory.address), memory)


@dataclass
class Page:
    """A well-formed page.

    :param elements: names and attributes of all elements, in order
    :param text: all text, with single spaces
    """

    path: Path
    elements: list[tuple[str, dict[str, str]]]
    text: str

    @classmethod
    def read(cls, path: Path) -> Page:
        """Parse a page; fails if elements are not closed in order."""
        parser = _Parser()
        content = path.read_text("utf-8")
        assert content.startswith("<!DOCTYPE html>\n")
        parser.feed(content)
        parser.close()
        assert parser.open == [], f"{path}: {parser.open} not closed"
        return cls(path, parser.elements, " ".join("".join(parser.texts).split()))

    def all(self, *names: str) -> list[dict[str, str]]:
        """Attributes of the elements with these names."""
        return [attributes for name, attributes in self.elements if name in names]

    def links(self) -> list[str]:
        """All addresses in it."""
        return [each[key] for each in self.all("a", "link", "script") for key in ("href", "src") if key in each]


class _Parser(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("a", "code"):
            self.texts.append(" ")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


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
