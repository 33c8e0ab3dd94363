# SPDX-License-Identifier: GPL-2.0-or-later
"""Following a build: plain, JSON, quiet and live output, final reports, interrupts, and lost contact."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import pexpect
import pytest

from tests.support.box_hub import RunningHub
from tests.support.played import FEDPKG, PlayedBuilder
from tests.support.waiting import PATIENCE, eventually

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "progress.schema.json").read_text())
#: Clears the screen, sets the title, overwrites the line, reorders text, and forges lines.
HOSTILE = (
    "a\x1b[2J\x1b]0;evil\x07b\nok 1%\rok 2%\nx\u202ey".encode()
    + b"\xff\xfe\nline\x85forged: 3\x0bforged: 4\x0cforged: 5\n"
)


def _end(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    return output


def _says(process: subprocess.Popen[str], text: str) -> None:
    """Read until a line contains a text."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without printing {text!r}")


def test_plain_lines_of_one_architecture_have_no_prefix(played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64")
    played.log(child, "x86_64.log", "compiling\n")
    played.close(child)
    played.close(task, repositories=["r.io/hello:1", "r.io/hello@sha256:0"], koji_builds=[])
    output = _end(played.watch(task))
    assert "\ncompiling\n" in output
    assert f"task {child} createContainer (x86_64): completed (closed)\n" in output
    assert re.search(rf"task {task} completed in \d+ s\n    r.io/hello:1\n    r.io/hello@sha256:0\n", output)
    assert "\x1b" not in output


def test_lines_of_several_architectures_have_a_prefix(played: PlayedBuilder, task: int) -> None:
    for arch in ("x86_64", "aarch64"):
        child = played.arch(task, arch)
        played.log(child, f"{arch}.log", f"compiling for {arch}\n")
        played.close(child)
    arches = {"x86_64": "r.io/h@sha256:1", "aarch64": "r.io/h@sha256:2"}
    played.close(task, repositories=["r.io/h:1"], koji_builds=[], arches=arches, user_warnings=["old base"])
    output = _end(played.watch(task, "--progress", "plain"))
    assert "x86_64 | compiling for x86_64\n" in output
    assert "aarch64 | compiling for aarch64\n" in output
    assert "    x86_64   r.io/h@sha256:1\n    aarch64  r.io/h@sha256:2\n" in output
    assert "warning: old base\n" in output


def test_json_lines_match_their_schema(played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64")
    played.log(child, "x86_64.log", HOSTILE)
    played.fail(child, "no space")
    played.fail(task, "no space")
    process = played.watch(task, "--progress", "json", stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    objects = [json.loads(line) for line in output.splitlines()]
    for each in objects:
        jsonschema.validate(each, SCHEMA)
    assert [each["event"] for each in objects if each["event"] not in ("task", "log")] == [
        "submitted",
        "finished",
        "error",
    ]
    finished = next(each for each in objects if each["event"] == "finished")
    assert (finished["state"], finished["fault"], finished["failed_task_id"]) == ("FAILED", "no space", child)
    assert [each["text"] for each in objects if each["event"] == "log"][1] == "ok 2%"
    assert errors == ""


def test_quiet_prints_the_result_only(played: PlayedBuilder, task: int) -> None:
    played.log(task, "container-build.log", "much\n")
    played.close(task, repositories=["r.io/hello:1"], koji_builds=[])
    assert _end(played.watch(task, "-q")) == "r.io/hello:1\n"


def test_failure_report(played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64")
    played.log(child, "x86_64.log", "".join(f"line {number}\n" for number in range(50)))
    played.fail(child, "RUN failed")
    played.fail(task, "RUN failed")
    process = played.watch(task, "--progress", "quiet")
    output = _end(process)
    assert process.returncode == 1
    assert re.findall(r"line \d+", output) == [f"line {number}" for number in range(30, 50)]
    assert f"log      https://koji.example/koji/getfile?taskID={child}&name=x86_64.log\n" in output
    assert f"error: task {child} createContainer (x86_64) failed on builder-1: RUN failed\n" in output


def test_canceled_build(played: PlayedBuilder, task: int) -> None:
    played.packager.cancelTask(task)
    process = played.watch(task)
    assert f"error: task {task} was canceled\n" in _end(process)
    assert process.returncode == 6


def test_unknown_task(played: PlayedBuilder) -> None:
    process = played.watch(999999)
    assert "the hub has no task 999999" in _end(process)
    assert process.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_detaches_from_a_build(played: PlayedBuilder, task: int, number: signal.Signals) -> None:
    process = played.watch(task)
    _says(process, "running on")
    process.send_signal(number)
    output = _end(process)
    assert process.returncode == 130
    assert f"interrupted; task {task} is still running\n" in output
    assert f"fedpkg container-status --watch {task}\n" in output
    assert f"fedpkg container-status --cancel {task}\n" in output
    assert played.packager.getTaskInfo(task)["state"] == 1


def test_cancel_on_interrupt(played: PlayedBuilder, task: int) -> None:
    process = played.watch(task, "--cancel-on-interrupt")
    _says(process, "running on")
    process.send_signal(signal.SIGINT)
    assert f"interrupted; task {task} was canceled" in _end(process)
    assert process.returncode == 6
    assert played.packager.getTaskInfo(task)["state"] == 3


def test_failed_cancellation_is_reported(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    process = played.watch(task, "--cancel-on-interrupt")
    _says(process, "running on")
    hub.service.stop()
    try:
        process.send_signal(signal.SIGINT)
        output = _end(process)
    finally:
        hub.service.start()
        hub.service.wait_ready()
    assert process.returncode == 5
    assert f"error: cannot cancel task {task}: " in output
    assert f"fedpkg container-status --cancel {task}\n" in output


def test_second_interrupt_exits_immediately(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    process = played.watch(task, "--cancel-on-interrupt")
    _says(process, "running on")
    pid = hub.service.pid
    assert pid is not None
    subprocess.run(["kill", "-STOP", str(pid)], check=True)  # the hub does not respond, not even to the cancellation
    try:
        process.send_signal(signal.SIGINT)
        _says(process, f"canceling task {task}")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(timeout=PATIENCE)
    finally:
        subprocess.run(["kill", "-CONT", str(pid)], check=True)
    assert process.returncode in (-signal.SIGINT, 130)


def test_closed_output_exits_silently(played: PlayedBuilder, task: int) -> None:
    played.log(task, "container-build.log", "line\n" * 200_000)
    played.close(task, repositories=[], koji_builds=[])
    process = played.watch(task, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=PATIENCE) == 128 + signal.SIGPIPE


def test_lost_hub_reports_how_to_resume(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    process = played.watch(task, "--hub-timeout", "2")
    _says(process, "running on")
    hub.service.stop()
    try:
        output = _end(process)
    finally:
        hub.service.start()
        hub.service.wait_ready()
    assert process.returncode == 5
    assert "no response from the hub (connection refused); retrying for up to 2 s …\n" in output
    assert f"error: no response from the hub for 2 s (connection refused); task {task} is still running\n" in output
    assert f"       try again later:\n           watch it:  fedpkg container-status --watch {task}\n" in output


class Screen:
    """The client on a separate terminal."""

    def __init__(self, played: PlayedBuilder, *arguments: str, **environment: str) -> None:
        env = {**played.home(), "TERM": "xterm-256color", **environment}
        self.child: Any = pexpect.spawn(
            str(FEDPKG), list(arguments), env=env, cwd=str(played.directory), dimensions=(24, 100), timeout=PATIENCE
        )

    def end(self) -> str:
        """Return the remaining output."""
        self.child.expect(pexpect.EOF)
        return str((self.child.before or b"").decode(errors="replace"))


def test_hostile_log_does_not_control_the_terminal(played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64\u202e\nforged: 1")
    played.log(child, "x86_64.log", HOSTILE)
    played.fail(child, "bad\u202e\nforged: 2")
    played.fail(task, "bad\u202e\nforged: 2")
    shown = Screen(played, "container-status", "--watch", str(task), "--progress", "plain", NO_COLOR="1").end()
    shown = re.sub(r"\x1b]8;;(?:https://koji\.example/[!-~]*?)?\x1b\\", "", shown)  # links to the task and its log
    assert "\x1b" not in shown
    assert "ok 2%" in shown
    assert "\u202e" not in shown
    lines = re.split(r"[\r\n\x0b\x0c\x85]", shown)
    assert not [line for line in lines if line.startswith("forged:")]


def test_live_view_and_its_report(played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64")
    played.log(child, "x86_64.log", b"compiling\nwarning: that is old\n" + HOSTILE)
    screen = Screen(played, "container-status", "--watch", str(task))
    screen.child.expect("compiling")
    screen.child.setwinsize(12, 60)
    screen.child.expect("x86_64.{1,40}running on builder-1")
    played.close(child)
    played.close(task, repositories=["r.io/hello:1", "r.io/hello@sha256:0"], koji_builds=[])
    rest = screen.end()
    assert "\x1b[2J" not in rest
    assert "\x1b]0;" not in rest
    report = rest.rpartition("\x1b[2K")[2]
    assert "buildContainer" in report
    assert "warning: that is old" in report
    assert "r.io/hello@sha256:0" in report
    assert screen.child.wait() == 0


def test_live_view_restores_the_cursor(played: PlayedBuilder, task: int) -> None:
    screen = Screen(played, "container-status", "--watch", str(task))
    screen.child.expect("running on builder-1")
    screen.child.sendintr()
    rest = screen.end()
    assert rest.rfind("\x1b[?25h") > rest.rfind("\x1b[?25l")
    assert f"interrupted; task {task} is still running" in rest
    assert screen.child.wait() == 130


def test_no_live_view_without_a_terminal(played: PlayedBuilder, task: int) -> None:
    played.close(task, repositories=[], koji_builds=[])
    screen = Screen(played, "container-status", "--watch", str(task), TERM="dumb")
    assert "\x1b" not in screen.end()


def test_watch_with_logs(played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64")
    played.log(task, "container-build.log", "of the build\n")
    played.log(child, "x86_64.log", "of the arch\n")
    played.fail(child, "why")
    played.fail(task, "why")
    process = played.watch(task, "--logs", "x86_64")
    assert _end(process) == "of the arch\n"
    assert process.returncode == 1


def test_text_that_the_encoding_does_not_support(played: PlayedBuilder, task: int) -> None:
    played.log(task, "container-build.log", "naïve → done\n")
    played.close(task, repositories=[], koji_builds=[])
    output = _end(played.watch(task, env={**played.home(), "PYTHONIOENCODING": "ascii"}))
    assert "na?ve ? done\n" in output


def test_logs_only(played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64")
    played.log(child, "x86_64.log", "".join(f"line {number}\n" for number in range(30_000)))
    env = played.home()
    assert _end(played.start("container-status", str(task), "--logs", "x86_64", env=env)).splitlines() == [
        f"line {number}" for number in range(30_000)
    ]
    tail = _end(played.start("container-status", str(task), "--logs", "--tail", "2", env=env))
    assert tail == "line 29998\nline 29999\n"
    missing = played.start("container-status", str(task), "--logs", "s390x", env=env)
    assert f"task {task} has no logs for s390x" in _end(missing)
    assert missing.returncode == 3


@pytest.mark.slow
def test_log_of_200_megabytes_needs_little_memory(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    line = "x" * 99 + "\n"
    topdir = Path(hub.ca).parents[1] / "hub" / "topdir"
    played.log(task, "container-build.log", line)
    path = next(topdir.glob(f"work/tasks/*/{task}/container-build.log"))
    process = played.watch(task, stdout=subprocess.DEVNULL)
    peak = 0
    with path.open("a") as log:
        for _ in range(20):  # 10 MB per second
            started = time.monotonic()
            log.write(line * 100_000)
            log.flush()
            peak = max(peak, _memory(process.pid))
            time.sleep(max(1 - (time.monotonic() - started), 0))
    played.close(task, repositories=[], koji_builds=[])
    eventually(lambda: process.poll() is not None, lambda: "still reading")
    assert process.returncode == 0
    assert 10 < peak < 150


def _memory(pid: int) -> int:
    """Return the peak resident memory of a process in MiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) // 1024 if match else 0
