"""Files that are not what they say: nothing is written or read outside of the folder that they are unpacked in."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fedpkg_container.engines.archives import unpack
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import UsageError
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
