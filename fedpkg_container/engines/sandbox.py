"""Where buildah itself runs while it executes a Dockerfile: it sees the build's own folder, programs, and nothing more.

RUN is kept apart by an OCI runtime. What buildah does in its own name (FROM, COPY, ADD, RUN --mount) is not, and names
in a Dockerfile, or faults of buildah, could lead it to any file of the builder: with root's rights, past any check of
ours. So it runs in a root file system of its own, made by bubblewrap: the programs of the builder to read, the base
images to read, the build's folder to write, and no credentials, no other build, no home, no process of the builder.
When the process that started it dies, all of its processes die: they are in a process namespace that ends.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError

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
_RESOLVER = Path("/etc/resolv.conf")
#: Folders that are links into /usr on most systems.
_ROOTS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_CGROUPS = "/sys/fs/cgroup"


@dataclass(frozen=True)
class Sandbox:
    """What one build sees.

    :param folder: the build's folder: the only one that it can write to
    :param readable: folders and files that it can read, at the same place: the context, base images, repositories
    :param environment: all variables of the program
    :param resolver: address of its resolver; empty for none, None for the builder's own
    :param cgroups: whether it can make control groups, which OCI runtimes do
    :param fixed: files of the build's folder that it cannot change: the builder goes by them outside
    """

    folder: Path
    readable: Sequence[Path]
    environment: Mapping[str, str]
    resolver: str | None
    cgroups: bool
    fixed: Sequence[Path] = ()

    def command(self, arguments: Iterable[str | Path]) -> list[str | Path]:
        """A command in the sandbox. Files that it needs are written into the build's folder.

        :raises FedpkgContainerError: bubblewrap is not installed
        """
        if shutil.which("bwrap") is None:
            raise FedpkgContainerError("program not found: bwrap", solution="install bubblewrap")
        return [
            *("bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-add", "ALL"),
            *("--clearenv", *_each("--setenv", self.environment.items())),
            *_system(cgroups=self.cgroups),
            *_each("--ro-bind", self._etc()),
            *_each("--ro-bind", ((path.resolve(), path) for path in _SHARED if path.exists())),
            *_each("--ro-bind", ((path, path) for path in self.readable)),
            *("--bind", self.folder, self.folder),
            *_each("--ro-bind", ((path, path) for path in self.fixed)),
            *("--chdir", "/", "--"),
            *arguments,
        ]

    def _etc(self) -> list[tuple[Path, str]]:
        """Write the files of /etc; what is mounted where."""
        files = {**_FILES, "containers/containers.conf": containers_conf()}
        if self.resolver is not None:
            files["resolv.conf"] = _resolv_conf(self.resolver)
        written = []
        for name, text in files.items():
            path = self.folder / ETC / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            written.append((path, f"/etc/{name}"))
        if self.resolver is None:
            written.append((_RESOLVER.resolve(), str(_RESOLVER)))
        return written


def confined(arguments: Iterable[str | Path], folder: Path) -> list[str | Path]:
    """A command that reads what a build made: it sees programs and one folder, and reaches no network.

    :param folder: what it may read and write
    :raises FedpkgContainerError: bubblewrap is not installed
    """
    sandbox = Sandbox(folder=folder, readable=[], environment=VARIABLES, resolver="", cgroups=False)
    return ["unshare", "--net", "--", *sandbox.command(arguments)]


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


def _system(*, cgroups: bool) -> list[str | Path]:
    """Programs to read, the kernel's file systems, and empty folders for what programs keep while they run."""
    arguments: list[str | Path] = ["--ro-bind", "/usr", "/usr"]
    for name in _ROOTS:
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", path.readlink(), path]
        elif path.exists():
            arguments += ["--ro-bind", path, path]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"]
    arguments += ["--bind", _CGROUPS, _CGROUPS] if cgroups else ["--tmpfs", _CGROUPS]
    for folder in ("/run", "/tmp", "/var/tmp"):
        arguments += ["--tmpfs", folder]
    return arguments
