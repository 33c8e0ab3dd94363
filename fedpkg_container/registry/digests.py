# SPDX-License-Identifier: GPL-2.0-or-later
"""Content digests: parsing, computing and verifying."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fedpkg_container.errors import RegistryError, RegistryUnavailableError, WrongContentError

#: Supported algorithms (OCI image specification, go-digest) and their number of hexadecimal digits.
ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+):(?P<hex>[a-f0-9]+)")


def digest_of(content: bytes, like: str = "sha256") -> str:
    """Return the digest of some bytes.

    :param like: the algorithm, or a digest of it
    """
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file's content.

    :raises OSError: if it cannot be read
    """
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def validate_digest(digest: object) -> str:
    """Return a digest from outside after validating it: safe in a path, and with a supported algorithm.

    :raises RegistryError: if it is not a valid digest
    """
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None or ALGORITHMS.get(match["algorithm"]) != len(match["hex"]):
        raise RegistryError(f"invalid or unsupported digest: {str(digest)[:200]!r}")
    return match[0]


def verify_chunks(chunks: Iterable[bytes], digest: str, size: int, *, prefix: Iterable[bytes] = ()) -> Iterator[bytes]:
    """Yield content while hashing it; raise before yielding the last chunk if size or digest do not match.

    :param size: expected number of bytes altogether
    :param prefix: content received earlier, which is only hashed
    :raises WrongContentError: if the content differs
    :raises RegistryUnavailableError: if it ends too early
    """
    hasher, length = hashlib.new(digest.partition(":")[0]), 0
    for chunk in prefix:
        hasher.update(chunk)
        length += len(chunk)
    last = b""
    for chunk in chunks:
        length += len(chunk)
        if length > size:
            raise WrongContentError(f"{digest} is longer than the {size} bytes stated in its manifest")
        hasher.update(chunk)
        if last:
            yield last
        last = chunk
    if length != size:
        raise RegistryUnavailableError(f"{digest} ended after {length} of {size} bytes")
    if hasher.hexdigest() != digest.partition(":")[2]:
        raise WrongContentError(f"digest mismatch: expected {digest}, got {hasher.name}:{hasher.hexdigest()}")
    if last:
        yield last
