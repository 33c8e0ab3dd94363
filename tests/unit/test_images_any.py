# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever registries and archives have in the place of manifests and configurations: an error with a reason."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.engines import archives
from fedpkg_container.errors import FedpkgContainerError, RefusedError, RegistryError
from fedpkg_container.image.base import source
from fedpkg_container.image.inspect import describe
from fedpkg_container.model.limits import ImageLimits
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import OCI_INDEX, OCI_MANIFEST, Descriptor, ImageConfiguration, Manifest

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
        st.sampled_from(["linux", "amd64", "sha256:" + "0" * 64, "sha256:x", OCI_INDEX, OCI_MANIFEST, "text"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["config", "Labels", "digest", "size", "mediaType", "platform", "os", "x"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
CONFIGURATION: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "variant": "",
    "config": {"Labels": {"name": "hello", "com.redhat.component": "hello-container"}, "Env": ["A=b"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
}


def _manifest(configuration: bytes) -> dict[str, Any]:
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest_of(configuration),
        "size": len(configuration),
    }
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + "2" * 64, "size": 3}
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}


def _index(manifest: bytes) -> dict[str, Any]:
    member = {
        "mediaType": OCI_MANIFEST,
        "digest": digest_of(manifest),
        "size": len(manifest),
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [member]}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something is in a value: the whole, and everything in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in _places(each, (*path, key)))]


_MISSING = object()


def _replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """A copy of a value with something else in one place, or nothing there."""
    if not place:
        return None if new is _MISSING else new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(place) == 1 and new is _MISSING:
        del copy[place[0]]
    else:
        copy[place[0]] = _replaced(value[place[0]], place[1:], new)
    return copy


@st.composite
def _changed(draw: st.DrawFn, value: Any) -> bytes:
    """A value as JSON, with anything in any place."""
    place = draw(st.sampled_from(_places(value)))
    return json.dumps(_replaced(value, place, draw(st.one_of(st.just(_MISSING), JSON)))).encode()


class Held:
    """What a registry or an archive has, by digest."""

    def __init__(self, blobs: Mapping[str, bytes]) -> None:
        self._blobs = blobs

    def manifest(self, name: str) -> Manifest:
        return Manifest.read(self.blob(Descriptor("", name, 0, {})), digest=name)

    def blob(self, blob: Descriptor) -> bytes:
        if blob.digest not in self._blobs:
            raise RegistryError(f"there is no {blob.digest}")
        return self._blobs[blob.digest]

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@st.composite
def _images(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes]]:
    """An index with one image, with anything in one place: the index, and everything by digest."""
    which = draw(st.sampled_from(["configuration", "manifest", "index"]))
    configuration = draw(_changed(CONFIGURATION)) if which == "configuration" else json.dumps(CONFIGURATION).encode()
    written = _manifest(configuration)
    manifest = draw(_changed(written)) if which == "manifest" else json.dumps(written).encode()
    listed = _index(manifest)
    index = draw(_changed(listed)) if which == "index" else json.dumps(listed).encode()
    return index, {digest_of(each): each for each in (configuration, manifest, index)}


def _ends_well(do: Callable[[], object]) -> None:
    """It ends, or in an error with a reason on one line that can be shown."""
    try:
        do()
    except FedpkgContainerError as error:
        assert error.reason
        assert len(error.reason) < 5000


@given(_images())
def test_any_image_that_is_imported(image: tuple[bytes, dict[str, bytes]]) -> None:
    index, blobs = image

    def read() -> None:
        held = Held(blobs)
        top = Manifest.read(index)
        for member in source._arch_images(top, held, "it"):
            assert all(isinstance(each, str) for each in (*member.labels.values(), *member.platform.values()))
        _ = top.subject, top.platforms, top.architectures(), top.media_type
        assert top.digest_for(platform_of("x86_64"))

    _ends_well(read)


