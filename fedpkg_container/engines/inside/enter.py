"""Start a program in namespaces of its own: as a file, with Python's standard library alone.

``enter.py outside OPTIONS -- COMMAND``, started by root (of the machine or of a user namespace), prepares what root
alone can: ``--cgroup DIRECTORY`` moves the process into a control group, and ``--idmap SOURCE TARGET FROM TO COUNT``
mounts a directory read-only at another place, with the owners FROM… shown as TO… (mount_setattr(2)).

``enter.py inside FIRST COUNT -- COMMAND``, started in the sandbox, mounts /proc where it is not yet, and starts the
command as root of a new user namespace whose IDs 0… are FIRST… outside (user_namespaces(7)). The command has no rights
outside of that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
#: Numbers of system calls: the same on all architectures (asm-generic/unistd.h), and not in every libc.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH, _OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = -100, 0x1000, 1, 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_IDMAP = 0x1, 0x2, 0x4, 0x00100000

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
        flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
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


def inside(first: int, count: int) -> None:
    """Become root of a new user namespace whose IDs 0… are ``first``… outside."""
    if not os.path.exists("/proc/self"):
        _mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    process = os.getpid()
    pid = os.fork()
    if pid == 0:  # stays where it may write the map of the other
        os.close(ready_write)
        os.close(done_read)
        if os.read(ready_read, 1):
            _write_map(process, 0, first, count)
            os.write(done_write, b"x")
        os._exit(0)
    os.close(ready_read)
    os.close(done_write)
    _call("unshare", _libc.unshare(_CLONE_NEWUSER))
    os.write(ready_write, b"x")
    os.close(ready_write)
    mapped = os.read(done_read, 1)
    os.close(done_read)
    os.waitpid(pid, 0)
    if not mapped:
        raise SystemExit("the IDs of the user namespace could not be mapped")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _call("unshare", _libc.unshare(_CLONE_NEWNS))


def main(arguments: list[str]) -> None:
    """Prepare, and become the command."""
    mode = arguments[0]
    end = arguments.index("--")
    options, command = arguments[1:end], arguments[end + 1 :]
    if mode == "outside":
        outside(options)
    else:
        inside(int(options[0]), int(options[1]))
    for each in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and what it becomes would too
        signal.signal(each, signal.SIG_DFL)
    os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"enter: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
