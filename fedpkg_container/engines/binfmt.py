# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures whose programs RUN can execute on this machine."""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import ProgramError, ProgramTimeoutError
from fedpkg_container.process import run

#: The kernel's list of handlers for foreign programs (Documentation/admin-guide/binfmt-misc.rst).
HANDLERS = Path("/proc/sys/fs/binfmt_misc")
#: Timeout of a trivial program, seconds.
TRIAL_TIMEOUT = 10.0
#: Machine name of the kernel → Go's name of the architecture.
_NATIVE = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
}


@dataclass(frozen=True)
class _Format:
    """ELF header fields of an architecture: machine number, word size in bits and byte order."""

    machine: int
    bits: int = 64
    order: str = "<"

    def header(self, code: bytes = b"") -> bytes:
        """Return the header of a program, or with code a complete program."""
        wide = self.bits == 64
        magic = b"\x7fELF" + bytes([2 if wide else 1, 1 if self.order == "<" else 2, 1]) + bytes(9)
        word = "Q" if wide else "I"
        sizes = (64, 56) if wide else (52, 32)
        base = 0x10000
        entry = base + sum(sizes)
        head = struct.pack(f"{self.order}HHI3{word}I3H", 2, self.machine, 1, entry, sizes[0], 0, 0, *sizes, 1)
        head += struct.pack(f"{self.order}3H", 0, 0, 0)
        if not code:
            return magic + head
        assert not wide, "only programs of 32-bit arches are tried"
        length = sum(sizes) + len(code)
        segment = struct.pack(f"{self.order}8I", 1, 0, base, base, length, length, 5, 0x1000)
        return magic + head + segment + code


#: ELF machine numbers (elf.h, EM_…), by Go's names.
_FORMATS = {
    "amd64": _Format(62),
    "arm64": _Format(183),
    "386": _Format(3, bits=32),
    "arm": _Format(40, bits=32),
    "ppc64le": _Format(21),
    "ppc64": _Format(21, order=">"),
    "s390x": _Format(22, order=">"),
    "riscv64": _Format(243),
}
#: 64-bit architectures → a 32-bit one that some such machines also execute, and a program for it: exit(0).
_SMALLER = {
    "amd64": ("386", b"\xb8\x01\x00\x00\x00\x31\xdb\xcd\x80"),
    "arm64": ("arm", struct.pack("<3I", 0xE3A07001, 0xE3A00000, 0xEF000000)),
}


def native() -> str:
    """This machine's architecture, by Go's name."""
    machine = platform.machine()
    return _NATIVE.get(machine, machine)


def executes(architecture: str, directory: Path, *, handlers: Path | None = None) -> bool:
    """Return whether RUN can execute programs of an architecture, natively or by a handler visible in containers.

    :param architecture: Go's name
    :param directory: directory for a test program
    :param handlers: the kernel's list of handlers; default: this machine's
    """
    native_architecture = native()
    if architecture == native_architecture:
        return True
    smaller, code = _SMALLER.get(native_architecture, ("", b""))
    if architecture == smaller and _runs(_FORMATS[smaller].header(code), directory):
        return True
    form = _FORMATS.get(architecture)
    return form is not None and _is_handled(form.header(), handlers or HANDLERS)


def _runs(program: bytes, directory: Path) -> bool:
    path = directory / "trial"
    path.write_bytes(program)
    path.chmod(0o700)
    try:
        return run([path], timeout=TRIAL_TIMEOUT, check=False).status == 0
    except (ProgramError, ProgramTimeoutError, OSError):  # OSError: without setpriv, execute it directly
        return False
    finally:
        path.unlink()


def _is_handled(header: bytes, handlers: Path) -> bool:
    """Return whether a handler matches the header, also in containers: with flag F its interpreter is opened at
    registration, else looked up in the container."""
    try:
        entries = sorted(handlers.iterdir())
        if "enabled" not in (handlers / "status").read_text():
            return False
    except OSError:
        return False
    return any(_takes(entry, header) for entry in entries if entry.name not in ("register", "status"))


def _takes(entry: Path, header: bytes) -> bool:
    try:
        lines = entry.read_text().splitlines()
    except OSError:
        return False
    facts = {words[0].rstrip(":"): words[-1] for words in map(str.split, lines) if len(words) > 1}
    if "enabled" not in lines or "F" not in facts.get("flags", "") or "magic" not in facts:
        return False
    magic = bytes.fromhex(facts["magic"])
    mask = bytes.fromhex(facts.get("mask", "ff" * len(magic)))
    start = int(facts.get("offset", "0"))
    actual = header[start : start + len(magic)]
    return len(actual) == len(magic) and all(a & m == b & m for a, b, m in zip(actual, magic, mask))
