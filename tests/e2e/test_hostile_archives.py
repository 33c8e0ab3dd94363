# SPDX-License-Identifier: GPL-2.0-or-later
"""Archives with false metadata: nothing outside of the directory in which they are unpacked is written or read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.engines import archives
from fedpkg_container.engines.archives import unpack
from fedpkg_container.engines.sandbox import Sandbox
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import UsageError
from fedpkg_container.model.limits import ImageLimits
from fedpkg_container.process import run
from tests.support.base_images import LABELS


def _archive(path: Path, members: Mapping[str, bytes | tuple[bytes, str]]) -> Path:
    """A tar file: names → contents, or a type of member and where it leads."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                info.type, info.linkname = content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def _manifest(config: str, *layers: str) -> bytes:
    return json.dumps([{"Config": config, "RepoTags": ["x:1"], "Layers": layers}]).encode()


CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": LABELS},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()  # fmt: skip
LAYOUT = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
HOSTILE: dict[str, Mapping[str, bytes | tuple[bytes, str]]] = {
    "no archive of an image": {"hello": b"x"},
    "a layer that is a file of the machine": {
        "manifest.json": _manifest("c.json", "../../../../etc/hostname"), "c.json": CONFIG
    },
    "a link to a file of the machine": {
        "manifest.json": _manifest("c.json", "l.tar"), "c.json": CONFIG, "l.tar": (tarfile.SYMTYPE, "/etc/hostname")
    },
    "a configuration that is a link": {
        "manifest.json": _manifest("c.json"), "c.json": (tarfile.SYMTYPE, "../../../etc/passwd")
    },
    "names that lead out": {**LAYOUT, "../../../../tmp/ESCAPED": b"x", "index.json": b'{"manifests": []}'},
    "an absolute name": {**LAYOUT, "/tmp/ESCAPED": b"x", "index.json": b'{"manifests": []}'},
    "a file through a link": {
        **LAYOUT, "out": (tarfile.SYMTYPE, "/tmp"), "out/ESCAPED": b"x", "index.json": b'{"manifests": []}'
    },
    "an index that is a link": {**LAYOUT, "index.json": (tarfile.SYMTYPE, "/etc/passwd")},
    "an index that is a pipe": {**LAYOUT, "index.json": (tarfile.FIFOTYPE, "")},
    "blobs that are a link": {
        **LAYOUT, "blobs": (tarfile.SYMTYPE, "/etc"),
        "index.json": json.dumps({"manifests": [
            {"digest": "sha256:" + number * 64, "size": 1, "mediaType": "x"} for number in "12"
        ]}).encode(),
    },
    "an index of nonsense": {**LAYOUT, "index.json": b"[" * 100_000},
    "digests that are paths": {
        **LAYOUT, "index.json": json.dumps({"manifests": [{"digest": "sha256:../../etc/passwd", "size": 1}]}).encode()
    },
}  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspaces(tmp_path / "state").open("archive") as made:
        yield made


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives_are_refused_and_reach_nothing(tmp_path: Path, workspace: Workspace, kind: str) -> None:
    mark = f"escaped-{os.getpid()}"
    members = {name.replace("ESCAPED", mark): content for name, content in HOSTILE[kind].items()}
    archive = _archive(tmp_path / "evil.tar", members)
    with pytest.raises(UsageError) as raised:
        unpack(archive, workspace)
    assert "root:" not in raised.value.reason, "what is in a file of the machine is not shown"
    assert not Path("/tmp", mark).exists()
    assert {path.name for path in tmp_path.iterdir()} == {"evil.tar", "state"}


SMALL = ImageLimits(size=2 * 10**6, decompressed=3 * 10**6, members=20)
INDEX = json.dumps({"manifests": []}).encode()


def _zeros(directory: Path, megabytes: int, pack: Callable[[bytes], bytes]) -> Path:
    """An OCI archive that is small when it is packed."""
    members = {**LAYOUT, "index.json": INDEX, "blobs/sha256/x": bytes(megabytes * 10**6)}
    archive = _archive(directory / "bomb.tar", members)
    archive.write_bytes(pack(archive.read_bytes()))
    return archive


