# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry, its mirror tree, and invariants of any such tree."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.clock import ClockReading
from fedpkg_container.registry.mirror.options import Options, Summary
from fedpkg_container.registry.mirror.run import mirror
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import JournalEntry
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support import preloaded
from tests.support.registries import access, docker_registry
from tests.support.storage import Storage
from tests.support.waiting import PATIENCE

PROGRAM = str(Path(sys.executable).parent / "fedpkg-container-registry")


@dataclass
class Mirrored:
    """A registry, and the tree below ``directory / "tree"``."""

    directory: Path
    host: str
    access: Access

    @property
    def storage(self) -> Storage:
        """The registry's storage."""
        return Storage.of(self.directory, self.host)

    @property
    def tree(self) -> Path:
        """The tree."""
        return self.directory / "tree"

    def run(self, **options: Any) -> Summary:
        """Run once in this process."""
        return mirror(self.host, self.access, replace(Options(self.tree), **options))

    def http(self) -> RegistryHTTP:
        """The registry."""
        return Registry(self.access).http(self.host)

    def blob(self, repository: str, digest: str) -> Path:
        """A blob's path in the tree."""
        return self.tree / "v2" / repository / "blobs" / digest

    def blobs(self) -> set[str]:
        """Check that all files are complete blobs; return ``repository/digest`` of each."""
        found = set()
        for path in sorted((self.tree / "v2").rglob("*")):
            if path.is_dir():
                assert any(path.iterdir()), f"{path} is empty"
                continue
            assert path.parent.name == "blobs" and path.is_file() and not path.is_symlink(), path
            algorithm, _, expected = path.name.partition(":")
            assert hashlib.new(algorithm, path.read_bytes()).hexdigest() == expected, path
            found.add(f"{path.parent.parent.relative_to(self.tree / 'v2')}/{path.name}")
        return found

    def site(self, text: str = "") -> Path:
        """Write a site file."""
        auth = f"auth_file = {self.access.auth_file}\n" if self.access.auth_file else ""
        path = self.directory / "registry.conf"
        path.write_text(
            f"[candidate]\nregistry = {self.host}\n"
            f"[target stable]\nregistry = {self.host}\nkoji_tags = *\nretry_timeout = 0\n"
            f"certificates = {self.access.certificates}\n{auth}[mirror]\ndirectory = {self.tree}\n{text}"
        )
        return path

    def command(self, *arguments: str) -> list[str]:
        """The program with arguments for ``mirror``."""
        return [PROGRAM, "--config", str(self.directory / "registry.conf"), "mirror", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the program in the background."""
        return subprocess.Popen(
            self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=self._environment,
        )  # fmt: skip

    def call(self, *arguments: str, status: int = 0) -> str:
        """Run the program; return its output."""
        return "".join(self._call(*arguments, status=status))

    def report(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Run the program; return its report."""
        report: dict[str, Any] = json.loads(self._call("--json", *arguments, status=status)[0])
        return report

    def _call(self, *arguments: str, status: int) -> tuple[str, str]:
        done = preloaded.run(self.command(*arguments), cwd=Path.cwd(), env=self._environment, timeout=PATIENCE)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout, done.stderr

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.directory)}


@contextlib.contextmanager
def mirrored(directory: Path, *, password: str = "", redirect: str = "") -> Iterator[Mirrored]:
    """An empty registry, without a tree."""
    with docker_registry(directory, password=bool(password), redirect=redirect) as host:
        yield Mirrored(directory, host, access(directory, host, password=password))


def begun(record: Path, repository: str) -> JournalEntry:
    """Record the start of a promotion; return the line.

    :param repository: with its registry
    """
    entry = JournalEntry.start(
        "promote", target="stable", repository=repository, nvr="hello-1-1", digest="sha256:" + 64 * "0"
    )
    Journal(record).append(entry)
    return entry


def promoted(record: Path, repository: str) -> None:
    """Record a completed promotion."""
    Journal(record).append(begun(record, repository).done())


@dataclass
class Clock:
    """Clocks set by a test."""

    wall: float = 1_800_000_000.0
    boot: str = "first"
    running: float = 1000.0

    def __call__(self) -> ClockReading:
        return ClockReading(self.wall, self.boot, self.running)

    def passes(self, seconds: float) -> None:
        """Advance the time."""
        self.wall += seconds
        self.running += seconds
