# SPDX-License-Identifier: GPL-2.0-or-later
"""Contents of an image in a registry."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.process import run
from tests.support.leftovers import registry_of
from tests.support.waiting import PATIENCE


def layers(box: Box, specification: str, directory: Path) -> list[Path]:
    """The layers of an image as files, compressed as in the registry, the base's first.

    :param directory: directory for the copy
    """
    image = directory / "image"
    options = registry_of(box).access.options("src-")
    run(["skopeo", "copy", "--quiet", *options, f"docker://{specification}", f"dir:{image}"], timeout=PATIENCE)
    manifest = json.loads((image / "manifest.json").read_text())
    return [image / layer["digest"].partition(":")[2] for layer in manifest["layers"]]


def added(box: Box, specification: str, directory: Path) -> list[str]:
    """Names of all files in the layers that a build added to a base of one layer."""
    names = []
    for layer in layers(box, specification, directory)[1:]:
        with tarfile.open(layer) as content:
            names += content.getnames()
    return names


def unpacked(box: Box, specification: str, directory: Path) -> Path:
    """Extract the files of an image, layer by layer."""
    root = directory / "root"
    root.mkdir()
    for layer in layers(box, specification, directory):
        run(["tar", "-C", root, "-xzf", layer], timeout=PATIENCE)
    return root
