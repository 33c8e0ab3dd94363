# SPDX-License-Identifier: GPL-2.0-or-later
"""RUN was escaped: as root of its worker, with all capabilities, it reaches nothing of the builder."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.engines import cgroups
from fedpkg_container.engines.sandbox import interpreter
from fedpkg_container.errors import ProgramError
from fedpkg_container.process import is_running, run
from tests.security import intruder
from tests.security.conftest import LIMITS, PYTHON, Intruder, Result, add_key, in_terminal, program_index
from tests.support.attack import SECRET
from tests.support.waiting import eventually

#: Attempts that an error stops.
STOPPED = (
    *("read_by_name", "read_above", "read_through_processes", "read_descriptors_of_processes"),
    *("read_other_build", "read_all_builds", "read_own_build"),
    *("read_after_pivot", "read_after_unmounting", "read_after_two_chroots", "open_by_handle"),
    *("read_disk", "make_character_device", "mount_disk", "devices"),
    *("write_what_is_shown", "replace_what_is_shown", "change_owners_and_modes", "remount_writable", "bind_writable"),
    *("set_attributes_of_mounts", "unmount_what_is_shown", "move_what_is_shown", "execute_with_set_user_id"),
    *("see_processes", "trace_first_process", "read_memory_of_first_process", "copy_memory_of_first_process"),
    *("kill_first_process", "kill_by_number", "read_environments", "own_environment", "own_descriptors"),
    *("enter_namespaces_of_first_process", "enter_namespaces_by_descriptor", "read_keys", "list_keys", "open_terminal"),
    *(
        "choose_numbers_of_processes",
        "write_settings_of_kernel",
        "write_settings_in_new_proc",
        "press_sysrq",
        "write_sys",
        "write_sys_of_new_network",
    ),
    *("read_memory_of_kernel", "load_module", "set_clock", "set_host_name", "reboot", "swap"),
    *("raise_limits", "raise_priority", "schedule_in_real_time", "survive_lack_of_memory"),
    *("leave_control_group", "raise_limits_of_control_group", "make_control_group", "mount_control_groups"),
    *("connect", "connect_through_device", "change_routes", "send_raw_packets", "send_raw_ip", "set_neighbours"),
    *("change_interfaces", "connect_from_new_network", "connect_to_hypervisor", "connect_to_abstract_socket"),
    *("connect_to_sockets_of_files", "use_cryptography_of_kernel", "make_sockets_by_io_uring"),
)
#: Attempts that depend on kernel settings: the setting, and the values that block them.
SETTINGS = {
    "load_bpf": ("kernel/unprivileged_bpf_disabled", ("1", "2")),
    "watch_processors": ("kernel/perf_event_paranoid", ("1", "2", "3", "4")),
}
#: Limited by control groups, which an ordinary user cannot create.
LIMITED = ("many_processes", "much_memory", "much_memory_in_files")
#: Worker resources.
OWN = ("own_control_group", "write_own_limits_of_namespaces", "stay")


def test_every_attempt_is_expected_to_end_in_one_way() -> None:
    assert sorted([*STOPPED, *SETTINGS, *LIMITED, *OWN]) == sorted(intruder.ATTEMPTS)


@pytest.mark.parametrize("name", STOPPED)
def test_it_fails_to(seen: dict[str, Result], name: str) -> None:
    assert seen[name].achieved is None
    assert seen[name].stopped


@pytest.mark.parametrize("name", SETTINGS)
def test_it_fails_where_the_kernel_is_set_so(seen: dict[str, Result], name: str) -> None:
    setting, stopping = SETTINGS[name]
    path = Path("/proc/sys", setting)
    if not path.exists() or path.read_text().strip() not in stopping:
        pytest.skip(f"{setting} of this kernel allows it to all users")
    assert seen[name].achieved is None


def test_the_builder_itself_can(intruding: Intruder) -> None:
    """The targets of the attempts exist."""
    assert SECRET in Path(intruding.facts["file"]).read_text()
    assert SECRET in (intruding.other.work / "result").read_text()
    assert Path(f"/proc/{intruding.facts['pid']}").exists()


def test_it_changed_nothing(intruding: Intruder, seen: dict[str, Result]) -> None:
    assert (intruding.workspace.directory / "Dockerfile").read_text() == "FROM scratch\n"
    assert os.listdir(intruding.workspace.directory / "hooks") == ["after-run.json"]
    assert (intruding.stores[0].path / "layer").read_text() == "of a base image\n"
    assert os.listdir(intruding.stores[0].path) == ["layer"]
    assert is_running(intruding.facts["pid"])


def test_its_limits_of_namespaces_are_its_own(seen: dict[str, Result]) -> None:
    assert Path("/proc/sys/user/max_user_namespaces").read_text().strip() != "7"


def test_it_reads_base_images(intruding: Intruder) -> None:
    """Control: the store exists, with its owner shown as root."""
    command = intruding.command(["own_control_group"])
    there = [*command[: program_index(command)], "stat", "-c", "%u %n", intruding.stores[0].path / "layer"]
    assert run(there, timeout=60).text.startswith("0 ")


@pytest.mark.root
def test_it_is_in_a_control_group(intruding: Intruder, seen: dict[str, Result]) -> None:
    assert cgroups.name(intruding.workspace.directory) in (seen["own_control_group"].achieved or "")


@pytest.mark.root
def test_it_starts_no_more_processes_than_allowed(seen: dict[str, Result]) -> None:
    assert seen["many_processes"].stopped == "EAGAIN"
    assert seen["many_processes"].reported < LIMITS.processes


@pytest.mark.root
@pytest.mark.parametrize("name", ["much_memory", "much_memory_in_files"])
def test_it_has_no_more_memory_than_allowed(intruding: Intruder, name: str) -> None:
    """That process, another or all of the worker are killed: never one of the builder."""
    try:
        result = intruding.attempt(name)[name]
    except ProgramError as error:
        assert "137" in error.reason  # SIGKILL
    else:
        assert result.stopped == "ENOMEM"
    assert is_running(intruding.facts["pid"])


#: Takes all available inotify(7) instances, and keeps them until its standard input ends.
_TAKE_ALL = """
import ctypes, sys
libc = ctypes.CDLL(None)
number = 0
while libc.inotify_init1(0) >= 0:
    number += 1
