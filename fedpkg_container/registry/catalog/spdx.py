# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages, parent and source in an SPDX document from a registry, which may be of any program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packageurl import PackageURL

from fedpkg_container.registry.catalog.facts import MAX_NAME, MAX_PACKAGES, MAX_URL, clean

MEDIA_TYPE = "application/spdx+json"
#: Purposes of the elements of a document that are not packages in the image.
_OTHER_PURPOSES = ("CONTAINER", "SOURCE", "OPERATING-SYSTEM", "FILE")


@dataclass(frozen=True)
class SbomContents:
    """Contents of a document.

    :param packages: names and versions, sorted
    :param parent: base image, with registry and digest if stated
    :param source: where the source comes from, and ``commit`` in it
    """

    packages: tuple[tuple[str, str], ...]
    parent: str
    source: str
    commit: str


def parse_spdx(raw: bytes) -> SbomContents | None:
    """Return the contents of a document in SPDX 2 (JSON); None if it is not such a document."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("packages"), list):
        return None
    elements = list(_objects(document["packages"]))
    packages = {
        (name, clean(element.get("versionInfo")))
        for element in elements
        if element.get("primaryPackagePurpose") not in _OTHER_PURPOSES and (name := clean(element.get("name")))
    }
    by_id = {element["SPDXID"]: element for element in elements if isinstance(element.get("SPDXID"), str)}
    related: dict[str, Mapping[str, Any]] = {}
    for relationship in _objects(document.get("relationships")):
        kind, element_id = relationship.get("relationshipType"), relationship.get("relatedSpdxElement")
        if isinstance(kind, str) and isinstance(element_id, str) and element_id in by_id:
            related.setdefault(kind, by_id[element_id])
    location, _, commit = clean(related.get("GENERATED_FROM", {}).get("downloadLocation"), MAX_URL).rpartition("@")
    return SbomContents(
        packages=tuple(sorted(packages)[:MAX_PACKAGES]),
        parent=_image(related.get("DESCENDANT_OF", {})),
        source=location,
        commit=commit if location else "",
    )


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _image(element: Mapping[str, Any]) -> str:
    """Return the pull spec of an image from its package URL; its name if it has none."""
    for reference in _objects(element.get("externalRefs")):
        locator = reference.get("referenceLocator")
        if not isinstance(locator, str) or not locator.startswith("pkg:oci/") or len(locator) > MAX_URL:
            continue
        try:
            purl = PackageURL.from_string(locator)
        except ValueError:
            continue
        location = purl.qualifiers.get("repository_url") if isinstance(purl.qualifiers, dict) else None
        if location:
            return clean(f"{location}@{purl.version}" if purl.version else location, 2 * MAX_NAME)
    return clean(element.get("name"))
