# SPDX-License-Identifier: GPL-2.0-or-later
"""A large promotion journal, and the list of a registry with many repositories: ``python -m benchmarks.journaling``.

Each step is a separate process: its processor time and peak memory, less those of a process that only imports the
same modules, beside those of parsing the whole journal, which is what every command did before there was an index.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fedpkg_container.registry.mirror.selection import journal_changes
from fedpkg_container.registry.promotion import journal_files
from fedpkg_container.registry.promotion.history import RepositoryHistory
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, JournalEntry, TagMove

PROMOTIONS, REPOSITORIES, TAGS = 50_000, 310, 3
BASELINE = "imports only"


def repository(number: int) -> str:
    """Return the name of a repository, with its registry."""
    return f"registry.example.org/fedora/image-{number % REPOSITORIES:03}"


def entries(number: int) -> list[JournalEntry]:
    """Return both entries of a promotion."""
    digest, before = f"sha256:{number:064x}", f"sha256:{max(number - REPOSITORIES, 0):064x}"
    tags = {tag: TagMove(before, digest) for tag in ("1.0", "latest")}
    begun = JournalEntry.start(
        PROMOTE, target="stable", repository=repository(number), nvr=f"image-{number % REPOSITORIES:03}-1.0-{number}",
        digest=digest, source=f"candidate.example.org/image@{digest}", tags=tags,
    )  # fmt: skip
    return [begun, begun.done()]


def write(path: Path, promotions: int) -> None:
    """Write a journal with its earlier files; not synced line by line, as the commands do."""
    files = journal_files.JournalFiles(path)
    file = path.open("wb")
    for number in range(promotions):
        file.write(b"".join(entry.line() for entry in entries(number)))
        if file.tell() >= journal_files.ROTATE_SIZE:
            file.close()
            files.rotate()
            file = path.open("wb")
    file.close()


def _parse_everything(path: Path) -> None:
    histories: dict[str, RepositoryHistory] = {}
    for entry in Journal(path).entries():
        histories.setdefault(entry.repository, RepositoryHistory()).add(entry)
    assert len(histories) == REPOSITORIES


def _history(path: Path) -> None:
    assert Journal(path).history(repository(7)).builds


def _append(path: Path) -> None:
    for entry in entries(7):
        Journal(path).append(entry)
    assert Journal(path).history(repository(7)).builds


def _all_histories(path: Path) -> None:
    journal = Journal(path)
    assert all(journal.history(name).builds for name in journal.repositories())


def _mirror(path: Path) -> None:
    position = path.with_suffix(".position")
    before = position.read_text() if position.exists() else ""
    position.write_text(journal_changes(path, before).position)


STEPS: dict[str, Callable[[Path], None]] = {
    BASELINE: lambda _: None,
    "the whole journal, parsed at once": _parse_everything,
    "one repository, without index": _history,
    "one repository": _history,
    "one promotion recorded, and read": _append,
    "all repositories, one by one": _all_histories,
    "mirror, first run": _mirror,
    "mirror, nothing new": _mirror,
}


def measure(step: str, path: Path) -> tuple[float, float]:
    """Run a step in a separate process; return seconds of processor time, and peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.journaling", step, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout)
    return float(seconds), float(peak)


def measure_list(directory: Path) -> tuple[float, int, float]:
    """Return wall clock seconds, requests, and processor seconds of listing a registry, client and server together."""
    from fedpkg_container.box.pki import Authority
    from fedpkg_container.model.nvr import NVR
    from fedpkg_container.registry.promotion.listing import list_images
    from fedpkg_container.registry.repository import Repository
    from fedpkg_container.registry.skopeo import Registry
    from tests.support.profiled_registry import profiled_registry
    from tests.support.promoting import make_site, push_build
    from tests.support.registries import access
    from tests.support.registry_profiles import DOCKER_REGISTRY_2

    certificate = Authority(directory / "pki").issue("registry", server=True)
    with profiled_registry(certificate, replace(DOCKER_REGISTRY_2)) as server:
        reached = access(directory)
        with Registry(reached).http(server.address) as http:
            for number in range(REPOSITORIES):
                build = push_build(
                    Repository(http, f"stable/image-{number:03}"), NVR("image", "1.0", "1"), artifacts=False
                )
                held = server[f"stable/image-{number:03}"].manifests
                held.update(dict.fromkeys(("1.0-1", "1.0", "latest"), held[build.image.digest]))
        site = make_site(directory, server.address, server.address, access=reached)
        began, used = time.monotonic(), time.process_time()
        listing = list_images(site, site.target("stable"), [])
        assert len(listing.images) == REPOSITORIES and not listing.errors
        return time.monotonic() - began, len(server.seen), time.process_time() - used


def main() -> None:
    """Measure and print, or run one step."""
    if len(sys.argv) == 3:
        began = time.process_time()
        STEPS[sys.argv[1]](Path(sys.argv[2]))
        print(json.dumps([time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    promotions = int(sys.argv[1]) if len(sys.argv) > 1 else PROMOTIONS
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        path = Path(directory) / "promotions.jsonl"
        write(path, promotions)
        size = sum(file.stat().st_size for file in path.parent.iterdir()) / 1e6
        print(f"{promotions} promotions of {REPOSITORIES} repositories, {size:.0f} MB")
        print(f"{'':36} {'processor':>10} {'ratio':>7} {'memory':>9} {'ratio':>7}")
        _, base = measure(BASELINE, path)
        whole: tuple[float, float] | None = None
        for step in list(STEPS)[1:]:
            seconds, peak = measure(step, path)
            peak = max(peak - base, 0.1)
            whole = whole or (seconds, peak)
            ratios = whole[0] / max(seconds, 1e-6), whole[1] / peak
            print(f"{step:36} {seconds:8.3f} s {ratios[0]:7.1f} {peak:6.1f} MB {ratios[1]:7.1f}")
        seconds, requests, used = measure_list(Path(directory))
        print(
            f"list of {REPOSITORIES} repositories: {seconds:.1f} s, {requests} requests, {used:.1f} s of processor time"
        )


if __name__ == "__main__":
    main()
