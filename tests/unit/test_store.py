# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers read from a store are their original archives; any difference is an error."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.engines.inside import export, store
from fedpkg_container.engines.sandbox import program
from tests.support.waiting import PATIENCE

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def _archive(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return content.getvalue()


class Store:
    """A store with images in docker's format."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.layers: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        for name in ("overlay-layers", "overlay-images", "overlay"):
            (directory / name).mkdir()

    def layer(self, archive: bytes) -> str:
        """Add a layer as containers/storage does; its diff ID."""
        name, diff_id = f"layer{len(self.layers)}", f"sha256:{hashlib.sha256(archive).hexdigest()}"
        lines, end = [], 0
        with tarfile.open(fileobj=io.BytesIO(archive)) as read:
            for entry in read:
                path = self.directory / "overlay" / name / "diff" / entry.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive[entry.offset_data : entry.offset_data + entry.size])
                lines.append({"type": 2, "payload": base64.b64encode(archive[end : entry.offset_data]).decode()})
                lines.append({"type": 1, "name": entry.name, "size": entry.size, "payload": "crc"})
                end = entry.offset_data + entry.size
        lines.append({"type": 2, "payload": base64.b64encode(archive[end:]).decode()})
        self.split(name).write_bytes(gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode()))
        self.layers.append({"id": name, "diff-digest": diff_id, "diff-size": len(archive)})
        (self.directory / "overlay-layers" / "layers.json").write_text(json.dumps(self.layers))
        return diff_id

    def split(self, name: str = "layer0") -> Path:
        return self.directory / "overlay-layers" / f"{name}.tar-split.gz"

    def image(self, *diff_ids: str, media_type: str = MANIFEST_TYPE) -> str:
        """Add an image; its ID."""
        config = json.dumps({"rootfs": {"diff_ids": diff_ids}}).encode()
        image = hashlib.sha256(config).hexdigest()
        directory = self.directory / "overlay-images" / image
        directory.mkdir()
        (directory / "manifest").write_text(json.dumps({"mediaType": media_type}))
        self.configuration(image).write_bytes(config)
        self.images.append({"id": image, "layer": "unused"})
        (self.directory / "overlay-images" / "images.json").write_text(json.dumps(self.images))
        return image

    def configuration(self, image: str) -> Path:
        name = base64.b64encode(f"sha256:{image}".encode()).decode()
        return self.directory / "overlay-images" / image / f"={name}"


@pytest.fixture
def made(tmp_path: Path) -> Store:
    directory = tmp_path / "store"
    directory.mkdir()
    return Store(directory)


def _read(made: Store, diff_id: str) -> bytes:
    stream = store.layers([str(made.directory)])[diff_id].open()
    content = io.BufferedReader(stream, 4096).read()
    stream.check()
    return content


@given(st.dictionaries(st.text("abc/é", min_size=1, max_size=200).map("d{}".format), st.binary(max_size=5000)))
def test_layers_are_the_archives_that_they_were(files: dict[str, bytes]) -> None:
    files = {name.replace("/", "-"): text for name, text in files.items()}
    archive = _archive(files)
    with tempfile.TemporaryDirectory() as directory:
        made = Store(Path(directory))
        assert _read(made, made.layer(archive)) == archive


def test_a_name_that_is_not_unicode(made: Store) -> None:
    archive = _archive({"name": b"text"})
    diff_id = made.layer(archive)
    path = made.directory / "overlay/layer0/diff"
    (path / "name").rename(Path(str(path), "n\udcff"))
    raw = base64.b64encode(b"n\xff").decode()
    lines = gzip.decompress(made.split().read_bytes()).replace(b'"name": "name"', f'"name_raw": "{raw}"'.encode())
    made.split().write_bytes(gzip.compress(lines))
    assert _read(made, diff_id) == archive


@pytest.mark.parametrize("kind", ["changed", "shorter", "missing", "link", "no list", "half a list", "no JSON"])
def test_a_layer_that_changed_is_an_error(made: Store, kind: str) -> None:
    diff_id = made.layer(_archive({"name": b"text", "other": b"more"}))
    path = made.directory / "overlay/layer0/diff/name"
    split = made.split().read_bytes()
    if kind == "changed":
        path.write_bytes(b"TEXT")
    elif kind == "shorter":
        path.write_bytes(b"tex")
    elif kind == "missing":
        path.unlink()
    elif kind == "link":
        path.unlink()
        path.symlink_to("other")
    else:
        contents = {"no list": b"", "half a list": split[: len(split) // 2], "no JSON": gzip.compress(b"{\n")}
        made.split().write_bytes(contents[kind])
    with pytest.raises((OSError, ValueError)):
        _read(made, diff_id)


def test_only_images_in_dockers_format_with_the_right_digest_are_read(made: Store) -> None:
    stores = [str(made.directory)]
    image = made.image("sha256:1")
    assert json.loads(store.configuration(image, ["/no/store", *stores])) == {"rootfs": {"diff_ids": ["sha256:1"]}}
    with pytest.raises(LookupError, match="no store has the image"):
        store.configuration("0" * 64, stores)
    with pytest.raises(ValueError, match="not in docker's format"):
        store.configuration(made.image("sha256:2", media_type="oci"), stores)
    made.configuration(image).write_text("{}")
    with pytest.raises(ValueError, match="another digest"):
        store.configuration(image, stores)


def _export(tmp_path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Run the program; the manifest, and its messages."""
    target = tmp_path / f"target{len(list(tmp_path.iterdir()))}"
    target.mkdir()
    described = tmp_path / "request.json"
    common = {"others": {}, "target": str(target), "gzip": ["gzip", "-nc"], "archive": "", "compressed": True}
    described.write_text(json.dumps({**common, **request}))
    command = [*program("export", Path(export.__file__).parent), str(described)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    manifest: dict[str, Any] = json.loads((target / "v2s2.json").read_text())
    return manifest, done.stderr


@pytest.mark.programs
def test_the_same_is_exported_from_a_store_as_from_buildah_push(made: Store, tmp_path: Path) -> None:
    archives = [_archive({"base": b"text"}), _archive({"own": b"text" * 1000})]
    diff_ids = [made.layer(each) for each in archives]
    image = made.image(*diff_ids)
    names = [f"{each.partition(':')[2]}.tar" for each in diff_ids]
    described = [{"Config": f"{image}.json", "Layers": names}]
    files = {**dict(zip(names, archives)), f"{image}.json": made.configuration(image).read_bytes()}
    pushed = tmp_path / "pushed.tar"
    pushed.write_bytes(_archive({**files, "manifest.json": json.dumps(described).encode()}))
    known = {diff_ids[0]: {"digest": "sha256:known", "size": 7, "file": "/no/file"}}
    request = {"image": image, "stores": [str(made.directory)], "push": ["false"], "known": known}
    (made.directory / "overlay/layer0/diff/base").unlink()  # a layer that stays as in the registry is not read
    stored, messages = _export(tmp_path, request)
    assert messages == ""
    assert stored["layers"][0]["digest"] == "sha256:known"
    again, messages = _export(tmp_path, {**request, "stores": [], "push": ["cat", str(pushed)]})
    assert "using buildah push" in messages
    assert again == stored
    (made.directory / "overlay/layer1/diff/own").write_bytes(b"TEXT" * 1000)
    changed, messages = _export(tmp_path, {**request, "push": ["cat", str(pushed)]})
    assert "do not match its archive" in messages
    assert changed == stored
