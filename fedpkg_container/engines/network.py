# SPDX-License-Identifier: GPL-2.0-or-later
"""Network access of a build: none, only external networks, or the same as the builder.

It applies to the whole ``buildah build``: to RUN, and to ADD, which fetches URLs itself. buildah is started in the
network namespace, so that nothing in a Dockerfile can choose another one.

``isolated`` is a namespace with one exit: slirp4netns, a program that opens the namespace's connections in the name of
the builder. Routes in the namespace prohibit blocked networks: they are set before the exit exists, and cannot be
changed from inside, since RUN has neither CAP_NET_ADMIN nor CAP_NET_RAW. An address that the builder gets during the
build is prohibited when the kernel reports it; if that fails, the exit is closed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.engines.own_addresses import watched
from fedpkg_container.errors import FedpkgContainerError, ProgramError
from fedpkg_container.model.limits import BLOCKED_NETWORKS
from fedpkg_container.process import is_running, run, run_in_background
from fedpkg_container.text import printable

NONE, ISOLATED, HOST = "none", "isolated", "host"
#: All networks, in order of increasing access.
NETWORKS = (NONE, ISOLATED, HOST)
#: The resolver of an isolated build (slirp4netns(1)): forwards to the builder's own resolver.
RESOLVER = "10.0.2.3"

#: Timeout for a namespace, and for one command in it, seconds.
TIMEOUT = 20.0
_DEVICE = Path("/dev/net/tun")
_INTERFACE = "tap0"
_MTU = "65520"
_NO_IPV6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
#: Runs a command with only a loopback interface.
_NOTHING = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@dataclass(frozen=True)
class Attached:
    """A network for a build.

    :param enter: command prefix that starts a command there
    :param resolver: address of its resolver; empty for none, None for the builder's own
    """

    enter: tuple[str, ...]
    resolver: str | None


@contextlib.contextmanager
def attached(
    network: str, directory: Path, *, denied: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[Attached]:
    """Provide a network for one build; removed afterwards, or if this process dies.

    :param network: one of ``NETWORKS``
    :param directory: directory for the logs of this build
    :param denied: further networks blocked for an isolated build, e.g. ``10.0.0.0/8``
    :param env: variables of its processes, by which leftover ones are found
    :raises FedpkgContainerError: if this machine cannot provide such a network
    """
    if network == HOST:
        yield Attached((), None)
    elif network == NONE:
        yield Attached(_NOTHING, "")
    else:
        check(network)
        with _namespace(directory, env) as enter:
            outward = _Outward(enter, directory, env)
            with watched(outward.prohibit, outward.cut) as addresses:
                _bring_up(enter)
                outward.prohibit([*BLOCKED_NETWORKS, *addresses, *denied])
                with outward.open():
                    yield Attached(enter, RESOLVER)


def check(network: str) -> None:
    """Check the requirements of a network on this machine.

    :param network: one of ``NETWORKS``
    :raises FedpkgContainerError: if a program or a device is missing
    """
    if network != ISOLATED:
        return
    for program in ("slirp4netns", "unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            raise FedpkgContainerError(
                f"this build needs an isolated network, and {program} is not installed",
                solution="install slirp4netns, util-linux and iproute2 on the builder",
            )
    if not _DEVICE.is_char_device():
        raise FedpkgContainerError(
            f"this build needs an isolated network, and there is no {_DEVICE}",
            solution="load the module tun on the builder",
        )


@contextlib.contextmanager
def _namespace(directory: Path, env: Mapping[str, str] | None) -> Iterator[tuple[str, ...]]:
    """Make a network namespace without interfaces, held by one process; yield the command prefix that enters it."""
    current = os.stat("/proc/self/ns/net")
    command = ["unshare", "--net", "--", "sleep", "infinity"]
    with run_in_background(command, log=directory / "namespace.log", env=env) as holder:
        path = f"/proc/{holder.pid}/ns/net"
        deadline = time.monotonic() + TIMEOUT
        while not is_running(holder.pid) or os.path.samestat(os.stat(path), current):
            _fail_when(not is_running(holder.pid) or time.monotonic() > deadline, directory / "namespace.log")
            time.sleep(0.005)
        yield ("nsenter", f"--net={path}", "--")


def _bring_up(enter: Sequence[str]) -> None:
    """Bring up loopback, and keep IPv6 disabled."""
    with _no_network():
        run([*enter, "ip", "link", "set", "lo", "up"], timeout=TIMEOUT)
        if Path(_NO_IPV6).exists():
            run([*enter, "tee", _NO_IPV6], stdin=b"1", timeout=TIMEOUT)


@contextlib.contextmanager
def _no_network() -> Iterator[None]:
    try:
        yield
    except ProgramError as error:
        raise FedpkgContainerError(f"no isolated network: {error.reason}", solution="see the builder's log") from error


class _Outward:
    """The exit of a namespace; used by a build's thread and by the one that monitors the builder's addresses.

    :param enter: command prefix that starts a command in the namespace
    """

    def __init__(self, enter: Sequence[str], directory: Path, env: Mapping[str, str] | None) -> None:
        self._enter, self._directory, self._env = enter, directory, env
        self._lock = threading.Lock()
        self._program: subprocess.Popen[bytes] | None = None
        self._is_cut = False

    def prohibit(self, networks: Sequence[str]) -> None:
        """Block networks for the namespace, including its open connections."""
        lines = [f"route replace prohibit {each}" for each in dict.fromkeys(networks)]
        with _no_network():
            run([*self._enter, "ip", "-batch", "-"], stdin="\n".join(lines).encode(), timeout=TIMEOUT)

    def cut(self) -> None:
        """Close the exit permanently."""
        with self._lock:
            self._is_cut = True
            if self._program is not None:
                self._program.kill()

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Attach the namespace to slirp4netns, which drops everything that it does not need."""
        path, log = self._enter[1].partition("=")[2], self._directory / "slirp4netns.log"
        options = ["--configure", f"--mtu={_MTU}", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"]
        command = ["slirp4netns", *options, "--netns-type=path", path, _INTERFACE]
        with run_in_background(command, log=log, env=self._env) as program:
            with self._lock:
                self._program = program
            if self._is_cut:
                self.cut()
            deadline = time.monotonic() + TIMEOUT
            while not run([*self._enter, "ip", "-4", "route", "show", "default"], timeout=TIMEOUT).stdout:
                _fail_when(not is_running(program.pid) or time.monotonic() > deadline, log)
                time.sleep(0.005)
            yield


def _fail_when(failed: bool, log: Path) -> None:
    if failed:
        output = printable(log.read_text(errors="replace")).strip().splitlines()
        reason = output[-1] if output else "it was not ready in time"
        raise FedpkgContainerError(
            f"cannot create an isolated network: {reason}", solution="see the requirements in docs/howto/site.md"
        )
