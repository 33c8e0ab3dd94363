"""Digests of content: what registries name it by, and what everything that comes from one is checked with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fedpkg_container.errors import RegistryError, RegistryUnavailableError, WrongContentError

#: The algorithms that can be checked (OCI image specification, go-digest), and hexadecimal digits of each.
ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+):(?P<hex>[a-f0-9]+)")


def digest_of(content: bytes, like: str = "sha256") -> str:
    """The digest of some bytes.

    :param like: the algorithm, or a digest of it
    """
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def file_digest(path: Path) -> str:
    """The digest of a file's content.

    :raises OSError: it cannot be read
    """
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def checked(digest: object) -> str:
    """A digest that came from outside: safe as a part of a path, and of an algorithm that can be checked.

    :raises RegistryError: it is none
    """
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if found is None or ALGORITHMS.get(found["algorithm"]) != len(found["hex"]):
        raise RegistryError(f"not a digest that can be checked: {str(digest)[:200]!r}")
    return found[0]


def hashed(chunks: Iterable[bytes], digest: str, size: int, *, begun: Iterable[bytes] = ()) -> Iterator[bytes]:
    """Hand on content as it comes; what is not that of the digest ends in an error before the last part is handed on.

    :param size: bytes that it must have altogether
    :param begun: what of it came before, and is only hashed
    :raises WrongContentError: it is something else
    :raises RegistryUnavailableError: it ended too early
    """
    hasher, length = hashlib.new(digest.partition(":")[0]), 0
    for chunk in begun:
        hasher.update(chunk)
        length += len(chunk)
    last = b""
    for chunk in chunks:
        length += len(chunk)
        if length > size:
            raise WrongContentError(f"{digest} has more than the {size} bytes that its manifest says")
        hasher.update(chunk)
        if last:
            yield last
        last = chunk
    if length != size:
        raise RegistryUnavailableError(f"{digest} ended after {length} of {size} bytes")
    if hasher.hexdigest() != digest.partition(":")[2]:
        raise WrongContentError(f"what came for {digest} is something else: {hasher.name}:{hasher.hexdigest()}")
    if last:
        yield last
