# SPDX-License-Identifier: GPL-2.0-or-later
"""SBOM of an image, as an SPDX document (https://spdx.github.io/spdx-spec/v2.3/)."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict
from urllib.parse import urlsplit

from boolean import ParseError
from license_expression import ExpressionError, Licensing, build_spdx_licensing, get_license_index
from packageurl import PackageURL

from fedpkg_container import __version__
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_types import RPMComponent
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.text import printable_line

NOASSERTION = "NOASSERTION"
_REFERENCE = "LicenseRef-"
#: Characters; longer headers are not parsed, but kept as text.
_MAX_EXPRESSION_LENGTH = 4096


@dataclass
class Licenses:
    """Licenses of one document.

    :param texts: license references that the document must define → text
    """

    texts: dict[str, str] = field(default_factory=dict)

    def declared(self, header: str) -> str:
        """Return the declared license for a License header.

        An SPDX expression (used by Fedora since 2022) is kept; license references of a distribution
        (``LicenseRef-Fedora-Public-Domain``) are defined in the document. Other headers, e.g. the older "GPLv2+ and
        BSD", are not interpreted: each becomes a separate reference, with the header as its text.
        """
        header = printable_line(header).strip()
        if not header:
            return NOASSERTION
        expression_and_references = _parse_expression(header)
        if expression_and_references is not None:
            expression, references = expression_and_references
            for name in references:
                self.texts.setdefault(name, f"The License header of an RPM names {name}; the RPM has its text.")
            return expression
        name = f"{_REFERENCE}RPM-{hashlib.sha256(header.encode()).hexdigest()[:16]}"
        self.texts.setdefault(name, header)
        return name


@functools.lru_cache(maxsize=1)
def _spdx_licensing() -> Licensing:
    """Return SPDX's licenses only: the index also has ScanCode's, which would match references of distributions."""
    entries = [entry for entry in get_license_index() if not str(entry.get("spdx_license_key")).startswith(_REFERENCE)]
    return build_spdx_licensing(entries)


@functools.lru_cache(maxsize=4096)
def _parse_expression(header: str) -> tuple[str, tuple[str, ...]] | None:
    """Return a header as an SPDX expression, and the references in it; None if it is not valid."""
    if len(header) > _MAX_EXPRESSION_LENGTH:
        return None
    licensing = _spdx_licensing()
    try:
        parsed = licensing.parse(header, strict=True)
        unknown = licensing.unknown_license_keys(parsed)
        names = licensing.license_keys(parsed)
    except (ExpressionError, ParseError, RecursionError):
        return None
    references = tuple(sorted({name for name in names if name.startswith(_REFERENCE)}))
    if set(unknown) - set(references) or any(not _is_valid_reference(name) for name in references):
        return None
    return str(parsed), references


def _is_valid_reference(reference: str) -> bool:
    """Return whether SPDX allows a reference: letters, digits, dots and dashes."""
    return all(character.isascii() and (character.isalnum() or character in ".-") for character in reference)


MEDIA_TYPE = "application/spdx+json"
VERSION = "SPDX-2.3"
_DOCUMENT = "SPDXRef-DOCUMENT"


@dataclass(frozen=True)
class SbomSubject:
    """What a document describes: the image of one architecture.

    :param nvr: of the build
    :param built: description of the image
    :param image: in its final repository, by digest
    :param go_arch: Go's name of the architecture
    :param tag: primary tag of the build, or the unique one
    :param source_url: dist-git URL with the exact commit; empty if imported
    :param base: base image, by digest; None for ``scratch``
    :param stages: base images of other stages, by digest
    :param created: start time of the build, RFC 3339
    :param unknown: indexes of the components that Koji does not know
    :param copy_of: image that was imported, by digest; None if built
    """

    nvr: NVR
    built: BuiltImage
    image: ImageReference
    go_arch: str
    tag: str
    source_url: str
    base: ImageReference | None
    stages: Sequence[ImageReference]
    created: str
    unknown: Collection[int] = field(default_factory=frozenset)
    copy_of: ImageReference | None = None


def spdx_document(subject: SbomSubject) -> bytes:
    """Return the document as JSON."""
    licenses = Licenses()
    image = _image(subject)
    source = [_source(subject)] if subject.source_url else []
    copied = [_parent(subject.copy_of)] if subject.copy_of else []
    rpms = _rpms(subject, licenses)
    base = [_parent(subject.base)] if subject.base else []
    stages = [_parent(each) for each in subject.stages if each != subject.base]
    image_id = image["SPDXID"]
    relationships = [
        (_DOCUMENT, "DESCRIBES", image_id),
        *((image_id, "GENERATED_FROM", each["SPDXID"]) for each in source),
        *((image_id, "COPY_OF", each["SPDXID"]) for each in copied),
        *((image_id, "DESCENDANT_OF", each["SPDXID"]) for each in base),
        *((each["SPDXID"], "BUILD_DEPENDENCY_OF", image_id) for each in stages),
        *((image_id, "CONTAINS", each["SPDXID"]) for each in rpms),
    ]
    content: dict[str, Any] = {
        "spdxVersion": VERSION,
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{subject.nvr}.{subject.built.arch}",
        "documentNamespace": _namespace(subject),
        "creationInfo": {"created": subject.created, "creators": _creators(subject.built)},
        "packages": [image, *source, *copied, *base, *stages, *rpms],
        "relationships": [
            {"spdxElementId": first, "relationshipType": relationship, "relatedSpdxElement": second}
            for first, relationship, second in relationships
        ],
    }
    if licenses.texts:
        content["hasExtractedLicensingInfos"] = [
            {"licenseId": name, "name": name, "extractedText": text} for name, text in sorted(licenses.texts.items())
        ]
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def _namespace(subject: SbomSubject) -> str:
    image = subject.image
    timestamp = re.sub("[^0-9]", "", subject.created)
    return (
        f"https://{image.registry}/{image.repository}/spdx/{subject.nvr}.{subject.built.arch}"
        f"/{image.digest.rpartition(':')[2]}/{timestamp}"
    )


def _creators(built: BuiltImage) -> list[str]:
    tools = [f"Tool: {tool['name']}-{tool['version']}" for tool in built.buildroot.get("tools", [])]
    return [f"Tool: fedpkg-container-{__version__}", *tools]


class SpdxPackage(TypedDict, total=False):
    """A package of an SPDX document, with the field names of SPDX 2.3."""

    SPDXID: str
    name: str
    versionInfo: str
    downloadLocation: str
    filesAnalyzed: bool
    licenseConcluded: str
    licenseDeclared: str
    copyrightText: str
    supplier: str
    primaryPackagePurpose: str
    checksums: list[dict[str, str]]
    externalRefs: list[dict[str, str]]
    sourceInfo: str
    comment: str


def _package(identifier: str, name: str, fields: SpdxPackage) -> SpdxPackage:
    """Return a package with all required fields."""
    return {
        "SPDXID": f"SPDXRef-{re.sub('[^A-Za-z0-9.-]', '-', identifier)}",
        "name": name,
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": False,
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": NOASSERTION,
        "copyrightText": NOASSERTION,
        **fields,
    }


def _external_reference(purl: PackageURL) -> list[dict[str, str]]:
    return [
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl.to_string()},
    ]


def _checksum(image: ImageReference) -> list[dict[str, str]]:
    algorithm, _, value = image.digest.partition(":")
    return [{"algorithm": algorithm.upper(), "checksumValue": value}]


def _oci_purl(image: ImageReference, **qualifiers: str) -> PackageURL:
    """Return the package URL of an image."""
    repository_url = str(ImageReference(image.registry, image.repository))
    return PackageURL(
        "oci", name=image.repository.rpartition("/")[2], version=image.digest,
        qualifiers={"repository_url": repository_url, **qualifiers},
    )  # fmt: skip


def _image(subject: SbomSubject) -> SpdxPackage:
    nvr, image = subject.nvr, subject.image
    return _package(
        f"Image-{subject.built.arch}",
        image.repository,
        {
            "versionInfo": f"{nvr.version}-{nvr.release}",
            "primaryPackagePurpose": "CONTAINER",
            "checksums": _checksum(image),
            "externalRefs": _external_reference(_oci_purl(image, arch=subject.go_arch, tag=subject.tag)),
            "comment": f"Koji build {nvr}, {subject.built.arch}; image ID {subject.built.image_id}",
        },
    )


def _source(subject: SbomSubject) -> SpdxPackage:
    """Return the package of the commit in dist-git."""
    url, _, commit = subject.source_url.partition("#")
    parts = urlsplit(url)
    scheme = parts.scheme if parts.scheme.startswith("git+") else f"git+{parts.scheme}"
    host = parts.netloc.rpartition("@")[2]
    return _package(
        "Source",
        parts.path.strip("/").removesuffix(".git") or host,
        {
            "versionInfo": commit,
            "primaryPackagePurpose": "SOURCE",
            "downloadLocation": f"{scheme}://{host}{parts.path}@{commit}",
        },
    )


def _parent(image: ImageReference) -> SpdxPackage:
    return _package(
        f"Parent-{image.repository}-{image.digest.rpartition(':')[2][:16]}",
        image.repository,
        {
            "versionInfo": image.digest,
            "primaryPackagePurpose": "CONTAINER",
            "checksums": _checksum(image),
            "externalRefs": _external_reference(_oci_purl(image)),
        },
    )


def _rpms(subject: SbomSubject, licenses: Licenses) -> list[SpdxPackage]:
    built = subject.built
    identifiers: dict[str, int] = {}
    packages = []
    for number, (component, details) in enumerate(zip(built.components, _details(built))):
        rpm = _rpm(component, details, built.distribution, licenses, known_to_koji=number not in subject.unknown)
        duplicates = identifiers.setdefault(rpm["SPDXID"], 0)
        identifiers[rpm["SPDXID"]] += 1
        if duplicates:  # the same RPM twice in the database, or names that differ only in invalid characters
            rpm["SPDXID"] += f"-again-{duplicates}"
        packages.append(rpm)
    return packages


def _details(built: BuiltImage) -> Sequence[Mapping[str, str]]:
    return built.details if len(built.details) == len(built.components) else [{}] * len(built.components)


def _rpm(
    component: RPMComponent,
    details: Mapping[str, str],
    distribution: Mapping[str, str],
    licenses: Licenses,
    *,
    known_to_koji: bool,
) -> SpdxPackage:
    name, arch, epoch = component["name"], component["arch"], component["epoch"]
    version = f"{component['version']}-{component['release']}"
    qualifiers = {"arch": arch, **({"epoch": str(epoch)} if epoch is not None else {})}
    distribution_id = distribution.get("id", "")
    if distribution_id and distribution.get("version"):
        qualifiers["distro"] = f"{distribution_id}-{distribution['version']}"
    fields: SpdxPackage = {
        "versionInfo": version if epoch is None else f"{epoch}:{version}",
        "supplier": _supplier(details.get("vendor", "")),
        "licenseDeclared": licenses.declared(details.get("license", "")),
        "externalRefs": _external_reference(
            PackageURL("rpm", namespace=distribution_id or None, name=name, version=version, qualifiers=qualifiers)
        ),
        "comment": _rpm_comment(component, known_to_koji=known_to_koji),
    }
    if re.fullmatch("[0-9a-f]{32}", component["sigmd5"]):
        fields["checksums"] = [{"algorithm": "MD5", "checksumValue": component["sigmd5"]}]
    if details.get("source_rpm"):
        fields["sourceInfo"] = f"built from {printable_line(details['source_rpm'])}"
    return _package(f"RPM-{name}-{version}.{arch}", name, fields)


def _supplier(vendor: str) -> str:
    """Return the supplier, without brackets: SPDX expects an e-mail address in them."""
    name = printable_line(vendor).replace("(", "[").replace(")", "]").strip()
    return f"Organization: {name}" if name else NOASSERTION


def _rpm_comment(component: RPMComponent, *, known_to_koji: bool) -> str:
    signature = component["signature"]
    signed = f"signed with key {printable_line(signature)}" if signature else "not signed"
    return f"{signed}; MD5 is of header and payload (SIGMD5)" + (
        "" if known_to_koji else "; Koji does not know this RPM"
    )
