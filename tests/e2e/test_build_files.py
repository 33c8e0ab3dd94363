# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a checkout that decide what is built: Containerfile, ignore files, links, submodules."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.machines import MACHINE
from tests.support.images import unpacked
from tests.support.packager import Packager, pull_specs


def _write(packager: Packager, files: dict[str, str]) -> None:
    for name, text in files.items():
        (packager.checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (packager.checkout / name).write_text(text)


def test_a_containerfile_with_its_ignore_file_and_links(packager: Packager, box: Box, tmp_path: Path) -> None:
    steps = ("COPY 2.4/root package.json yarn.lock* /app/",)
    _write(
        packager,
        {
            "Containerfile": packager.dockerfile(*steps),
            "Containerfile.dockerignore": "2.4/root/*.log\n",
            ".dockerignore": "root\n",
            "root/kept": "kept\n",
            "root/left.log": "left out\n",
            "package.json": "{}\n",
        },
    )
    (packager.checkout / "2.4").symlink_to(".")
    packager.commit("FROM scratch\nRUN nothing of this is built\n")
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Containerfile is used; Dockerfile is ignored [dockerfile-ignored]" in done.stderr
    root = unpacked(box, pull_specs(done.stdout)[1], tmp_path)
    assert sorted(path.name for path in (root / "app").iterdir()) == ["kept", "package.json"]
    session = box.session(ADMIN)
    logs = session.getBuildLogs(f"{packager.name}-container-1.0-1")
    session.logout()
    paths = {log["name"]: box.layout.topdir / log["path"] for log in logs}
    assert "COPY 2.4/root" in paths[f"{MACHINE}.Dockerfile"].read_text()
    assert paths["Containerfile"].read_text() == (packager.checkout / "Containerfile").read_text()
    assert "Dockerfile" not in paths


def test_a_local_build_reads_the_same_files(packager: Packager, tmp_path: Path) -> None:
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    _write(
        packager,
        {
            "Containerfile": packager.dockerfile("COPY 2.4/root *.missing /app/", "RUN echo files: $(ls /app)"),
            "Containerfile.containerignore": "**/*.log\n",
            "root/kept": "kept\n",
            "root/left.log": "left out\n",
        },
    )
    (packager.checkout / "2.4").symlink_to(".")
    packager.run("git", "add", "--all")
    packager.run("git", "commit", "--quiet", "--message", "a Containerfile")
    done = packager.build(
        "--local", env={"CONTAINERS_STORAGE_CONF": str(storage), "XDG_STATE_HOME": str(tmp_path / "state")}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nfiles: kept\n" in done.stdout


@pytest.mark.parametrize("where", ["builder", "client"])
def test_a_submodule_is_refused(packager: Packager, where: str) -> None:
    commit = packager.commit(packager.dockerfile("COPY vendor /vendor"), files={"README": ""})
    _write(packager, {"vendor/file": "x"})
    packager.run("git", "add", "vendor")
    packager.run("git", "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/sub")
    packager.run("git", "commit", "--quiet", "--message", "a submodule")
    packager.run("git", "push", "--quiet", "origin", "HEAD:rawhide")
    (packager.checkout / "vendor" / "sub").mkdir()
    done = packager.build(*(["--skip-check=submodule"] if where == "builder" else []))
    printed = done.stdout + done.stderr
    assert "COPY: vendor includes the git submodule vendor/sub, which builders do not fetch" in printed
    assert "git subtree add" in printed
    assert ("[submodule]" in printed) == (where == "client")
    assert done.returncode != 0
