# SPDX-License-Identifier: GPL-2.0-or-later
"""A base image on this builder: its store, and its contents as in the registry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fedpkg_container.engines.opening import open_plain
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.digests import validate_digest
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.text import reason_text

#: Directory of the registry contents, in an image's directory.
CONTENT = "content"
_OTHER = "use another base image"
#: Size limit of a store's layer list, bytes; a layer takes less than a kilobyte.
_LONGEST_STORE = 8 * 1024 * 1024


@dataclass(frozen=True)
class BaseImage:
    """A base image on this builder.

    :param image_id: without ``sha256:``
    :param name: name for FROM: the image of one architecture by its own digest
    :param directory: the store and the registry contents
    """

    image_id: str
    name: str
    directory: Path

    @property
    def graph(self) -> Path:
        """The store."""
        return self.directory / "work" / "graph"

    @property
    def content(self) -> Path:
        """The directory with the registry contents."""
        return self.directory / CONTENT

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, as in the registry."""
        return Manifest.read((self.content / "manifest.json").read_bytes())

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """The configuration.

        :raises RegistryError: if it is not an image configuration
        """
        try:
            configuration = json.loads(self.blob(self.manifest.blobs[0].digest).read_bytes())
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the configuration of {self.name} is not JSON: {error}", solution=_OTHER) from error
        if not isinstance(configuration, dict) or not isinstance(configuration.get("config") or {}, dict):
            raise RegistryError(f"the configuration of {self.name} is not an image configuration", solution=_OTHER)
        return configuration

    @property
    def triggers(self) -> list[str]:
        """The ONBUILD instructions that run in builds from the image.

        :raises RegistryError: if they are not strings
        """
        instructions = (self.configuration.get("config") or {}).get("OnBuild") or []
        if not isinstance(instructions, list) or not all(isinstance(each, str) for each in instructions):
            raise RegistryError(f"ONBUILD of {self.name} is not a list of instructions", solution=_OTHER)
        return instructions

    @property
    def layers(self) -> dict[str, dict[str, Any]]:
        """Layers that other images can reuse as in the registry: diff ID → digest and size."""
        diff_ids = (self.configuration.get("rootfs") or {}).get("diff_ids") or []
        blobs = self.manifest.blobs[1:]
        if len(diff_ids) != len(blobs):
            return {}
        return {
            str(diff_id): {"digest": blob.digest, "size": blob.size}
            for diff_id, blob in zip(diff_ids, blobs)
            if blob.media_type.endswith("gzip")
        }

    def blob(self, digest: str) -> Path:
        """Path of a blob."""
        return self.content / validate_digest(digest).partition(":")[2]


def check_layers(base: BaseImage, workspace: Workspace) -> None:
    """Check that the configuration of an image lists its actual layers.

    The image ID is the digest of the configuration, and skopeo does not compare. An image with a copied configuration
    would be mistaken for the original, its blobs for its layers.

    :param workspace: of the worker that unpacked it
    :raises RegistryError: if it does not, or the store's layer list is unreadable
    """
    path = workspace.work / "graph" / "overlay-layers" / "layers.json"
    try:
        named = (base.configuration.get("rootfs") or {}).get("diff_ids") or []
        blobs = [each.digest for each in base.manifest.blobs[1:]]
        same = len(named) == len(blobs)
        if same and blobs:
            with open_plain(path, workspace.work) as file:
                layer_records = json.loads(file.read(_LONGEST_STORE))
            unpacked = {(each.get("compressed-diff-digest"), each.get("diff-digest")) for each in layer_records}
            same = unpacked.issuperset(zip(blobs, named))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(
            f"the layers of {base.name} cannot be compared with its configuration: {reason_text(error)}",
            solution=_OTHER,
        ) from error
    if not same:
        raise RegistryError(f"the layers of {base.name} differ from those in its configuration", solution=_OTHER)