def _sparse(directory: Path, *sizes: int) -> Path:
    """An archive of 10 kB with files of which nothing is there."""
    names = ["oci-layout", "index.json"]
    for number, size in enumerate(sizes):
        names.append(f"zeros{number}")
        with (directory / names[-1]).open("wb") as file:
            file.truncate(size)
    for name, content in (*LAYOUT.items(), ("index.json", INDEX)):
        (directory / name).write_bytes(content)
    run(["tar", "--sparse", "-cf", directory / "sparse.tar", "-C", directory, *names], timeout=60)
    return directory / "sparse.tar"


def _docker(directory: Path, layer: bytes) -> Path:
    return _archive(
        directory / "docker.tar", {"manifest.json": _manifest("c.json", "l.tar"), "c.json": CONFIG, "l.tar": layer}
    )


def _layer(megabytes: int) -> bytes:
    """A layer that is packed within an archive that is not."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        info = tarfile.TarInfo("zeros")
        info.size = megabytes * 10**6
        layer.addfile(info, io.BytesIO(bytes(info.size)))
    return gzip.compress(content.getvalue())


def _directory(directory: Path, files: int) -> Path:
    (directory / "layout").mkdir()
    for number in range(files):
        (directory / "layout" / str(number)).write_bytes(b"")
    return directory / "layout"


#: What is too large, and the error.
BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an archive": (lambda to: _zeros(to, 3, bytes), "has 3 MB, and 2 MB are allowed"),
    "packed with gzip": (lambda to: _zeros(to, 50, gzip.compress), "more than 3 MB when decompressed"),
    "packed with bzip2": (lambda to: _zeros(to, 50, bz2.compress), "more than 3 MB when decompressed"),
    "packed with xz": (lambda to: _zeros(to, 50, lzma.compress), "more than 3 MB when decompressed"),
    "packed twice": (
        lambda to: _zeros(to, 50, lambda content: gzip.compress(gzip.compress(content))), "is neither a docker-archive"
    ),
    "packed with what tar alone knows": (
        lambda to: _zeros(to, 50, lambda content: lzma.compress(content, lzma.FORMAT_ALONE)), "is neither a docker-arch"
    ),
    "a sparse file": (lambda to: _sparse(to, 10**12), "more than 3 MB when decompressed"),
    "sparse files": (lambda to: _sparse(to, 2 * 10**6, 2 * 10**6), "more than 3 MB when decompressed"),
    "a layer that is packed": (lambda to: _docker(to, _layer(50)), "more than 3 MB when decompressed"),
    "many files": (
        lambda to: _archive(to / "many.tar", {**LAYOUT, "index.json": INDEX, **{str(n): b"" for n in range(20)}}),
        "more than 20 files",
    ),
    "long names": (
        lambda to: _archive(to / "long.tar", {**LAYOUT, "index.json": INDEX, "x" * 50_000: b""}),
        "more than 20 files, or long names",
    ),
    "a directory of many files": (lambda to: _directory(to, 21), "more than 20 files"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_what_is_too_large_is_refused_before_it_fills_the_disk(tmp_path: Path, workspace: Workspace, kind: str) -> None:
    make, reason = BOMBS[kind]
    source = tmp_path / "source"
    source.mkdir()
    archive = make(source)
    with pytest.raises(UsageError, match=reason):
        unpack(archive, workspace, SMALL)
    used = sum(path.lstat().st_blocks * 512 for path in workspace.work.rglob("*"))
    assert used < 8 * 10**6


def test_many_layers_that_are_small_enough_each_are_watched(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "contents").mkdir()
    reader = archives._Reader(Sandbox(workspace), tmp_path, tmp_path / "contents", SMALL)
    for number in range(108):  # a little more of each on disk
        (tmp_path / "contents" / str(number)).write_bytes(bytes(10**6))
    reader.check()
    (tmp_path / "contents" / "last").write_bytes(bytes(10**6))
    with pytest.raises(UsageError, match="more than 3 MB when decompressed"):
        reader.check()


def test_directories_deeper_in_each_other_than_python_can_call(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(1500):
        deep = deep / "a"
        deep.mkdir()
    (tmp_path / "file").write_bytes(b"123")
    try:
        assert list(archives._sizes(tmp_path)) == [3]
    finally:
        run(["rm", "-rf", "--", tmp_path / "a"], timeout=60)  # pytest could not


def test_files_deeper_than_a_path_may_be_long_are_counted(tmp_path: Path) -> None:
    """By names that a program passes to the kernel, nothing below 4,096 bytes is reached."""
    contents = tmp_path / "contents"
    contents.mkdir()
    descriptor = os.open(contents, os.O_RDONLY)
    for _ in range(50):
        os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    try:
        with open(os.open("large", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=descriptor), "wb") as file:
            file.write(bytes(110 * 10**6))
        with Workspaces(tmp_path / "state").open("archive") as made:
            reader = archives._Reader(Sandbox(made), tmp_path, contents, SMALL)
            with pytest.raises(UsageError, match="more than 3 MB when decompressed"):
                reader.check()
    finally:
        os.close(descriptor)
        run(["rm", "-rf", "--", contents], timeout=60)


@pytest.fixture
def taken_over(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[Path], None]]:
    """Programs that an archive has taken over, and what they do to the directory of their worker when they end."""
    acts: dict[str, Callable[[Path], None]] = {}
    honest = archives._Reader.confined

    def confined(self: archives._Reader, *arguments: str | Path, **options: Any) -> str:
        printed = honest(self, *arguments, **options)
        if act := acts.get(str(arguments[0])):
            act(self.directory)
        return printed

    monkeypatch.setattr(archives._Reader, "confined", confined)
    return acts


def test_a_pipe_in_the_place_of_a_decompressed_archive_is_not_waited_for(
    tmp_path: Path, workspace: Workspace, taken_over: dict[str, Callable[[Path], None]]
) -> None:
    def leave_pipe(directory: Path) -> None:
        (directory / "archive").unlink()
        os.mkfifo(directory / "archive")

    taken_over["gzip"] = leave_pipe
    archive = _archive(tmp_path / "packed.tar", {**LAYOUT, "index.json": INDEX})
    archive.write_bytes(gzip.compress(archive.read_bytes()))
    with pytest.raises(UsageError, match="cannot be decompressed"):
        unpack(archive, workspace)


def test_a_directory_that_a_worker_replaces_with_a_link_is_not_followed(
    tmp_path: Path, workspace: Workspace, taken_over: dict[str, Callable[[Path], None]]
) -> None:
    """Neither is anything made, changed or given away where it leads, nor read there."""
    outside = tmp_path / "outside"
    outside.mkdir()

    def link(directory: Path) -> None:
        directory.rename(directory.with_name("moved"))
        directory.symlink_to(outside)

    taken_over["tar"] = link
    archive = _archive(tmp_path / "oci.tar", {**LAYOUT, "index.json": INDEX})
    with pytest.raises(UsageError):
        unpack(archive, workspace)
    assert list(outside.iterdir()) == []


def test_an_index_is_not_read_through_a_link(
    tmp_path: Path, workspace: Workspace, taken_over: dict[str, Callable[[Path], None]]
) -> None:
    """The files of the builder, here with a secret, stay as they are, and unread."""
    outside = tmp_path / "outside"
    (outside / "blobs" / "sha256").mkdir(parents=True)
    index = outside / "index.json"
    index.write_text(
        json.dumps({"manifests": [{"digest": "sha256:" + "1" * 64, "size": 1, "mediaType": "SECRET"}] * 2})
    )
    before = index.read_bytes()

    def link(directory: Path) -> None:
        if (directory / "layout" / "index.json").exists():
            (directory / "layout").rename(directory / "moved")
            (directory / "layout").symlink_to(outside)

    taken_over["tar"] = link
    archive = _archive(tmp_path / "oci.tar", {**LAYOUT, "index.json": INDEX})
    with pytest.raises(UsageError, match="no readable index") as raised:
        unpack(archive, workspace)
    assert "SECRET" not in raised.value.reason
    assert index.read_bytes() == before
    assert list((outside / "blobs" / "sha256").iterdir()) == []
