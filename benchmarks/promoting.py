# SPDX-License-Identifier: GPL-2.0-or-later
"""``promote`` beside ``skopeo copy --all`` for each tag: the same images with the same tags, in one registry or two.

Both bring the same candidates to repositories of their own. Images and repositories are new in each run, so that no
cache of either knows them. Ours is the whole command: it asks the hub, looks at labels and tags, brings SBOMs along,
reads digests back and keeps its record; skopeo copies each image once for each tag, one after the other, as scripts
around it do.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.table import Row
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.nvr import NVR
from fedpkg_container.process import run
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.box_hub import running_hub
from tests.support.promoting import KOJI_TAG, accesses, make_site, push_build, site_file
from tests.support.recorded_builds import Recorder, environment
from tests.support.registries import access, docker_registry

TIMEOUT = 600.0
PROGRAM = str(Path(sys.executable).parent / "fedpkg-container-registry")
ARCHES = ("amd64", "arm64", "s390x")
NOTE = "candidate and stable repositories in one registry; 3 arches, 3 tags each; skopeo copy --all once for each tag"
APART = "candidate and stable repositories in two registries of this machine; ours sends SBOMs and signatures too"


@dataclass(frozen=True)
class Workload:
    """What is promoted.

    :param images: how many
    :param layers: of each arch; the first one is the same in all images
    :param size: of a layer, bytes
    """

    images: int = 10
    layers: int = 3
    size: int = 2_000_000


@dataclass
class Bench:
    """Two programs, from one registry to another, or within one.

    :param hub: where the builds are recorded
    :param times: seconds of each run, by program
    :param sent: blobs that were uploaded in the last run, by program
    """

    folder: Path
    candidate: str
    stable: str
    workload: Workload
    hub: Recorder
    environment: Mapping[str, str]
    times: dict[str, list[float]] = field(default_factory=lambda: {"skopeo": [], "ours": [], "again": []})
    sent: dict[str, int] = field(default_factory=dict)

    def run(self, number: int) -> None:
        """Make candidates and bring them over, by both programs in turn."""
        candidates = self._candidates(f"{number}.{self.stable.rpartition(':')[2]}")
        for who in ("skopeo", "ours") if number % 2 else ("ours", "skopeo"):
            mark, began = len(accesses(self._log)), time.monotonic()
            self._skopeo(candidates, number) if who == "skopeo" else self._promote(number)
            self.times[who].append(time.monotonic() - began)
            self.sent[who] = len([1 for method, path, _ in accesses(self._log)[mark:] if _is_upload(method, path)])
        began = time.monotonic()
        self._promote(number)
        self.times["again"].append(time.monotonic() - began)
        self._check(candidates, number)

    def median(self, who: str) -> float:
        """Seconds, without the first run."""
        return statistics.median(self.times[who][1:])

    def _candidates(self, release: str) -> list[Candidate]:
        base, layers, size = [os.urandom(self.workload.size)], self.workload.layers - 1, self.workload.size
        made = []
        with Registry(access(self.folder)).http(self.candidate) as http:
            for name in (f"image{number}" for number in range(self.workload.images)):
                repository, nvr = Repository(http, name), NVR(name, "1.0", release)
                made.append(push_build(repository, nvr, arches=ARCHES, layers=layers, size=size, shared=base))
        for each in made:
            self.hub.record(each)
        return made

    def _promote(self, number: int) -> None:
        site = make_site(self.folder, self.candidate, self.stable, access=access(self.folder), prefix=f"ours/{number}")
        path = site_file(replace(site, journal=self.folder / f"{self.stable}-{number}.jsonl"))
        command = [PROGRAM, "--config", str(path), "promote", "--koji-tag", KOJI_TAG, "--json"]
        run(command, env=self.environment, timeout=TIMEOUT)

    def _skopeo(self, candidates: Sequence[Candidate], number: int) -> None:
        certs = str(self.folder / "certs")
        options = ["--quiet", "--all", "--preserve-digests", "--src-cert-dir", certs, "--dest-cert-dir", certs]
        for each in candidates:
            for tag in _tags(each):
                place = f"docker://{self.stable}/theirs/{number}/{each.image.repository}:{tag}"
                run(
                    ["skopeo", "copy", *options, f"docker://{each.image}", place], env=self.environment, timeout=TIMEOUT
                )

    def _check(self, candidates: Sequence[Candidate], number: int) -> None:
        """See that both have made the same."""
        with Registry(access(self.folder)).http(self.stable) as http:
            for each, who in itertools.product(candidates, ("ours", "theirs")):
                repository = Repository(http, f"{who}/{number}/{each.image.repository}")
                found = {tag: repository.head(tag) for tag in _tags(each)}
                assert set(found.values()) == {each.image.digest}, (who, each, found)

    @property
    def _log(self) -> Path:
        return self.folder / f"registry-{self.stable.rpartition(':')[2]}.log"


def _tags(candidate: Candidate) -> tuple[str, ...]:
    return f"{candidate.nvr.version}-{candidate.nvr.release}", candidate.nvr.version, "latest"


def _is_upload(method: str, path: str) -> bool:
    return method == "PUT" and "/blobs/" in path


def measure(folder: Path, runs: int, workload: Workload = Workload()) -> Iterator[Row]:
    """Promote within one registry, and from one to another; in turn with skopeo."""
    with running_hub(folder / "hub") as hub, docker_registry(folder) as one, docker_registry(folder) as other:
        recorder, home = Recorder(hub), environment(hub, folder / "home")
        for what, stable, note in (("one registry", one, NOTE), ("two registries", other, APART)):
            bench = Bench(folder, one, stable, workload, recorder, home)
            for number in range(runs + 1):
                bench.run(number)
            title = f"promote {workload.images} images, {what}"
            yield Row(title, bench.median("skopeo"), bench.median("ours"), "s", note, against="skopeo")
            yield Row("... blobs sent", bench.sent["skopeo"], bench.sent["ours"], "", note, against="skopeo")
            yield Row("... again, nothing to do", None, bench.median("again"), "s", note)


def main() -> None:
    """Measure this alone: ``python -m benchmarks.promoting``."""
    import tempfile

    from benchmarks.table import table

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        print(table(measure(Path(folder), 3)))


if __name__ == "__main__":
    main()
