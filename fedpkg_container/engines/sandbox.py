# SPDX-License-Identifier: GPL-2.0-or-later
"""The sandbox of a worker: its own directory, read-only programs, and nothing else.

Everything that handles untrusted content runs here: git, buildah with each RUN, skopeo, rpm. Two things isolate it:

- **a separate root file system**, made by bubblewrap: the builder's programs and base images read-only, the worker's
  directory writable, and no credentials, other builds, home directories or processes of the builder;
- **a user namespace**: its root is a subordinate ID outside, without rights there. It is created last, in the sandbox,
  so that mounts and networks, which belong to the outer namespace, cannot be changed from inside.

When the process that started it dies, all of its processes die: their process namespace ends. When its command ends,
the others have ended before the waiting process is notified. It has neither the terminal nor the keys of the process
that started it.
"""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.engines.ids import IdRange, in_user_namespace
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.files import write_atomically, write_when_different

#: Environment variables of all programs in a sandbox; the builder's environment is not passed.
VARIABLES = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}
#: Directory of a build for the files that replace the builder's /etc in its sandbox.
ETC = "etc"
#: Files for buildah in the sandbox's /etc: no site configuration, which is only for pulling and pushing.
_FILES = {
    "passwd": "root:x:0:0:root:/:/sbin/nologin\n",
    "group": "root:x:0:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "hosts: files dns\n",
    "containers/policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}\n',
    "containers/registries.conf": "unqualified-search-registries = []\n",
    "containers/mounts.conf": "",
}
#: Limits that newer buildah sets for RUN (NOFILE and NPROC) without checking whether it may.
_DEFAULT_LIMIT = 1048576
_PID_MAX = Path("/proc/sys/kernel/pid_max")
#: Files of the builder's /etc that are visible, if they exist: loader cache and CAs, for ADD https://.
_SHARED = (
    Path("/etc/ld.so.cache"),
    Path("/etc/alternatives"),
    Path("/etc/selinux"),
    Path("/etc/ssl/certs"),
    Path("/etc/pki/ca-trust/extracted"),
    Path("/etc/pki/tls/certs"),
    Path("/etc/pki/tls/cert.pem"),
)
#: The builder's name resolution.
_NAMES = (Path("/etc/resolv.conf"), Path("/etc/hosts"), Path("/etc/nsswitch.conf"))
#: Directories that are links into /usr on most systems.
_ROOTS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


#: Our programs that run in workers, and their location in a sandbox.
_PROGRAMS = Path(__file__).with_name("inside")
INSIDE = Path("/run/fedpkg-container/inside")
#: Joins the control groups before ``--`` and executes the command after it.
_JOIN = 'until [ "$1" = -- ]; do echo 0 > "$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'
#: Path of secret variables for ``enter`` in a sandbox, and file name in the build's directory.
_VARIABLES = "/run/fedpkg-container-variables"
_VARIABLES_FILE = "variables"


@dataclass(frozen=True)
class Store:
    """A read-only store of images.

    :param path: of the store (containers/storage)
    :param ids: owners of its files
    """

    path: Path
    ids: IdRange


