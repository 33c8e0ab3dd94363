# SPDX-License-Identifier: GPL-2.0-or-later
"""What builds reach in each network: a server outside, and nothing of the builder's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.engines import cgroups, own_addresses
from fedpkg_container.engines import network as network_of
from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.network import attached
from fedpkg_container.engines.workspace import Workspaces, mounts_below, processes_in
from fedpkg_container.errors import ProgramError
from fedpkg_container.process import is_running
from tests.support.attack import SHELL, Outcome, Victim
from tests.support.outside import (
    DENIED,
    INTERNAL,
    METADATA,
    OUTSIDE,
    OWN,
    PORT,
    PUBLIC,
    fetch,
    late_address,
    outside,
    resolver,
)
from tests.support.outside import RESOLVER as SERVER
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.root  # it adds addresses to the machine

LOOPBACK, GATEWAY, RESOLVER = "127.0.0.1", "10.0.2.2", "10.0.2.3"
ASKED = (OUTSIDE, OWN, LOOPBACK, "0.0.0.0", GATEWAY, RESOLVER, METADATA, DENIED)
ASK = "RUN " + "; ".join(f'echo "{each}: $(wget -q -O - http://{each}:{PORT}/ 2>&1)"' for each in ASKED)
#: Fetches a page, in whatever network it is started.
_FETCH = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.buffer.write(opener.open(sys.argv[1], timeout=5).read())
"""
FETCH = (sys.executable, "-c", _FETCH)


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A builder with the world around it, whose isolation is the one that was found to work."""
    directory = tmp_path_factory.mktemp("network")
    with outside(directory):
        yield Victim.make(directory, choose(Workspaces(directory / "state")))


@pytest.fixture(scope="module")
def isolated(victim: Victim) -> Outcome:
    """A build with the network ``isolated`` that has tried to connect everywhere."""
    done = victim.build(f"{SHELL}{ASK}\n", network="isolated", denied=[f"{DENIED}/32"])
    assert done.error == ""
    return done


@pytest.mark.parametrize("address", [OUTSIDE, OWN, LOOPBACK, METADATA, DENIED])
def test_the_builder_itself_reaches_all_of_them(victim: Victim, address: str) -> None:
    assert fetch(address) == (INTERNAL if address in (OWN, LOOPBACK) else PUBLIC)


def test_isolated_reaches_the_outside(isolated: Outcome) -> None:
    assert isolated.values()[OUTSIDE] == PUBLIC


@pytest.mark.parametrize("address", [each for each in ASKED if each != OUTSIDE])
def test_isolated_reaches_nothing_else(isolated: Outcome, address: str) -> None:
    answer = isolated.values()[address]
    assert "can't connect to remote host" in answer
    assert INTERNAL not in answer
    assert PUBLIC not in answer


LATE = "198.51.100.77"


def test_isolated_does_not_reach_an_address_that_the_builder_gets_later(victim: Victim, tmp_path: Path) -> None:
    with attached("isolated", tmp_path) as network:
        ask = [*network.enter, *FETCH]
        assert subprocess.run([*ask, f"http://{OUTSIDE}:{PORT}/"], capture_output=True, timeout=60).returncode == 0
        with late_address(LATE):
            assert fetch(LATE) == INTERNAL
            routes = [*network.enter, "ip", "route", "show", "type", "prohibit"]
            deadline = time.monotonic() + 20
            while LATE not in subprocess.run(routes, capture_output=True, text=True, timeout=60, check=True).stdout:
                assert time.monotonic() < deadline, f"{LATE} was not prohibited"
                time.sleep(0.01)
            assert INTERNAL not in subprocess.run([*ask, f"http://{LATE}:{PORT}/"], capture_output=True, text=True,
                                                  timeout=60).stdout  # fmt: skip
        assert subprocess.run([*ask, f"http://{OUTSIDE}:{PORT}/"], capture_output=True, timeout=60).returncode == 0


def test_an_address_of_a_connection_that_is_open_is_cut_off(victim: Victim, tmp_path: Path) -> None:
    """What was connected to before the address was prohibited gets no answer any more."""
    with attached("isolated", tmp_path) as network:
        talk = [*network.enter, sys.executable, "-c", _TALK, OUTSIDE, str(PORT)]
        with subprocess.Popen(talk, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as talking:
            assert talking.stdout is not None
            assert talking.stdout.readline() == "connected\n"
            # As an own address: prohibited while a connection to it is open.
            subprocess.run([*network.enter, "ip", "route", "replace", "prohibit", OUTSIDE], timeout=60, check=True)
            answer, _ = talking.communicate("go\n", timeout=60)
            assert PUBLIC not in answer


_TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as server:
    print("connected", flush=True)
    sys.stdin.readline()
    server.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    while data := server.recv(4096):
        print(data.decode())
"""


