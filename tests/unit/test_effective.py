# SPDX-License-Identifier: GPL-2.0-or-later
"""The effective configuration of a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.distgit.effective import SETTINGS, EffectiveConfig, Setting, read_autorebuild
from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.hub.preflight import read_target
from fedpkg_container.model.build import Target
from tests.support.checkout import DOCKERFILE, read_nothing

TARGET = Target("t", "t-build", "t-dest", ("x86_64", "aarch64", "s390x"))
SITE = [Setting("target", "t", "default"), Setting("profile", "koji", "site"), Setting("hub", None, "Koji profile")]


def _settings(directory: Path, target: Target | None = TARGET) -> dict[str, tuple[Any, str]]:
    checkout = read_nothing(directory)
    return {each.key: (each.value, each.origin) for each in EffectiveConfig(directory).settings(checkout, SITE, target)}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def test_values_and_origins(directory: Path) -> None:
    (directory / "container.yaml").write_text("platforms:\n  not: s390x\ncompose:\n  packages: [a]\nversion: 1\n")
    (directory / "additional-tags").write_text("stable\n")
    (directory / ".osbs-repo-config").write_text("[autorebuild]\nenabled = yes\n")
    found = _settings(directory)
    assert found["package"] == ("foo-container", "Dockerfile:4")
    assert found["version"] == ("1.0", "Dockerfile:6")
    assert found["release"] == (None, "default: assigned by Koji")
    assert found["base"] == ("registry.example.com/fedora:41", "Dockerfile:3")
    assert found["parents"][1] == "Dockerfile:1,3"
    assert found["branch"] == ("rawhide", "git")
    assert found["target"] == ("t", "default")
    assert found["build-tag"] == ("t-build", "hub")
    assert found["destination-tag"] == ("t-dest", "hub")
    assert found["arches"] == (["x86_64", "aarch64"], "hub, container.yaml")
    assert found["platforms.only"] == (None, "default")
    assert found["platforms.not"] == ("s390x", "container.yaml:2")
    assert found["floating-tags"] == (["1.0", "latest", "stable"], "default, additional-tags")
    assert found["autorebuild"] == (True, ".osbs-repo-config")
    assert found["compose.packages"] == (["a"], "container.yaml:4, ignored")
    (directory / "container.yaml").write_text("compose: {inherit: true, module_resolve_tags: false}\n")
    found = _settings(directory)
    assert found["compose.inherit"] == (True, "container.yaml:1, refused")
    assert found["compose.module_resolve_tags"] == (False, "container.yaml:1")


def test_all_settings_are_listed_if_nothing_is_known(tmp_path: Path) -> None:
    effective = EffectiveConfig(tmp_path)
    found = {each.key: each.value for each in effective.settings(None, SITE, None)}
    assert set(SETTINGS) <= set(found)
    assert {key: value for key, value in found.items() if value is not None} == {
        "target": "t",
        "profile": "koji",
        "floating-tags": ["latest"],
        "autorebuild": False,
    }
    assert effective.notes == [f"there is no Dockerfile or Containerfile in {tmp_path}"]


@pytest.mark.parametrize(
    ("text", "arches"),
    [
        ("", ["x86_64", "aarch64", "s390x"]),
        ("platforms: {only: [aarch64, ppc64le]}", ["aarch64"]),
        ("platforms: {only: [aarch64, s390x], not: aarch64}", ["s390x"]),
        ("platforms: {only: ppc64le}", []),
    ],
)
def test_arches_combine_build_tag_and_platforms(directory: Path, text: str, arches: list[str]) -> None:
    (directory / "container.yaml").write_text(text)
    assert _settings(directory)["arches"][0] == arches


def test_old_label_names(directory: Path) -> None:
    (directory / "Dockerfile").write_text(
        "FROM r.io/a:1\nLABEL BZComponent=c Name=n\nENV V=2~1\nLABEL Version=$V Release=7\n"
    )
    found = _settings(directory)
    assert [found[key][0] for key in ("package", "name", "version", "release")] == ["c", "n", "2~1", "7"]
    assert [found[key][1] for key in ("package", "release")] == ["Dockerfile:2", "Dockerfile:4"]
    assert found["floating-tags"][0] == ["2_1", "latest"]


def test_variables_of_the_base_image(directory: Path) -> None:
    text = 'FROM r.io/a:1\nLABEL com.redhat.component=c name="$FGC/c" version=$V release="1.$DISTTAG"\n'
    (directory / "Dockerfile").write_text(text)
    effective = EffectiveConfig(directory)
    found = {each.key: (each.value, each.origin) for each in effective.of_dockerfile()}
    assert found["name"] == (None, "Dockerfile:2, $FGC of the base image")
    parents = {"r.io/a:1": ParentConfig({"FGC": "f42", "DISTTAG": "f42container"})}
    effective.resolve(lambda dockerfile: dockerfile.with_facts(BuildFacts(parents=parents)))
    found = {each.key: (each.value, each.origin) for each in effective.of_dockerfile()}
    assert found["name"] == ("f42/c", "Dockerfile:2")
    assert found["version"] == (None, "Dockerfile:2, $V without a value")
    assert found["release"] == ("1.f42container", "Dockerfile:2")


def test_files_with_errors_are_reported(directory: Path) -> None:
    (directory / "container.yaml").write_text("tags: [\n")
    (directory / ".osbs-repo-config").write_text("enabled\n")
    notes = EffectiveConfig(directory).notes
    assert notes[0].startswith("cannot read .osbs-repo-config: File contains no section headers")
    assert notes[1] == "container.yaml has errors: see --check"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("[autorebuild]\n", None),
        ("[autorebuild]\nenabled=true", True),
        ("[autorebuild]\nenabled: off", False),
    ],
)
def test_autorebuild(tmp_path: Path, text: str, value: bool | None) -> None:
    (tmp_path / ".osbs-repo-config").write_text(text)
    assert read_autorebuild(tmp_path) is value


@given(st.text() | st.lists(st.sampled_from(["[autorebuild]\n", "enabled", "=", "true", "%", "\n", " "])).map("".join))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_autorebuild_file_is_parsed_or_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / ".osbs-repo-config").write_bytes(text.encode())
    try:
        assert read_autorebuild(tmp_path) in (True, False, None)
    except RefusedError as error:
        assert "\n" not in error.reason


class _Hub:
    """A hub with one target that counts requests."""

    baseurl = "https://hub.example.com"

    def __init__(self) -> None:
        self.requests = 0

    def getBuildTarget(self, name: str) -> Any:
        self.requests += 1
        known = {"build_tag": 1, "build_tag_name": "t-build", "dest_tag_name": "t-dest"}
        return known if name == "t" else None

    def getBuildConfig(self, tag: int) -> Any:
        self.requests += 1
        return {"arches": "x86_64 i686" if tag == 1 else None}


def test_a_target_takes_two_requests() -> None:
    hub: Any = _Hub()
    assert read_target(hub, "t") == Target("t", "t-build", "t-dest", ("x86_64", "i386"))
    assert hub.requests == 2
    with pytest.raises(FedpkgContainerError, match="build target u does not exist"):
        read_target(hub, "u")


def test_a_containerfile_is_named_as_the_origin(directory: Path) -> None:
    (directory / "Dockerfile").rename(directory / "Containerfile")
    found = _settings(directory)
    assert found["package"] == ("foo-container", "Containerfile:4")
    assert (found["base"][1], found["parents"][1]) == ("Containerfile:3", "Containerfile:1,3")
