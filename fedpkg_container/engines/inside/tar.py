# SPDX-License-Identifier: GPL-2.0-or-later
"""Tar archives as streams: members, layers without overlay xattrs, and headers.

Imported by ``export.py``, in a worker; needs only Python's standard library. tarfile is not used: it would read a layer
member by member and write other headers, but all bytes of a layer stay except for the xattrs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO

BLOCK = 512
CHUNK = 1 << 20
#: Size limit of parsed extended headers, bytes; longer ones are kept unchanged.
_LONGEST_HEADER = 1 << 20
#: Sizes below this fit into the octal digits of a tar header.
_OCTAL_SIZES = 1 << 33
_UNWANTED = b"SCHILY.xattr.user.overlay."


class Hashing:
    """A file that is hashed while written, with an optional copy to a second one."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.second: IO[bytes] | None = None
        self.hasher = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> None:
        """Write."""
        self.hasher.update(content)
        self.size += len(content)
        self.file.write(content)
        if self.second is not None:
            self.second.write(content)

    @property
    def digest(self) -> str:
        """The digest of the written data."""
        return f"sha256:{self.hasher.hexdigest()}"


def size_of(header: bytes) -> int:
    """Return the size in a tar header, bytes."""
    field = header[124:136]
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << 95) - 1)
    return int(field.strip(b" \0") or b"0", 8)


def records(content: bytes) -> list[bytes]:
    """Return the records of an extended header, each with its length and newline.

    :raises ValueError: if it is malformed
    """
    pairs = []
    while content.strip(b"\0"):
        length = int(content[: content.index(b" ")])
        if not 0 < length <= len(content):
            raise ValueError("a record is longer than its header")
        pairs.append(content[:length])
        content = content[length:]
    return pairs


def _key(record: bytes) -> bytes:
    return record.partition(b" ")[2].partition(b"=")[0]


def _with_size(header: bytes, size: int) -> bytes:
    """Return a header with another size and the matching checksum."""
    changed = bytearray(header)
    changed[124:136] = b"%011o\0" % size
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def padded(size: int) -> int:
    """Return a size rounded up to whole blocks, bytes."""
    return -(-size // BLOCK) * BLOCK


def is_wanted(record: bytes) -> bool:
    """Return whether a record of an extended header is kept."""
    return not _key(record).startswith(_UNWANTED)


class Part:
    """A part of a stream, readable as a file."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self.source, self.left = source, size

    def read(self, size: int = CHUNK) -> bytes:
        """Read at most some bytes.

        :raises ValueError: if the stream is truncated
        """
        size = min(size, self.left)
        content = self.source.read(size)
        if len(content) != size:
            raise ValueError("the archive ends within a file")
        self.left -= size
        return content


def members(stream: IO[bytes]) -> Iterator[tuple[str, Part]]:
    """Yield the regular files of a tar archive, by name; each must be read before the next one.

    :raises ValueError: if it is not a tar archive
    """
    larger = None
    while (entry := stream.read(BLOCK)) and entry != bytes(BLOCK):
        if len(entry) != BLOCK:
            raise ValueError("the archive ends within a header")
        size = size_of(entry)
        padding = padded(size) - size
        if entry[156:157] == b"x":
            content = Part(stream, padded(size)).read(padded(size))
            sizes = [each.partition(b"=")[2] for each in records(content[:size]) if _key(each) == b"size"]
            larger = int(sizes[-1]) if sizes else None
            continue
        if larger is not None:
            size, padding, larger = larger, padded(larger) - larger, None
        part = Part(stream, size)
        if entry[156:157] in (b"0", b"\0"):
            yield entry[:100].rstrip(b"\0").decode(), part
        while part.read():
            pass
        Part(stream, padding).read()
    while stream.read(CHUNK):  # drain: the writing program must not be interrupted
        pass


def strip(source: IO[bytes] | Part, target: Hashing) -> bool:
    """Copy a layer without overlay xattrs; return whether it had any. All else is kept byte for byte.

    :raises ValueError: if it is not a tar archive
    """
    changed = False
    while header := source.read(BLOCK):
        if len(header) != BLOCK:
            raise ValueError("the layer ends within a header")
        if header == bytes(BLOCK):
            target.write(header)
            continue
        size = size_of(header)
        if header[156:157] == b"x" and size <= _LONGEST_HEADER:
            content = source.read(padded(size))
            text = b"".join(each for each in records(content[:size]) if is_wanted(each))
            if len(text) == size:
                target.write(header + content)
                continue
            changed = True
            if text:
                target.write(_with_size(header, len(text)) + text.ljust(padded(len(text)), b"\0"))
            continue
        target.write(header)
        left = padded(size)
        while left > 0:
            chunk = source.read(min(left, CHUNK))
            if not chunk:
                raise ValueError("the layer ends within a file")
            target.write(chunk)
            left -= len(chunk)
    return changed


def header(name: str, size: int) -> bytes:
    """Return a tar header (POSIX ustar) for a world-readable file."""
    digits = b"%011o\0" % size if size < _OCTAL_SIZES else b"\x80" + size.to_bytes(11, "big")
    fields = [
        name.encode().ljust(100, b"\0"),
        b"0000444\0",
        b"0000000\0" * 2,
        digits,
        b"0" * 11 + b"\0",
        b" " * 8,
        b"0",
    ]
    fields += [bytes(100), b"ustar\00000", bytes(247)]
    filled = bytearray(b"".join(fields))
    filled[148:156] = b"%06o\0 " % sum(filled)
    return bytes(filled)
