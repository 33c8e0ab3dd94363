# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter of sockets, as the kernel reads it."""

from __future__ import annotations

import errno
import struct

import pytest

from fedpkg_container.engines.inside import enter

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EAFNOSUPPORT
VSOCK, UNIX = 40, 1
#: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET.
ALLOWED = {1, 2, 10, 16, 17}


def _decide(machine: str, arch: int, number: int, argument: int) -> int:
    """The result of the filter for a system call: an interpreter of its few instructions of classic BPF."""
    order = ">" if machine == "s390x" else "<"
    data = struct.pack(f"{order}IIQQ", number, arch, 0, argument)  # struct seccomp_data
    program = enter.socket_filter(machine, "big" if order == ">" else "little")
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from(f"{order}I", data, value)[0]
        elif code == 0x54:
            accumulator &= value
        elif code == 0x15:
            at += yes if accumulator == value else no
        else:
            assert code == 0x06
            return int(value)


CALLS = [
    ("x86_64", 0xC000003E, 41),
    ("x86_64", 0xC000003E, 41 | 0x40000000),
    ("x86_64", 0x40000003, 359),
    ("aarch64", 0xC00000B7, 198),
    ("aarch64", 0x40000028, 281),
    ("ppc64le", 0xC0000015, 326),
    ("s390x", 0x80000016, 359),
    ("riscv64", 0xC00000F3, 198),
]


@pytest.mark.parametrize(("machine", "arch", "number"), CALLS)
def test_sockets_of_few_families_are_allowed(machine: str, arch: int, number: int) -> None:
    assert {family for family in range(100) if _decide(machine, arch, number, family) == _ALLOW} == ALLOWED
    assert _decide(machine, arch, number, VSOCK) == _REFUSE


@pytest.mark.parametrize(("machine", "arch", "number"), CALLS)
def test_other_calls_are_allowed(machine: str, arch: int, number: int) -> None:
    assert _decide(machine, arch, 1, VSOCK) == _ALLOW
    assert _decide(machine, 0x12345678, number, VSOCK) == _ALLOW


@pytest.mark.parametrize(("machine", "arch"), [("x86_64", 0x40000003), ("ppc64le", 0xC0000015)])
def test_a_call_whose_arguments_cannot_be_seen_is_refused(machine: str, arch: int) -> None:
    assert _decide(machine, arch, 102, UNIX) == _REFUSE


@pytest.mark.parametrize(("machine", "arch"), sorted({(machine, arch) for machine, arch, _ in CALLS}))
def test_io_uring_is_refused(machine: str, arch: int) -> None:
    """Its requests make sockets without a system call that the filter could see."""
    assert _decide(machine, arch, 425, 0) == 0x00050000 | errno.EPERM
    if machine == "x86_64" and arch == 0xC000003E:
        assert _decide(machine, arch, 425 | 0x40000000, 0) == 0x00050000 | errno.EPERM


def test_machines_that_are_not_known_have_no_filter() -> None:
    assert enter.socket_filter("sparc64") == b""
