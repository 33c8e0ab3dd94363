# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg-container-registry mirror`` beside ``skopeo sync`` to a directory: a first run, and one with nothing new.

Both copy all tags and all arches of a docker-registry over TLS. skopeo gets its list of repositories in a file, so that
one process does it all. Ours waits until every blob is on the disk (fsync), skopeo does not. A first run starts with
nothing, a repeated one of ours with what the first has left. skopeo refuses to write to a directory that it has written
before ("Refusing to overwrite destination directory"): a repeated run removes the copy, which is not counted, and
fetches all of it again. The results are compared: the digests of all blobs, each of which is read and hashed.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.running import timed
from benchmarks.table import Row
from tests.support.mirrored import Mirrored, mirrored
from tests.support.promoting import accesses
from tests.support.storage import Storage

MB = 1 << 20
NOTE = "skopeo sync --all --src yaml --dest dir, which starts again each time; all tags and arches of a docker-registry"


@dataclass(frozen=True)
class Workload:
    """Images of a registry.

    :param make: puts them there
    """

    name: str
    make: Callable[[Storage], None]


def _releases(repositories: int, builds: int) -> Workload:
    """As a distribution has them: all on one base image, two arches, a tag for each build, and ``latest``."""

    def make(storage: Storage) -> None:
        bases = {arch: os.urandom(8 * MB) for arch in ("amd64", "arm64")}
        for repository in range(repositories):
            name = f"fedora/image{repository}"
            for build in range(builds):
                members = [
                    (arch, storage.image(name, layers=[base, os.urandom(2 * MB)], arch=arch))
                    for arch, base in bases.items()
                ]
                tags = [f"1.0-{build}", *(["latest"] if build == builds - 1 else [])]
                storage.images(name, *tags, members=members)

    return Workload(f"{repositories} images, {builds} builds each", make)


def _apart(images: int) -> Workload:
    """Images that share nothing, with one tag each: all that both skopeo and our command can do."""

    def make(storage: Storage) -> None:
        for number in range(images):
            storage.image(f"apart/image{number}", "1.0-1", layers=[os.urandom(32 * MB)])

    return Workload(f"{images} images of 32 MB that share nothing", make)


@dataclass(frozen=True)
class Spent:
    """What a run needed, seconds.

    :param processor: of the program itself, which what else the machine does changes less
    :param requests: to the registry
    """

    seconds: float
    processor: float
    requests: int


class Rivals:
    """Both programs, each with its own directory, on one registry."""

    def __init__(self, it: Mirrored) -> None:
        self._it = it
        self._copied = it.directory / "copied"
        self._list = it.directory / "sync.yml"
        it.site()
        with it.http() as http:
            names = [str(name) for name in http.request("GET", "/v2/_catalog?n=1000").json("")["repositories"]]
        with self._list.open("w") as file:
            options = {"tls-verify": True, "cert-dir": str(it.access.certificates)}
            YAML(typ="safe").dump({it.host: {**options, "images": {name: [] for name in names}}}, file)

    def clear(self) -> None:
        """Start with nothing."""
        shutil.rmtree(self._it.tree, ignore_errors=True)

    def theirs(self) -> Spent:
        """skopeo."""
        shutil.rmtree(self._copied, ignore_errors=True)
        self._copied.mkdir()
        os.sync()
        command = ["skopeo", "sync", "--all", "--src", "yaml", "--dest", "dir", str(self._list), str(self._copied)]
        return self._spent(command)

    def ours(self) -> Spent:
        """The mirror."""
        os.sync()
        return self._spent(self._it.command())

    def _spent(self, command: list[str]) -> Spent:
        log = self._it.directory / f"registry-{self._it.host.rpartition(':')[2]}.log"
        mark, before = len(accesses(log)), resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = timed(command, cwd=self._it.directory, env=os.environ)[0]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Spent(seconds, processor, len(accesses(log)) - mark)

    def compare(self) -> None:
        """Check that both have the same blobs.

        :raises ValueError: they have not
        """
        ours = set(_hashed(self._it.tree / "v2"))
        theirs = set(_hashed(self._copied))
        if ours != theirs or not ours:
            raise ValueError(f"not the same blobs: {len(ours)} and {len(theirs)}")


def _hashed(directory: Path) -> Iterator[str]:
    """The digests of the blobs in a directory, each of which must fit its name; manifests have other names."""
    for path in directory.rglob("*"):
        expected = path.name.rpartition(":")[2]
        if path.is_file() and len(expected) == 64:
            with path.open("rb") as file:
                hasher = hashlib.sha256()
                while chunk := file.read(MB):
                    hasher.update(chunk)
            if hasher.hexdigest() != expected:
                raise ValueError(f"{path} is something else")
            yield expected


def measure(directory: Path, *, quick: bool) -> Iterator[Row]:
    """First and repeated runs, in turn."""
    for number, workload in enumerate([_releases(3, 2), _apart(10)] if quick else [_releases(10, 3), _apart(30)]):
        place = directory / str(number)
        place.mkdir()
        with mirrored(place) as it:
            workload.make(it.storage)
            rivals = Rivals(it)
            rounds: list[tuple[Spent, ...]] = []
            for _ in range(2 if quick else 3):
                rivals.clear()
                rounds.append((rivals.theirs(), rivals.ours(), rivals.theirs(), rivals.ours()))
                rivals.compare()
        for run, column in (("first run", 0), ("repeated", 2)):
            theirs, ours = ([each[column + which] for each in rounds] for which in (0, 1))
            what = f"mirror: {workload.name}, {run}"
            yield Row(what, _median(theirs, "seconds"), _median(ours, "seconds"), "s", NOTE, against="skopeo")
            processor = (_median(theirs, "processor"), _median(ours, "processor"))
            yield Row(f"{what}, processor", *processor, "s", NOTE, against="skopeo")
            requests = (_median(theirs, "requests"), _median(ours, "requests"))
            yield Row(f"{what}, requests", *requests, "", NOTE, against="skopeo")


def _median(spent: list[Spent], what: str) -> float:
    return statistics.median(float(getattr(each, what)) for each in spent)


def main() -> None:
    """Measure this alone: ``python -m benchmarks.mirroring``; ``QUICK=1``: fewer images."""
    import tempfile

    from benchmarks.table import table

    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        print(table(measure(Path(directory), quick=bool(os.environ.get("QUICK")))))


if __name__ == "__main__":
    main()
