# SPDX-License-Identifier: GPL-2.0-or-later
"""The wheel: programs, man pages and completion, and what each of them imports."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
#: Modules of one part → modules that it must do without, apart from the base of all parts.
PARTS = {
    "fedpkg_container.registry_cli fedpkg_container.registry.promotion.promote fedpkg_container.registry.mirror.run"
    " fedpkg_container.image.base.base_import fedpkg_container.commands.registry.results"
    " fedpkg_container.registry.catalog.run fedpkg_container.registry.redirects": "pyrpkg git ruamel cheroot"
    " kubernetes",
    "fedpkg_container.image.container_build fedpkg_container.image.arch_build": "pyrpkg git rich argcomplete cheroot"
    " cryptography nacl kubernetes jinja2",
    "fedpkg_container.commands.container_build fedpkg_container.client": "cheroot cryptography nacl kubernetes"
    " license_expression packageurl jinja2",
    "fedpkg_container.model.options fedpkg_container.koji_plugins.policy_refusal": "pyrpkg git rich argcomplete ruamel"
    " license_expression packageurl cheroot cryptography nacl kubernetes jinja2",
}
_IMPORT = """
import importlib, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split():
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
for name in sys.argv[1].split():
    importlib.import_module(name)
"""

pytestmark = pytest.mark.programs


@pytest.mark.parametrize("modules", sorted(PARTS), ids=lambda names: names.split()[0].rpartition(".")[2])
def test_a_part_works_without_the_modules_of_others(modules: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, modules, PARTS[modules]],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheel_has_all_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    files = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, str(tmp_path), str(source)], timeout=PATIENCE, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.namelist()
        scripts = next(archive.read(name).decode() for name in packed if name.endswith("entry_points.txt"))
    package = [name for name in files if name.startswith("fedpkg_container/")]
    assert [name for name in package if name not in packed] == []
    installed = {name.partition(".data/data/")[2] for name in packed if ".data/data/" in name}
    assert {f"share/man/man1/{path.name}" for path in (ROOT / "docs" / "man").iterdir()} <= installed
    assert len([name for name in installed if "completion" in name or "zsh" in name]) == 3
    assert "fedpkg =" not in scripts, "the name belongs to the package fedpkg"
