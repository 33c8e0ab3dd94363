# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration of the builders."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.image.config import read_builder_config


def _write(directory: Path, text: str) -> Path:
    path = directory / "builder_containerbuild.conf"
    path.write_text(text)
    return path


def test_only_the_candidate_registry_is_required(tmp_path: Path) -> None:
    site = read_builder_config(_write(tmp_path, "[registry]\ncandidate = registry.example.org\n"))
    assert site.candidate == "registry.example.org"
    assert site.network == "auto"
    assert site.isolation is None
    assert site.limits.build_timeout == 4 * 3600
    assert site.content_generator.name == "fedpkg-container"
    assert site.formats == ("v2s2",)
    assert site.base_images_keep == 30
    assert (site.access.timeout, site.access.retry_timeout) == (1800, 60)


def test_labels_are_case_sensitive(tmp_path: Path) -> None:
    text = "[registry]\ncandidate = r.example.org\n[labels]\nvendor = The Site\nio.Example = 50%\n"
    assert read_builder_config(_write(tmp_path, text)).labels == {"vendor": "The Site", "io.Example": "50%"}


def test_components_and_reserved_repositories(tmp_path: Path) -> None:
    text = "[registry]\ncandidate = r.example.org\n[components]\nTools++ = a-container b\ncontainer/x = y\n"
    site = read_builder_config(_write(tmp_path, f"{text}[repositories]\nfedora/x = y\n"))
    assert site.components == {"Tools++": ("a-container", "b"), "container/x": ("y",)}
    assert site.repositories == {"fedora/x": ("y",)}


def test_formats_keep_their_order(tmp_path: Path) -> None:
    text = "[registry]\ncandidate = r.example.org\nformats = oci v2s2\n[engine]\nbase_images_keep = 0\n"
    site = read_builder_config(_write(tmp_path, text))
    assert site.formats == ("oci", "v2s2")
    assert site.base_images_keep == 0


def test_configured_isolation(tmp_path: Path) -> None:
    text = "[registry]\ncandidate = r.example.org\n[engine]\nisolation = oci\nruntime = crun\n"
    assert read_builder_config(_write(tmp_path, text)).isolation == Isolation("crun")


def test_all_invalid_options_are_reported(tmp_path: Path) -> None:
    text = """\
[registry]
certificates = /no/such/directory
password = secret
formats = oci zip
[engine]
isolation = none
network = bridge
base_images_keep = -1
[limits]
build_timeout = soon
build_size = much
[components]
tools/../x = a
hello =
other = .x
[repositories]
Hello = hello-container
[colours]
a = b
"""
    with pytest.raises(ConfigurationError) as caught:
        read_builder_config(_write(tmp_path, text))
    for problem in (
        "line 1: [registry] candidate is missing: registry to which images are pushed, host and port",
        "[registry] certificates = /no/such/directory: no such file or directory",
        "[registry] password: unknown setting (known: allowed_hosts, auth_file, blob_cache, candidate, ",
        "line 4: [registry] formats = zip: must be one or more of v2s2, oci",
        "[engine] base_images_keep = -1: must be a number of days, at least 0",
        "[engine] isolation = none: must be auto or oci",
        "[engine] network = bridge: must be one of auto, none, isolated, host",
        "[limits] build_timeout = soon: must be a number of seconds, at least 1",
        "[limits] build_size = much: must be a size, e.g. 500M or 10G",
        "[components] tools/../x is not a valid repository: it must consist of letters",
        "line 14: [components] hello lists no package",
        "[components] other = .x: must consist of letters",
        "[repositories] Hello is not a valid repository: it must consist of lower-case",
        "line 18: [colours]: unknown section (known: registry, engine, limits, ",
    ):
        assert problem in caught.value.reason
    assert "secret" not in caught.value.reason


@pytest.mark.parametrize(
    ("options", "seconds", "warnings"),
    [("retry_timeout = 7", 7, 0), ("patience = 7", 7, 1), ("patience = 7\nretry_timeout = 8", 8, 1)],
)
def test_old_name_of_retry_timeout_is_accepted_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, options: str, seconds: int, warnings: int
) -> None:
    config = read_builder_config(_write(tmp_path, f"[registry]\ncandidate = r.example.org\n{options}\n"))
    assert config.access.retry_timeout == seconds
    assert [record.getMessage() for record in caplog.records] == [
        "warning: [registry] patience is deprecated; use retry_timeout instead"
    ] * warnings


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing.conf"):
        read_builder_config(tmp_path / "missing.conf")


def test_sources_of_floating_tags(tmp_path: Path) -> None:
    text = "[registry]\ncandidate = r.example.org\n[tags]\nfloating = version latest\n"
    assert read_builder_config(_write(tmp_path, text)).floating_tag_sources == {"version", "latest"}
