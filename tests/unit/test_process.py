# SPDX-License-Identifier: GPL-2.0-or-later
"""Running programs: streamed output, time limits, and no leftover processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container.errors import FedpkgContainerError, ProgramError, ProgramOutputError, ProgramTimeoutError
from fedpkg_container.process import is_running, pipeline, process_ids, run, run_in_background, stream
from fedpkg_container.process.run import STDERR_TAIL_BYTES
from fedpkg_container.text import MAX_LINE_BYTES, printable
from tests.support.waiting import PATIENCE, eventually, slowed

#: Unclosed pipes are errors.
pytestmark = [
    pytest.mark.programs,
    pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning"),
]


def _shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_output_and_status() -> None:
    done = run(_shell("echo out; echo err >&2; exit 3"), timeout=PATIENCE, check=False)
    assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_failure_names_the_program_and_its_last_line() -> None:
    with pytest.raises(ProgramError, match="sh failed with exit status 3: the reason") as caught:
        run(_shell("echo first >&2; echo the reason >&2; exit 3"), timeout=PATIENCE)
    assert caught.value.status == 3


def test_missing_program() -> None:
    with pytest.raises(FedpkgContainerError, match="program not found: no-such-program"):
        run(["no-such-program"], timeout=PATIENCE)


def test_arguments_are_not_interpreted_by_a_shell() -> None:
    assert run(["echo", "$(id); `id` && x"], timeout=PATIENCE).text == "$(id); `id` && x\n"


def test_tick_is_called_while_a_program_runs() -> None:
    looks: list[int] = []
    done = run(
        _shell(f"cat; sleep {slowed(0.7):.1f}; echo end"),
        stdin=b"begin\n",
        timeout=PATIENCE,
        tick=lambda: looks.append(1),
        interval=0.2,
    )
    assert done.text == "begin\nend\n"
    assert len(looks) >= 2


def test_exception_in_tick_stops_the_program() -> None:
    def look() -> None:
        raise FedpkgContainerError("enough")

    with pytest.raises(FedpkgContainerError, match="enough"):
        run(["sleep", "4243"], timeout=PATIENCE, tick=look, interval=0.2)
    assert not _sleeping("4243")


def test_timeout_stops_a_program_with_tick() -> None:
    with pytest.raises(ProgramTimeoutError, match=r"sleep did not end within 0.5 s"):
        run(["sleep", "4244"], timeout=0.5, tick=lambda: None, interval=0.2)
    assert not _sleeping("4244")


def test_timeout_stops_the_program() -> None:
    with pytest.raises(ProgramTimeoutError, match=r"sleep did not end within 0.3 s"):
        run(["sleep", "4242"], timeout=0.3)
    assert not _sleeping("4242")


def test_stream_passes_lines_and_ticks_on_immediately() -> None:
    seen: list[bytes] = []
    ticks: list[int] = []
    script = f"echo one; sleep {slowed(0.6):.1f}; echo two >&2; printf three"
    stream(_shell(script), line=seen.append, tick=lambda: ticks.append(len(seen)), timeout=PATIENCE, interval=0.2)
    assert seen == [b"one", b"two", b"three"]
    assert 1 in ticks
    assert ticks[-1] == 3


def test_output_without_newlines_is_split() -> None:
    seen: list[bytes] = []
    stream(_shell(f"head -c {3 * MAX_LINE_BYTES} /dev/zero | tr '\\0' x"), line=seen.append, timeout=PATIENCE)
    assert [len(line) for line in seen] == [MAX_LINE_BYTES] * 3


def test_daemon_that_keeps_the_pipe_open_does_not_block() -> None:
    seen: list[bytes] = []
    stream(_shell("sleep 4343 & echo started"), line=seen.append, timeout=PATIENCE)
    assert seen == [b"started"]
    for pid in _sleeping("4343"):
        subprocess.run(["kill", str(pid)], check=True, timeout=PATIENCE)


def test_timeout_stops_a_stream() -> None:
    with pytest.raises(ProgramTimeoutError):
        stream(["sleep", "4444"], line=lambda _: None, timeout=0.3)
    assert not _sleeping("4444")


def test_error_contains_the_last_lines() -> None:
    with pytest.raises(ProgramError) as caught:
        stream(_shell("seq 1 100; exit 1"), line=lambda _: None, timeout=PATIENCE)
    assert caught.value.output.splitlines() == [str(number) for number in range(81, 101)]


def test_program_dies_with_its_parent(tmp_path: Path) -> None:
    script = "from fedpkg_container.process import run; run(['sleep', '4545'], timeout=4000)"
    parent = subprocess.Popen([sys.executable, "-c", script])
    eventually(lambda: bool(_sleeping("4545")), lambda: "not started")
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=PATIENCE)
    eventually(lambda: not _sleeping("4545"), lambda: _sleeping("4545"))


_CLEANUP = """
import os, signal
from fedpkg_container.process import run, stream
from fedpkg_container.signals import shield_signals

def interrupt():
    os.killpg(0, signal.SIGINT)
    os.killpg(0, signal.SIGTERM)

with shield_signals():
    run(["sleep", "0.2"], timeout=60, tick=interrupt, interval=0.05)
    stream(["sleep", "0.2"], timeout=60, tick=interrupt, interval=0.05, line=print)
