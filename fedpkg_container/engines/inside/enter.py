"""Start a program in namespaces of its own: as a file, with Python's standard library alone.

``enter.py outside OPTIONS -- COMMAND``, started by root (of the machine or of a user namespace), prepares what root
alone can: ``--cgroup DIRECTORY`` moves the process into a control group, and ``--idmap SOURCE TARGET FROM TO COUNT``
mounts a directory read-only at another place, with the owners FROM… shown as TO… (mount_setattr(2)).

``enter.py inside FIRST COUNT [VARIABLES] -- COMMAND``, started in the sandbox as the first process of its process
namespace, mounts /proc where it is not yet, leaves its caller's keys, and starts the command as root of a new user
namespace whose IDs 0… are FIRST… outside (user_namespaces(7)). The command has no rights outside of that. When it
ends, this process ends with its status, and the kernel ends all other processes of the namespace first
(pid_namespaces(7)): when the caller learns that it ended, no process is left. VARIABLES is a file with further
variables of the command, such as a proxy with its password, as NAME=VALUE with a null byte behind each: it is read
before the user namespace exists, and only the root of the namespace outside can
read it.

It is started for every worker. It imports only what Python has loaded anyway, and ctypes: signal and json would
double the time that it takes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
#: Numbers of system calls: the same on all architectures (asm-generic/unistd.h), and not in every libc.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH, _OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = -100, 0x100, 0x1000, 1, 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_IDMAP = 0x1, 0x2, 0x4, 0x00100000
#: Numbers of keyctl(2), which differ.
_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "ppc64": 271, "s390x": 280, "i686": 288}
_KEYCTL_JOIN_SESSION_KEYRING = 1
#: AUDIT_ARCH_… (audit.h) → number of socket(2), and of socketcall(2) where its arguments cannot be seen.
_SOCKET: dict[str, dict[int, tuple[int, int | None]]] = {
    "x86_64": {0xC000003E: (41, None), 0x40000003: (359, 102)},
    "aarch64": {0xC00000B7: (198, None), 0x40000028: (281, None)},
    "riscv64": {0xC00000F3: (198, None)},
    "ppc64le": {0xC0000015: (326, 102)},
    "s390x": {0x80000016: (359, None)},
}
_X32 = 0x40000000
#: Families of sockets that workers may make: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET. Others reach parts of
#: the kernel that builds do not need: AF_ALG is its cryptography, by which CVE-2026-31431 changed files that can only
#: be read; AF_VSOCK is in no network namespace, and reaches the hypervisor and this machine itself.
_ALLOWED = (1, 2, 10, 16, 17)
#: io_uring_setup(2), the same number on all architectures: its requests make sockets that no filter sees.
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
    """Mount a directory read-only at another place, its owners ``first``… shown as ``to``…

    :raises OSError: the kernel or the file system cannot
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
        flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_SYMLINK_NOFOLLOW  # a worker wrote what is at the source
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
    """Join control groups and make mounts, for this process and those that it starts."""
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
    """Join a session keyring of its own: what is in that of the caller can be read by all that inherit it."""
    number = _KEYCTL.get(os.uname().machine)
    if number is not None:  # a kernel without keyrings, or a container that forbids them, has none to leave
        _libc.syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, None)


def socket_filter(machine: str, byte_order: str = sys.byteorder) -> bytes:
    """Return a seccomp filter that allows sockets of a few families, and no io_uring, which makes sockets by itself.

    :param machine: as uname(2) names it; the filter is empty where its system calls are not known
    """
    instructions: list[tuple[int, int, int, int]] = []
    argument = _DATA_ARGUMENT + (4 if byte_order == "big" else 0)
    refuse = (_RETURN, 0, 0, _SECCOMP_RET_ERRNO | errno.EAFNOSUPPORT)
    forbid = (_RETURN, 0, 0, _SECCOMP_RET_ERRNO | errno.EPERM)  # as with the setting kernel.io_uring_disabled
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
    """Whether the filter is complete on a machine: s390x has no other way to make sockets than socketcall(2)."""
    return machine in _SOCKET and machine != "s390x"


def confine_sockets() -> None:
    """Put the filter of sockets on this process and all that it starts."""
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
    """Enter a new user namespace, whose map the other process writes.

    It is made by the ID that its root has outside: what is used in it (inotify(7), signals that wait, namespaces) is
    counted for the user who made it too, and would be taken from root of the builder otherwise, up to root's limits.
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
    """Wait for all processes that end before one does; its exit status, as a shell has it."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _execute(command: list[str]) -> None:
    """Become a command, with the signals that Python ignores as they were."""
    for each in _IGNORED:
        _libc.signal(each, None)  # SIG_DFL
    os.execvp(command[0], command)


def _report(error: OSError) -> None:
    sys.stderr.write(f"enter: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Prepare, and become the command, or run it; its exit status."""
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


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        _report(error)
        sys.exit(1)
