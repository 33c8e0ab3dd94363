"""What is recorded of the image of one architecture: configuration, distribution and digests."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.errors import RegistryError
from fedpkg_container.image.inspect.rpms import DATABASES, read_packages
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.manifests import ImageConfiguration
from fedpkg_container.registry.skopeo import Registry

_LINE = re.compile(r"""^(ID|VERSION_ID)=["']?([a-z0-9][a-z0-9._-]{0,63})["']?\s*$""", re.MULTILINE)
_OS_RELEASE_PATHS = (("usr", "lib", "os-release"), ("etc", "os-release"))
#: The files that are read, below the root of an image.
OS_RELEASE = tuple("/".join(place) for place in _OS_RELEASE_PATHS)
_MAX_OS_RELEASE_BYTES = 64 * 1024


def read_distribution(root: Path) -> dict[str, str]:
    """``id`` and ``version`` of the distribution, where the image says them (os-release(5)).

    :param root: a directory with the image's files; no link in it is followed
    """
    for path in _OS_RELEASE_PATHS:
        text = _read_below(root, path)
        if text:
            values = dict(_LINE.findall(text))
            return {key: values[name] for key, name in (("id", "ID"), ("version", "VERSION_ID")) if name in values}
    return {}


def _read_below(root: Path, path: tuple[str, ...]) -> str:
    *directories, name = path
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for directory in directories:
            child = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = child
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=current)
    except OSError:
        return ""
    finally:
        os.close(current)
    with open(file, "rb") as stream:
        return (
            stream.read(_MAX_OS_RELEASE_BYTES).decode(errors="replace") if stat.S_ISREG(os.fstat(file).st_mode) else ""
        )


#: The longest configuration of an image that is recorded, bytes: Koji keeps it with the build.
MAX_CONFIGURATION_BYTES = 8 * 1024 * 1024


def inspect_image(engine: Buildah, image_id: str) -> dict[str, Any]:
    """Return what is in an image, as fields of ``BuiltImage``: its RPMs, and which distribution it is.

    :param image_id: image ID
    :raises BuildFailedError: its RPM database cannot be read
    """
    root = engine.files(image_id, directories=DATABASES, files=OS_RELEASE)
    packages = read_packages(root, engine.workspace)
    return {
        "components": [each.component for each in packages],
        "details": [each.details for each in packages],
        "distribution": read_distribution(root),
    }


def describe_image(registry: Registry, arch: str, reference: ImageReference, **found: Any) -> BuiltImage:
    """An image of one arch.

    :param arch: Koji's name
    :param image_id: by digest
    :param values: further fields
    :raises RegistryError: it is not there, is not an image, or the registry cannot be reached
    """
    with registry.repository(reference) as repository:
        manifest = repository.manifest(reference.digest)
        if not manifest.blobs:
            raise RegistryError(f"{reference} is not an image of one arch")
        if manifest.blobs[0].size > MAX_CONFIGURATION_BYTES:
            raise RegistryError(f"the configuration of {reference} has more than {MAX_CONFIGURATION_BYTES} bytes")
        raw = repository.blob(manifest.blobs[0])
        diff_ids = ImageConfiguration.read(raw, where=str(reference)).diff_ids
    return BuiltImage(
        arch=arch,
        staging=str(reference),
        digest=manifest.digest,
        media_type=manifest.media_type,
        image_id=manifest.blobs[0].digest,
        config=raw.decode(),
        layers=[{"layer": each.digest, "size": each.size} for each in manifest.blobs[1:]],
        diff_ids=diff_ids,
        files=[],
        **found,
    )
