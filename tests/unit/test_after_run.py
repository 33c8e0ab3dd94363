# SPDX-License-Identifier: GPL-2.0-or-later
"""What the hook after RUN repairs, and what a RUN cannot make it do."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fedpkg_container.engines import hook
from fedpkg_container.engines.ids import IdRange
from fedpkg_container.engines.inside import after_run
from fedpkg_container.engines.inside.after_run import make_reproducible
from fedpkg_container.engines.sandbox import INSIDE
from fedpkg_container.engines.workspace import Workspace
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

EPOCH = 1_700_000_000
HISTORY = "var/lib/dnf/history.sqlite"


def history(root: Path, *begins: int, extra: str = "") -> Path:
    """A history as dnf 4 leaves it: with a journal beside it, because dnf does not close it."""
    path = root / HISTORY
    path.parent.mkdir(parents=True, exist_ok=True)
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode = WAL')\n"
        "c.execute('CREATE TABLE trans (id INTEGER PRIMARY KEY, dt_begin INTEGER, dt_end INTEGER)')\n"
        f"c.executescript({extra!r})\n"
        "for each in sys.argv[2:]: c.execute('INSERT INTO trans(dt_begin, dt_end) VALUES (?, ?)', (each, each))\n"
        "c.commit(); os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, path, *map(str, begins)], check=True, timeout=PATIENCE)
    return path


def times(path: Path) -> list[tuple[int, int]]:
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT dt_begin, dt_end FROM trans ORDER BY id").fetchall()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "var" / "log").mkdir(parents=True)
    return made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "directory"
    made.mkdir()
    return made


def test_two_histories_of_other_times_become_the_same_file(root: Path, directory: Path, tmp_path: Path) -> None:
    found = []
    for later in (100, 20_000):
        path = history(root, EPOCH - 5, EPOCH + later)
        assert path.with_name("history.sqlite-wal").stat().st_size
        make_reproducible(root, EPOCH, 0, directory)
        assert sorted(each.name for each in path.parent.iterdir()) == ["history.sqlite"]
        assert times(path) == [(EPOCH - 5, EPOCH - 5), (EPOCH, EPOCH)]
        found.append(path.read_bytes())
        path.unlink()
    assert found[0] == found[1]


def test_logs_are_emptied_and_the_linkers_cache_goes(root: Path, directory: Path) -> None:
    (root / "var/log/dnf.log").write_text("now\n")
    (root / "var/log/other.log").write_text("mine\n")
    (root / "var/cache/ldconfig").mkdir(parents=True)
    (root / "var/cache/ldconfig/aux-cache").write_text("inodes\n")
    make_reproducible(root, EPOCH, time.time() - 60, directory)
    assert (root / "var/log/dnf.log").read_text() == ""
    assert (root / "var/log/other.log").read_text() == "mine\n"
    assert not (root / "var/cache/ldconfig/aux-cache").exists()


def test_what_the_base_image_had_stays(root: Path, directory: Path) -> None:
    log, path = root / "var/log/dnf.log", history(root, EPOCH + 5)
    log.write_text("of the base\n")
    for each in (log, path):
        os.utime(each, (EPOCH, EPOCH))
    before = path.read_bytes()
    make_reproducible(root, EPOCH - 1000, time.time() - 60, directory)
    assert log.read_text() == "of the base\n"
    assert path.read_bytes() == before


def test_the_index_of_an_empty_journal_has_no_random_numbers(root: Path, directory: Path) -> None:
    database = root / after_run.DATABASES[0]
    database.parent.mkdir(parents=True)
    index, journal = (database.with_name(f"rpmdb.sqlite-{each}") for each in ("shm", "wal"))
    index.write_bytes(os.urandom(32768))
    journal.write_bytes(b"")
    make_reproducible(root, EPOCH, 0, directory)
    assert index.read_bytes() == bytes(32768)
    index.write_bytes(b"in use")
    journal.write_bytes(b"not empty")
    make_reproducible(root, EPOCH, 0, directory)
    assert index.read_bytes() == b"in use"


def test_links_lead_nowhere(root: Path, directory: Path, tmp_path: Path) -> None:
    """Of the builder's own files none is emptied, removed or written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    own = history(outside, EPOCH + 5)
    (outside / "dnf.log").write_text("the builder's\n")
    (outside / "aux-cache").write_text("the builder's\n")
    before = own.read_bytes()
    (root / "var/log/dnf.log").symlink_to(outside / "dnf.log")
    (outside / "hard.log").write_text("the builder's\n")
    os.link(outside / "hard.log", root / "var/log/dnf.rpm.log")
    (root / "var/lib").symlink_to(outside / "var/lib")
    (root / "var/cache").mkdir()
    (root / "var/cache/ldconfig").symlink_to(outside)
    make_reproducible(root, EPOCH, 0, directory)
    assert (outside / "dnf.log").read_text() == "the builder's\n"
    assert (outside / "hard.log").read_text() == "the builder's\n"
    assert (outside / "aux-cache").exists()
    assert own.read_bytes() == before


def test_what_is_no_file_is_passed_over(root: Path, directory: Path) -> None:
    os.mkfifo(root / "var/log/dnf.log")
    (root / HISTORY).mkdir(parents=True)
    (root / "var/log/dnf.rpm.log").write_text("of this build\n")
    make_reproducible(root, EPOCH, 0, directory)
    assert (root / "var/log/dnf.log").is_fifo()
    assert (root / HISTORY).is_dir()
    assert (root / "var/log/dnf.rpm.log").read_text() == "", "the others are still changed"


def _hook(root: Path, directory: Path) -> str:
    """Run it as the runtime does; return its error messages."""
    bundle = directory.parent / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"root": {"path": str(root)}}))
    workspace = Workspace(directory, IdRange(os.getuid(), 1))
    workspace.work.mkdir()
    options = hook.options(workspace, EPOCH)
    described = json.loads((Path(options[1]) / "after-run.json").read_text())["hook"]
    state = json.dumps({"bundle": str(bundle)})
    command = [after_run.__file__ if each == f"{INSIDE}/after_run.py" else each for each in described["args"]]
    subprocess.run(command, input=state, text=True, check=True, timeout=described["timeout"])
    return "\n".join(hook.complaints(workspace))


def test_a_history_that_is_none_is_said_and_stays(root: Path, directory: Path) -> None:
    (root / HISTORY).parent.mkdir(parents=True)
    (root / HISTORY).write_text("no database\n" * 1000)
    assert "not a database" in _hook(root, directory)
    assert (root / HISTORY).read_text().startswith("no database")


def test_a_history_that_never_ends_is_ended(root: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = (
        "CREATE TRIGGER t AFTER UPDATE ON trans BEGIN INSERT INTO trans(dt_begin) SELECT x FROM"
        " (WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r); END;"
    )
    path = history(root, EPOCH + 5, extra=endless)
    monkeypatch.setattr(after_run, "SECONDS", 1.0)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        make_reproducible(root, EPOCH, 0, directory)
    assert path.exists()
