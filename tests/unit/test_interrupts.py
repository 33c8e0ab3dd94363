# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGINT at the moments when its handler changes: the running tasks are named in any case."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from fedpkg_container import signals
from fedpkg_container.commands import container_status, following, following_several, several_builds
from fedpkg_container.commands.exit_status import EXIT_INTERRUPTED
from tests.support.status_client import Status
from tests.support.status_hub import StatusHub, task


@contextmanager
def handled() -> Iterator[None]:
    """Fail if an interrupt leaves the block: it would end the tests."""
    try:
        yield
    except KeyboardInterrupt:
        pytest.fail("the interrupt was not handled")


@pytest.fixture
def interrupted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT is received as soon as it is handled, before the other signals are."""
    real = signal.signal
    raised: list[int] = []

    def install(number: int, handler: Any) -> Any:
        previous = real(number, handler)
        if number == signal.SIGINT and callable(handler) and not raised:
            raised.append(number)
            os.kill(os.getpid(), signal.SIGINT)
        return previous

    monkeypatch.setattr(signal, "signal", install)


@pytest.mark.usefixtures("interrupted_at_once")
@pytest.mark.parametrize(
    ("tasks", "sentence"), [(("7",), "task 7 is still running"), (("7", "9"), "tasks 7, 9 are still running")]
)
def test_as_soon_as_it_is_handled(
    tasks: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    status = Status(monkeypatch, StatusHub([task(7, "OPEN"), task(9, "OPEN")]))
    monkeypatch.setattr(container_status, "_title_and_average", lambda *_: ("web", None))
    with handled():
        status.run("--watch", *tasks, "--progress", "plain")
    assert status.status == 130
    assert f"interrupted; {sentence}\n" in capsys.readouterr().err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("tasks", [("7",), ("7", "9")])
def test_after_the_end_of_all_tasks(tasks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    module = following if len(tasks) == 1 else following_several
    follow = module._follow

    def interrupted(*arguments: Any) -> None:
        follow(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(module, "_follow", interrupted)
    monkeypatch.setattr(container_status, "_title_and_average", lambda *_: ("web", None))
    done = {int(number): {"repositories": [f"r.io/web:{number}"]} for number in tasks}
    status = Status(monkeypatch, StatusHub([task(number, "CLOSED") for number in done], results=done))
    with handled():
        printed = status.run("--watch", *tasks, "-q")
    assert printed == "".join(f"r.io/web:{number}\n" for number in tasks)
    assert status.status == 0


def test_a_deferred_signal_is_raised_before_the_block() -> None:
    with signals.defer_signals() as pending:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(signals.Interrupted), signals.interruptible(pending=pending):
            pytest.fail("the block was entered")


def _group(*names: str) -> list[Any]:
    """Checked builds."""
    preflight = SimpleNamespace(running=None, nvr="")
    checked = [SimpleNamespace(name=name, preflight=preflight, request=SimpleNamespace(target="f43")) for name in names]
    outcome = SimpleNamespace(note_task=lambda *_: None, note_status=lambda _: None)
    return [several_builds._Build(each, outcome) for each in checked]  # type: ignore[arg-type]


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the builds that were submitted; their tasks are 1, 2…"""
    names: list[str] = []

    def submit(checked: Any) -> int:
        names.append(checked.name)
        return len(names)

    monkeypatch.setattr(several_builds, "submit_build", submit)
    monkeypatch.setattr(several_builds, "report_submission", lambda *_: SimpleNamespace(url="", nvr=""))
    return names


def _client(**arguments: Any) -> Any:
    return SimpleNamespace(name="fedpkg", args=SimpleNamespace(nowait=False, **arguments))


def test_between_the_submission_of_several_and_their_display(
    submitted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[bool] = []

    def watch(_client: Any, _session: Any, titles: Any, _finished: Any, *, pending: Any) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        watched.append(pending.interrupted)
        return EXIT_INTERRUPTED

    monkeypatch.setattr(following_several, "watch_several", watch)
    monkeypatch.setattr("fedpkg_container.commands.client_config.koji_profile", lambda _: "koji")
    monkeypatch.setattr("fedpkg_container.hub.session.site_urls", lambda _: None)
    session: Any = None
    with handled():
        assert several_builds._run_group(_client(if_needed=False), session, _group("a", "b")) == (130, [])
    assert (submitted, watched) == (["a", "b"], [True])


def test_before_the_first_submission(submitted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    group = _group("a")
    monkeypatch.setattr(group[0].checked, "preflight", _Interrupting())
    session: Any = None
    with pytest.raises(KeyboardInterrupt):
        several_builds._run_group(_client(if_needed=True), session, group)
    assert submitted == []


class _Interrupting:
    """The result of checks during which SIGINT is received."""

    nvr = ""
    running = None

    def __getattribute__(self, name: str) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return object.__getattribute__(self, name)
