# SPDX-License-Identifier: GPL-2.0-or-later
"""Imports of the plugins: hubs and builders have neither rpkg nor the client's dependencies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fedpkg_container.koji_plugins
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

PLUGINS = Path(fedpkg_container.koji_plugins.__path__[0])
#: Modules of packages that only the client and the box need.
CLIENTS = {"pyrpkg", "git", "argcomplete", "rich", "cheroot", "cryptography", "koji_cli"}
BUILDERS = {"ruamel", "license_expression", "packageurl"}
_PROGRAM = """
import importlib.util, sys, types

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.modules["kojihub"] = types.ModuleType("kojihub")
specification = importlib.util.spec_from_file_location("plugin", {path!r})
plugin = importlib.util.module_from_spec(specification)
specification.loader.exec_module(plugin)
from fedpkg_container.model.options import option_problems
assert option_problems({{"git_branch": "main"}}) == []
"""


@pytest.mark.parametrize(
    ("plugin", "missing"),
    [("hub/hub_containerbuild.py", CLIENTS | BUILDERS), ("builder/builder_containerbuild.py", CLIENTS)],
)
def test_plugin_imports_only_installed_modules(plugin: str, missing: set[str]) -> None:
    program = _PROGRAM.format(missing=missing, path=str(PLUGINS / plugin))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
