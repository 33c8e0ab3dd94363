# SPDX-License-Identifier: GPL-2.0-or-later
"""The log: one line per record, without secrets, on standard error or in kojid's log."""

from __future__ import annotations

import errno
import io
import itertools
import logging
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import koji
import pytest
import requests

from fedpkg_container import logs, steps
from fedpkg_container.box.box import PLUGINS
from fedpkg_container.errors import ProgramError, ProgramTimeoutError
from fedpkg_container.hub.events import ContactLost, ContactRegained
from fedpkg_container.hub.retry import HubRetry
from fedpkg_container.image.building.log import BuildLog, EchoedLog
from fedpkg_container.model.polling import PollInterval
from fedpkg_container.process import run, run_in_background
from tests.support.waiting import PATIENCE

_LOGGER = logging.getLogger("fedpkg_container.tests")
SECRET = "Pl4nt3d"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Restore the loggers that the tests configure."""
    loggers = [logging.getLogger(name) for name in ("fedpkg_container", "git.cmd", "koji", "koji.build.container", "")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def kojid() -> Iterator[io.StringIO]:
    """What kojid, started with --verbose, writes to its log."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(name)s: %(message)s"))
    koji = logging.getLogger("koji")
    koji.addHandler(handler)
    koji.setLevel(logging.INFO)
    logs.forward_to_koji("koji.build.container")
    yield text
    koji.removeHandler(handler)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, ["warning"]),
        ({"verbose": True}, ["step", "info", "warning"]),
        ({"debug": True}, ["step", "debug", "info", "warning"]),
        ({"verbose": True, "debug": True}, ["step", "debug", "info", "warning"]),
    ],
)
def test_options_select_levels(capsys: pytest.CaptureFixture[str], options: dict[str, bool], shown: list[str]) -> None:
    logs.show()
    logs.show(**options)  # again: nothing is shown twice
    steps.reached("step")
    _LOGGER.debug("debug")
    _LOGGER.info("info")
    _LOGGER.warning("warning")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in lines] == shown


def test_a_record_is_one_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    logs.show(debug=True)
    _LOGGER.info("from %s", f"https://user:{SECRET}@host/?sig={SECRET}\x1b[2J\nWARNING forged \u202e")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("INFO fedpkg_container.tests: from https://host/ WARNING forged \N{REPLACEMENT CHARACTER}")
    assert "\x1b" not in line


def test_a_traceback_has_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    logs.show(debug=True)
    try:
        raise ValueError(f"Authorization: Bearer {SECRET}")
    except ValueError as error:
        logs.log_traceback(error)
    text = capsys.readouterr().err
    assert "test_a_traceback_has_no_secrets" in text
    assert "Authorization: ***" in text
    assert SECRET not in text


def test_other_packages_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.show(debug=True)
    for name in ("rpkg", "pyrpkg", "koji", "urllib3.connectionpool"):
        logger = logging.getLogger(name)
        assert not any(isinstance(handler, logs.StderrHandler) for handler in logger.handlers)
        logger.debug("other")
    assert "other" not in capsys.readouterr().err


def test_a_log_that_cannot_be_written_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as context:
        context.setattr(sys, "stderr", Full())
        logs.show(verbose=True)
        _LOGGER.info("lost")
    _LOGGER.info("the disk has space again")
    written = capsys.readouterr().err
    assert "the disk has space again" in written
    assert "lost" not in written


def test_kojids_log_has_decisions_with_the_task(kojid: io.StringIO) -> None:
    with logs.subject("task 7"):
        _LOGGER.info("pulling %s", f"https://user:{SECRET}@host/")
        with logs.subject("hello-web-1-1"):
            steps.reached("built")
        _LOGGER.debug("not at this level")
    _LOGGER.warning("idle")
    assert kojid.getvalue().splitlines() == [
        "[INFO] fedpkg_container.tests: task 7: pulling https://host/",
        "[INFO] fedpkg_container.steps: task 7, hello-web-1-1: step built",
        "[WARNING] fedpkg_container.tests: idle",
    ]


def test_kojids_level_applies(kojid: io.StringIO) -> None:
    logging.getLogger("koji").setLevel(logging.ERROR)
    steps.reached("built")
    _LOGGER.warning("warning")
    assert kojid.getvalue() == ""


