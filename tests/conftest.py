# SPDX-License-Identifier: GPL-2.0-or-later
"""For all tests: a time limit that holds, names that are not too long, markers, and what an ordinary user leaves out.

A test that hangs ends, its teardown too, and the tests after it are run. An ordinary user's tests are made in a user
namespace with that user's subordinate IDs; those with the marker ``root`` are left out.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from fedpkg_container import logs
from fedpkg_container.engines import rootless
from fedpkg_container.engines.ids import in_user_namespace
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.files import user_name
from tests.support import markers

# The duration of an example depends on the machine more than on the code.
_ANY_MACHINE = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
#: Examples of a property test in make check.
QUICK = 50
hypothesis_settings.register_profile("quick", _ANY_MACHINE, max_examples=QUICK)
hypothesis_settings.register_profile("thorough", _ANY_MACHINE, max_examples=600)
# pytest --hypothesis-profile=thorough chooses one too.
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

#: Seconds after which a test that continues in spite of its limit is interrupted again.
AGAIN = 60
#: Seconds after the limit, or after all tests, at which a process whose main thread does not react is ended.
LAST = 600

#: Seconds in which interrupted workers of pytest-xdist have to end.
INTERRUPTED = 120
#: Characters of a parameter that are still shown in the name of a test.
LONGEST = 100

_START = pytest.StashKey[Callable[[], None]]()
_STDERR = pytest.StashKey[int]()
_LEFT_OUT = pytest.StashKey[int]()


class TimeLimitError(BaseException):
    """A test has run for longer than its limit.

    pytest-timeout raises pytest's Failed once. hypothesis takes that for a counterexample and runs the example again,
    to make it smaller, which nothing interrupts. It passes on what is not an Exception.
    """


def pytest_configure(config: pytest.Config) -> None:
    """Keep the standard error stream as it is before pytest captures it, and enter the user namespace."""
    config.stash[_STDERR] = os.dup(2)
    os.environ.setdefault("LOGNAME", user_name(os.geteuid()))  # names pytest's directory: it is root in the namespace
    try:
        rootless.enter()  # while there is one thread
    except FedpkgContainerError as error:
        raise pytest.UsageError(f"{error.reason}: {error.solution}") from error


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exempt modules and tests from garbage collection, as they are kept until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what a test needs, before tests are selected by their markers."""
    markers.mark(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let only tests with the marker start programs."""
    markers.guard(item)


@pytest.fixture(autouse=True)
def _log_as_imported() -> None:
    """Undo the logging configuration of programs and plugins that ran in this process."""
    logs.reset()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only root of the machine can do, and order the rest for several workers."""
    _leave_out(config, items)
    if _is_worker(config):
        from tests.support import scheduling

        scheduling.sort(items)


def _is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.geteuid() == 0 and not in_user_namespace():
        return
    left_out = [item for item in items if item.get_closest_marker("root")]
    config.stash[_LEFT_OUT] = len(left_out)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Distribute the tests in groups; None leaves it to pytest-xdist."""
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.support.scheduling import GroupScheduling

    return GroupScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Report from a worker how many tests were left out, and wait for workers that a terminal has interrupted.

    pytest-xdist ends them at once, when they still have to stop their boxes.
    """
    if exitstatus == pytest.ExitCode.INTERRUPTED and (xdist := session.config.pluginmanager.get_plugin("dsession")):
        for node in tuple(xdist._active_nodes):
            with contextlib.suppress(OSError, EOFError, RuntimeError):
                node.channel.waitclose(INTERRUPTED)
    if _is_worker(session.config):
        session.config.workeroutput["left_out"] = session.config.stash.get(_LEFT_OUT, 0)  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep how many tests a worker has left out; all leave out the same."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out", 0):
        node.config.stash[_LEFT_OUT] = left_out


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many tests were left out."""
    if left_out := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(f"{left_out} tests that need root were left out")


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Interrupt the main thread at the limit, and again while the test continues; None leaves it to pytest-timeout."""
    if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
        return None

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        faulthandler.dump_traceback(file=2, all_threads=True)
        raise TimeLimitError(f"{item.nodeid} has run for more than {settings.timeout:g} seconds")

    def start() -> None:
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, settings.timeout, AGAIN)
        _end_in(item.config, settings.timeout + LAST)

    def cancel() -> None:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.stash[_START] = start
    item.cancel_timeout = cancel  # type: ignore[attr-defined]
    start()
    return True


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Start the limit again after a failure, where pytest-timeout leaves it off: the teardown is still to come."""
    if _START in node.stash and not node.config.getoption("usepdb"):
        node.stash[_START]()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Limit the time that the interpreter waits for threads at its end."""
    _end_in(config, LAST)


def _end_in(config: pytest.Config, seconds: float) -> None:
    """End the process, with a traceback of every thread, unless this is canceled or renewed before."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=config.stash[_STDERR])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Return a short name for a long text; pytest 8 has the name of a test in the environment, which has a limit."""
    if isinstance(val, (str, bytes)) and len(val) > LONGEST:
        return f"{argname} of {len(val)}"
    return None
