# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing of output files: regular files, links, FIFOs, devices, and descriptors of the process."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fedpkg_container import files
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.files import check_writable, write_atomically, write_output
from fedpkg_container.registry.promotion.journal import Journal
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

_WRITE = "import sys; from pathlib import Path; from fedpkg_container.files import check_writable, write_output; "
_BOTH = (
    _WRITE + "check_writable(Path(sys.argv[1])); print('before', flush=True); write_output(Path(sys.argv[1]), 'text')"
)


def test_regular_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    before = path.stat().st_ino
    check_writable(path)
    assert path.read_text() == "old"
    write_output(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_ino != before
    assert os.listdir(tmp_path) == ["file"]


def test_link_to_a_missing_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    check_writable(tmp_path / "link")
    write_output(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"


@pytest.mark.parametrize("linked", [False, True])
def test_fifo_is_written_and_remains(tmp_path: Path, linked: bool) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    path = tmp_path / "link" if linked else fifo
    if linked:
        path.symlink_to(fifo)
    check_writable(path)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_text()), daemon=True)
    reader.start()
    write_output(path, "text")
    reader.join(timeout=PATIENCE)
    assert received == ["text"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_fifo_without_reader_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FIFO_TIMEOUT", 0.1)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="no process reads this FIFO"):
        write_output(tmp_path / "fifo", "text")


def test_device_is_written_and_remains() -> None:
    """A pseudoterminal; as root, /dev/null would be replaced by a file."""
    controller, terminal = os.openpty()
    name = Path(os.ttyname(terminal))
    check_writable(name)
    write_output(name, "text\n")
    assert os.read(controller, 100) == b"text\r\n"
    assert stat.S_ISCHR(name.stat().st_mode)
    os.close(controller)
    os.close(terminal)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _BOTH, name]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=PATIENCE)
    assert done.stdout == b"before\ntext"
    file = tmp_path / "file"
    with file.open("w") as output:
        subprocess.run(command, stdout=output, check=True, timeout=PATIENCE)
    assert file.read_text() == "before\ntext", "the text follows what was written before"


def test_process_substitution(tmp_path: Path) -> None:
    """``>(…)`` of bash names a descriptor that is open for writing."""
    script = f'"$1" -c "$2" >(cat >{tmp_path}/copy); wait $!'
    subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, _BOTH], check=True, timeout=PATIENCE, capture_output=True
    )
    assert (tmp_path / "copy").read_text() == "text"


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    read, write = os.pipe()
    for path in (tmp_path, Path(f"/dev/fd/{read}"), tmp_path / "missing" / "file", Path("/proc/self/fd/9999")):
        with pytest.raises(OSError):
            check_writable(path)
    os.close(read)
    os.close(write)


def test_journal_must_be_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Journal(tmp_path / "journal").check()


def test_special_permissions_are_not_those_of_the_new_file(tmp_path: Path) -> None:
    """It has another owner if another user's file is replaced, e.g. by root."""
    path = tmp_path / "info.json"
    path.write_text("old")
    path.chmod(0o6755)
    write_atomically(path, "new")
    assert path.stat().st_mode & 0o7777 == 0o755


def test_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("\N{GRINNING FACE}" * 63)  # 252 of 255 bytes
    check_writable(path)
    write_output(path, "new")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", ["999999999", "9" * 20])
def test_descriptor_that_does_not_exist(number: str) -> None:
    for write in (check_writable, lambda path: write_output(path, "new")):
        with pytest.raises(OSError, match="Bad file descriptor|No such file"):
            write(Path(f"/dev/fd/{number}"))
