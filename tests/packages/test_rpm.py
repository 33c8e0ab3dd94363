# SPDX-License-Identifier: GPL-2.0-or-later
"""RPM packages: each file in one package, and requirements of a part without those of the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "packaging" / "rpm" / "fedpkg-container.spec"
LIBRARY = "python3-fedpkg-container"
#: Package → requirements that it, or what it requires of this project, must not have.
FOREIGN = {
    "fedpkg-container-builder": {
        "python3dist(rpkg)",
        "python3dist(gitpython)",
        "python3dist(argcomplete)",
        "python3dist(cheroot)",
    },
    "fedpkg-container-hub": {"buildah", "python3dist(rpkg)", "python3dist(gitpython)", "python3dist(ruamel-yaml)"},
    "fedpkg-container-registry": {"buildah", "koji-builder", "python3dist(rpkg)", "python3dist(gitpython)"},
    "fedpkg-container-cluster": {"buildah", "python3dist(rpkg)", "python3dist(gitpython)"},
    "fedpkg-container": {"buildah", "koji-hub", "koji-builder", "python3dist(kubernetes)", "python3dist(cheroot)"},
}

pytestmark = [pytest.mark.slow, pytest.mark.programs]


def _rpm(package: Path, *options: str) -> list[str]:
    done = subprocess.run(
        ["rpm", "--query", "--package", "--nosignature", *options, str(package)],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages by name."""
    directory = tmp_path_factory.mktemp("rpms")
    command = [str(ROOT / "packaging" / "rpm" / "build"), str(directory)]
    options = ["--define", f"python_for_build {sys.executable}", "--without", "check"]
    done = subprocess.run(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return {path.name.rpartition("-0.")[0]: path for path in directory.glob("RPMS/noarch/*.rpm")}


def test_each_file_is_in_one_package(packages: dict[str, Path]) -> None:
    owners: dict[str, list[str]] = {}
    for name, path in packages.items():
        for file in _rpm(path, "--list"):
            if file != "(contains no files)":
                owners.setdefault(file, []).append(name)
    assert {file: names for file, names in owners.items() if len(names) > 1} == {}
    assert "/usr/bin/fedpkg" not in owners, "it belongs to the package fedpkg"
    modules = {f"/{path.relative_to(ROOT)}" for path in (ROOT / "fedpkg_container").rglob("*.py")}
    packaged = {file[file.index("/fedpkg_container/") :] for file in owners if "/fedpkg_container/" in file}
    assert modules - packaged == set()
    for program in ("", "-registry", "-cluster", "-box"):
        name = f"fedpkg-container{program}"
        assert owners[f"/usr/bin/{name}"] == [name]
        assert [owners[file] for file in owners if f"/{name}.1" in file] == [[name]]
        assert owners[f"/usr/share/bash-completion/completions/{name}"] == [name]


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_part_does_not_require_what_others_need(packages: dict[str, Path], name: str) -> None:
    required = {line.split(" ")[0] for line in _rpm(packages[name], "--requires")}
    assert LIBRARY in required
    required |= {line.split(" ")[0] for line in _rpm(packages[LIBRARY], "--requires")}
    assert required & FOREIGN[name] == set()


@pytest.mark.parametrize(
    ("name", "plugin"),
    [
        ("fedpkg-container-hub", "/usr/lib/koji-hub-plugins/hub_containerbuild.py"),
        ("fedpkg-container-builder", "/usr/lib/koji-builder-plugins/builder_containerbuild.py"),
        ("fedpkg-container-koji-cli", "/usr/lib/python3/site-packages/koji_cli_plugins/cli_containerbuild.py"),
    ],
)
def test_plugins_are_where_koji_looks_for_them(packages: dict[str, Path], name: str, plugin: str) -> None:
    links = dict(
        line.split(" ")
        for line in _rpm(packages[name], "--queryformat", "[%{FILENAMES} %{FILELINKTOS}\n]")
        if line[-1] != " "
    )
    target = (Path(plugin).parent / links[plugin]).as_posix()
    resolved = Path(
        subprocess.run(
            ["realpath", "-ms", target], capture_output=True, text=True, check=True, timeout=PATIENCE
        ).stdout.strip()
    )
    assert str(resolved) in _rpm(packages[LIBRARY], "--list")


def test_systemd_units_are_in_the_registry_package(packages: dict[str, Path]) -> None:
    """With the names of Fedora's package of the registry."""
    package = packages["fedpkg-container-registry"]
    files = set(_rpm(package, "--list"))
    units = [path.name for path in (ROOT / "packaging" / "systemd").iterdir() if path.suffix in (".service", ".timer")]
    assert len(units) == 15
    assert {f"/usr/lib/systemd/system/{name}" for name in units} <= files
    assert "/usr/libexec/fedpkg-container/registry-maintenance" in files
    assert "/usr/lib/sysusers.d/fedpkg-container-registry.conf" in files
    name = "./usr/lib/systemd/system/fedpkg-container-garbage-collect.service"
    script = f'rpm2cpio "$0" | cpio --quiet --extract --to-stdout {name}'
    unit = subprocess.run(
        ["sh", "-c", script, str(package)], capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout
    assert "docker-registry" not in unit
    for line in ("User=root", "Environment=GC_UNIT=docker-distribution.service",
                 "Environment=GC_PROGRAM=/usr/bin/registry", "ReadWritePaths=-/var/lib/registry"):  # fmt: skip
        assert f"\n{line}\n" in unit
