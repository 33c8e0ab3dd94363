# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of a build in a pod: files in staging, and the archive that a task makes from a staged image."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.image.record.staged_archive import save_archive
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import build_artifact
from fedpkg_container.registry.manifests import MANIFEST, OCI_MANIFEST, Manifest
from fedpkg_container.registry.repository import Repository
from tests.support.registry_clients import Serve

FILES = {build_artifact.IMAGE: b'{"a": 1}', build_artifact.DOCKERFILE: b"FROM scratch\n", build_artifact.LOG: b"log"}


def _push(repository: Repository, directory: Path, files: dict[str, bytes]) -> str:
    paths = {}
    for number, (media_type, content) in enumerate(files.items()):
        paths[media_type] = directory / f"file-{number}"
        paths[media_type].write_bytes(content)
    return build_artifact.push(repository, "result-x86_64-1", paths)


def test_files_come_back(serve: Serve, tmp_path: Path) -> None:
    _, repository = serve()
    digest = _push(repository, tmp_path, FILES)
    found = build_artifact.pull(repository, digest, tmp_path)
    assert {media_type: path.read_bytes() for media_type, path in found.items()} == FILES
    assert "result-x86_64-1" in repository.tags(), "the cleanup of staging finds it by its tag"


def test_an_empty_file(serve: Serve, tmp_path: Path) -> None:
    _, repository = serve()
    digest = _push(repository, tmp_path, {build_artifact.DOCKERFILE: b""})
    assert build_artifact.pull(repository, digest, tmp_path)[build_artifact.DOCKERFILE].read_bytes() == b""


def test_a_file_that_is_too_large(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, repository = serve()
    digest = _push(repository, tmp_path, FILES)
    monkeypatch.setitem(build_artifact.MAX_SIZES, build_artifact.LOG, 2)
    with pytest.raises(RegistryError, match="is longer than 2 bytes"):
        build_artifact.pull(repository, digest, tmp_path)


def test_what_is_no_result(serve: Serve, tmp_path: Path) -> None:
    _, repository = serve()
    with pytest.raises(RegistryError, match="unexpected file"):
        build_artifact.pull(repository, _push(repository, tmp_path, {**FILES, "text/plain": b"x"}), tmp_path)
    config = {"mediaType": "text/plain", "digest": repository.push(b"{}"), "size": 2}
    image = Manifest.of({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []})
    repository.put_manifest("image", image)
    with pytest.raises(RegistryError, match="is not the result of a build"):
        build_artifact.pull(repository, image.digest, tmp_path)


@pytest.mark.parametrize(
    "artifact", ["result-x86_64-1", "../../../v2/other/manifests/x", "sha256:" + "a" * 63, "", "a\nb"]
)
def test_an_invalid_digest(serve: Serve, tmp_path: Path, artifact: str) -> None:
    """A pod reports it: it must not lead to another address of the registry."""
    server, repository = serve()
    _push(repository, tmp_path, FILES)
    server.seen.clear()
    with pytest.raises(RegistryError, match="invalid or unsupported digest"):
        build_artifact.pull(repository, artifact, tmp_path)
    assert not server.seen


def test_contents_that_differ_from_the_manifest(serve: Serve, tmp_path: Path) -> None:
    server, repository = serve()
    digest = _push(repository, tmp_path, FILES)
    stored = server[repository.name].blobs
    (log,) = [each for each in stored if stored[each] == b"log"]
    for content in (b"other", b"lo", b"gol"):
        stored[log] = content
        with pytest.raises(RegistryError):
            build_artifact.pull(repository, digest, tmp_path)


def _layer(*parts: bytes) -> tuple[bytes, bytes]:
    """A compressed layer, of one gzip member per part, and its content."""
    return b"".join(gzip.compress(part) for part in parts), b"".join(parts)


def _image(repository: Repository, layers: list[tuple[bytes, bytes]], diff_ids: list[str] | None = None) -> str:
    ids = [f"sha256:{hashlib.sha256(plain).hexdigest()}" for _, plain in layers] if diff_ids is None else diff_ids
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": ids}}).encode()
    manifest = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/json", "digest": repository.push(config), "size": len(config)},
            "layers": [
                {"mediaType": "layer", "digest": repository.push(packed), "size": len(packed)} for packed, _ in layers
            ],
        }
    )
    repository.put_manifest("image", manifest)
    return manifest.digest


def _save(repository: Repository, digest: str, directory: Path) -> Path:
    name = ImageReference("", "hello", tag="1-1")
    return save_archive(repository, digest, name, directory, lambda: None)


def test_an_archive_has_the_layers_unchanged(serve: Serve, tmp_path: Path) -> None:
    _, repository = serve()
    layers = [_layer(b"first" * 1000), _layer(b"second" * 99, b"another member"), _layer(b"first" * 1000)]
    archive = _save(repository, _image(repository, layers), tmp_path)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive.read_bytes()))) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    described = json.loads(members["manifest.json"])[0]
    assert [members[name] for name in described["Layers"]] == [plain for _, plain in layers]
    assert described["RepoTags"] == ["hello:1-1"]
    assert json.loads(members[described["Config"]])["rootfs"]
    for packed, _ in layers:
        assert packed in archive.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if len(path.name) == 64) == [
        described["Config"].removesuffix(".json")
    ], "the layers are not kept beside the archive"


def test_a_configuration_that_lists_other_layers(serve: Serve, tmp_path: Path) -> None:
    _, repository = serve()
    with pytest.raises(BuildFailedError, match="does not list its layers"):
        _save(repository, _image(repository, [_layer(b"x")], diff_ids=[]), tmp_path)


@pytest.mark.parametrize("diff_id", ["../../etc/passwd", "sha256:../x", 7, "sha256:" + "A" * 64])
def test_a_configuration_with_names_of_other_files(serve: Serve, tmp_path: Path, diff_id: object) -> None:
    """Layers have their digests as names in the archive."""
    _, repository = serve()
    with pytest.raises(RegistryError, match="invalid or unsupported digest"):
        _save(repository, _image(repository, [_layer(b"x")], diff_ids=[diff_id]), tmp_path)  # type: ignore[list-item]


def test_a_configuration_that_is_nested_deeply(serve: Serve, tmp_path: Path) -> None:
    _, repository = serve()
    config = b"[" * 100_000
    described = {"mediaType": "application/json", "digest": repository.push(config), "size": len(config)}
    manifest = Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []})
    repository.put_manifest("image", manifest)
    with pytest.raises(BuildFailedError, match="does not list its layers"):
        _save(repository, manifest.digest, tmp_path)


def test_a_layer_that_is_not_compressed(serve: Serve, tmp_path: Path) -> None:
    _, repository = serve()
    with pytest.raises(BuildFailedError, match="is not compressed with gzip"):
        _save(repository, _image(repository, [(b"plain", b"plain")]), tmp_path)
