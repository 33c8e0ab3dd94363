"""Where a worker runs: its own directory, programs to read, and nothing more.

Everything that touches content from outside runs here: git, buildah with each RUN, skopeo, rpm. Two things isolate it:

- **a root file system of its own**, made by bubblewrap: the builder's programs and base images to read, the worker's
  directory to write, and no credentials, no other build, no home, no process of the builder;
- **a user namespace**: what is root in it is one of the subordinate IDs outside, with no rights there. It is made last,
  in the sandbox, so that mounts and networks, which belong to the namespace outside, cannot be changed from inside.

When the process that started it dies, all of its processes die: they are in a process namespace that ends. When its
command ends, the others have ended before the process that waits for it learns of that. It has no terminal and no keys
of the process that started it.
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

#: What all programs in a sandbox have as variables: nothing of the builder's own environment.
VARIABLES = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}
#: The folder of a build in which what its sandbox has in place of the builder's /etc is written.
ETC = "etc"
#: What buildah finds in the sandbox's /etc: nothing of the site's, which is for pulling and pushing alone.
_FILES = {
    "passwd": "root:x:0:0:root:/:/sbin/nologin\n",
    "group": "root:x:0:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "hosts: files dns\n",
    "containers/policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}\n',
    "containers/registries.conf": "unqualified-search-registries = []\n",
    "containers/mounts.conf": "",
}
#: What newer buildah raises the limits of RUN to (NOFILE and NPROC), whether it may or not.
_DEFAULT_LIMIT = 1048576
_PID_MAX = Path("/proc/sys/kernel/pid_max")
#: What of the builder's own /etc is there too, where it exists: the loader's cache and authorities, for ADD https://.
_SHARED = (
    Path("/etc/ld.so.cache"),
    Path("/etc/alternatives"),
    Path("/etc/selinux"),
    Path("/etc/ssl/certs"),
    Path("/etc/pki/ca-trust/extracted"),
    Path("/etc/pki/tls/certs"),
    Path("/etc/pki/tls/cert.pem"),
)
#: How the builder itself finds hosts.
_NAMES = (Path("/etc/resolv.conf"), Path("/etc/hosts"), Path("/etc/nsswitch.conf"))
#: Folders that are links into /usr on most systems.
_ROOTS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


#: Programs of ours that run in workers, and where they are in a sandbox.
_PROGRAMS = Path(__file__).with_name("inside")
INSIDE = Path("/run/fedpkg-container")
_ENTER = "enter.py"
#: Joins the control groups before ``--`` and becomes the command behind it.
_JOIN = 'until [ "$1" = -- ]; do echo 0 > "$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'
#: Where ``enter.py`` reads secret variables in a sandbox, and what the file is called in the build's directory.
_VARIABLES = "/run/fedpkg-container-variables"
_VARIABLES_FILE = "variables"


@dataclass(frozen=True)
class Store:
    """Images that a worker reads.

    :param path: of a store of containers/storage
    :param ids: which own its files
    """

    path: Path
    ids: IdRange


@dataclass(frozen=True)
class Sandbox:
    """What one worker sees.

    :param workspace: whose ``work`` it can write to
    :param readable: directories and files that it can read, at the same place: Dockerfile, configuration, repositories
    :param environment: further variables; every user of the machine can read them in the command line
    :param resolver: address of its resolver; empty for none, None for the builder's own
    :param stores: base images
    :param secrets: further variables that other users must not read: they are passed in a file
    """

    workspace: Workspace
    readable: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    resolver: str | None = ""
    stores: Sequence[Store] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def command(self, arguments: Iterable[str | Path]) -> list[str | Path]:
        """Return a command that runs another one in the sandbox. Files that it needs are written to the workspace.

        :raises FedpkgContainerError: bubblewrap is not installed, or a store is not a directory
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
            *(interpreter(), "-I", "-S", INSIDE / _ENTER, "inside", *options, "--"),
            *arguments,
        ]

    def _outside(self, idmaps: Sequence[str | Path]) -> list[str | Path]:
        """Return words in front of bubblewrap that join control groups and mount stores.

        A shell joins groups in a millisecond, where Python takes 20 to start.

        :param idmaps: options of ``enter.py outside``
        """
        groups = self.workspace.groups
        if idmaps:
            joined = [word for group in groups for word in ("--cgroup", group)]
            return [interpreter(), "-I", "-S", _PROGRAMS / _ENTER, "outside", *joined, *idmaps, "--"]
        return ["sh", "-c", _JOIN, "sh", *groups, "--"] if groups else []

    def _stores(self) -> tuple[list[str | Path], list[tuple[Path, Path]]]:
        """Return options of ``enter.py outside`` for stores with other owners, and what is mounted where."""
        ids = self.workspace.ids
        options: list[str | Path] = []
        mounts = []
        for number, store in enumerate(self.stores):
            source = store.path
            if not stat.S_ISDIR(os.lstat(source).st_mode):  # a worker that unpacked an image could make it a link
                raise FedpkgContainerError(f"{source} is not a directory", solution="remove the base image")
            if store.ids != ids:
                source = self.workspace.folder / "stores" / str(number)
                source.mkdir(parents=True, exist_ok=True)
                numbers = (store.ids.first, ids.first, min(store.ids.count, ids.count))
                options += ["--idmap", store.path, source, *map(str, numbers)]
            mounts.append((source, store.path))
        return options, mounts

    def _variables(self) -> Path:
        """Write the secret variables where root alone can read them; return the path of the file."""
        path = self.workspace.folder / _VARIABLES_FILE
        write_atomically(path, "".join(f"{name}={value}\0" for name, value in self.secrets.items()), mode=0o600)
        return path

    def _etc(self) -> list[tuple[Path, str]]:
        """Write the files of /etc, which other workers of the build may be reading; what is mounted where."""
        files = {**_FILES, "containers/containers.conf": containers_conf()}
        if self.resolver is not None:
            files["resolv.conf"] = _resolv_conf(self.resolver)
        written = []
        for name, text in files.items():
            path = self.workspace.folder / ETC / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_when_different(path, text)
            written.append((path, f"/etc/{name}"))
        if self.resolver is None:  # the builder's own network
            written = [each for each in written if each[1] not in map(str, _NAMES)]
            written += [(path.resolve(), str(path)) for path in _NAMES if path.exists()]
        return written


