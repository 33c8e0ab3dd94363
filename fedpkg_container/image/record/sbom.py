"""What is in an image, as an SPDX document (https://spdx.github.io/spdx-spec/v2.3/)."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from boolean import ParseError
from license_expression import ExpressionError, Licensing, build_spdx_licensing, get_license_index
from packageurl import PackageURL

from fedpkg_container import __version__
from fedpkg_container.model.build import NVR, BuiltImage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.text import printable_line

NOASSERTION = "NOASSERTION"
_REFERENCE = "LicenseRef-"
#: The longest header that is read as an expression; longer ones are kept as text.
_MAX_EXPRESSION_LENGTH = 4096


@dataclass
class Licenses:
    """Licenses of one document.

    :param texts: what the document must say about licenses that SPDX does not list: reference → text
    """

    texts: dict[str, str] = field(default_factory=dict)

    def declared(self, header: str) -> str:
        """What the document says is declared.

        An SPDX expression stays one (Fedora has written these since 2022); names that a distribution made
        (``LicenseRef-Fedora-Public-Domain``) are explained in the document. Anything else, the older "GPLv2+ and
        BSD" for one, is not guessed at: it becomes a reference of its own, with the header as its text.
        """
        header = printable_line(header).strip()
        if not header:
            return NOASSERTION
        read = _parse_expression(header)
        if read is not None:
            expression, references = read
            for name in references:
                self.texts.setdefault(name, f"The License header of an RPM names {name}; the RPM has its text.")
            return expression
        name = f"{_REFERENCE}RPM-{hashlib.sha256(header.encode()).hexdigest()[:16]}"
        self.texts.setdefault(name, header)
        return name


@functools.lru_cache(maxsize=1)
def _spdx_licensing() -> Licensing:
    """SPDX's list alone: the index also has ScanCode's names, and takes those of distributions for them."""
    listed = [each for each in get_license_index() if not str(each.get("spdx_license_key")).startswith(_REFERENCE)]
    return build_spdx_licensing(listed)


@functools.lru_cache(maxsize=4096)
def _parse_expression(header: str) -> tuple[str, tuple[str, ...]] | None:
    """A header as an expression with SPDX's spelling, and the references in it; None when it is none."""
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
    """Whether SPDX takes it: letters, digits, dots and dashes."""
    return all(each.isascii() and (each.isalnum() or each in ".-") for each in reference)


MEDIA_TYPE = "application/spdx+json"
VERSION = "SPDX-2.3"
_DOCUMENT = "SPDXRef-DOCUMENT"


@dataclass(frozen=True)
class SbomSubject:
    """What a document is about: the image of one arch.

    :param nvr: of the build
    :param image: in its final repository, by digest
    :param go_arch: Go's name of the arch
    :param tag: the tag of the build
    :param source: URL of dist-git with the exact commit; empty where there is none
    :param base: the image that it stands on, by digest; None for ``scratch``
    :param stages: images of which other stages were built, by digest
    :param created: when the build began, RFC 3339
    :param unknown: numbers of the components that Koji does not know
    :param copied: the image that it is a copy of, by digest; None where it was built
    """

    nvr: NVR
    built: BuiltImage
    image: ImageReference
    go_arch: str
    tag: str
    source: str
    base: ImageReference | None
    stages: Sequence[ImageReference]
    created: str
    unknown: Collection[int] = field(default_factory=frozenset)
    copied: ImageReference | None = None


def spdx_document(described: SbomSubject) -> bytes:
    """The document, as JSON."""
    licenses = Licenses()
    image = _image(described)
    source = [_source(described)] if described.source else []
    copied = [_parent(described.copied)] if described.copied else []
    rpms = _rpms(described, licenses)
    base = [_parent(described.base)] if described.base else []
    stages = [_parent(each) for each in described.stages if each != described.base]
    own = image["SPDXID"]
    relationships = [
        (_DOCUMENT, "DESCRIBES", own),
        *((own, "GENERATED_FROM", each["SPDXID"]) for each in source),
        *((own, "COPY_OF", each["SPDXID"]) for each in copied),
        *((own, "DESCENDANT_OF", each["SPDXID"]) for each in base),
        *((each["SPDXID"], "BUILD_DEPENDENCY_OF", own) for each in stages),
        *((own, "CONTAINS", each["SPDXID"]) for each in rpms),
    ]
    content: dict[str, Any] = {
        "spdxVersion": VERSION,
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{described.nvr}.{described.built.arch}",
        "documentNamespace": _namespace(described),
        "creationInfo": {"created": described.created, "creators": _creators(described.built)},
        "packages": [image, *source, *copied, *base, *stages, *rpms],
        "relationships": [
            {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}
            for first, kind, second in relationships
        ],
    }
    if licenses.texts:
        content["hasExtractedLicensingInfos"] = [
            {"licenseId": name, "name": name, "extractedText": text} for name, text in sorted(licenses.texts.items())
        ]
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def _namespace(described: SbomSubject) -> str:
    image = described.image
    moment = re.sub("[^0-9]", "", described.created)
    return (
        f"https://{image.registry}/{image.repository}/spdx/{described.nvr}.{described.built.arch}"
        f"/{image.digest.rpartition(':')[2]}/{moment}"
    )


def _creators(built: BuiltImage) -> list[str]:
    tools = [f"Tool: {each['name']}-{each['version']}" for each in built.buildroot.get("tools", [])]
    return [f"Tool: fedpkg-container-{__version__}", *tools]