print(number, flush=True)
sys.stdin.read()
"""


@pytest.mark.root
def test_it_uses_up_what_is_its_own_alone(intruding: Intruder) -> None:
    """Per-user kernel resources are not counted for the builder's root, nor for other builds."""
    command = [str(each) for each in intruding.command([])]
    libc = ctypes.CDLL(None, use_errno=True)
    with subprocess.Popen(
        [*command[: program_index(command)], PYTHON, "-c", _TAKE_ALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        own = libc.inotify_init1(0)
        assert own >= 0, os.strerror(ctypes.get_errno())
        os.close(own)
        process.communicate(timeout=60)


@pytest.fixture
def lasting(intruding: Intruder) -> Iterator[Path]:
    """A file to which a persistent process writes."""
    path = intruding.workspace.work / "alive"
    yield path
    path.unlink(missing_ok=True)


def test_no_process_is_left_when_its_program_has_ended(intruding: Intruder, lasting: Path) -> None:
    assert intruding.attempt("stay")["stay"].achieved == "left"
    assert lasting.exists()
    written = lasting.stat().st_size
    assert _those_of(intruding) == []
    assert lasting.stat().st_size == written


def test_no_process_is_left_when_it_is_stopped(intruding: Intruder, lasting: Path) -> None:
    command = [str(each) for each in intruding.command(["stay"])]
    end = program_index(command)
    script = f"{' '.join(command[end : end + 4])} '{command[end + 4]}' stay; sleep 1000"
    with subprocess.Popen([*command[:end], "sh", "-c", script], stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: lasting.exists() or process.poll() is not None, lambda: "not started")
            assert process.poll() is None
        finally:
            process.terminate()
        process.wait(timeout=30)
    deadline_passes = 300
    while _those_of(intruding) and deadline_passes:
        deadline_passes -= 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            os.sched_yield()
    assert _those_of(intruding) == []


def _those_of(intruding: Intruder) -> list[int]:
    """Processes that write to the worker's directory."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if str(intruding.workspace.work) in Path("/proc", entry, "mountinfo").read_text():
                found.append(int(entry))
    return [pid for pid in found if is_running(pid)]


def test_it_has_no_terminal(intruding: Intruder) -> None:
    said = in_terminal(intruding.command(["open_terminal"]))
    assert '"stopped"' in said


def test_it_has_no_keys_of_its_caller(intruding: Intruder, seen: dict[str, Result]) -> None:
    if not add_key():
        pytest.skip("this machine has no keyrings, or does not allow them here")
    found = intruding.attempt("read_keys", "list_keys")
    assert [each.achieved for each in found.values()] == [None, None]


def test_its_first_process_is_one_that_waits(intruding: Intruder) -> None:
    """The kernel ends a namespace's first process after all others (pid_namespaces(7))."""
    command = intruding.command([])
    first = [*command[: program_index(command)], "cat", "/proc/1/cmdline"]
    assert run(first, timeout=60).text.startswith(f"{interpreter()}\0")
