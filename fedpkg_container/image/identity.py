"""What a build is: its NVR and its repository, from the Dockerfile's labels and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image import naming
from fedpkg_container.model.nvr import COMPONENT, LONGEST_NVR, label


@dataclass(frozen=True)
class Identity:
    """Name, version and release of the build, and its repository in the registry.

    :param release: empty for the hub's next one
    """

    component: str
    version: str
    release: str
    image: str


def identify(dockerfile: Dockerfile, options: Mapping[str, Any]) -> Identity:
    """The identity of a build.

    :raises BuildFailedError: a label is missing, or makes no NVR or no repository
    """
    labels = dockerfile.labels
    component = naming.package(naming.required(labels, COMPONENT))
    version = naming.nvr_part("version", naming.required(labels, "version"))
    release = str(options.get("release") or label(labels, "release"))
    if release:
        naming.nvr_part("release", release)
    if len(f"{component}-{version}-{release}") > LONGEST_NVR:
        raise BuildFailedError(f"the labels make an NVR of more than {LONGEST_NVR} characters", solution="shorten them")
    try:
        koji.check_NVR({"name": component, "version": version, "release": release or "1"}, strict=True)
    except koji.GenericError as error:
        raise BuildFailedError(f"the labels make no NVR: {error}", solution="mend com.redhat.component") from error
    return Identity(component, version, release, naming.repository(naming.required(labels, "name")))