def interpreter() -> str:
    """Return the path of a Python that workers can execute too: the one that runs this, if it is the system's."""
    own = os.path.realpath(sys.executable)
    return own if own.startswith("/usr/") else shutil.which("python3", path=VARIABLES["PATH"]) or own


def confined(
    arguments: Iterable[str | Path], workspace: Workspace, *, readable: Sequence[Path] = ()
) -> list[str | Path]:
    """Return a command that reads what came from outside: in a sandbox that reaches no network.

    :param workspace: whose ``work`` it can write to
    :raises FedpkgContainerError: bubblewrap is not installed
    """
    return ["unshare", "--net", "--", *Sandbox(workspace, readable).command(arguments)]


def python_command() -> list[str]:
    """Return words that start Python in a worker with the modules of this one; it needs ``python_files``."""
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
    """Return a command that fetches something: in a sandbox that has the builder's network and names.

    :param variables: of this process's environment that it gets too
    :raises FedpkgContainerError: bubblewrap is not installed
    """
    secrets = {name: os.environ[name] for name in variables if name in os.environ}
    return Sandbox(workspace, readable, secrets=secrets, resolver=None).command(arguments)


def containers_conf() -> str:
    """Return the text of a containers.conf that has nothing of the site's, and limits that may be set here."""
    limits = ", ".join(f'"{name}={limit}:{limit}"' for name, limit in _limits())
    return (
        f"[containers]\nhttp_proxy = false\nenv = []\ndefault_ulimits = [{limits}]\n"
        '[engine]\nhooks_dir = []\ncgroup_manager = "cgroupfs"\n'
    )


def _limits() -> Iterator[tuple[str, int]]:
    """The limits of RUN: buildah's own, unless this process may not have as much.

    buildah lowers its own NPROC to the kernel's pid_max, above which a runtime may then not raise it again.
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
    """Make the directories above mount points: those that bubblewrap makes by itself are closed to workers."""
    parents = {parent for path in paths for parent in path.parents} - {Path("/")}
    made = sorted(each for each in parents if each.parts[1] not in ("usr", *_ROOTS))
    return [word for path in made for word in ("--perms", "0755", "--dir", path)]


def _system() -> list[str | Path]:
    """Programs to read, the kernel's file systems, and empty directories for what programs keep while they run.

    /proc must be seen whole, since the kernel lets user namespaces mount only what they see so. bubblewrap covers what
    is writable in it, which is something where it is root of the machine: there ``enter.py`` mounts it.
    Control groups can be seen, since runc looks for them, and not be written to.
    """
    arguments: list[str | Path] = ["--ro-bind", "/usr", "/usr"]
    for name in _ROOTS:
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", path.readlink(), path]
        elif path.exists():
            arguments += ["--ro-bind", path, path]
    arguments += ["--proc" if in_user_namespace() else "--dir", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"]
    for folder in ("/run", "/tmp", "/var/tmp"):
        arguments += ["--perms", "1777", "--tmpfs", folder]
    return arguments
