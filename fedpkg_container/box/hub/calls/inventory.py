"""Hosts and channels, as an admin sees them."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls import users
from fedpkg_container.box.hub.database import Row, query_options, timestamp
from fedpkg_container.box.hub.dispatch import call, database, require_permission


def known_host(host: Any) -> Row:
    """A host by id or name, which must exist."""
    row = get_host(host, strict=True)
    assert row is not None
    return row


@call("getHost", used_by="koji taskinfo, hostinfo; the client")
def get_host(hostInfo: Any, strict: bool = False, event: int | None = None) -> Row | None:
    """A host by id or name."""
    if isinstance(hostInfo, dict):
        hostInfo = hostInfo.get("id") or hostInfo.get("name")
    column = "id" if isinstance(hostInfo, int) else "name"
    row = database().one(f"SELECT * FROM hosts WHERE {column} = ?", hostInfo)
    if row is None:
        if strict:
            raise koji.GenericError(f"No such host: {hostInfo!r}")
        return None
    return _host(row)


def _host(row: Row) -> Row:
    keys = ("id", "user_id", "name", "task_load", "arches", "capacity", "description", "comment")
    return {key: row[key] for key in keys} | {"ready": bool(row["ready"]), "enabled": bool(row["enabled"])}


@call("listHosts", used_by="the client's preflight; koji list-hosts; koji.daemon")
def list_hosts(
    arches: Any = None,
    channelID: Any = None,
    ready: bool | None = None,
    enabled: bool | None = None,
    userID: int | None = None,
    queryOpts: Row | None = None,
) -> Any:
    """Hosts, by arch, channel, readiness."""
    rows = [_host(row) for row in database().all("SELECT * FROM hosts ORDER BY id")]
    if arches is not None:
        wanted = {arches} if isinstance(arches, str) else set(arches)
        rows = [row for row in rows if wanted & set(row["arches"].split())]
    if channelID is not None:
        channel = known_channel(channelID)["id"]
        members = database().all("SELECT host_id FROM host_channels WHERE channel_id = ?", channel)
        rows = [row for row in rows if row["id"] in {member["host_id"] for member in members}]
    for key, value in (("ready", ready), ("enabled", enabled), ("user_id", userID)):
        if value is not None:
            rows = [row for row in rows if row[key] == value]
    return query_options(rows, queryOpts)


@call("addHost", used_by="the box's set-up; contract tests")
def add_host(hostname: str, arches: list[str], krb_principal: str | None = None, force: bool = False) -> int:
    """A new host, with a user of the same name, in the channel ``default``."""
    require_permission("host")
    if database().value("SELECT 1 FROM hosts WHERE name = ?", hostname):
        raise koji.GenericError(f"host already exists: {hostname}")
    user = users.user_row(hostname)
    user_id = user["id"] if user else database().insert("users", name=hostname, usertype=koji.USERTYPES["HOST"])
    host_id = database().insert("hosts", user_id=user_id, name=hostname, arches=" ".join(arches))
    database().execute("INSERT INTO host_channels VALUES (?, ?)", host_id, known_channel("default")["id"])
    return host_id


@call("editHost", used_by="the box's set-up; koji edit-host")
def edit_host(hostInfo: Any, **kw: Any) -> bool:
    """Change arches, capacity, description or comment of a host; says whether anything changed."""
    require_permission("host")
    host = known_host(hostInfo)
    changes = {key: kw[key] for key in ("arches", "capacity", "description", "comment") if key in kw}
    changes = {key: value for key, value in changes.items() if value != host[key]}
    if changes:
        database().update("hosts", host["id"], **changes)
    return bool(changes)


def _enable(hostname: Any, enabled: bool) -> None:
    require_permission("host")
    database().update("hosts", known_host(hostname)["id"], enabled=int(enabled))


@call("enableHost", used_by="koji enable-host; contract tests")
def enable_host(hostname: Any) -> None:
    """Let a host take tasks."""
    _enable(hostname, True)


@call("disableHost", used_by="koji disable-host; contract tests")
def disable_host(hostname: Any) -> None:
    """Keep a host from taking tasks."""
    _enable(hostname, False)


@call("getLastHostUpdate", used_by="koji hostinfo, list-hosts")
def get_last_host_update(hostID: Any, ts: bool = False) -> Any:
    """When a host was last heard of; None for never."""
    host = database().one("SELECT update_time FROM hosts WHERE id = ?", known_host(hostID)["id"])
    seconds = host["update_time"] if host else None
    return seconds if ts else timestamp(seconds)


@call("getChannel", used_by="koji taskinfo; koji.daemon; the builder plugin")
def get_channel(channelInfo: Any, strict: bool = False) -> Row | None:
    """A channel by id or name."""
    if isinstance(channelInfo, dict):
        channelInfo = channelInfo.get("id") or channelInfo.get("name")
    column = "id" if isinstance(channelInfo, int) else "name"
    row = database().one(f"SELECT * FROM channels WHERE {column} = ?", channelInfo)
    if row is None and strict:
        raise koji.GenericError(f"No such channel: {channelInfo!r}")
    return row and {**row, "enabled": bool(row["enabled"])}


def known_channel(channel: Any) -> Row:
    """A channel that must exist."""
    row = get_channel(channel, strict=True)
    assert row is not None
    return row


@call("listChannels", used_by="koji hostinfo; the client's preflight")
def list_channels(hostID: Any = None, event: int | None = None, enabled: bool | None = None) -> list[Row]:
    """The channels, or those of one host."""
    rows = database().all("SELECT * FROM channels ORDER BY id")
    if hostID is not None:
        host = known_host(hostID)["id"]
        mine = {row["channel_id"] for row in database().all("SELECT * FROM host_channels WHERE host_id = ?", host)}
        rows = [row for row in rows if row["id"] in mine]
    found = [{**row, "enabled": bool(row["enabled"])} for row in rows]
    return [row for row in found if enabled is None or row["enabled"] == enabled]


@call("addHostToChannel", used_by="the box's set-up; contract tests")
def add_host_to_channel(hostname: Any, channel_name: str, create: bool = False, force: bool = False) -> None:
    """Let a host take the tasks of a channel."""
    require_permission("host")
    host = known_host(hostname)
    channel = get_channel(channel_name)
    if channel is None:
        if not create:
            raise koji.GenericError(f"No such channel: {channel_name}")
        channel_id = database().insert("channels", name=channel_name)
    else:
        channel_id = channel["id"]
    where = ("SELECT 1 FROM host_channels WHERE host_id = ? AND channel_id = ?", host["id"], channel_id)
    if database().value(*where):
        raise koji.GenericError(f"host {hostname} is already subscribed to the {channel_name} channel")
    database().execute("INSERT INTO host_channels VALUES (?, ?)", host["id"], channel_id)


@call("removeHostFromChannel", used_by="koji remove-host-from-channel; contract tests")
def remove_host_from_channel(hostname: Any, channel_name: str) -> None:
    """Keep a host from the tasks of a channel."""
    require_permission("host")
    host, channel = known_host(hostname), known_channel(channel_name)
    gone = database().execute("DELETE FROM host_channels WHERE host_id = ? AND channel_id = ?", host["id"], channel["id"])
    if not gone:
        raise koji.GenericError(f"host {hostname} is not subscribed to the {channel_name} channel")


@call("listBuildroots", used_by="koji taskinfo, hostinfo; koji.daemon.TaskManager")
def list_buildroots(**options: Any) -> Any:
    """Nothing: builders of this hub have no mock buildroots."""
    return query_options([], options.get("queryOpts"))
