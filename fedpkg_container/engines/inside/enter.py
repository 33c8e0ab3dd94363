# SPDX-License-Identifier: GPL-2.0-or-later
"""Start a program in separate namespaces, with only Python's standard library.

``enter outside OPTIONS -- COMMAND``, started by root (of the machine or of a user namespace), does preparations that
need root: ``--cgroup DIRECTORY`` moves the process into a control group; ``--idmap SOURCE TARGET FROM TO COUNT`` mounts
a directory read-only at another path, with the owners FROM… shown as TO… (mount_setattr(2)).

``enter inside FIRST COUNT [VARIABLES] -- COMMAND``, started in the sandbox as the first process of its process
namespace, mounts /proc if necessary, leaves its caller's session keyring, and starts the command as root of a new user
namespace whose IDs 0… are FIRST… outside (user_namespaces(7)). The command has no rights outside of it. When it ends,
this process exits with its status, after the kernel has ended all other processes of the namespace (pid_namespaces(7)):
when the caller is notified, no process is left. VARIABLES is a file with further variables of the command, such as a
proxy with its password, as NAME=VALUE, each terminated by a null byte: it is read before the user namespace exists;
only root of the outer namespace can read it.

It is started for every worker. It imports only modules that Python has loaded anyway, and ctypes: signal and json would
double its run time.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
#: System call numbers: the same on all architectures (asm-generic/unistd.h), missing in some libcs.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH, _OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = -100, 0x100, 0x1000, 1, 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_IDMAP = 0x1, 0x2, 0x4, 0x00100000
#: Numbers of keyctl(2), which vary.
_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "ppc64": 271, "s390x": 280, "i686": 288}
_KEYCTL_JOIN_SESSION_KEYRING = 1
#: AUDIT_ARCH_… (audit.h) → number of socket(2), and of socketcall(2) where a filter cannot see its arguments.
_SOCKET: dict[str, dict[int, tuple[int, int | None]]] = {
    "x86_64": {0xC000003E: (41, None), 0x40000003: (359, 102)},
    "aarch64": {0xC00000B7: (198, None), 0x40000028: (281, None)},
    "riscv64": {0xC00000F3: (198, None)},
    "ppc64le": {0xC0000015: (326, 102)},
    "s390x": {0x80000016: (359, None)},
}
_X32 = 0x40000000
#: Socket families allowed for workers: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET. Others reach parts of the
#: kernel that builds do not need: AF_ALG is its crypto API, by which CVE-2026-31431 changed read-only files; AF_VSOCK
#: is not confined by network namespaces, and reaches the hypervisor and this machine itself.
_ALLOWED = (1, 2, 10, 16, 17)
#: io_uring_setup(2), the same number on all architectures: its requests create sockets past any filter.
_IO_URING_SETUP = 425
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 0x4
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_SECCOMP_RET_ALLOW, _SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
#: Signals that Python ignores: SIGPIPE and SIGXFSZ, with the numbers that all architectures of ``_KEYCTL`` have.
_IGNORED = (13, 25)
#: Offsets in struct seccomp_data.
_DATA_NUMBER, _DATA_ARCH, _DATA_ARGUMENT = 0, 4, 16
#: Instructions of BPF (linux/filter.h): load a word, compare, mask, return.
_LOAD, _JUMP_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int) -> None:
    _call("mount", _libc.mount(source, target, kind, ctypes.c_ulong(flags), None))


def _write_map(pid: int, first: int, to: int, count: int) -> None:
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", "w") as file:
            file.write(f"{first} {to} {count}\n")


def idmap(source: str, target: str, first: int, to: int, count: int) -> None:
    """Mount a directory read-only at another path, its owners ``first``… shown as ``to``…

    :raises OSError: if the kernel or the file system lacks support
    """
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    pid = os.fork()
    if pid == 0:  # lives as long as its namespace is needed
        os.close(ready_read)
        os.close(done_write)
        _call("unshare", _libc.unshare(_CLONE_NEWUSER))
        os.write(ready_write, b"x")
        os.read(done_read, 1)
        os._exit(0)
    os.close(ready_write)
    os.close(done_read)
    try:
        os.read(ready_read, 1)
        _write_map(pid, first, to, count)
        namespace = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_SYMLINK_NOFOLLOW  # a worker wrote the source
        tree = _call("open_tree", _libc.syscall(_OPEN_TREE, _AT_FDCWD, source.encode(), flags))
        attributes = struct.pack(
            "QQQQ",
            _MOUNT_ATTR_IDMAP | _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV,
            *(0, 0, namespace),
        )
        _call(
            "mount_setattr",
            _libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, ctypes.c_size_t(len(attributes))),
        )
        _call(
            "move_mount",
            _libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH),
        )
    finally:
        os.close(done_write)
        os.waitpid(pid, 0)


def outside(options: list[str]) -> None:
    """Join control groups and make mounts, for this process and its children."""
    if "--idmap" in options:
        _call("unshare", _libc.unshare(_CLONE_NEWNS))
        _mount(None, b"/", None, _MS_REC | _MS_PRIVATE)
    while options:
        option = options.pop(0)
        if option == "--cgroup":
            with open(os.path.join(options.pop(0), "cgroup.procs"), "w") as file:
                file.write("0\n")
        elif option == "--idmap":
            source, target, first, to, count = (options.pop(0) for _ in range(5))
            idmap(source, target, int(first), int(to), int(count))
        else:
            raise SystemExit(f"unknown option {option}")


def leave_keys() -> None:
    """Join a new session keyring: all processes that inherit the caller's can read its keys."""
    number = _KEYCTL.get(os.uname().machine)
    if number is not None:  # unknown on kernels without keyrings, and in containers that forbid them
        _libc.syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, None)


