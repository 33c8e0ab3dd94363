# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers are the same for every user, without traces of how overlay was mounted."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Builds an image on a base, changes its files in every way that copies them up, and lists its contents.
BUILD = """
import gzip, io, json, os, shutil, sys, tarfile
from pathlib import Path
from fedpkg_container.engines import rootless
rootless.enter()
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Access
from tests.security import images

STEPS = '''
RUN touch /touched/file; echo more >> /changed/file; chmod 700 /changed
RUN rm -r /again; mkdir /again; echo new > /again/new; rm /removed/file
RUN mv /moved /renamed; ln /linked/file /linked/other; chown -R 1000:1000 /owned; mkfifo /linked/pipe
RUN rm -r /touched; mkdir -p /touched/below; ln -s /linked /changed/link; echo x > /changed/file
'''
directory = Path(sys.argv[1])
workspaces = Workspaces(directory / "state")
programs = Path("/bin/busybox").read_bytes()
names = ("sh", "touch", "chmod", "rm", "mkdir", "mv", "ln", "chown", "mkfifo")
content = io.BytesIO()
with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
    for each in ("bin", "touched", "changed", "again", "removed", "moved", "linked", "owned"):
        entry = tarfile.TarInfo(each)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
        for name in ("file", "other-file") if each != "bin" else names:
            entry = tarfile.TarInfo(f"{each}/{name}")
            text = programs if each == "bin" else f"{each}\\n".encode()
            entry.size, entry.mode = len(text), 0o755
            entry.pax_headers = {"SCHILY.xattr.user.kept": "yes"} if each == "changed" else {}
            archive.addfile(entry, io.BytesIO(text))
with workspaces.open("same") as workspace:
    engine = Buildah(workspaces, workspace, isolation=choose(workspaces), access=Access())
    written = images.write(workspace.directory / "base", [content.getvalue()], settings={"Env": ["PATH=/bin"]})
    base = engine.bases.load(ImageReference("registry.example.org", "base", tag="1"), written)
    context = workspace.directory / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {base.name}\\n{STEPS.replace('RUN ', 'RUN set -e; ')}")
    request = ImageBuild(context, context / "Dockerfile", {}, (), 1000, platform_of(os.uname().machine), 200)
    lines = []
    image = engine.build(request, line=lines.append, tick=lambda: None)
    exported = engine.export(image, ["v2s2"])
    manifest = exported.manifests["v2s2"]
    config = json.loads(b"".join(exported.chunks(manifest.blobs[0])))
    found = []
    for blob in manifest.blobs[2:]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(b"".join(exported.chunks(blob))))) as layer:
            found += [[each.name, each.uid, each.mode & 0o7777, each.pax_headers] for each in layer]
    print(json.dumps({"diff_ids": config["rootfs"]["diff_ids"], "entries": found, "user": os.getuid()}))
"""


def _build(enter: Sequence[str], directory: Path) -> dict[str, object]:
    command = [*enter, sys.executable, "-c", BUILD, str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The image built by this user."""
    return _build([], tmp_path_factory.mktemp("own"))


def test_layers_have_nothing_of_overlays(built: dict[str, object]) -> None:
    entries = json.dumps(built["entries"])
    assert '"touched/below"' in entries
    assert "user.overlay" not in entries
    assert "trusted.overlay" not in entries


def test_layers_keep_attributes_of_the_image(built: dict[str, object]) -> None:
    assert '["changed/file", 0, 493, {"SCHILY.xattr.user.kept": "yes"}]' in json.dumps(built["entries"])


def test_the_same_is_built_again(built: dict[str, object], tmp_path: Path) -> None:
    assert _build([], tmp_path)["diff_ids"] == built["diff_ids"]


@contextlib.contextmanager
def _ordinary_user(directory: Path) -> Iterator[list[str]]:
    """Return the command prefix for an ordinary user with subordinate IDs, in a separate view of /etc."""
    ids = directory / "ids"
    ids.write_text("nobody:300000:65536\n")
    ids.chmod(0o644)
    script = 'for each in /etc/subuid /etc/subgid; do mount --bind "$0" "$each"; done; exec "$@"'
    nobody = pwd.getpwnam("nobody")
    user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    yield ["unshare", "--mount", "sh", "-c", script, str(ids), *user, "env", "-u", "XDG_RUNTIME_DIR"]


@pytest.mark.root
def test_an_ordinary_user_builds_the_same(built: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        own = directory / "own"
        own.mkdir()
        with _ordinary_user(directory) as enter:
            os.chown(own, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
            reads = subprocess.run([*enter, sys.executable, "-c", "import fedpkg_container"], cwd=ROOT, check=False)
            if reads.returncode:
                pytest.skip(f"an ordinary user cannot read {ROOT} or {sys.executable}")
            found = _build(enter, own)
    assert found["diff_ids"] == built["diff_ids"]
    assert found["entries"] == built["entries"]


#: Exports an image twice: from its store, and from what buildah push writes.
TWICE = BUILD.replace(
    'print(json.dumps({"diff_ids"',
    """engine._exports.clear()
    engine._stores = lambda: []
    pushed = engine.export(image, ["v2s2"]).manifests["v2s2"].digest
    logs = [path.read_text() for path in sorted(engine.directory.glob("exported-*.log"))]
    print(json.dumps({"digests": [manifest.digest, pushed], "logs": logs}))
    print(json.dumps({"diff_ids\"""",
)


def test_an_image_read_from_its_store_is_what_buildah_push_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWICE, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-2])
    assert len(set(found["digests"])) == 1
    assert [("using buildah push" in log) for log in found["logs"]] == [False, True]
