# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that change channels."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls.listings import existing_host, get_channel, list_channels
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import find, require_permission
from fedpkg_container.box.hub.parameters import ChannelChanges, Lookup, verify_name


@call("addChannel", used_by="koji add-channel")
def add_channel(channel_name: str, description: str | None = None) -> int:
    """Add a channel; return its ID."""
    require_permission("admin")
    _refuse_duplicate(verify_name(channel_name))
    return database().insert("channels", name=channel_name, description=description)


@call("editChannel", used_by="koji edit-channel")
def edit_channel(channelInfo: Lookup, **kw: ChannelChanges) -> bool:
    """Change the name, description or comment of a channel; return whether anything changed."""
    require_permission("admin")
    channel: Row = get_channel(channelInfo, strict=True) or {}
    changes = {key: kw[key] for key in ("description", "comment", "name") if key in kw and kw[key] != channel[key]}
    if not changes:
        return False
    if name := changes.get("name"):
        _refuse_duplicate(verify_name(name))
    database().update("channels", channel["id"], **changes)
    return True


def _refuse_duplicate(name: str) -> None:
    if channel := find("channels", name):
        raise koji.GenericError(f"channel {name} already exists (id={channel['id']})")


@call("enableChannel", used_by="koji enable-channel")
def enable_channel(channelname: Lookup, comment: str | None = None) -> None:
    """Enable a channel, so that it accepts tasks."""
    _enable(channelname, True, comment)


@call("disableChannel", used_by="koji disable-channel")
def disable_channel(channelname: Lookup, comment: str | None = None) -> None:
    """Disable a channel, so that it accepts no new tasks."""
    _enable(channelname, False, comment)


def _enable(name: Any, enabled: bool, comment: str | None) -> None:
    require_permission("host")
    channel = get_channel(name)
    if channel is None:
        raise koji.GenericError(f"No such channel: {name}")
    comments = {} if comment is None else {"comment": comment}
    database().update("channels", channel["id"], enabled=int(enabled), **comments)


@call("removeHostFromChannel", used_by="koji remove-host-from-channel")
def remove_host_from_channel(hostname: Lookup, channel_name: Lookup) -> None:
    """Remove a host from a channel."""
    require_permission("host")
    host, channel = existing_host(hostname), get_channel(channel_name)
    if channel is None:
        raise koji.GenericError(f"channel does not exist: {channel_name}")
    if channel["id"] not in [each["id"] for each in list_channels(host["id"])]:
        raise koji.GenericError(f"host {hostname} is not subscribed to the {channel_name} channel")
    where = "host_id = ? AND channel_id = ?"
    database().execute(f"DELETE FROM host_channels WHERE {where}", host["id"], channel["id"])
