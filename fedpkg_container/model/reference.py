"""Image references, after the grammar of distribution (distribution/reference, ``reference.go``).

Tags that one image alone has: they say what made it, and when.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fedpkg_container.errors import UsageError
from fedpkg_container.model.nvr import REPOSITORY_COMPONENT

#: The longest tag that registries take.
LONGEST_TAG = 128

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
    """Where an image is: registry, repository, and tag or digest or both; empty where not given."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read a reference; the first part is a registry when it has a dot, a port or a capital, or is localhost.

        :raises UsageError: it is none
        """
        first, slash, _ = text.partition("/")
        has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
        found = _REFERENCE.fullmatch(text if has_registry else f"none.invalid/{text}")
        if found is None or len(found["repository"]) > 255:
            raise UsageError(
                f"not an image reference: {text!r}",
                solution="write registry/repository:tag or registry/repository@sha256:digest, in lower case",
            )
        registry, repository = found["registry"] if has_registry else "", found["repository"]
        if registry == "docker.io" and "/" not in repository:  # its official images, as podman and docker call them
            repository = f"library/{repository}"
        return cls(registry, repository, found["tag"] or "", found["digest"] or "")

    def __str__(self) -> str:
        name = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def at(self, digest: str) -> ImageReference:
        """The same repository, by digest alone."""
        return replace(self, tag="", digest=digest)

    def tagged(self, tag: str) -> ImageReference:
        """The same repository, by tag alone."""
        return replace(self, tag=tag, digest="")


def is_repository(text: str) -> bool:
    """Whether a registry can have a repository of this name, without the registry's own."""
    return (
        len(text) <= 255
        and re.fullmatch(rf"{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*", text, re.ASCII) is not None
    )


def is_tag(text: str) -> bool:
    """Whether a registry takes this as a tag."""
    return re.fullmatch(_TAG, text, re.ASCII) is not None


def is_floating_tag(text: str) -> bool:
    """Whether this is a tag that builds may share: one with a hyphen could be taken for VERSION-RELEASE."""
    return is_tag(text) and "-" not in text


#: What comes before the number in tags of scratch builds, and of base images that were imported.
SCRATCH, IMPORT = "scratch", "import"

_MOMENT = "%Y%m%d%H%M%S"
#: A list in another format than the first has the format's name behind its tag.
_UNIQUE = re.compile(
    r"(?:(?P<kind>scratch|import)-)?(?P<number>\d{1,18})-(?P<moment>\d{14})(?:-(?:v2s2|oci))?", re.ASCII
)


@dataclass(frozen=True)
class UniqueTag:
    """A tag that no other image has.

    :param number: the task that built the image; of an import, the build that it became
    :param made: seconds since the epoch
    :param kind: ``SCRATCH``, ``IMPORT``, or empty for any other build
    """

    number: int
    made: float
    kind: str = ""

    @classmethod
    def read(cls, tag: str) -> UniqueTag | None:
        """Read a tag; None when it is another kind of tag. VERSION-RELEASE may look the same."""
        found = _UNIQUE.fullmatch(tag)
        if found is None:
            return None
        try:
            moment = calendar.timegm(time.strptime(found["moment"], _MOMENT))
        except ValueError:
            return None
        return cls(int(found["number"]), float(moment), found["kind"] or "")

    def __str__(self) -> str:
        moment = time.strftime(_MOMENT, time.gmtime(self.made))
        return "-".join(part for part in (self.kind, str(self.number), moment) if part)


def imported(tags: Iterable[str]) -> list[int]:
    """The builds that base images became which were imported into a repository, by its tags; the newest first."""
    return sorted({each.number for each in map(UniqueTag.read, tags) if each and each.kind == IMPORT}, reverse=True)
