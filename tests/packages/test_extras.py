# SPDX-License-Identifier: GPL-2.0-or-later
"""The extras of the Python package: what a part imports is required by its extra, or by what that requires."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.waiting import PATIENCE

tomllib = pytest.importorskip("tomllib", reason="in Python since 3.11")
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Extra → modules of its part, as patterns below ``fedpkg_container``.
EXTRAS = {
    "registry": ("registry_cli.py", "registry/**/*.py", "commands/registry/*.py", "image/base/*.py"),
    "builder": ("image/**/*.py", "engines/*.py", "koji_plugins/container_task.py"),
    "client": ("client.py", "rpkg_extension.py", "commands/*.py", "distgit/**/*.py", "hub/**/*.py", "progress/**/*.py"),
    "": ("model/options.py", "koji_plugins/policy_refusal.py", "hub/session.py", "registry/response.py"),
}
_LOADED = """
import importlib, json, sys
for name in sys.argv[1].split():
    importlib.import_module(name)
found = [name for name, module in sys.modules.items() if "." not in name and getattr(module, "__file__", None)]
print(json.dumps(found))
"""


def _required(extra: str) -> set[str]:
    """Return the names of everything that an extra installs here."""
    found: set[str] = set()
    pending = [*map(Requirement, [*PROJECT["dependencies"], *PROJECT["optional-dependencies"].get(extra, [])])]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            pending += map(Requirement, metadata.requires(name) or ())
        except metadata.PackageNotFoundError:
            continue  # only on another Python or system
    return found


def _distributions(modules: Iterable[str]) -> dict[str, set[str]]:
    """Return the distributions of modules, without those of Python itself and of this project."""
    known = metadata.packages_distributions()
    return {
        name: set(map(canonicalize_name, known[name]))
        for name in modules
        if name in known and name not in ("fedpkg_container", "_distutils_hack", "__editable__")
    }


@pytest.mark.programs
@pytest.mark.parametrize("extra", EXTRAS)
def test_a_part_imports_what_its_extra_requires(extra: str) -> None:
    files = [path.relative_to(ROOT) for each in EXTRAS[extra] for path in (ROOT / "fedpkg_container").glob(each)]
    modules = " ".join(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files)
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, modules], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    required = _required(extra) | {"coverage"}  # measures this process too in make coverage
    if extra == "":
        required.add("rpm")  # koji imports it if it is installed
    loaded = _distributions(json.loads(done.stdout))
    assert loaded
    assert {name: found for name, found in loaded.items() if not found & required} == {}


@pytest.mark.parametrize("requirement", [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())])
def test_no_dependency_has_an_upper_bound(requirement: str) -> None:
    parsed = Requirement(requirement)
    assert {each.operator for each in parsed.specifier} <= {">="}
