# SPDX-License-Identifier: GPL-2.0-or-later
"""RUN was escaped, in a build with network ``isolated``: it reaches only external networks.

The network namespace belongs to the builder, so that capabilities of the worker's root have no effect in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fedpkg_container.engines.network import attached
from fedpkg_container.process import run
from tests.security.conftest import Intruder, Result, program_index
from tests.support.outside import DENIED, METADATA, OUTSIDE, OWN, PORT, outside

LOOPBACK, GATEWAY = "127.0.0.1", "10.0.2.2"
CLOSED = (LOOPBACK, GATEWAY, OWN, METADATA, DENIED)
ATTEMPTS = (
    *("connect", "connect_through_device", "change_routes", "set_neighbours", "change_interfaces"),
    *("send_raw_packets", "send_raw_ip", "connect_from_new_network", "enter_namespaces_of_first_process"),
    *("enter_namespaces_by_descriptor", "connect_to_abstract_socket", "connect_to_hypervisor"),
)


@pytest.fixture(scope="module")
def isolated(intruding: Intruder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The command prefix for a worker in an isolated network, with hosts around the builder."""
    with outside(tmp_path_factory.mktemp("outside")):
        with attached("isolated", intruding.workspace.directory, denied=[f"{DENIED}/32"]) as network:
            yield network.enter


@pytest.fixture(scope="module")
def seen_isolated(intruding: Intruder, isolated: tuple[str, ...]) -> dict[str, Result]:
    """The result of each attempt."""
    knowing = replace(intruding, facts={**intruding.facts, "addresses": CLOSED, "port": PORT})
    return knowing.attempt(*ATTEMPTS, enter=isolated)


@pytest.mark.root
@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_fails_to(seen_isolated: dict[str, Result], name: str) -> None:
    assert seen_isolated[name].achieved is None
    assert seen_isolated[name].stopped


@pytest.mark.root
def test_it_reaches_the_outside(intruding: Intruder, isolated: tuple[str, ...]) -> None:
    """Control: the attempts could succeed."""
    knowing = replace(intruding, facts={**intruding.facts, "addresses": [OUTSIDE], "port": PORT})
    done = knowing.attempt("connect", "connect_through_device", enter=isolated)
    assert done["connect"].achieved == OUTSIDE


@pytest.mark.root
def test_it_left_the_routes_as_they_were(seen_isolated: dict[str, Result], isolated: tuple[str, ...]) -> None:
    routes = run([*isolated, "ip", "-4", "route", "show", "type", "prohibit"], timeout=60).text

    assert DENIED in routes
    assert OWN in routes


@pytest.mark.root
def test_it_has_the_capability_that_it_cannot_use(intruding: Intruder, isolated: tuple[str, ...]) -> None:
    command = intruding.command([], enter=isolated)
    there = [*command[: program_index(command)], "grep", "CapEff", "/proc/self/status"]
    assert int(run(there, timeout=60).text.split()[1], 16) & 1 << 12  # CAP_NET_ADMIN
