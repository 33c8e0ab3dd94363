# SPDX-License-Identifier: GPL-2.0-or-later
"""What the catalog shows about an image. All text is printable and bounded, and all URLs are http or https."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from fedpkg_container.model.nvr import NVR
from fedpkg_container.text import printable_line, strip_credentials

#: Maximum lengths, characters: of a name, a URL and a description.
MAX_NAME, MAX_URL, MAX_DESCRIPTION = 200, 2048, 2000
#: Maximum number of architectures, referrers and packages of an image that are shown.
MAX_ARCHES, MAX_REFERRERS, MAX_PACKAGES = 100, 200, 20_000
#: Characters that XML does not allow, apart from those that ``printable`` replaces.
_NOT_XML = re.compile("[\ufffe\uffff]")
_TIME = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2])-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9])(?:\.[0-9]+)?Z?")
_SIGNATURE = re.compile(r"signature|sigstore|cosign\.sig|simplesigning|notary", re.IGNORECASE)
_SBOM = re.compile(r"spdx|cyclonedx|sbom", re.IGNORECASE)


def clean(text: object, limit: int = MAX_NAME) -> str:
    """Return text from outside on one line, without control characters, and at most ``limit`` characters long.

    Anything but a string is an empty text.
    """
    if not isinstance(text, str):
        return ""
    line = " ".join(printable_line(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text[: 4 * limit])).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def safe_url(text: object) -> str:
    """Return an absolute http or https URL without user and password; empty if the text is not such a URL."""
    if not isinstance(text, str) or len(text) > MAX_URL or re.search(r"[^!-~]|[\"'<>`\\^{|}]", text):
        return ""
    url = strip_credentials(text)
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return ""
    return url if is_web else ""


def utc_time(text: object) -> str:
    """Return a time in UTC as ``YYYY-MM-DDTHH:MM:SSZ``; empty if the text is not such a time (RFC 3339)."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    return f"{match[1]}Z" if match else ""


@dataclass(frozen=True)
class ArchImage:
    """The image of one architecture.

    :param arch: Go name, with the operating system unless it is Linux, and with the variant
    :param size: of configuration and layers as stored in the registry, bytes
    :param packages: number of packages; None if unknown
    """

    arch: str
    digest: str
    size: int
    packages: int | None


@dataclass(frozen=True, order=True)
class Referrer:
    """An artifact that refers to an image.

    :param subject: digest of the image
    :param name: digest of the artifact, or its tag if it is found by a tag (cosign)
    :param kind: artifact type
    """

    subject: str
    name: str
    kind: str

    @property
    def is_signature(self) -> bool:
        """Whether it is a signature, according to its type; it is not verified."""
        return bool(_SIGNATURE.search(self.kind))

    @property
    def is_sbom(self) -> bool:
        """Whether it lists packages, according to its type."""
        return bool(_SBOM.search(self.kind))


@dataclass(frozen=True)
class Package:
    """A package in an image.

    :param version: with release and epoch
    :param arches: of the images that contain it
    """

    name: str
    version: str
    arches: tuple[str, ...]


@dataclass(frozen=True)
class ImageFacts:
    """An image, or the images of all architectures of a build.

    :param digest: of the image index, or of the image
    :param component: name of the Koji build, with ``version`` and ``release``; empty if unknown
    :param created: RFC 3339; empty if unknown
    :param summary: one line
    :param source: where the source comes from: URL, or other text; ``commit`` in it
    :param parent: base image, with registry and digest if known
    """

    digest: str
    component: str = ""
    version: str = ""
    release: str = ""
    created: str = ""
    summary: str = ""
    description: str = ""
    source: str = ""
    commit: str = ""
    parent: str = ""
    arches: tuple[ArchImage, ...] = ()
    referrers: tuple[Referrer, ...] = ()

    @property
    def nvr(self) -> NVR | None:
        """The Koji build; None if unknown."""
        return NVR(self.component, self.version, self.release) if self.component else None

    @property
    def source_url(self) -> str:
        """The source, if it is a URL that browsers open."""
        return safe_url(self.source.removeprefix("git+"))

    @property
    def signatures(self) -> tuple[Referrer, ...]:
        """The signatures, which are not verified."""
        return tuple(referrer for referrer in self.referrers if referrer.is_signature)

    @property
    def sboms(self) -> tuple[Referrer, ...]:
        """The SBOMs."""
        return tuple(referrer for referrer in self.referrers if referrer.is_sbom and not referrer.is_signature)

    @property
    def has_packages(self) -> bool:
        """Whether the packages of any architecture are known."""
        return any(image.packages is not None for image in self.arches)

    def to_json(self) -> dict[str, Any]:
        """Return the values as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ImageFacts:
        """Return the facts that ``to_json`` returned.

        :raises TypeError: if the object has other keys
        :raises KeyError: if keys are missing
        """
        arches = tuple(ArchImage(**each) for each in values["arches"])
        referrers = tuple(Referrer(**each) for each in values["referrers"])
        return cls(**{**values, "arches": arches, "referrers": referrers})
