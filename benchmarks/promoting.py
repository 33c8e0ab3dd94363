# SPDX-License-Identifier: GPL-2.0-or-later
"""``promote`` beside ``skopeo copy --all`` for each tag: the same images with the same tags, in one registry or two.

Measured are time, processor time of the programs, and requests to both registries, for one image and for many, with one
tag and with three, and for a repeated run that has nothing to do.

Both bring the same candidates to separate repositories. Images and repositories are new in each run, so that no
cache of either knows them. Ours is the whole command: it queries the hub, looks at labels and tags, brings SBOMs along,
reads digests back and keeps its record; skopeo copies each image once for each tag, one after the other, as scripts
around it do.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
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
NOTE = "candidate and stable repositories in one registry; 3 architectures; skopeo copy --all once for each tag"
APART = "candidate and stable repositories in two registries of this machine; ours copies SBOMs and signatures too"


@dataclass(frozen=True)
class Workload:
    """What is promoted.

    :param images: how many
    :param tags: of each image: only that of version and release, or also the floating ones
    :param layers: of each arch; the first one is the same in all images
    :param size: of a layer, bytes
    """

    images: int
    tags: int
    layers: int = 3
    size: int = 2_000_000

    @property
    def floating(self) -> tuple[str, ...]:
        """The setting ``floating``."""
        return ("version", "latest")[: self.tags - 1] or ("none",)

    @property
    def title(self) -> str:
        """Name in the table."""
        return f"promote {self.images} {'image' if self.images == 1 else 'images'}, {self.tags}" + (
            " tag" if self.tags == 1 else " tags each"
        )


WORKLOADS = (Workload(1, 1), Workload(1, 3), Workload(30, 1), Workload(30, 3))


@dataclass(frozen=True)
class Spent:
    """What a run needed.

    :param processor: of the programs, seconds
    :param requests: to both registries, ``sent`` of which stored a blob
    """

    seconds: float
    processor: float
    requests: int
    sent: int


@dataclass
class Bench:
    """Two programs, from one registry to another, or within one.

    :param hub: where the builds are recorded
    :param spent: by each run of a program: skopeo, ours, and ours again
    """

    directory: Path
    candidate: str
    stable: str
    workload: Workload
    hub: Recorder
    environment: Mapping[str, str]
    spent: dict[str, list[Spent]] = field(default_factory=lambda: {"skopeo": [], "ours": [], "again": []})

    def run(self, number: int) -> None:
        """Make candidates and bring them over, by both programs in turn."""
        port = self.stable.rpartition(":")[2]
        candidates = self._candidates(f"{number}.{self.workload.images}.{self.workload.tags}.{port}")
        for who in ("skopeo", "ours") if number % 2 else ("ours", "skopeo"):
            with self._measured(who):
                self._skopeo(candidates, number) if who == "skopeo" else self._promote(number)
        with self._measured("again"):
            self._promote(number)
        self._check(candidates, number)

    def median(self, who: str, what: str) -> float:
        """A median, without the first run.

        :param what: seconds, processor, requests or sent
        """
        return statistics.median(float(getattr(each, what)) for each in self.spent[who][1:])

    @contextlib.contextmanager
    def _measured(self, who: str) -> Iterator[None]:
        marks = {log: len(accesses(log)) for log in self._logs}
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        yield
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        requests = [each for log, mark in marks.items() for each in accesses(log)[mark:]]
        sent = sum(_is_upload(method, path) for method, path, _ in requests)
        self.spent[who].append(Spent(seconds, processor, len(requests), sent))

    @property
    def _logs(self) -> set[Path]:
        return {self.directory / f"registry-{host.rpartition(':')[2]}.log" for host in (self.candidate, self.stable)}

    def _name(self, number: int) -> str:
        """Name of a run, unique in a registry."""
        return f"{self.workload.images}-{self.workload.tags}/{number}"

    def _candidates(self, release: str) -> list[Candidate]:
        base, layers, size = [os.urandom(self.workload.size)], self.workload.layers - 1, self.workload.size
        made = []
        with Registry(access(self.directory)).http(self.candidate) as http:
            for name in (f"image{number}" for number in range(self.workload.images)):
                repository, nvr = Repository(http, name), NVR(name, "1.0", release)
                made.append(push_build(repository, nvr, arches=ARCHES, layers=layers, size=size, shared=base))
        for each in made:
            self.hub.record(each)
        return made

    def _promote(self, number: int) -> None:
        site = make_site(
            self.directory, self.candidate, self.stable, access=access(self.directory),
            prefix=f"ours/{self._name(number)}", floating=self.workload.floating,
        )  # fmt: skip
        path = site_file(
            replace(site, journal=self.directory / f"{self.stable}-{self._name(number).replace('/', '-')}.jsonl")
        )
        command = [PROGRAM, "--config", str(path), "promote", "--koji-tag", KOJI_TAG, "--json"]
        run(command, env=self.environment, timeout=TIMEOUT)

    def _skopeo(self, candidates: Sequence[Candidate], number: int) -> None:
        certs = str(self.directory / "certs")
        options = ["--quiet", "--all", "--preserve-digests", "--src-cert-dir", certs, "--dest-cert-dir", certs]
        for each in candidates:
            for tag in _tags(each, self.workload):
                place = f"docker://{self.stable}/theirs/{self._name(number)}/{each.image.repository}:{tag}"
                run(
                    ["skopeo", "copy", *options, f"docker://{each.image}", place], env=self.environment, timeout=TIMEOUT
                )

    def _check(self, candidates: Sequence[Candidate], number: int) -> None:
        """See that both have made the same."""
        with Registry(access(self.directory)).http(self.stable) as http:
            for each, who in itertools.product(candidates, ("ours", "theirs")):
                repository = Repository(http, f"{who}/{self._name(number)}/{each.image.repository}")
                found = {tag: repository.head(tag) for tag in _tags(each, self.workload)}
                assert set(found.values()) == {each.image.digest}, (who, each, found)


def _tags(candidate: Candidate, workload: Workload) -> tuple[str, ...]:
    nvr = candidate.nvr
    return (f"{nvr.version}-{nvr.release}", nvr.version, "latest")[: workload.tags]


def _is_upload(method: str, path: str) -> bool:
    return method == "PUT" and "/blobs/" in path


def measure(directory: Path, runs: int, workloads: Sequence[Workload] = WORKLOADS) -> Iterator[Row]:
    """Promote within one registry, and from one to another; in turn with skopeo.

    :param workloads: with increasing numbers of images, because all images of earlier ones stay in the Koji tag
    """
    with running_hub(directory / "hub") as hub, docker_registry(directory) as one, docker_registry(directory) as other:
        recorder, home = Recorder(hub), environment(hub, directory / "home")
        places = (("one registry", one, NOTE), ("two registries", other, APART))
        for workload, (what, stable, note) in itertools.product(workloads, places):
            bench = Bench(directory, one, stable, workload, recorder, home)
            for number in range(runs + 1):
                bench.run(number)
            yield from _rows(bench, f"{workload.title}, {what}", note)


def _rows(bench: Bench, title: str, note: str) -> Iterator[Row]:
    kinds = (("", "seconds", "s"), (", processor", "processor", "s"), (", requests", "requests", ""),
             (", blobs sent", "sent", ""))  # fmt: skip
    for name, what, unit in kinds:
        theirs, ours = bench.median("skopeo", what), bench.median("ours", what)
        yield Row(f"{title}{name}", theirs, ours, unit, note, against="skopeo")
    for name, what, unit in kinds[:3]:
        yield Row(f"{title}, nothing to do{name}", None, bench.median("again", what), unit, note)


def main() -> None:
    """Measure this alone: ``python -m benchmarks.promoting [RUNS]``."""
    import tempfile

    from benchmarks.table import table

    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        print(table(measure(Path(directory), int(sys.argv[1]) if sys.argv[1:] else 3)))


if __name__ == "__main__":
    main()