@given(_images())
def test_any_image_that_is_described(image: tuple[bytes, dict[str, bytes]]) -> None:
    _, blobs = image
    digest = list(blobs)[1]

    class Registry:
        def repository(self, _: ImageReference) -> Held:
            return Held(blobs)

    def read() -> None:
        reference = ImageReference("r.example.org", "x", digest=digest)
        registry: Any = Registry()
        built = describe.describe_image(registry, "x86_64", reference, describe.ImageContents(), buildroot={})
        assert json.loads(built.config)
        assert all(isinstance(each, str) for each in built.diff_ids)

    _ends_well(read)


@given(_images(), st.booleans(), st.sampled_from([b"", b"\xff", b"[" * 100_000, b"NaN", b"1" * 5000]))
def test_any_layout(image: tuple[bytes, dict[str, bytes]], twice: bool, other: bytes) -> None:
    """Of what an archive holds that skopeo has not read yet: the index, and manifests without a platform there."""
    index, blobs = image
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "layout"
        (place / "blobs" / "sha256").mkdir(parents=True)
        for digest, content in blobs.items():
            (place / "blobs" / "sha256" / digest.partition(":")[2]).write_bytes(content)
        if twice:
            try:
                members = json.loads(index)["manifests"]
                bare = [{**each, "platform": None} for each in members]
                index = json.dumps({"manifests": [*bare, *bare]}).encode()
            except (TypeError, LookupError):
                index = other
        (place / "index.json").write_bytes(index)
        _ends_well(lambda: archives._layout(Path("archive"), place, Path(directory)))


@given(st.one_of(st.binary(max_size=30), st.sampled_from([b"[" * 100_000, b"NaN", b"\xff", b"1" * 5000, b"\x00{}"])))
def test_what_is_not_json(raw: bytes) -> None:
    _ends_well(lambda: ImageConfiguration.read(raw, where="it"))
    _ends_well(lambda: Manifest.read(raw))


@pytest.mark.parametrize("config", ["text", [], 7, {"Labels": "x"}, {"Labels": {"a": 1}}, {"Labels": []}])
def test_a_configuration_of_another_form(config: Any) -> None:
    raw = json.dumps({**CONFIGURATION, "config": config}).encode()
    with pytest.raises(RegistryError, match="invalid image configuration of it: config"):
        ImageConfiguration.read(raw, where="it")


def test_a_list_member_without_a_digest() -> None:
    index = json.dumps(_replaced(_index(b"x"), ("manifests", 0, "digest"), _MISSING)).encode()
    with pytest.raises(RegistryError, match="invalid or unsupported digest"):
        Manifest.read(index).digest_for(platform_of("x86_64"))


def test_more_images_or_bytes_than_are_read() -> None:
    configuration = json.dumps(CONFIGURATION).encode()
    manifest = json.dumps(_manifest(configuration)).encode()
    held = Held({digest_of(each): each for each in (configuration, manifest)})
    size = len(configuration) + 3
    assert source._arch_images(Manifest.read(manifest), held, "it", ImageLimits(size=size))
    with pytest.raises(RefusedError, match="it has 0 MB; the limit is 0 MB"):
        source._arch_images(Manifest.read(manifest), held, "it", ImageLimits(size=size - 1))
    many = _index(manifest)
    many["manifests"] *= source.MAX_ARCHES + 1
    with pytest.raises(RefusedError, match="it has more than 64 images"):
        source._arch_images(Manifest.read(json.dumps(many).encode()), held, "it")


@given(
    st.one_of(
        st.binary(max_size=60), st.text(st.sampled_from("ID=VERSION_\"'x1\n ${}\\"), max_size=60).map(str.encode)
    ),
    st.sampled_from(["usr/lib", "etc"]),
)
def test_any_os_release(content: bytes, place: str) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        (root / place).mkdir(parents=True)
        (root / place / "os-release").write_bytes(content)
        found = describe.read_distribution(root)
        assert set(found) <= {"id", "version"}
        assert all(value.isascii() and value.isprintable() and len(value) <= 64 for value in found.values())
    finally:
        shutil.rmtree(root)
