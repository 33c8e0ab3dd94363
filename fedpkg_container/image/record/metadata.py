# SPDX-License-Identifier: GPL-2.0-or-later
"""Content-generator metadata: everything that Koji records of a build (keys as in atomic-reactor)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from fedpkg_container import __version__
from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.resolve.parents import Parent
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_types import (
    BuildExtra,
    BuildMetadata,
    Buildroot,
    FileMetadata,
    ImageConfig,
    ImageMetadata,
    ImportMetadata,
    InheritedConfig,
    OutputMetadata,
    RPMComponent,
)
from fedpkg_container.model.nvr import NVR

METADATA_VERSION = 0
#: Maximum characters of ``inherited``, as JSON: the hub returns it with every build of a list.
MAX_INHERITED = 8192


@dataclass(frozen=True)
class Provenance:
    """How, when and from what a build was made.

    :param source_url: with the exact commit
    :param owner: name of the user who submitted the build
    :param generator: name of the content generator
    :param started: seconds since the epoch
    :param ended: seconds since the epoch
    :param base: base image of the last stage, as written in FROM; empty for none
    :param help_file: help page in the source; empty for none
    :param go_modules: from container.yaml
    :param userdata: from the client, stored verbatim
    :param store_archives: whether Koji stores the images' archives, or only their metadata
    :param sbom: metadata of the SBOM of each architecture
    :param imported: source and image IDs of an imported base image; empty for a build
    """

    nvr: NVR
    source_url: str
    task_id: int | None
    owner: str
    generator: str
    started: float
    ended: float
    parents: Sequence[Parent]
    base: str
    isolated: bool
    yum_repourls: Sequence[str]
    help_file: str
    go_modules: Sequence[object] = ()
    userdata: Mapping[str, object] = field(default_factory=dict)
    store_archives: bool = True
    sbom: Mapping[str, object] = field(default_factory=dict)
    imported: Mapping[str, object] = field(default_factory=dict)


def build_metadata(
    provenance: Provenance,
    published: PublishedIndex,
    images: Sequence[BuiltImage],
    logs: Sequence[FileMetadata],
    build_id: int | None,
) -> ImportMetadata:
    """Return the complete metadata.

    :param logs: metadata of the files uploaded by the parent task
    :param build_id: of the reservation
    """
    extra: BuildExtra = {}
    if provenance.task_id is not None:
        extra["container_koji_task_id"] = provenance.task_id
    extra["submitter"] = provenance.owner
    extra["osbs_build"] = {"kind": "container_build", "engine": _engine(provenance), "subtypes": []}
    extra["image"] = _image(provenance, published, images)
    if provenance.userdata:
        extra["custom_user_metadata"] = dict(provenance.userdata)
    build: BuildMetadata = {
        "name": provenance.nvr.name,
        "version": provenance.nvr.version,
        "release": provenance.nvr.release,
        "source": provenance.source_url,
        "start_time": int(provenance.started),
        "end_time": int(provenance.ended),
        "owner": provenance.owner,
        "extra": extra,
    }
    if build_id is not None:
        build["build_id"] = build_id
    first_arch = images[0].arch
    return {
        "metadata_version": METADATA_VERSION,
        "build": build,
        "buildroots": [_buildroot(image, provenance.generator) for image in images],
        "output": [
            *(_output(log, first_arch) for log in logs),
            *(o for image in images for o in _outputs(image, published, store_archives=provenance.store_archives)),
        ],
    }


def _engine(provenance: Provenance) -> str:
    return "import" if provenance.imported else "buildah"


def _image(provenance: Provenance, published: PublishedIndex, images: Sequence[BuiltImage]) -> ImageMetadata:
    builds = {str(parent.pinned): parent.build for parent in provenance.parents if parent.build}
    base = next((parent.build for parent in provenance.parents if parent.name == provenance.base), None)
    image: ImageMetadata = {
        "autorebuild": False,
        "triggered_after_koji_task": None,
        "isolated": provenance.isolated,
        "help": provenance.help_file or None,
        "media_types": sorted(
            {*published.digests, *published.other_media_types, *(image.media_type for image in images)}
        ),
        "parent_images": [parent.name for parent in provenance.parents],
        "parent_image_builds": builds,
        "yum_repourls": list(provenance.yum_repourls),
        "index": {
            "pull": [published.by_tag, published.by_digest],
            "tags": [published.tags.primary],
            "floating_tags": list(published.tags.floating),
            "unique_tags": [published.tags.unique],
            "digests": published.digests,
        },
    }
    if base:
        image["parent_build_id"] = base["id"]
    if provenance.sbom:
        image["sbom"] = dict(provenance.sbom)
    if provenance.imported:
        image["imported"] = dict(provenance.imported)
    if inherited := _inherited(images):
        image["inherited"] = inherited
    if provenance.go_modules:
        image["go"] = {"modules": list(provenance.go_modules)}
    return image


def _inherited(images: Sequence[BuiltImage]) -> InheritedConfig | None:
    """Return what images based on these inherit; None if it is long or depends on the architecture."""
    by_arch = []
    for image in images:
        config = _config(image.config).get("config") or {}
        by_arch.append(InheritedConfig(Env=config.get("Env") or [], OnBuild=config.get("OnBuild") or []))
    is_same = all(inherited == by_arch[0] for inherited in by_arch)
    return by_arch[0] if is_same and len(json.dumps(by_arch[0])) <= MAX_INHERITED else None


def _buildroot(image: BuiltImage, generator: str) -> Buildroot:
    return {
        **image.buildroot,
        "components": _deduplicate(image.buildroot["components"]),
        "id": _buildroot_id(image.arch),
        "content_generator": {"name": generator, "version": __version__},
    }


def _buildroot_id(arch: str) -> str:
    return f"builder-{arch}"


def _output(file: FileMetadata, arch: str) -> OutputMetadata:
    arch = file.get("arch", arch)
    return cast("OutputMetadata", {**file, "buildroot_id": _buildroot_id(arch), "arch": arch})


def _outputs(image: BuiltImage, published: PublishedIndex, *, store_archives: bool) -> list[OutputMetadata]:
    """Return the archive of one architecture with its components, and its logs."""
    outputs = []
    for file in image.files:
        output = _output(file, image.arch)
        if file["type"] == "docker-image":
            if not store_archives:
                output["metadata_only"] = True
            pinned = published.repository.at(image.digest)
            tags = [published.tags.primary, *published.tags.floating]
            output["components"] = _deduplicate(image.components)
            output["extra"] = {
                "image": {"arch": image.arch},
                "docker": {
                    "id": image.image_id,
                    "parent_id": image.parent_id,
                    "repositories": [published.by_tag, str(pinned)],
                    "config": _config(image.config),
                    "tags": tags,
                    "layer_sizes": [
                        {"layer": diff_id, "size": layer["size"]}
                        for diff_id, layer in zip(image.diff_ids, image.layers)
                    ],
                    "digests": {image.media_type: image.digest},
                },
            }
        outputs.append(output)
    return outputs


def _deduplicate(components: Sequence[RPMComponent]) -> list[RPMComponent]:
    """Return one component per name, version, release and architecture, which is Koji's key of an RPM."""
    unique: dict[tuple[str, ...], RPMComponent] = {}
    for component in components:
        unique.setdefault(tuple(component[key] for key in ("name", "version", "release", "arch")), component)
    return list(unique.values())


def _config(text: str) -> ImageConfig:
    """Return the image configuration without that of the build's container."""
    config: ImageConfig = json.loads(text)
    config.pop("container_config", None)
    return config
