# SPDX-License-Identifier: GPL-2.0-or-later
"""A container for the simulated kubelet: a root file system with volumes, in a user namespace of 65,536 IDs.

It corresponds to a pod with ``hostUsers: false`` and a few capabilities (a2): root of the container is an ordinary ID
on the machine, and has only the capabilities of the pod's securityContext in the user namespace.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedpkg_container.box.cluster.kubelet import Command
from fedpkg_container.engines.ids import IdRange, read_ids
from fedpkg_container.engines.sandbox import INSIDE, program, python_files

#: Directories of the machine that the image of the pod has.
_IMAGE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")
_ETC = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/ld.so.cache",
        "/etc/alternatives", "/etc/ssl", "/etc/containers", "/etc/os-release", "/etc/localtime")  # fmt: skip


def contained(
    arguments: Sequence[str],
    mounts: Mapping[str, Path],
    environment: Mapping[str, str],
    message: Path,
    capabilities: Sequence[str] | None,
) -> Command:
    """Return the command of a container.

    :param capabilities: of its root; None: all
    """
    stack = contextlib.ExitStack()
    ids = stack.enter_context(read_ids().allocated())
    idmaps: list[str] = []
    visible: dict[str, Path] = {}
    for number, (target, path) in enumerate(mounts.items()):
        if path.is_relative_to(message.parent):  # the pod's own volumes
            _give(path, ids)
            visible[target] = path
        else:  # a2: volumes are mounted with the IDs of the pod's user namespace
            visible[target] = message.parent / f"idmapped-{number}"
            visible[target].mkdir()
            idmaps += ["--idmap", str(path), str(visible[target]), "0", str(ids.first), str(ids.count)]
    _give(message, ids)
    programs = Path(__file__).parents[2] / "engines" / "inside"
    words: list[str] = [*map(str, program("enter", programs)), "outside", *idmaps, "--"]
    words += ["bwrap", "--die-with-parent", "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"]
    words += ["--cap-add", "ALL", "--clearenv", "--dev", "/dev", "--dir", "/proc"]
    words += _directories([*python_files(), *map(Path, mounts), *map(Path, _ETC), INSIDE])
    words += _image()
    words += ["--ro-bind", str(programs), str(INSIDE)]
    for target, source in visible.items():
        words += ["--bind", str(source), target]
    words += ["--bind", str(message), environment["FEDPKG_CONTAINER_MESSAGE"]]
    variables = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        "HOME": "/root",
        "PYTHONPATH": os.pathsep.join(str(path) for path in python_files()),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    for name, value in variables.items():
        words += ["--setenv", name, value]
    words += ["--dir", "/root", "--chdir", "/", "--"]
    words += [*map(str, program("enter")), "inside", str(ids.first), str(ids.count), "--"]
    if capabilities is not None:  # the runtime sets them for root of the container
        words += ["setpriv", "--bounding-set", ",".join(["-all", *(f"+{each.lower()}" for each in capabilities)]), "--"]
    words += arguments
    return Command(words, {"PATH": os.environ["PATH"]}, stack.close)


def _image() -> list[str]:
    """Return options for the files of the machine that the image of the pod has."""
    words = ["--ro-bind", "/sys", "/sys"]
    for name in _IMAGE:
        if Path(name).is_symlink():
            words += ["--symlink", str(Path(name).readlink()), name]
        elif Path(name).exists():
            words += ["--ro-bind", name, name]
    for name in _ETC:
        if Path(name).exists():
            words += ["--ro-bind", str(Path(name).resolve()), name]
    for name in ("/tmp", "/var/tmp", "/run"):
        words += ["--perms", "1777", "--tmpfs", name]
    words += _directories([*python_files(), INSIDE])
    for path in python_files():  # they may be below /var/tmp
        words += ["--ro-bind", str(path), str(path)]
    return words


def _directories(paths: Sequence[Path]) -> list[str]:
    """Return options for the parents of mount points: bubblewrap's own are for root of the machine only."""
    parents = {parent for path in paths for parent in path.parents} - {Path("/")}
    return [word for path in sorted(parents) for word in ("--perms", "0755", "--dir", str(path))]


def _give(path: Path, ids: IdRange) -> None:
    """Make root of the container the owner of a volume, as idmapped mounts do."""
    os.lchown(path, ids.first, ids.first)
    for directory, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.lchown(Path(directory) / name, ids.first, ids.first)