def socket_filter(machine: str, byte_order: str = sys.byteorder) -> bytes:
    """Return a seccomp filter that allows a few socket families, and no io_uring, which can create sockets.

    :param machine: name from uname(2); the filter is empty if its system calls are unknown
    """
    instructions: list[tuple[int, int, int, int]] = []
    argument = _DATA_ARGUMENT + (4 if byte_order == "big" else 0)
    refuse = (_RETURN, 0, 0, _SECCOMP_RET_ERRNO | errno.EAFNOSUPPORT)
    forbid = (_RETURN, 0, 0, _SECCOMP_RET_ERRNO | errno.EPERM)  # same as with kernel.io_uring_disabled
    allow = (_RETURN, 0, 0, _SECCOMP_RET_ALLOW)
    for arch, (socket, socketcall) in _SOCKET.get(machine, {}).items():
        block = [(_LOAD, 0, 0, _DATA_NUMBER)]
        if machine == "x86_64":  # x32 has the same numbers, with a bit set
            block.append((_AND, 0, 0, ~_X32 & 0xFFFFFFFF))
        block += [(_JUMP_EQUAL, 0, 1, _IO_URING_SETUP), forbid]
        if socketcall is not None:
            block += [(_JUMP_EQUAL, 0, 1, socketcall), refuse]
        block += [(_JUMP_EQUAL, 1, 0, socket), allow, (_LOAD, 0, 0, argument)]
        for family in _ALLOWED:
            block += [(_JUMP_EQUAL, 0, 1, family), allow]
        block.append(refuse)
        instructions += [(_LOAD, 0, 0, _DATA_ARCH), (_JUMP_EQUAL, 0, len(block), arch), *block]
    if instructions:
        instructions.append(allow)
    return b"".join(struct.pack("=HBBI", *each) for each in instructions)


def refuses_sockets(machine: str) -> bool:
    """Return whether the filter is complete on a machine: s390x can only create sockets by socketcall(2)."""
    return machine in _SOCKET and machine != "s390x"


def confine_sockets() -> None:
    """Apply the socket filter to this process and its children."""
    program = socket_filter(os.uname().machine)
    if not program:
        return
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    _call("prctl", _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, described, 0, 0))


def inside(first: int, count: int, command: list[str]) -> int:
    """Run a command as root of a new user namespace whose IDs 0… are ``first``… outside; its exit status."""
    if not os.path.exists("/proc/self"):
        _mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    leave_keys()
    confine_sockets()
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready_read)
        os.close(done_write)
        try:
            _become_root(first, ready_write, done_read)
            _execute(command)
        except OSError as error:
            _report(error)
        os._exit(127)
    os.close(ready_write)
    os.close(done_read)
    if os.read(ready_read, 1):
        _write_map(pid, 0, first, count)
        os.write(done_write, b"x")
    os.close(ready_read)
    os.close(done_write)
    return _status_of(pid)


def _become_root(first: int, ready: int, done: int) -> None:
    """Enter a new user namespace; the other process writes its map.

    It is created by the outer ID of its root: resources used in it (inotify(7), pending signals, namespaces) are also
    counted for the creating user, which must not be the builder's root, or they would use up root's limits.
    """
    _call("prctl", _libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0))  # capabilities stay
    os.setegid(first)
    os.seteuid(first)
    _call("unshare", _libc.unshare(_CLONE_NEWUSER))
    os.write(ready, b"x")
    os.close(ready)
    if not os.read(done, 1):
        raise OSError(errno.EPERM, "the IDs of the user namespace could not be mapped")
    os.close(done)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _call("unshare", _libc.unshare(_CLONE_NEWNS))


def _status_of(pid: int) -> int:
    """Reap all processes until a given one ends; return its exit status, as shells define it."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _execute(command: list[str]) -> None:
    """Execute a command, with the signals that Python ignores restored."""
    for each in _IGNORED:
        _libc.signal(each, None)  # SIG_DFL
    os.execvp(command[0], command)


def _report(error: OSError) -> None:
    sys.stderr.write(f"enter: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Prepare, and execute or run the command; its exit status."""
    mode = arguments[0]
    end = arguments.index("--")
    options, command = arguments[1:end], arguments[end + 1 :]
    if mode == "outside":
        outside(options)
        _execute(command)
    if options[2:]:
        with open(options[2], "rb") as file:
            for each in file.read().split(b"\0")[:-1]:
                name, _, value = each.partition(b"=")
                os.environb[name] = value
    return inside(int(options[0]), int(options[1]), command)


def start() -> None:
    """Run the program with the arguments of this process, and exit."""
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        _report(error)
        sys.exit(1)
