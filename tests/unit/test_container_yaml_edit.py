# SPDX-License-Identifier: GPL-2.0-or-later
"""Setting and removing keys of container.yaml."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.container_yaml_edit import assignment, edit
from fedpkg_container.distgit.container_yaml_schema import keys
from fedpkg_container.errors import FedpkgContainerError, RefusedError, UsageError
from fedpkg_container.model.findings import ERROR


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("platforms.only=x86_64,aarch64", "platforms.only", ["x86_64", "aarch64"]),
        ("platforms.only=x86_64", "platforms.only", ["x86_64"]),
        ("platforms.only=[x86_64, aarch64]", "platforms.only", ["x86_64", "aarch64"]),
        ("platforms={only: x86_64}", "platforms", {"only": ["x86_64"]}),
        ('tags=[latest, "1.0", 1.10]', "tags", ["latest", "1.0", "1.10"]),
        ("tags=1.10", "tags", ["1.10"]),
        ("tags='a,b'", "tags", ["a,b"]),
        ("tags=", "tags", []),
        ("set_release_env=yes", "set_release_env", "yes"),
        ('set_release_env="yes"', "set_release_env", "yes"),
        ("compose.signing_intent=a: b", "compose.signing_intent", "a: b"),
        ("compose.inherit=true", "compose.inherit", True),
        ("compose.modular_koji_tags=true", "compose.modular_koji_tags", True),
        ("compose.modular_koji_tags=f41,f42", "compose.modular_koji_tags", ["f41", "f42"]),
        ("buildtime_limit=3600", "buildtime_limit", 3600),
        ("flatpak.x.y=1", "flatpak.x.y", 1),
        ("remote_source={repo: r=1, ref: 1234}", "remote_source", {"repo": "r=1", "ref": "1234"}),
    ],
)
def test_assignments(text: str, path: str, value: Any) -> None:
    assert assignment(text) == (tuple(path.split(".")), value)


@pytest.mark.parametrize(
    "text", ["tags", "=x", ".a=1", "a.=1", "buildtime_limit=[", "flatpak=2024-01-01", "flatpak=!!x 1", "tags=\udcff"]
)
def test_invalid_assignments(text: str) -> None:
    with pytest.raises(UsageError):
        assignment(text)


def test_a_new_file(tmp_path: Path) -> None:
    edit(tmp_path, ["platforms.only=x86_64,aarch64", "tags=[latest]"], []).write()
    assert (tmp_path / "container.yaml").read_text() == "platforms:\n  only: [x86_64, aarch64]\ntags: [latest]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["container.yaml"]


def test_mode_byte_order_mark_and_link_are_preserved(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_bytes(b"\xef\xbb\xbf# c\r\ntags: [a]\r\n")
    real.chmod(0o640)
    (tmp_path / "container.yaml").symlink_to("real")
    edit(tmp_path, ["tags=b"], []).write()
    assert real.read_bytes() == b"\xef\xbb\xbf# c\r\ntags: [b]\r\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert (tmp_path / "container.yaml").is_symlink()


def test_unchanged_file_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "container.yaml"
    path.write_text("tags: [a]\n")
    before = path.stat()
    edit(tmp_path, ["tags=[a]"], []).write()
    assert path.stat() == before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("platfroms.only=x", "yaml-unknown-key"),
        ("buildtime_limit=-1", "yaml-invalid"),
        ("remote_source={repo: x}", "yaml-invalid"),
        ("tags={a: 1}", "yaml-invalid"),
    ],
)
def test_edit_that_would_be_invalid_is_rejected(tmp_path: Path, change: str, code: str) -> None:
    with pytest.raises(RefusedError, match="the result would be invalid") as error:
        edit(tmp_path, [change], [])
    assert all(each.code == code for each in error.value.findings)
    assert list(tmp_path.iterdir()) == []


def test_invalid_key_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_text("platfroms: {}\ntags: [a]\n")
    assert edit(tmp_path, [], ["platfroms"]).after == "tags: [a]\n"


def test_unreadable_file_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "container.yaml"
    path.write_text("tags: [\n")
    with pytest.raises(RefusedError, match="was not edited"):
        edit(tmp_path, ["tags=a"], [])
    path.unlink()
    path.mkdir()
    with pytest.raises(RefusedError, match="is not a regular file"):
        edit(tmp_path, ["tags=a"], [])


def test_removing_a_missing_key_fails(tmp_path: Path) -> None:
    with pytest.raises(FedpkgContainerError, match="tags is not set"):
        edit(tmp_path, [], ["tags"])


def test_keys_are_removed_before_assignments(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_text("go: {}\n")
    change = f"remote_source={{repo: x, ref: {'a' * 40}}}"
    assert edit(tmp_path, [change], ["go"]).after == f"remote_source: {{repo: x, ref: {'a' * 40}}}\n"


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    change = edit(tmp_path, ["tags=a"], [])
    tmp_path.rmdir()
    with pytest.raises(FedpkgContainerError, match="cannot write"):
        change.write()


@given(st.sampled_from(keys()), st.text("ab1.,:[]{}\"' -#&*!?\n\x00", max_size=8))
def test_any_value_is_set_or_rejected(tmp_path_factory: pytest.TempPathFactory, key: str, value: str) -> None:
    try:
        after = edit(Path("/nonexistent"), [f"{key}={value}"], []).after
    except (UsageError, RefusedError):
        return
    assert not [each for each in ContainerYaml.from_text(after).findings if each.severity == ERROR]