def _package(identifier: str, name: str, **facts: Any) -> dict[str, Any]:
    """A package with what every package must have."""
    return {
        "SPDXID": f"SPDXRef-{re.sub('[^A-Za-z0-9.-]', '-', identifier)}",
        "name": name,
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": False,
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": NOASSERTION,
        "copyrightText": NOASSERTION,
        **facts,
    }


def _external_reference(purl: PackageURL) -> list[dict[str, str]]:
    return [
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl.to_string()},
    ]


def _checksum(image: ImageReference) -> list[dict[str, str]]:
    algorithm, _, value = image.digest.partition(":")
    return [{"algorithm": algorithm.upper(), "checksumValue": value}]


def _oci_purl(image: ImageReference, **qualifiers: str) -> PackageURL:
    """An image as the package URL specification names it."""
    place = str(ImageReference(image.registry, image.repository))
    return PackageURL(
        "oci", name=image.repository.rpartition("/")[2], version=image.digest,
        qualifiers={"repository_url": place, **qualifiers},
    )  # fmt: skip


def _image(described: SbomSubject) -> dict[str, Any]:
    nvr, image = described.nvr, described.image
    return _package(
        f"Image-{described.built.arch}",
        image.repository,
        versionInfo=f"{nvr.version}-{nvr.release}",
        primaryPackagePurpose="CONTAINER",
        checksums=_checksum(image),
        externalRefs=_external_reference(_oci_purl(image, arch=described.go_arch, tag=described.tag)),
        comment=f"Koji build {nvr}, {described.built.arch}; image ID {described.built.image_id}",
    )


def _source(described: SbomSubject) -> dict[str, Any]:
    """The commit in dist-git."""
    url, _, commit = described.source.partition("#")
    parts = urlsplit(url)
    scheme = parts.scheme if parts.scheme.startswith("git+") else f"git+{parts.scheme}"
    host = parts.netloc.rpartition("@")[2]
    return _package(
        "Source",
        parts.path.strip("/").removesuffix(".git") or host,
        versionInfo=commit,
        primaryPackagePurpose="SOURCE",
        downloadLocation=f"{scheme}://{host}{parts.path}@{commit}",
    )


def _parent(image: ImageReference) -> dict[str, Any]:
    return _package(
        f"Parent-{image.repository}-{image.digest.rpartition(':')[2][:16]}",
        image.repository,
        versionInfo=image.digest,
        primaryPackagePurpose="CONTAINER",
        checksums=_checksum(image),
        externalRefs=_external_reference(_oci_purl(image)),
    )


def _rpms(described: SbomSubject, licenses: Licenses) -> list[dict[str, Any]]:
    built = described.built
    used: dict[str, int] = {}
    found = []
    for number, (component, details) in enumerate(zip(built.components, _details(built))):
        rpm = _rpm(component, details, built.distribution, licenses, known=number not in described.unknown)
        again = used.setdefault(rpm["SPDXID"], 0)
        used[rpm["SPDXID"]] += 1
        if again:  # the same RPM twice in the database, or names that differ in what SPDX does not take
            rpm["SPDXID"] += f"-again-{again}"
        found.append(rpm)
    return found


def _details(built: BuiltImage) -> Sequence[Mapping[str, str]]:
    return built.details if len(built.details) == len(built.components) else [{}] * len(built.components)


def _rpm(
    component: Mapping[str, Any],
    details: Mapping[str, str],
    distribution: Mapping[str, str],
    licenses: Licenses,
    *,
    known: bool,
) -> dict[str, Any]:
    name, arch, epoch = (component[key] for key in ("name", "arch", "epoch"))
    version = f"{component['version']}-{component['release']}"
    qualifiers = {"arch": arch, **({"epoch": str(epoch)} if epoch is not None else {})}
    system = distribution.get("id", "")
    if system and distribution.get("version"):
        qualifiers["distro"] = f"{system}-{distribution['version']}"
    facts: dict[str, Any] = {
        "versionInfo": version if epoch is None else f"{epoch}:{version}",
        "supplier": _supplier(details.get("vendor", "")),
        "licenseDeclared": licenses.declared(details.get("license", "")),
        "externalRefs": _external_reference(
            PackageURL("rpm", namespace=system or None, name=name, version=version, qualifiers=qualifiers)
        ),
        "comment": _rpm_comment(component, known=known),
    }
    if re.fullmatch("[0-9a-f]{32}", component["sigmd5"]):
        facts["checksums"] = [{"algorithm": "MD5", "checksumValue": component["sigmd5"]}]
    if details.get("source_rpm"):
        facts["sourceInfo"] = f"built from {printable_line(details['source_rpm'])}"
    return _package(f"RPM-{name}-{version}.{arch}", name, **facts)


def _supplier(vendor: str) -> str:
    """SPDX reads what follows in brackets as an address."""
    shown = printable_line(vendor).replace("(", "[").replace(")", "]").strip()
    return f"Organization: {shown}" if shown else NOASSERTION


def _rpm_comment(component: Mapping[str, Any], *, known: bool) -> str:
    signature = component["signature"]
    signed = f"signed with key {printable_line(signature)}" if signature else "not signed"
    return f"{signed}; MD5 is of header and payload (SIGMD5)" + ("" if known else "; Koji does not know this RPM")
