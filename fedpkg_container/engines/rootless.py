# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds of an ordinary user: in a user namespace with that user's subordinate IDs (/etc/subuid and /etc/subgid).

The user is root there, and the engine works as on a builder, except that all builds share one range of IDs and have no
control groups.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

from fedpkg_container.engines.ids import COUNT, subordinate
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.files import user_name
from fedpkg_container.process import run

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
#: Timeout for the maps, seconds.
TIMEOUT = 20.0
_PROGRAMS = {"newuidmap": Path("/etc/subuid"), "newgidmap": Path("/etc/subgid")}
#: Settings that forbid user namespaces to ordinary users, and the value that allows them.
_SWITCHES = {
    "kernel.unprivileged_userns_clone": "1",
    "kernel.apparmor_restrict_unprivileged_userns": "0",
    "user.max_user_namespaces": "",
}


def enter() -> None:
    """Enter a user namespace as root, unless already root. The process must be single-threaded.

    :raises FedpkgContainerError: if it is not permitted; states what to install or configure
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        return
    name = user_name(user)
    ranges = {program: _range(program, name, user) for program in _PROGRAMS}
    ready_read, ready_write = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.getpid()
    pid = os.fork()
    if pid == 0:  # stays outside, where programs may write its parent's maps
        status = 1
        try:
            os.close(ready_write)
            if os.read(ready_read, 1):
                for program, account_id in (("newuidmap", user), ("newgidmap", group)):
                    first = str(ranges[program])
                    run(
                        [program, str(process), "0", str(account_id), "1", "1", first, str(COUNT)],
                        timeout=TIMEOUT,
                    )
                status = 0
        finally:
            os._exit(status)
    os.close(ready_read)
    error = 0
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS) < 0:
        error = ctypes.get_errno()
    else:
        os.write(ready_write, b"x")
    os.close(ready_write)
    _, status = os.waitpid(pid, 0)
    if error:
        raise FedpkgContainerError(f"user {name} cannot make a user namespace: {os.strerror(error)}", solution=_allow())
    if status:
        raise FedpkgContainerError(
            f"the subordinate IDs of user {name} cannot be used", solution="check what newuidmap printed above"
        )
    os.setgroups([])
    os.environ |= {
        "_CONTAINERS_USERNS_CONFIGURED": "done",  # locates this user's own images for buildah
        "_CONTAINERS_ROOTLESS_UID": str(user),
        "_CONTAINERS_ROOTLESS_GID": str(group),
    }
    if not os.environ.get("XDG_RUNTIME_DIR"):
        usual = Path(f"/run/user/{user}")
        os.environ["XDG_RUNTIME_DIR"] = str(usual) if usual.is_dir() else tempfile.mkdtemp(prefix="runtime-")


def _range(program: str, name: str, user: int) -> int:
    """Return the first of a user's subordinate IDs.

    :raises FedpkgContainerError: if there are too few, or the program is missing
    """
    if shutil.which(program) is None:
        raise FedpkgContainerError(
            f"program not found: {program}; builds of ordinary users need it",
            solution="install uidmap (Debian) or shadow-utils (Fedora)",
        )
    path = _PROGRAMS[program]
    for owner, first, count in subordinate(path) if path.exists() else ():
        if owner in (name, str(user)) and count >= COUNT:
            return first
    option = "--add-subuids" if path.name == "subuid" else "--add-subgids"
    raise FedpkgContainerError(
        f"user {name} has no {COUNT} subordinate IDs in {path}",
        solution=f"as root: usermod {option} 100000-{100000 + COUNT - 1} {name} (a range that no other user has)",
    )


def _allow() -> str:
    """Return how to enable forbidden user namespaces."""
    for name, allowed in _SWITCHES.items():
        path = Path("/proc/sys", *name.split("."))
        value = path.read_text().strip() if path.exists() else allowed
        if value != allowed and (allowed or value == "0"):
            return f"as root: sysctl {name}={allowed or 15000}"
    return "allow user namespaces to ordinary users, or build as root"
