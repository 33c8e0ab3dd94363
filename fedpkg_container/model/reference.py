# SPDX-License-Identifier: GPL-2.0-or-later
"""Image references, following the grammar of distribution (distribution/reference, ``reference.go``).

Also tags that are unique to an image, made of its task or build ID and its creation time.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fedpkg_container.errors import UsageError
from fedpkg_container.model.nvr import REPOSITORY_COMPONENT

#: Maximum length of a tag.
MAX_TAG_LENGTH = 128

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>{_DOMAIN})/)?(?P<repository>{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class ImageReference:
    """Location of an image: registry, repository, and tag, digest or both; empty if not given."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Parse a reference; the first component is a registry if it has a dot, a port or a capital, or is localhost.

        :raises UsageError: if the text is not a valid image reference
        """
        first, slash, _ = text.partition("/")
        has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
        match = _REFERENCE.fullmatch(text if has_registry else f"none.invalid/{text}")
        if match is None or len(match["repository"]) > 255:
            raise UsageError(
                f"not an image reference: {text!r}",
                solution="write registry/repository:tag or registry/repository@sha256:digest, in lower case",
            )
        registry, repository = match["registry"] if has_registry else "", match["repository"]
        if registry == "docker.io" and "/" not in repository:  # official images, as podman and docker name them
            repository = f"library/{repository}"
        return cls(registry, repository, match["tag"] or "", match["digest"] or "")

    def __str__(self) -> str:
        name = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def at(self, digest: str) -> ImageReference:
        """Return the reference with this digest and no tag."""
        return replace(self, tag="", digest=digest)

    def tagged(self, tag: str) -> ImageReference:
        """Return the reference with this tag and no digest."""
        return replace(self, tag=tag, digest="")


def is_repository(text: str) -> bool:
    """Whether a text is a valid repository name, without the registry."""
    return (
        len(text) <= 255
        and re.fullmatch(rf"{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*", text, re.ASCII) is not None
    )


def is_tag(text: str) -> bool:
    """Whether a text is a valid tag."""
    return re.fullmatch(_TAG, text, re.ASCII) is not None


def is_floating_tag(text: str) -> bool:
    """Whether a text is a valid floating tag: one with a hyphen could be mistaken for VERSION-RELEASE."""
    return is_tag(text) and "-" not in text


#: Prefixes of the tags of scratch builds and of imported base images.
SCRATCH, IMPORT = "scratch", "import"

_TIME_FORMAT = "%Y%m%d%H%M%S"
#: Image indexes in another than the primary format have the format's name as suffix.
_UNIQUE = re.compile(r"(?:(?P<kind>scratch|import)-)?(?P<number>\d{1,18})-(?P<time>\d{14})(?:-(?:v2s2|oci))?", re.ASCII)


@dataclass(frozen=True)
class UniqueTag:
    """A tag unique to an image.

    :param number: ID of the task that built the image; for an import, ID of the resulting build
    :param created: creation time, seconds since the epoch
    :param kind: ``SCRATCH``, ``IMPORT``, or empty for other builds
    """

    number: int
    created: float
    kind: str = ""

    @classmethod
    def read(cls, tag: str) -> UniqueTag | None:
        """Parse a tag; None if it has another form. A VERSION-RELEASE tag may have the same form."""
        match = _UNIQUE.fullmatch(tag)
        if match is None:
            return None
        try:
            created = calendar.timegm(time.strptime(match["time"], _TIME_FORMAT))
        except ValueError:
            return None
        return cls(int(match["number"]), float(created), match["kind"] or "")

    def __str__(self) -> str:
        created = time.strftime(_TIME_FORMAT, time.gmtime(self.created))
        return "-".join(part for part in (self.kind, str(self.number), created) if part)


def imported_builds(tags: Iterable[str]) -> list[int]:
    """Return the build IDs of the base images imported into a repository, from its tags, newest first."""
    return sorted({tag.number for tag in map(UniqueTag.read, tags) if tag and tag.kind == IMPORT}, reverse=True)
