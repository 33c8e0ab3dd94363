# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images made to fill a builder, and killed pulls: they leave nothing behind."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedpkg_container.engines import bases, cgroups
from fedpkg_container.engines.bases import BaseImages
from fedpkg_container.engines.workspace import Workspaces, mounts_below, processes_in
from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Access
from tests.security import images
from tests.support.registries import access, docker_registry

LIMIT = 20_000_000
FILES = 200


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Access, dict[str, ImageReference]]]:
    """A registry with a small image, one of 100 MB of zeros, and one of many empty files."""
    directory = tmp_path_factory.mktemp("registry")
    layers = {
        "small": images.layer({"file": b"text"}),
        "zeros": images.layer({"zeros": bytes(100_000_000)}),
        "files": images.layer({f"file-{number}": b"" for number in range(5 * FILES)}),
    }
    with docker_registry(directory) as host:
        reached = access(directory)
        pushed = {
            name: images.push(images.write(directory / name, [each]), ImageReference(host, name, tag="1"), reached)
            for name, each in layers.items()
        }
        yield reached, pushed


@contextmanager
def _bases(directory: Path, reached: Access) -> Iterator[BaseImages]:
    workspaces = Workspaces(directory)
    with workspaces.open("task") as own:
        yield BaseImages(workspaces, own, access=reached, max_bytes=LIMIT)


def _left(directory: Path) -> list[str]:
    """Shared directory entries other than complete images."""
    found = sorted((directory / "shared" / "images").iterdir())
    return [path.name for path in found if path.is_dir() and not (path / "image.json").exists()]


@pytest.mark.parametrize(
    ("name", "message"), [("zeros", "larger than 20 MB"), ("files", f"has more than {FILES} files")]
)
def test_an_image_that_would_fill_the_builder_is_refused(
    registry: tuple[Access, dict[str, ImageReference]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    message: str,
) -> None:
    monkeypatch.setattr(bases, "MOST_FILES", FILES)
    reached, pushed = registry
    platform = platform_of(os.uname().machine)
    groups = set(cgroups.ROOT.glob("*/fedpkg-container-incoming-*"))
    with _bases(tmp_path, reached) as made:
        with pytest.raises(BuildFailedError, match=message):
            made.pull(pushed[name], platform)
        assert [path for path in (tmp_path / "shared" / "images").iterdir() if path.is_dir()] == []
        assert made.pull(pushed["small"], platform).configuration["os"] == "linux"
    assert not set(cgroups.ROOT.glob(f"*/fedpkg-container-incoming-{os.getpid()}-*")) - groups


_KILLED = """
import os, signal, sys
from pathlib import Path
from fedpkg_container.engines import bases
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run_in_background
from tests.security.test_bases import _bases
from fedpkg_container.registry.skopeo import Access

directory, certificates, image = sys.argv[1:]

def run(command, *, env, timeout, tick):
    with run_in_background(command, log=Path(directory, "log"), env=env) as process:
        while not list(Path(directory).glob("shared/images/incoming-*/work/graph/overlay")):
            assert process.poll() is None or process.returncode == 0
        os.kill(os.getpid(), signal.SIGKILL)

bases.run = run
with _bases(Path(directory), Access(Path(certificates), None)) as made:
    made.pull(ImageReference.parse(image), platform_of(os.uname().machine))
"""


def test_a_pull_that_is_killed_leaves_nothing(
    registry: tuple[Access, dict[str, ImageReference]], tmp_path: Path
) -> None:
    reached, pushed = registry
    command = [sys.executable, "-c", _KILLED, str(tmp_path), str(reached.certificates), str(pushed["zeros"])]
    done = subprocess.run(command, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(_left(tmp_path)) == 1
    with _bases(tmp_path, reached) as made:
        assert made.pull(pushed["small"], platform_of(os.uname().machine)).graph.is_dir()
        assert _left(tmp_path) == []
        assert processes_in(tmp_path / "shared") == []
        assert mounts_below(tmp_path / "shared") == []


def test_pruning_removes_it_too(registry: tuple[Access, dict[str, ImageReference]], tmp_path: Path) -> None:
    reached, _ = registry
    with _bases(tmp_path, reached) as made:
        (tmp_path / "shared" / "images" / "incoming-1-1" / "work").mkdir(parents=True)
        made.prune(30)
        assert _left(tmp_path) == []


# The configuration's digest is the image ID, and it lists layers by their uncompressed digests. skopeo 1.9 does not
# compare them.

NAME = ImageReference("registry.example.org", "tests/base", tag="1")
OWN, OTHER = images.layer({"own": b"text"}), images.layer({"other": b"text"})


@pytest.mark.parametrize(
    ("layers", "named"),
    [([OWN], [OTHER]), ([OWN, OTHER], [OTHER, OWN]), ([OWN], []), ([OWN], [OWN, OTHER]), ([], [OTHER])],
)
def test_an_image_with_other_layers_than_it_names_is_refused(
    tmp_path: Path, layers: list[bytes], named: list[bytes]
) -> None:
    """It would be mistaken for another image, and its layers for the other's."""
    content = images.write(tmp_path / "image", layers, named=named)
    with _bases(tmp_path / "state", Access()) as made:
        with pytest.raises(RegistryError):
            made.load(NAME, content)
        assert _left(tmp_path / "state") == []
        assert [path for path in (tmp_path / "state" / "shared" / "images").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("layers", "pack"),
    [
        ([OWN, OTHER], gzip.compress),
        ([OWN, OTHER, OWN, OWN], gzip.compress),
        ([OWN, OTHER], lambda content: content),
        ([OWN, OWN], lambda content: content),
        ([], gzip.compress),
    ],
)
def test_an_image_with_the_layers_that_it_names_is_accepted(
    tmp_path: Path, layers: list[bytes], pack: Callable[[bytes], bytes]
) -> None:
    content = images.write(tmp_path / "image", layers, pack=pack)
    with _bases(tmp_path / "state", Access()) as made:
        assert made.load(NAME, content).graph.is_dir()
