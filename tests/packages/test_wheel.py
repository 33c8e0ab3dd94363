# SPDX-License-Identifier: GPL-2.0-or-later
"""The wheel: programs, man pages and completion, and what each of them imports."""

from __future__ import annotations

import ast
import re
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
    " fedpkg_container.registry.catalog.run fedpkg_container.registry.redirects"
    " fedpkg_container.registry.messages.outbox": "pyrpkg git ruamel cheroot kubernetes fedora_messaging pika",
    "fedpkg_container.image.container_build fedpkg_container.image.arch_build": "pyrpkg git rich argcomplete cheroot"
    " cryptography nacl kubernetes jinja2",
    "fedpkg_container.commands.container_build fedpkg_container.client": "cheroot cryptography nacl kubernetes"
    " license_expression packageurl jinja2",
    "fedpkg_container.model.options fedpkg_container.koji_plugins.policy_refusal": "pyrpkg git rich argcomplete ruamel"
    " license_expression packageurl cheroot cryptography nacl kubernetes jinja2",
}
#: Package in Debian's control file → module whose imports are those of the part.
IMPORTS = {
    "fedpkg-container-registry": "fedpkg_container.registry_cli",
    "fedpkg-container-builder": "fedpkg_container.image.container_build",
}
#: Modules whose package has another name in Debian.
NAMES = {"git": "python3-git", "license_expression": "python3-license-expression", "ruamel": "python3-ruamel.yaml"}
#: Modules that are requirements of others, or not packaged in Debian.
INDIRECT = {"boolean", "dateutil", "koji", "pyrpkg", "six", "urllib3"}
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


def _imported(modules: str) -> set[str]:
    """Modules of others that a part imports at the top of its modules."""
    listed = "\nprint(*(each.__file__ for name, each in sys.modules.items() if name.startswith('fedpkg_container')))"
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT + listed, modules, ""],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    paths = [Path(name) for name in done.stdout.split()]
    assert len(paths) > 20
    found = set()
    for statement in (statement for path in paths for statement in ast.parse(path.read_text()).body):
        if isinstance(statement, ast.Import):
            found |= {name.name.partition(".")[0] for name in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            found.add((statement.module or "").partition(".")[0])
    own = {"", "fedpkg_container", *(path.stem for path in paths)}
    return found - own - INDIRECT - set(getattr(sys, "stdlib_module_names", ()))


@pytest.mark.skipif(sys.version_info < (3, 10), reason="needs the names of the standard library")
@pytest.mark.parametrize("package", IMPORTS)
def test_debian_packages_require_what_is_imported(package: str) -> None:
    control = (ROOT / "debian" / "control").read_text()
    paragraphs = dict(re.findall(r"^Package: (\S+)\n(.*?)(?=^Description:)", control, re.MULTILINE | re.DOTALL))
    required = set((paragraphs[package] + paragraphs["python3-fedpkg-container"]).replace(",", " ").split())
    imported = _imported(next(modules for modules in PARTS if IMPORTS[package] in modules.split()))
    assert "requests" in imported
    assert {name for name in imported if NAMES.get(name, f"python3-{name}") not in required} == set()


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
