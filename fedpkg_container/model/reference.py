"""Image references, after the grammar of distribution (distribution/reference, ``reference.go``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from fedpkg_container.errors import UsageError
from fedpkg_container.model.names import COMPONENT

#: The longest tag that registries take.
LONGEST_TAG = 128

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>{_DOMAIN})/)?(?P<repository>{COMPONENT}(?:/{COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?",
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
    return len(text) <= 255 and re.fullmatch(rf"{COMPONENT}(?:/{COMPONENT})*", text, re.ASCII) is not None


def is_tag(text: str) -> bool:
    """Whether a registry takes this as a tag."""
    return re.fullmatch(_TAG, text, re.ASCII) is not None


def is_floating_tag(text: str) -> bool:
    """Whether this is a tag that builds may share: one with a hyphen could be taken for VERSION-RELEASE."""
    return is_tag(text) and "-" not in text