@pytest.mark.parametrize("what", ["list", "prohibit"])
def test_isolated_reaches_nothing_once_later_addresses_cannot_be_prohibited(
    victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ProgramError("ip", 1, "injected")

    with attached("isolated", tmp_path) as network:
        ask = [*network.enter, *FETCH, f"http://{OUTSIDE}:{PORT}/"]
        assert subprocess.run(ask, capture_output=True, timeout=60).returncode == 0
        monkeypatch.setattr(own_addresses if what == "list" else network_of, "run", fail)
        with late_address(LATE):
            deadline = time.monotonic() + 20
            while subprocess.run(ask, capture_output=True, timeout=60).returncode == 0:
                assert time.monotonic() < deadline, "the way out is still open"
        monkeypatch.undo()


def test_none_reaches_nothing(victim: Victim) -> None:
    done = victim.build(f"{SHELL}{ASK}\n")
    assert done.error == ""
    assert [each for each in ASKED if "can't connect to remote host" not in done.values()[each]] == []
    assert PUBLIC not in done.log
    assert INTERNAL not in done.log


def test_host_reaches_what_the_builder_reaches(victim: Victim) -> None:
    done = victim.build(f"{SHELL}{ASK}\n", network="host")
    assert done.values()[LOOPBACK] == INTERNAL
    assert done.values()[OUTSIDE] == PUBLIC


@pytest.mark.parametrize(
    ("network", "address"), [("none", LOOPBACK), ("none", OUTSIDE), ("isolated", OWN), ("isolated", METADATA)]
)
def test_add_reaches_no_more_than_run(victim: Victim, network: str, address: str) -> None:
    add = f"ADD http://{address}:{PORT}/index.html /fetched\nRUN cat /fetched\n"
    done = victim.build(SHELL + add, network=network)
    assert done.error != ""
    assert INTERNAL not in done.all
    assert PUBLIC not in done.all


def test_add_reaches_the_outside(victim: Victim) -> None:
    add = f"ADD http://{OUTSIDE}:{PORT}/index.html /fetched\nRUN cat /fetched\n"
    done = victim.build(SHELL + add, network="isolated")
    assert PUBLIC in done.log


_RESOLVE = """
import sys
from pathlib import Path
from fedpkg_container.engines.isolation import Isolation
from tests.support.attack import SHELL, Victim
directory, runtime, address = sys.argv[1:]
steps = f"RUN wget -q -O - http://{address}/\\nADD http://{address}/index.html /x\\nRUN cat /x\\n"
print(Victim(Path(directory), Isolation(runtime)).build(SHELL + steps, network="isolated").all)
"""


def test_isolated_asks_the_builders_resolver_for_names(victim: Victim) -> None:
    settings = victim.directory / "resolv.conf"
    settings.write_text(f"nameserver {SERVER}\n")
    build = [sys.executable, "-c", _RESOLVE, str(victim.directory), victim.isolation.runtime]
    there = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(settings)]
    with resolver():
        command = [*there, *build, f"outside.test:{PORT}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.splitlines().count(PUBLIC) == 2, done.stdout


_BUILD = """
import sys
from pathlib import Path
from fedpkg_container.engines.isolation import Isolation
from tests.support.attack import SHELL, Victim
directory, runtime = sys.argv[1:]
victim = Victim(Path(directory), Isolation(runtime))
victim.build(SHELL + "RUN (sleep 1000 &) && echo $((6 * 7)) > /started && sleep 1000\\n", network="isolated")
"""


def test_nothing_survives_a_builder_that_is_killed(victim: Victim) -> None:
    workspaces = Workspaces(victim.directory / "state")
    command = [sys.executable, "-c", _BUILD, str(victim.directory), victim.isolation.runtime]
    builder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        directory = _started(workspaces)
        alive = processes_in(directory)
        assert {"slirp4netns", "sleep", "buildah", "bwrap"} <= {_program(pid) for pid in alive}
    finally:
        os.kill(builder.pid, signal.SIGKILL)
        builder.wait(timeout=PATIENCE)
    eventually(lambda: not any(is_running(pid) for pid in alive), lambda: processes_in(directory))
    assert processes_in(directory) == []
    assert mounts_below(directory) == []
    assert workspaces.clean_up() == [directory.name]
    assert cgroups.groups(directory) == []


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""  # it has ended


def _started(workspaces: Workspaces) -> Path:
    """The directory of a build, when its RUN runs."""
    deadline = time.monotonic() + PATIENCE
    while True:
        for directory in workspaces.builds.iterdir():
            if list(directory.glob("work/graph/overlay/*/diff/started")):
                return directory
        assert time.monotonic() < deadline, "the build did not start"
        time.sleep(0.05)
