# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration of fedpkg-container-registry: settings, defaults, and complete error reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.limits import ImageLimits
from fedpkg_container.registry.config import read_site
from fedpkg_container.registry.config_path import VARIABLE, configuration_path

SMALLEST = """
[candidate]
registry = candidate.example.org
[target stable]
registry = registry.example.org
koji_tags = f42-container-updates f43-*
"""


def _file(directory: Path, text: str) -> Path:
    path = directory / "registry.conf"
    path.write_text(text)
    return path


def test_required_settings_and_defaults(tmp_path: Path) -> None:
    site = read_site(_file(tmp_path, SMALLEST))
    assert (site.profile, site.parallel, site.journal, site.candidates.keep) == ("koji", 4, None, 30)
    stable = site.target("stable")
    assert str(stable.repository("hello/web")) == "registry.example.org/hello/web"
    assert stable.floating == ("version", "latest")
    assert [stable.allows(tag) for tag in ("f42-container-updates", "f43-x", "f42-container")] == [1, 1, 0]
    assert (site.mirroring.target, site.mirroring.grace, site.mirroring.parallel) == ("stable", 7, 8)


def test_base_image_limits(tmp_path: Path) -> None:
    assert read_site(_file(tmp_path, SMALLEST)).limits == ImageLimits(10 * 10**9, 20 * 10**9, 10_000)
    text = f"{SMALLEST}[limits]\nbase_image_size = 1G\ndecompressed_size = 2G\narchive_members = 3\n"
    assert read_site(_file(tmp_path, text)).limits == ImageLimits(10**9, 2 * 10**9, 3)
    with pytest.raises(ConfigurationError, match="1 setting is wrong") as raised:
        read_site(_file(tmp_path, f"{SMALLEST}[limits]\narchive_members = none\n"))
    assert "[limits] archive_members = none: must be a number of files" in raised.value.solution


def test_the_deprecated_name_of_retry_timeout_is_accepted_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stable = read_site(_file(tmp_path, f"{SMALLEST}patience = 7\n")).target("stable")
    assert stable.access.retry_timeout == 7
    assert "warning: [target stable] patience is deprecated; use retry_timeout instead" in caplog.text
    both = read_site(_file(tmp_path, f"{SMALLEST}patience = 7\nretry_timeout = 8\n")).target("stable")
    assert both.access.retry_timeout == 8


def test_other_targets(tmp_path: Path) -> None:
    more = "[target testing]\nregistry = r.example.org\nkoji_tags = *-testing\nprefix = fedora/testing/\n"
    testing = read_site(_file(tmp_path, SMALLEST + more)).target("testing")
    assert testing.floating == ("version", "testing")
    assert str(testing.repository("hello")) == "r.example.org/fedora/testing/hello"


def test_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no target 'quay'") as raised:
        read_site(_file(tmp_path, SMALLEST)).target("quay")
    assert "stable" in raised.value.solution


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = """
[candidate]
auth_file = auth.json
keep = never
[target stable]
registry = https://registry.example.org
prefix = Fedora
floating = la/test
[mirror]
target = unstable
rate = fast
colour = red
[promotions]
[target te st]
[target]
[koji]
profil = koji
"""
    with pytest.raises(ConfigurationError) as raised:
        read_site(_file(tmp_path, text))
    for part in (
        "line 2: [candidate] registry is missing: the registry that builders push to",
        "[candidate] auth_file = auth.json: not an absolute path",
        "line 4: [candidate] keep = never: must be a number of days",
        "[target stable] registry = https://registry.example.org: must be a registry",
        "[target stable] prefix = Fedora: must consist of lower-case",
        "[target stable] floating = la/test:",
        "[target stable] koji_tags is missing",
        "[mirror] target = unstable: there is no [target unstable]",
        "[mirror] rate = fast: must be a size",
        "line 12: [mirror] colour: unknown setting (known: archives, directory, grace, ",
        "[koji] profil: unknown setting (known: profile)",
        "line 13: [promotions]: unknown section (known: koji, candidate, target NAME, promotion, ",
        "[target te st]: unknown section (must be [target NAME], with a name of one word)",
        "[target]: unknown section (must be [target NAME], with a name of one word)",
        "see fedpkg-container-registry(1), docs/howto/distribution.md",
    ):
        assert part in raised.value.solution


def test_configuration_file_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=r"no configuration file /etc/fedpkg-container/registry.conf"):
        configuration_path(None)
    own = tmp_path / "config" / "fedpkg-container" / "registry.conf"
    own.parent.mkdir(parents=True)
    own.touch()
    assert configuration_path(None) == own
    named, other = tmp_path / "named", tmp_path / "other"
    named.touch()
    other.touch()
    monkeypatch.setenv(VARIABLE, str(other))
    assert configuration_path(None) == other
    assert configuration_path(named) == named
    with pytest.raises(ConfigurationError, match="nowhere"):
        configuration_path(tmp_path / "nowhere")


def test_no_floating_tags(tmp_path: Path) -> None:
    site = read_site(_file(tmp_path, f"{SMALLEST}floating = none\n"))
    assert site.target("stable").floating == ()
    with pytest.raises(ConfigurationError) as raised:
        read_site(_file(tmp_path, f"{SMALLEST}floating = none latest\n"))
    assert "[target stable] floating = none: must be the only word" in raised.value.solution