@dataclass(frozen=True)
class Sandbox:
    """View of the system for one worker.

    :param workspace: whose ``work`` it can write to
    :param readable: read-only directories and files, at the same path: Dockerfile, configuration, repositories
    :param environment: further variables; all users of the machine can read them in the command line
    :param resolver: address of its resolver; empty for none, None for the builder's own
    :param stores: base images
    :param secrets: further variables that other users must not read, passed in a file
    """

    workspace: Workspace
    readable: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    resolver: str | None = ""
    stores: Sequence[Store] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def command(self, arguments: Iterable[str | Path]) -> list[str | Path]:
        """Return a command that runs another one in the sandbox; write the files it needs to the workspace.

        :raises FedpkgContainerError: if bubblewrap is not installed, or a store is not a directory
        """
        if shutil.which("bwrap") is None:
            raise FedpkgContainerError("program not found: bwrap", solution="install bubblewrap")
        workspace = self.workspace
        work, ids = workspace.work, workspace.ids
        variables = {**VARIABLES, "HOME": str(work / "home"), "TMPDIR": str(work / "tmp"), **self.environment}
        idmaps, stores = self._stores()
        mounts: list[tuple[Path, str | Path]] = [
            *self._etc(),
            *((path.resolve(), path) for path in _SHARED if path.exists()),
            (_PROGRAMS, INSIDE),
            *stores,
            *((path, path) for path in self.readable),
        ]
        options: list[str | Path] = [str(ids.first), str(ids.count)]
        if self.secrets:
            mounts.append((self._variables(), _VARIABLES))
            options.append(_VARIABLES)
        return [
            *self._outside(idmaps),
            *("bwrap", "--die-with-parent", "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"),
            *("--new-session", "--cap-add", "ALL"),
            *("--clearenv", *_each("--setenv", variables.items())),
            *_system(),
            *_directories([work, *(Path(target) for _, target in mounts)]),
            *_each("--ro-bind", mounts),
            *("--bind", work, work),
            *("--chdir", "/", "--"),
            *(*program("enter"), "inside", *options, "--"),
            *arguments,
        ]

    def _outside(self, idmaps: Sequence[str | Path]) -> list[str | Path]:
        """Return the command prefix for bubblewrap that joins control groups and mounts stores.

        A shell joins groups in 1 ms; Python takes 20 ms to start.

        :param idmaps: options of ``enter outside``
        """
        groups = self.workspace.groups
        if idmaps:
            joined = [word for group in groups for word in ("--cgroup", group)]
            return [*program("enter", _PROGRAMS), "outside", *joined, *idmaps, "--"]
        return ["sh", "-c", _JOIN, "sh", *groups, "--"] if groups else []

    def _stores(self) -> tuple[list[str | Path], list[tuple[Path, Path]]]:
        """Return options of ``enter outside`` for stores with other owners, and the mounts."""
        ids = self.workspace.ids
        options: list[str | Path] = []
        mounts = []
        for number, store in enumerate(self.stores):
            source = store.path
            if not stat.S_ISDIR(os.lstat(source).st_mode):  # a worker that unpacked an image could make it a link
                raise FedpkgContainerError(f"{source} is not a directory", solution="remove the base image")
            if store.ids != ids:
                source = self.workspace.directory / "stores" / str(number)
                source.mkdir(parents=True, exist_ok=True)
                numbers = (store.ids.first, ids.first, min(store.ids.count, ids.count))
                options += ["--idmap", store.path, source, *map(str, numbers)]
            mounts.append((source, store.path))
        return options, mounts

    def _variables(self) -> Path:
        """Write the secret variables to a file readable by root only; return its path."""
        path = self.workspace.directory / _VARIABLES_FILE
        write_atomically(path, "".join(f"{name}={value}\0" for name, value in self.secrets.items()), mode=0o600)
        return path

    def _etc(self) -> list[tuple[Path, str]]:
        """Write the files of /etc, which other workers of the build may be reading; return the mounts."""
        files = {**_FILES, "containers/containers.conf": containers_conf()}
        if self.resolver is not None:
            files["resolv.conf"] = _resolv_conf(self.resolver)
        written = []
        for name, text in files.items():
            path = self.workspace.directory / ETC / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_when_different(path, text)
            written.append((path, f"/etc/{name}"))
        if self.resolver is None:  # the builder's own network
            written = [each for each in written if each[1] not in map(str, _NAMES)]
            written += [(path.resolve(), str(path)) for path in _NAMES if path.exists()]
        return written


def interpreter() -> str:
    """Return the path of a Python that workers can execute too: the current one, if it is the system's."""
    path = os.path.realpath(sys.executable)
    return path if path.startswith("/usr/") else shutil.which("python3", path=VARIABLES["PATH"]) or path


def program(name: str, package: Path = INSIDE) -> list[str | Path]:
    """Return the command that starts a program of ``inside``, without the site's Python modules.

    :param package: directory of the programs, as seen by the command
    """
    start = f"import sys; sys.path.append({str(package.parent)!r}); from {package.name} import {name}; {name}.start()"
    return [interpreter(), "-I", "-S", "-c", start]