print("cleaned up")
"""


def test_signal_to_the_process_group_does_not_end_the_programs_of_a_cleanup() -> None:
    process = subprocess.run(
        [sys.executable, "-c", _CLEANUP], capture_output=True, text=True, start_new_session=True, timeout=PATIENCE
    )
    assert (process.returncode, process.stdout) == (0, "cleaned up\n"), process.stderr


@pytest.mark.parametrize("evil", ["\x1b[2J", "\r", "\x9b", "\u202e", "\u2066", "\x00", "\x7f", "\u200e"])
def test_terminal_control_characters_are_replaced(evil: str) -> None:
    assert evil not in printable(f"a{evil}b")
    assert printable(f"a{evil}b").startswith("a")


def test_newlines_tabs_and_letters_are_kept() -> None:
    assert printable("a\n\tä 漢 🐧\r\n") == "a\n\tä 漢 🐧\n"


def _sleeping(seconds: str) -> list[int]:
    found = []
    for pid in process_ids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()] and is_running(pid):
            found.append(pid)
    return found


def test_pipeline(tmp_path: Path) -> None:
    with pipeline(["printf", "hello"], ["tr", "a-z", "A-Z"], output=tmp_path / "out") as wait:
        wait(PATIENCE)
    assert (tmp_path / "out").read_text() == "HELLO"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("first", "second", "program"),
    [
        (["sh", "-c", "echo sorry >&2; exit 3"], ["cat"], "sh"),
        (["echo"], ["sh", "-c", "cat >&2; echo sorry >&2; exit 4"], "sh"),
    ],
)
def test_pipeline_with_a_failing_program(tmp_path: Path, first: list[str], second: list[str], program: str) -> None:
    with pytest.raises(ProgramError, match=program) as caught, pipeline(first, second, output=tmp_path / "out") as wait:
        wait(PATIENCE)
    assert caught.value.output.strip() == "sorry"


def test_timeout_stops_a_pipeline(tmp_path: Path) -> None:
    with pytest.raises(ProgramTimeoutError), pipeline(["sleep", "4646"], ["cat"], output=tmp_path / "out") as wait:
        wait(0.2)
    with pytest.raises(ValueError), pipeline(["sleep", "4646"], ["cat"], output=tmp_path / "out"):
        raise ValueError
    assert not _sleeping("4646")


ENDLESS = "while :; do echo endless output; done"


@pytest.mark.parametrize("stream_name", ["1", "2"])
def test_output_limit_stops_the_program(stream_name: str) -> None:
    with pytest.raises(ProgramOutputError, match=r"sh printed more than 1 MB and was stopped"):
        run(_shell(f"{ENDLESS} >&{stream_name}"), timeout=120, limit=10**6)


def test_default_output_limit() -> None:
    """With 400 MB of address space, Python would run out of memory without the default limit."""
    script = (
        "import resource; from fedpkg_container.process import run;"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20));"
        "run(['cat', '/dev/zero'], timeout=120)"
    )
    done = run([sys.executable, "-c", script], timeout=180, check=False)
    assert done.stderr.decode().splitlines()[-1].startswith("fedpkg_container.errors.ProgramOutputError")


def test_end_of_standard_error_is_kept() -> None:
    done = run(_shell("seq 1 100000 >&2"), timeout=60)
    assert len(done.stderr) == STDERR_TAIL_BYTES
    assert done.stderr.endswith(b"\n100000\n")


def test_large_input_and_output_at_the_same_time() -> None:
    content = bytes(range(256)) * 8192
    assert run(["cat"], stdin=content, timeout=60).stdout == content


def test_program_that_does_not_read_its_input() -> None:
    assert run(_shell("exec <&-; echo done"), stdin=bytes(1 << 20), timeout=60).text == "done\n"


def test_program_that_closes_its_output_and_keeps_running() -> None:
    ticks: list[int] = []
    done = run(_shell("exec >&- 2>&-; sleep 0.7"), timeout=30, tick=lambda: ticks.append(1), interval=0.1)
    assert done.status == 0
    assert ticks


def test_output_limit_of_a_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedpkg_container.process.background.OUTPUT_LIMIT", 10**6)
    endless = _shell(f"{ENDLESS} >&2")
    with pytest.raises(ProgramOutputError), pipeline(endless, ["cat"], output=tmp_path / "out") as wait:
        wait(240)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_pipeline_whose_programs_close_standard_error(tmp_path: Path) -> None:
    with pipeline(_shell("exec 2>&-; echo x"), _shell("exec 2>&-; sleep 0.3; cat"), output=tmp_path / "out") as wait:
        wait(60)
    assert (tmp_path / "out").read_text() == "x\n"


def test_log_size_limit_of_a_background_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedpkg_container.process.background._FILE_LIMIT", ("prlimit", "--fsize=100000", "--"))
    with run_in_background(_shell(ENDLESS), log=tmp_path / "log") as helper:
        helper.wait(timeout=60)
    assert (tmp_path / "log").stat().st_size == 100000


def test_missing_background_program(tmp_path: Path) -> None:
    with (
        pytest.raises(FedpkgContainerError, match="program not found: no-such"),
        run_in_background(["no-such"], log=tmp_path / "log"),
    ):
        pass
