"""Starting programs: output as it comes, deadlines, and nothing left running."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container.errors import FedpkgContainerError, ProgramError, ProgramOutputError, ProgramTimeoutError
from fedpkg_container.process import background, is_running, piped, processes, run, stream
from fedpkg_container.process.run import ERRORS_KEPT
from fedpkg_container.text import LONGEST_LINE, printable
from tests.support.waiting import PATIENCE, eventually, slowed

#: No pipe is left to the garbage collector.
pytestmark = [
    pytest.mark.programs,
    pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning"),
]


def _shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_output_and_status() -> None:
    done = run(_shell("echo out; echo err >&2; exit 3"), timeout=PATIENCE, check=False)
    assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_a_failure_names_the_program_and_its_last_line() -> None:
    with pytest.raises(ProgramError, match="sh failed with exit status 3: the reason") as caught:
        run(_shell("echo first >&2; echo the reason >&2; exit 3"), timeout=PATIENCE)
    assert caught.value.status == 3


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FedpkgContainerError, match="program not found: no-such-program"):
        run(["no-such-program"], timeout=PATIENCE)


def test_no_shell_reads_the_arguments() -> None:
    assert run(["echo", "$(id); `id` && x"], timeout=PATIENCE).text == "$(id); `id` && x\n"


def test_a_program_is_looked_after_while_it_runs() -> None:
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


def test_what_looks_after_a_program_can_end_it() -> None:
    def look() -> None:
        raise FedpkgContainerError("enough")

    with pytest.raises(FedpkgContainerError, match="enough"):
        run(["sleep", "4243"], timeout=PATIENCE, tick=look, interval=0.2)
    assert not _sleeping("4243")


def test_a_deadline_ends_a_program_that_is_looked_after() -> None:
    with pytest.raises(ProgramTimeoutError, match=r"sleep did not end within 0.5 s"):
        run(["sleep", "4244"], timeout=0.5, tick=lambda: None, interval=0.2)
    assert not _sleeping("4244")


def test_a_deadline_ends_the_program() -> None:
    with pytest.raises(ProgramTimeoutError, match=r"sleep did not end within 0.3 s"):
        run(["sleep", "4242"], timeout=0.3)
    assert not _sleeping("4242")


def test_lines_come_one_by_one_and_ticks_between_them() -> None:
    seen: list[bytes] = []
    ticks: list[int] = []
    script = f"echo one; sleep {slowed(0.6):.1f}; echo two >&2; printf three"
    stream(_shell(script), line=seen.append, tick=lambda: ticks.append(len(seen)), timeout=PATIENCE, interval=0.2)
    assert seen == [b"one", b"two", b"three"]
    assert 1 in ticks
    assert ticks[-1] == 3


def test_output_without_newlines_is_cut_into_lines() -> None:
    seen: list[bytes] = []
    stream(_shell(f"head -c {3 * LONGEST_LINE} /dev/zero | tr '\\0' x"), line=seen.append, timeout=PATIENCE)
    assert [len(line) for line in seen] == [LONGEST_LINE] * 3


def test_a_daemon_that_keeps_the_pipe_open_does_not_hold_us_up() -> None:
    seen: list[bytes] = []
    stream(_shell("sleep 4343 & echo started"), line=seen.append, timeout=PATIENCE)
    assert seen == [b"started"]
    for pid in _sleeping("4343"):
        subprocess.run(["kill", str(pid)], check=True, timeout=PATIENCE)


def test_a_stream_that_never_ends_is_stopped() -> None:
    with pytest.raises(ProgramTimeoutError):
        stream(["sleep", "4444"], line=lambda _: None, timeout=0.3)
    assert not _sleeping("4444")


def test_the_last_lines_are_in_the_error() -> None:
    with pytest.raises(ProgramError) as caught:
        stream(_shell("seq 1 100; exit 1"), line=lambda _: None, timeout=PATIENCE)
    assert caught.value.output.splitlines() == [str(number) for number in range(81, 101)]


def test_a_program_dies_with_the_one_that_started_it(tmp_path: Path) -> None:
    script = "from fedpkg_container.process import run; run(['sleep', '4545'], timeout=4000)"
    parent = subprocess.Popen([sys.executable, "-c", script])
    eventually(lambda: bool(_sleeping("4545")), lambda: "it was not started")
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=PATIENCE)
    eventually(lambda: not _sleeping("4545"), lambda: _sleeping("4545"))


@pytest.mark.parametrize("evil", ["\x1b[2J", "\r", "\x9b", "\u202e", "\u2066", "\x00", "\x7f", "\u200e"])
def test_what_moves_a_terminal_is_replaced(evil: str) -> None:
    assert evil not in printable(f"a{evil}b")
    assert printable(f"a{evil}b").startswith("a")


def test_newlines_tabs_and_letters_stay() -> None:
    assert printable("a\n\tä 漢 🐧\r\n") == "a\n\tä 漢 🐧\n"


def _sleeping(seconds: str) -> list[int]:
    found = []
    for pid in processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()] and is_running(pid):
            found.append(pid)
    return found


def test_a_pipe_of_two_programs(tmp_path: Path) -> None:
    with piped(["printf", "hello"], ["tr", "a-z", "A-Z"], output=tmp_path / "out") as wait:
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
def test_a_pipe_in_which_a_program_fails(tmp_path: Path, first: list[str], second: list[str], program: str) -> None:
    with pytest.raises(ProgramError, match=program) as caught, piped(first, second, output=tmp_path / "out") as wait:
        wait(PATIENCE)
    assert caught.value.output.strip() == "sorry"


def test_a_pipe_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ProgramTimeoutError), piped(["sleep", "4646"], ["cat"], output=tmp_path / "out") as wait:
        wait(0.2)
    with pytest.raises(ValueError), piped(["sleep", "4646"], ["cat"], output=tmp_path / "out"):
        raise ValueError
    assert not _sleeping("4646")


ENDLESS = "while :; do echo a line that never ends its program; done"


@pytest.mark.parametrize("stream_name", ["1", "2"])
def test_a_program_that_prints_without_end_is_stopped(stream_name: str) -> None:
    with pytest.raises(ProgramOutputError, match=r"sh printed more than 1 MB and was stopped"):
        run(_shell(f"{ENDLESS} >&{stream_name}"), timeout=120, limit=10**6)


def test_every_call_has_a_limit() -> None:
    """Of 200 MB in memory: without the default limit Python would run out of it, or into the deadline."""
    script = (
        "import resource; from fedpkg_container.process import run;"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20));"
        "run(['cat', '/dev/zero'], timeout=120)"
    )
    done = run([sys.executable, "-c", script], timeout=180, check=False)
    assert done.stderr.decode().splitlines()[-1].startswith("fedpkg_container.errors.ProgramOutputError")


def test_of_standard_error_the_end_is_kept() -> None:
    done = run(_shell("seq 1 100000 >&2"), timeout=60)
    assert len(done.stderr) == ERRORS_KEPT
    assert done.stderr.endswith(b"\n100000\n")


def test_much_in_and_much_out_at_the_same_time() -> None:
    content = bytes(range(256)) * 8192
    assert run(["cat"], stdin=content, timeout=60).stdout == content


def test_a_program_that_does_not_read_its_input() -> None:
    assert run(_shell("exec <&-; echo done"), stdin=bytes(1 << 20), timeout=60).text == "done\n"


def test_a_program_that_closes_its_output_and_runs_on() -> None:
    ticks: list[int] = []
    done = run(_shell("exec >&- 2>&-; sleep 0.7"), timeout=30, tick=lambda: ticks.append(1), interval=0.1)
    assert done.status == 0
    assert ticks


def test_messages_of_a_pipe_without_end_are_neither_kept_nor_awaited(tmp_path: Path) -> None:
    endless = _shell(f"{ENDLESS} >&2")
    with pytest.raises(ProgramOutputError), piped(endless, ["cat"], output=tmp_path / "out") as wait:
        wait(240)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_a_pipe_whose_programs_close_their_messages(tmp_path: Path) -> None:
    with piped(_shell("exec 2>&-; echo x"), _shell("exec 2>&-; sleep 0.3; cat"), output=tmp_path / "out") as wait:
        wait(60)
    assert (tmp_path / "out").read_text() == "x\n"


def test_the_log_of_a_helper_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(background.__module__)  # the package has the function under this name
    monkeypatch.setattr(module, "_FILE_LIMIT", ("prlimit", "--fsize=100000", "--"))
    with background(_shell(ENDLESS), log=tmp_path / "log") as helper:
        helper.wait(timeout=60)
    assert (tmp_path / "log").stat().st_size == 100000


def test_a_helper_that_is_not_installed(tmp_path: Path) -> None:
    with (
        pytest.raises(FedpkgContainerError, match="program not found: no-such"),
        background(["no-such"], log=tmp_path / "log"),
    ):
        pass
