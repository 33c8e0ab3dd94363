"""How large images may be that come from outside."""

from __future__ import annotations

from dataclasses import dataclass

_GIGABYTE = 10**9
#: What to do where a limit is too small.
RAISE_LIMIT = "if this is meant, raise the limit in [limits] of the site's file"


@dataclass(frozen=True)
class ImageLimits:
    """How much of a base image is read that is imported.

    :param size: bytes of its archive, or of all its blobs in a registry, as they are packed
    :param decompressed: bytes of the archive when it is decompressed, and of each layer of a docker-archive
    :param members: files in the archive
    """

    size: int = 10 * _GIGABYTE
    decompressed: int = 20 * _GIGABYTE
    members: int = 10_000


DEFAULT_LIMITS = ImageLimits()