def test_records_are_forwarded_once(kojid: io.StringIO) -> None:
    logs.forward_to_koji("koji.build.container")
    _LOGGER.info("once")
    assert kojid.getvalue().count("once") == 1


def test_a_server_of_the_box_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()
    logs.serve()
    logs.forward_to_koji("koji.build.container")
    _LOGGER.info("once")
    logging.getLogger("koji.build").info("from koji")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("INFO ")[2] for line in lines] == ["fedpkg_container.tests: once", "koji.build: from koji"]


def test_the_build_log_is_logged_but_not_the_output_of_the_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="fedpkg_container")
    with BuildLog(tmp_path / "log") as log:
        log.report("pulling image")
        log.append_output(b"+ make")
        log.append("set latest")
    assert caplog.messages == ["pulling image", "set latest"]
    assert (tmp_path / "log").read_text() == "pulling image\n+ make\nset latest\n"


def test_a_log_that_is_shown_anyway_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fedpkg_container")
    shown: list[str] = []
    with EchoedLog(tmp_path / "log", shown.append) as log:
        log.report("pulling image")
        log.append_output(b"+ make")
    assert (shown, caplog.messages) == (["pulling image", "+ make"], [])


def _programs(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The messages about programs, with neither process IDs nor durations."""
    return [
        " ".join(word for word in message.split() if not word.rstrip(":").replace(".", "").isdigit())
        for message in caplog.messages
    ]


@pytest.mark.programs
def test_programs_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="fedpkg_container.process")
    run(["sh", "-c", "exit 0", f"https://user:{SECRET}@host/"], timeout=60)
    with pytest.raises(ProgramError):
        run(["sh", "-c", "exit 3"], timeout=60)
    with pytest.raises(ProgramTimeoutError):
        run(["sleep", "60"], timeout=0.1)
    with run_in_background(["sleep", "60"], log=tmp_path / "log"):
        pass
    assert _programs(caplog) == [
        "process sh -c 'exit 0' https://host/",
        "process (sh): exit status after s",
        "process sh -c 'exit 3'",
        "process (sh): exit status after s",
        "process sleep",
        "process (sleep): ended by signal after s",
        "process sleep",
        "process (sleep): ended by signal after s",
    ]
    assert "exit status 3 after" in caplog.text


def test_retries_of_the_hub_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fedpkg_container")
    responses: list[object] = [requests.ConnectionError("Connection refused"), koji.AuthError(), 7]

    def request() -> object:
        response = responses.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    session = types.SimpleNamespace(logged_in=True, setSession=lambda _: None, opts={})
    now = itertools.count()
    interval = PollInterval(2.0, 5.0, 60.0)
    retry = HubRetry(session, 7, interval, lambda: None, lambda _: None, lambda: float(next(now)))
    events = [event for event in retry.call(request) if isinstance(event, (ContactLost, ContactRegained))]
    assert len(events) == 2
    assert caplog.messages == [
        "the hub does not respond (connection refused), retrying in 2.0 s",
        "the hub no longer knows the session: logging in again",
    ]


#: Sets up Koji's loggers as kojid --fg --verbose does, loads the plugin as kojid does, and logs a step of a task.
_KOJID = """
import logging, sys, koji, koji.plugin
koji.add_stderr_logger("koji")
logging.getLogger("koji").setLevel(logging.INFO)
koji.plugin.PluginTracker(path=[sys.argv[1]]).load("builder_containerbuild")
from fedpkg_container import logs, steps
with logs.subject("task 7"):
    steps.reached("built", nvr="hello-web-1-1")
"""


@pytest.mark.programs
def test_the_builder_plugin_logs_to_kojids_log_once() -> None:
    command = [sys.executable, "-c", _KOJID, str(PLUGINS / "builder")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "task 7" in line]
    assert re.search(r"\[INFO\] .*fedpkg_container\.steps:[0-9]+ task 7: step built nvr=hello-web-1-1$", line)


@pytest.mark.programs
def test_completion_does_not_import_logging() -> None:
    program = (
        "import sys; import fedpkg_container.completion.complete, fedpkg_container.completion.values, "
        "fedpkg_container.completion.parsers, fedpkg_container.completion.snapshot, fedpkg_container.completion.cache, "
        "fedpkg_container.completion.checkout, fedpkg_container.cli, fedpkg_container.text; "
        "sys.exit(' '.join({'logging', 'fedpkg_container.logs', 'fedpkg_container.redaction'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.stderr == "\n"
