# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer of an image's description between tasks, as a file on the hub."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xmlrpc.client import dumps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.box.hub.app import LONGEST_REQUEST
from fedpkg_container.errors import BuildFailedError, UsageError
from fedpkg_container.image import arch_result
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_types import RPMComponent

COMPONENT: RPMComponent = {
    "type": "rpm", "name": "package", "version": "1.0", "release": "1.fc42", "epoch": None, "arch": "x86_64",
    "sigmd5": "0" * 32, "signature": "0123456789abcdef",
}  # fmt: skip
DETAILS = {
    "license": "GPL-2.0-or-later",
    "vendor": "Fedora Project",
    "source_rpm": "package-1.0-1.fc42.src.rpm",
}


def _image(packages: int = 1, **changes: Any) -> BuiltImage:
    image = BuiltImage(
        arch="x86_64",
        staged_image="registry.example.org/staging/task-1@sha256:0",
        digest="sha256:0",
        media_type="",
        image_id="",
        config="{}",
        layers=[],
        diff_ids=[],
        components=[{**COMPONENT, "name": f"package-{number}"} for number in range(packages)],
        files=[],
        buildroot={},
        details=[DETAILS] * packages,
    )
    return replace(image, **changes)


class Hub:
    """Stores a file, and returns parts of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def upload(self, path: Path) -> None:
        self.files[path.name] = path.read_bytes()

    def read(self, name: str, offset: int, size: int) -> bytes:
        assert size <= arch_result.CHUNK_SIZE
        return self.files[name][offset : offset + size]


def test_description_with_ten_thousand_rpms(tmp_path: Path) -> None:
    hub, image = Hub(), _image(10_000)
    result: Any = arch_result.upload_result(image, tmp_path, hub.upload)
    assert len(dumps((image.pack(),), methodresponse=True, allow_none=True)) > LONGEST_REQUEST
    assert len(dumps((result,), methodresponse=True, allow_none=True)) < 2000
    assert result["rpms"] == 10_000
    assert len(hub.files["x86_64.image.json"]) > 2 * arch_result.CHUNK_SIZE
    assert arch_result.download_result(result, "x86_64", hub.read) == image


@given(st.text(st.characters(), max_size=20))
def test_any_text_survives_the_transfer(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    hub, image = Hub(), _image(config=json.dumps({"a": text}), warnings=[text], details=[{**DETAILS, "vendor": text}])
    result = arch_result.upload_result(image, tmp_path_factory.mktemp("directory"), hub.upload)
    assert arch_result.download_result(result, "x86_64", hub.read) == image


def _sent(tmp_path: Path) -> tuple[Hub, Any]:
    hub = Hub()
    return hub, arch_result.upload_result(_image(), tmp_path, hub.upload)


def test_changed_file_is_rejected(tmp_path: Path) -> None:
    hub, result = _sent(tmp_path)
    name = result["file"]["name"]
    whole = hub.files[name]
    hub.files[name] = whole.replace(b"package-0", b"package-9")
    with pytest.raises(BuildFailedError, match=r"digest mismatch of x86_64\.image\.json"):
        arch_result.download_result(result, "x86_64", hub.read)
    hub.files[name] = whole + b"more"
    assert arch_result.download_result(result, "x86_64", hub.read)
    hub.files[name] = whole[:-1]
    with pytest.raises(BuildFailedError, match=f"truncated: {len(whole) - 1} bytes instead of {len(whole)}"):
        arch_result.download_result(result, "x86_64", hub.read)


@pytest.mark.parametrize(
    "file",
    [{"name": "../x86_64.log"}, {"size": arch_result.MAX_BYTES + 1}, {"size": 0}, {"name": "aarch64.image.json"}],
)
def test_result_with_another_file_is_rejected(tmp_path: Path, file: dict[str, Any]) -> None:
    hub, result = _sent(tmp_path)
    with pytest.raises(BuildFailedError, match="invalid result for x86_64"):
        arch_result.download_result({**result, "file": {**result["file"], **file}}, "x86_64", hub.read)


def test_image_of_another_architecture_is_rejected(tmp_path: Path) -> None:
    hub, result = _sent(tmp_path)
    hub.files["aarch64.image.json"] = hub.files["x86_64.image.json"]
    other = {**result, "file": {**result["file"], "name": "aarch64.image.json"}}
    with pytest.raises(BuildFailedError, match="describes an image for x86_64"):
        arch_result.download_result(other, "aarch64", hub.read)


def test_result_of_an_older_builder_is_rejected() -> None:
    with pytest.raises(UsageError, match="unsupported format version 3"):
        arch_result.download_result({"format": 3, "arch": "x86_64"}, "x86_64", Hub().read)


def test_description_above_the_size_limit_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arch_result, "MAX_BYTES", 10**6)
    with pytest.raises(BuildFailedError, match="has 2 MB; the limit is 1 MB"):
        arch_result.upload_result(_image(10_000), tmp_path, Hub().upload)
