# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible role: its variables are described, its files are valid, and it uses files and units of the packages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
from ruamel.yaml import YAML

from fedpkg_container.registry.config import read_site

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "packaging" / "ansible"
ROLE = ANSIBLE / "roles" / "fedpkg_container"
INVENTORY = YAML(typ="safe").load(ANSIBLE / "inventory.example.yml")
SPECIFIED = YAML(typ="safe").load(ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
DEFAULTS = YAML(typ="safe").load(ROLE / "defaults" / "main.yml")


def _render(template: str, **values: object) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"), undefined=jinja2.StrictUndefined, trim_blocks=True,
        autoescape=False,  # noqa: S701, the files are not HTML
    )  # fmt: skip
    environment.filters["comment"] = lambda text: f"# {text}"
    return environment.get_template(template).render(ansible_managed="managed", **values)


def _variables(value: Any) -> set[str]:
    """Names of the role's variables in an inventory."""
    if isinstance(value, dict):
        names = {name for name in value if str(name).startswith("fedpkg_container_")}
        return names.union(*map(_variables, value.values()))
    return set()


def test_every_variable_is_described_and_has_a_default() -> None:
    assert set(SPECIFIED) - set(DEFAULTS) == {"fedpkg_container_parts"}
    assert set(DEFAULTS) <= set(SPECIFIED)


def test_the_example_uses_variables_of_the_role() -> None:
    used = _variables(INVENTORY)
    assert len(used) > 5
    assert used <= set(SPECIFIED)


def test_every_part_has_tasks() -> None:
    parts = SPECIFIED["fedpkg_container_parts"]["choices"]
    assert [part for part in parts if not (ROLE / "tasks" / f"{part}.yml").is_file()] == []
    played = re.findall(r"fedpkg_container_parts: \[(\w+)\]", (ANSIBLE / "site.yml").read_text())
    assert sorted(played) == sorted(parts)


def test_units_of_the_tasks_exist() -> None:
    text = "".join(path.read_text() for path in (ROLE / "tasks").glob("*.yml"))
    units = set(re.findall(r"\b(fedpkg-container-[a-z-]+@?)(?:\{\{ item \}\})?\.timer", text))
    units |= set(re.findall(r"fedpkg_container_service: (fedpkg\S+)", text))
    timers = {path.stem for path in (ROOT / "packaging" / "systemd").glob("*.timer")}
    assert units == timers


def test_the_site_file_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "registry.conf"
    settings = INVENTORY["all"]["vars"]["fedpkg_container_settings"]
    path.write_text(_render("registry.conf.j2", fedpkg_container_settings=settings))
    site = read_site(path, files=False)
    assert site.targets["stable"].registry == "registry-1.example.org:5000"
    assert site.front_end is not None
    assert site.mirroring.directory == Path(DEFAULTS["fedpkg_container_mirror_directory"])
    assert site.catalog.directory == Path(DEFAULTS["fedpkg_container_catalog_directory"])


def test_the_registry_is_configured_as_in_the_example() -> None:
    storage = "/var/lib/docker-registry"
    address = DEFAULTS["fedpkg_container_registry_address"]
    values = {"fedpkg_container_registry_storage": storage, "fedpkg_container_registry_address": address}
    example = YAML(typ="safe").load(ROOT / "packaging" / "examples" / "docker-registry.yml")
    assert YAML(typ="safe").load(_render("docker-registry.yml.j2", **values)) == example


@pytest.mark.parametrize("anonymous", [True, False])
def test_writing_requires_a_password(anonymous: bool) -> None:
    names = ("name", "port", "certificate", "key", "address")
    values: dict[str, object] = {f"fedpkg_container_registry_{name}": name for name in names}
    text = _render("registry-nginx.conf.j2", fedpkg_container_registry_anonymous_read=anonymous, **values)
    realms = dict(re.findall(r'^    (default|[A-Z]+) ("?\w+"?);$', text, re.MULTILINE))
    assert realms == {"default": '"registry"', **({"GET": "off", "HEAD": "off"} if anonymous else {})}
    assert "auth_basic $fedpkg_container_realm;" in text
