"""Faults that pass are waited for, refusals are not asked for again."""

from __future__ import annotations

import email.utils
import time

import pytest

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.registry import patience
from fedpkg_container.registry.http import ATTEMPTS
from tests.registry.conftest import Serve, raw
from tests.support.memory_registry import RESET, SHORT, Fault


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, Fault(kind=RESET), Fault(200, {}, b"{", SHORT)])
def test_faults_that_pass_are_waited_for_with_longer_and_longer_pauses(serve: Serve, fault: int | Fault) -> None:
    server, repository = serve(token=False)
    server.faults["GET /v2/hello/manifests/"] = [fault] * (ATTEMPTS - 1)
    assert repository.manifest("latest").raw == raw(server)
    assert len(server.seen) == ATTEMPTS
    times = server.times[-ATTEMPTS:]
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert all(pause >= patience.FIRST_PAUSE * 2**number for number, pause in enumerate(pauses))
    server.faults["GET /v2/hello/manifests/"] = [fault] * ATTEMPTS
    with pytest.raises(RegistryUnavailableError):
        repository.manifest("latest")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 416, 418])
def test_refusals_are_not_asked_for_again(serve: Serve, status: int) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [status] * 2
    with pytest.raises(RegistryError):
        repository.manifest("latest")
    assert len(server.seen) == 1


@pytest.mark.parametrize("date", [False, True])
def test_a_registry_that_says_when_to_come_again(serve: Serve, date: bool) -> None:
    server, repository = serve(token=False)
    after = email.utils.formatdate(time.time() + 2.9, usegmt=True) if date else "2"
    server.faults["GET"] = [Fault(429, {"Retry-After": after})]
    begun = time.monotonic()
    assert repository.manifest("latest")
    assert 1 < time.monotonic() - begun < 10
    assert len(server.seen) == 2


@pytest.mark.parametrize("after", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_registry_that_asks_for_a_day_is_given_up(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})] * 2
    with pytest.raises(RegistryUnavailableError) as raised:
        repository.manifest("latest")
    assert raised.value.retry_after > patience.LONGEST_ASKED
    assert len(server.seen) == 1


@pytest.mark.parametrize("after", ["soon", "-5", "", "1e99", "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999999999999"])
def test_times_that_are_none_are_passed_over(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})]
    begun = time.monotonic()
    try:
        assert repository.manifest("latest")
    except RegistryUnavailableError:
        assert after == "99999999999999999999"
    assert time.monotonic() - begun < 5
