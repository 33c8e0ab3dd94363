# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies of tags."""

from __future__ import annotations

import koji

from fedpkg_container.box.hub.calls.packages import package_list, package_list_add
from fedpkg_container.box.hub.calls.tagging import list_tagged, tag_build_bypass
from fedpkg_container.box.hub.calls.tags import create_tag, edit_tag, get_tag, known_tag
from fedpkg_container.box.hub.dispatch import call
from fedpkg_container.box.hub.lookups import assert_now, require_permission
from fedpkg_container.box.hub.parameters import Lookup


@call("snapshotTag", used_by="koji clone-tag")
def snapshot_tag(
    src: Lookup, dst: str, config: bool = True, pkgs: bool = True, builds: bool = True, groups: bool = True,
    latest_only: bool = True, inherit_builds: bool = True, event: int | None = None, force: bool = False,
) -> None:  # fmt: skip
    """Copy a tag to a new one: settings, package list and builds, without inheritance."""
    require_permission("tag")
    assert_now(event)
    if builds and not pkgs:
        raise koji.ParameterError("builds can't be used without pkgs in snapshotTag")
    if get_tag(dst):
        raise koji.GenericError("Target tag already exists")
    source = known_tag(src)
    if source["locked"] and not force:
        raise koji.GenericError("Source tag is locked, use force to copy")
    tag = create_tag(dst, arches=source["arches"], extra=source["extra"]) if config else create_tag(dst)
    for entry in package_list(source["id"]).values() if pkgs else ():
        package_list_add(
            tag, entry["package_name"], entry["owner_id"], entry["blocked"], entry["extra_arches"], force=True
        )
    tagged = list_tagged(source["id"], inherit=inherit_builds, latest=latest_only) if builds else []
    for build in tagged[::-1]:
        tag_build_bypass(tag, build["build_id"], force=True)
    if config:
        edit_tag(tag, locked=source["locked"], perm_id=source["perm_id"])
