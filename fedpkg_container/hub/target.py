"""Asking a hub about a build target, without logging in."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.hub.session import contact
from fedpkg_container.model.build import Target
from fedpkg_container.text import printable_line


def read_target(session: Any, name: str) -> Target:
    """What the hub knows of a target: two requests.

    :raises LostContactError: the hub did not answer
    :raises FedpkgContainerError: there is no such target, or the hub refuses
    """
    with contact(session.baseurl):
        target = session.getBuildTarget(name)
        if target is None:
            raise FedpkgContainerError(
                f"there is no build target {printable_line(name)}", solution="koji list-targets lists them"
            )
        config = session.getBuildConfig(target["build_tag"])
    arches = tuple(koji.canonArch(arch) for arch in (config["arches"] or "").split())
    return Target(name, target["build_tag_name"], target["dest_tag_name"], arches)