def confined(
    arguments: Iterable[str | Path], workspace: Workspace, *, readable: Sequence[Path] = ()
) -> list[str | Path]:
    """Return a command that reads untrusted input: in a sandbox without network.

    :param workspace: whose ``work`` it can write to
    :raises FedpkgContainerError: if bubblewrap is not installed
    """
    return ["unshare", "--net", "--", *Sandbox(workspace, readable).command(arguments)]


def python_command() -> list[str]:
    """Return the command prefix for Python in a worker with this process's modules; it needs ``python_files``."""
    return ["env", f"PYTHONPATH={os.pathsep.join(sys.path)}", os.path.realpath(sys.executable), "-B"]


def python_files() -> list[Path]:
    """Return directories that this Python needs besides those of the system."""
    needed = [Path(sys.base_prefix), *(Path(path) for path in sys.path if path)]
    return [path for path in dict.fromkeys(needed) if path.is_dir() and path.parts[:2] != ("/", "usr")]


def connected(
    arguments: Iterable[str | Path],
    workspace: Workspace,
    *,
    readable: Sequence[Path] = (),
    variables: Iterable[str] = (),
) -> list[str | Path]:
    """Return a command that downloads: in a sandbox with the builder's network and name resolution.

    :param variables: names of this process's variables to pass
    :raises FedpkgContainerError: if bubblewrap is not installed
    """
    secrets = {name: os.environ[name] for name in variables if name in os.environ}
    return Sandbox(workspace, readable, secrets=secrets, resolver=None).command(arguments)


def containers_conf() -> str:
    """Return a containers.conf without site settings, and with limits that can be set here."""
    limits = ", ".join(f'"{name}={limit}:{limit}"' for name, limit in _limits())
    return (
        f"[containers]\nhttp_proxy = false\nenv = []\ndefault_ulimits = [{limits}]\n"
        '[engine]\nhooks_dir = []\ncgroup_manager = "cgroupfs"\n'
    )


def _limits() -> Iterator[tuple[str, int]]:
    """Return the limits of RUN: buildah's own, unless this process may not set them.

    buildah lowers its own NPROC to the kernel's pid_max, and a runtime may be unable to raise it again.
    """
    highest = int(_PID_MAX.read_text())
    for name, number, most in (
        ("nofile", resource.RLIMIT_NOFILE, _DEFAULT_LIMIT),
        ("nproc", resource.RLIMIT_NPROC, min(highest, _DEFAULT_LIMIT)),
    ):
        hard = resource.getrlimit(number)[1]
        yield name, most if hard == resource.RLIM_INFINITY else min(hard, most)


def _resolv_conf(resolver: str) -> str:
    return f"nameserver {resolver}\n" if resolver else ""


def _each(option: str, pairs: Iterable[tuple[str | Path, str | Path]]) -> list[str | Path]:
    return [word for first, second in pairs for word in (option, first, second)]


def _directories(paths: Iterable[Path]) -> list[str | Path]:
    """Make the parent directories of mount points: those made by bubblewrap are not accessible to workers."""
    parents = {parent for path in paths for parent in path.parents} - {Path("/")}
    created = sorted(each for each in parents if each.parts[1] not in ("usr", *_ROOTS))
    return [word for path in created for word in ("--perms", "0755", "--dir", path)]


def _system() -> list[str | Path]:
    """Return programs to read, the kernel's file systems, and empty directories for runtime data.

    /proc must be unmasked, since user namespaces can only mount it then. bubblewrap masks its writable parts when it is
    root of the machine: there ``enter.py`` mounts it. Control groups are read-only; runc needs to see them.
    """
    arguments: list[str | Path] = ["--ro-bind", "/usr", "/usr"]
    for name in _ROOTS:
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", path.readlink(), path]
        elif path.exists():
            arguments += ["--ro-bind", path, path]
    arguments += ["--proc" if in_user_namespace() else "--dir", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"]
    for directory in ("/run", "/tmp", "/var/tmp"):
        arguments += ["--perms", "1777", "--tmpfs", directory]
    return arguments
