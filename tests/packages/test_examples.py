# SPDX-License-Identifier: GPL-2.0-or-later
"""The example site files: valid as they are, and with every other choice that they show."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.registry.config import read_site

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "packaging" / "examples"
READERS: dict[str, Callable[[Path], object]] = {
    "registry.conf": read_site,
    "builder_containerbuild.conf": read_builder_config,
}


def _other_choices(text: str) -> str:
    """Set every setting that is a comment; it replaces the one before it with the same name."""
    return re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("change", [str, _other_choices], ids=["as it is", "other choices"])
def test_examples_are_valid(name: str, change: Callable[[str], str], tmp_path: Path) -> None:
    text = (EXAMPLES / name).read_text()
    assert _other_choices(text) != text
    assert READERS[name](_on_a_site(change(text), tmp_path))


def _on_a_site(text: str, directory: Path) -> Path:
    """Write a file whose paths below /etc exist, in a directory instead."""
    for name in re.findall(r"(?<= )/etc/\S+", text):
        (directory / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        (directory / name[1:]).touch()
    path = directory / "site.conf"
    path.write_text(text.replace(" /etc/", f" {directory}/etc/"))
    return path


def test_a_wrong_setting_would_be_found(tmp_path: Path) -> None:
    text = (EXAMPLES / "registry.conf").read_text().replace("#parallel = 4", "in_parallel = 4")
    with pytest.raises(ConfigurationError) as raised:
        read_site(_on_a_site(text, tmp_path))
    assert "in_parallel: unknown setting" in raised.value.solution


def test_example_of_the_registry() -> None:
    registry = YAML(typ="safe").load(EXAMPLES / "docker-registry.yml")
    assert registry["storage"]["delete"]["enabled"] is True, "prune and unpromote --delete need it"
    assert "maintenance" not in registry["storage"], "the garbage collection's variable replaces it"
    assert registry["http"]["addr"].startswith("127.0.0.1:"), "it has no authentication"


def test_all_examples_are_tested_and_packaged() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {*READERS, "docker-registry.yml"}
    assert "packaging/examples" in (ROOT / "packaging/rpm/fedpkg-container.spec").read_text()
    assert (ROOT / "debian/fedpkg-container-registry.examples").read_text() == "packaging/examples/*\n"
