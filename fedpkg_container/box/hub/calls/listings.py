# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that list tags' contents, and archives of builds."""

from __future__ import annotations

import json
from typing import Any

import koji

from fedpkg_container.box.hub.calls import users
from fedpkg_container.box.hub.database import Row, query_options, timestamp
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now, entry, find, one_row, require_permission
from fedpkg_container.box.hub.parameters import (
    BuildrootFilter,
    HostChanges,
    Lookup,
    NumberOrText,
    QueryOptions,
    UserLookup,
    verify_name,
)

#: Koji's types of container builds' files, by suffix.
_ENDINGS = ((".tar.gz", "tar"), (".tar", "tar"), (".json", "json"), (".zip", "zip"), (".xml", "xml"))
#: ID, description, suffixes and compression of each type.
_TYPES: dict[str, tuple[int, str, str, str | None]] = {
    "tar": (4, "Tar file", "tar tar.gz tar.bz2 tar.xz tgz", "tar"),
    "json": (46, "JSON data", "json", None),
    "zip": (2, "Zip file", "zip", "zip"),
    "xml": (5, "XML file", "xml", None),
}


def type_of(filename: str) -> str:
    """Type of an archive by its file name suffix."""
    for ending, name in _ENDINGS:
        if filename.endswith(ending):
            return name
    raise koji.GenericError(f"unsupported archive type: {filename}")


@call("listArchives", used_by="the box's demo; koji buildinfo")
def list_archives(
    buildID: int | None = None, *, type: str | None = None, filename: str | None = None, size: int | None = None,  # noqa: A002
    checksum: str | None = None, checksum_type: NumberOrText | None = None,
    queryOpts: QueryOptions | None = None, archiveID: int | None = None,
    strict: bool = False,
) -> object:  # fmt: skip
    """The archives of a build, or those with a name, a size or a checksum."""
    clauses, values = ["1"], []
    named = (("build_id", buildID), ("btype", type), ("filename", filename), ("size", size), ("checksum", checksum),
             ("checksum_type", checksum_type), ("id", archiveID))  # fmt: skip
    for column, wanted in named:
        if wanted is not None:
            clauses.append(f"{column} = ?")
            values.append(wanted)
    rows = database().all(f"SELECT * FROM archives WHERE {' AND '.join(clauses)} ORDER BY id", *values)
    if strict and not rows:
        raise koji.GenericError("No archives found.")
    return query_options([_archive(row, with_arch=type == "image") for row in rows], queryOpts)


def _archive(row: Row, *, with_arch: bool) -> Row:
    type_id, description, extensions, compression = _TYPES[row["type_name"]]
    keys = ("id", "build_id", "buildroot_id", "btype", "filename", "size", "checksum", "checksum_type", "type_name")
    shown = {
        **{key: row[key] for key in keys},
        "type_id": type_id,
        "btype_id": {"rpm": 1, "maven": 2, "win": 3, "image": 4}.get(row["btype"], 5),
        "type_description": description,
        "type_extensions": extensions,
        "compression_type": compression,
        "metadata_only": bool(row["metadata_only"]),
        "extra": json.loads(row["extra"]) if row["extra"] else None,
    }
    if with_arch:
        shown["arch"] = row["arch"]
    return shown


@call("getHost", used_by="the client; the box's set-up; koji hostinfo, taskinfo, assign-task")
def get_host(hostInfo: Lookup, strict: bool = False, event: int | None = None) -> Row | None:
    """A host by ID or name."""
    assert_now(event)
    row = find("hosts", hostInfo)
    if row is None:
        if strict:
            raise koji.GenericError(f"Invalid hostInfo: {hostInfo}")
        return None
    return _host(row)


def known_host(host: Any) -> Row:
    """A host that must exist."""
    row = get_host(host, strict=True)
    assert row is not None
    return row


def existing_host(host: Any) -> Row:
    """A host that must exist; error as in Koji's edits."""
    row = get_host(host)
    if row is None:
        raise koji.GenericError(f"host does not exist: {host}")
    return row


def _host(row: Row) -> Row:
    keys = ("id", "user_id", "name", "task_load", "arches", "capacity", "description", "comment")
    return {
        **{key: row[key] for key in keys},
        "update_ts": row["update_time"],
        "ready": bool(row["ready"]),
        "enabled": bool(row["enabled"]),
    }


@call("listHosts", used_by="the client; koji.daemon.TaskManager; koji list-hosts, list-channels")
def list_hosts(
    arches: str | list[str] | None = None,
    channelID: Lookup | None = None,
    ready: bool | None = None,
    enabled: bool | None = None,
    userID: UserLookup | None = None,
    queryOpts: QueryOptions | None = None,
) -> object:
    """Hosts that match all given filters."""
    user_id = None if userID is None else users.known_user(userID)["id"]
    rows = [_host(row) for row in database().all("SELECT * FROM hosts ORDER BY id")]
    if arches is not None:
        if not arches:
            raise koji.GenericError("arches option cannot be empty")
        wanted = {arches} if isinstance(arches, str) else set(arches)
        rows = [row for row in rows if wanted & set(row["arches"].split())]
    if channelID is not None:
        channel = entry("channels", channelID)["id"]
        members = database().all("SELECT host_id FROM host_channels WHERE channel_id = ?", channel)
        rows = [row for row in rows if row["id"] in {member["host_id"] for member in members}]
    for key, value in (("ready", ready), ("enabled", enabled), ("user_id", user_id)):
        if value is not None:
            rows = [row for row in rows if row[key] == value]
    return query_options(rows, queryOpts)


@call("addHost", used_by="the box's set-up; koji add-host")
def add_host(hostname: str, arches: list[str], krb_principal: str | None = None, force: bool = False) -> int:
    """Add a host, with a user of the same name, to the channel ``default``."""
    require_permission("host")
    verify_name(hostname)
    if database().value("SELECT 1 FROM hosts WHERE name = ?", hostname):
        raise koji.GenericError(f"host already exists: {hostname}")
    user = users.get_user(hostname)
    user_id = user["id"] if user else database().insert("users", name=hostname, usertype=koji.USERTYPES["HOST"])
    host_id = database().insert("hosts", user_id=user_id, name=hostname, arches=" ".join(arches))
    database().execute("INSERT INTO host_channels VALUES (?, ?)", host_id, entry("channels", "default")["id"])
    return host_id


@call("editHost", used_by="the box's set-up; koji enable-host --comment, disable-host --comment")
def edit_host(hostInfo: Lookup, **kw: HostChanges) -> bool:
    """Change architectures, capacity, description or comment of a host; whether any changed."""
    require_permission("host")
    host = known_host(hostInfo)
    changes = {key: kw[key] for key in ("arches", "capacity", "description", "comment") if key in kw}
    changes = {key: value for key, value in changes.items() if value != host[key]}
    if changes:
        database().update("hosts", host["id"], **changes)
    return bool(changes)


def _enable(hostname: object, enabled: bool) -> None:
    require_permission("host")
    database().update("hosts", existing_host(hostname)["id"], enabled=int(enabled))


@call("enableHost", used_by="koji enable-host")
def enable_host(hostname: Lookup) -> None:
    """Let a host run tasks."""
    _enable(hostname, True)


@call("disableHost", used_by="koji disable-host")
def disable_host(hostname: Lookup) -> None:
    """Disable a host for new tasks."""
    _enable(hostname, False)


@call("getLastHostUpdate", used_by="koji hostinfo, list-hosts")
def get_last_host_update(hostID: int, ts: bool = False) -> Any:
    """Time of a host's last update, or None."""
    seconds = database().value("SELECT update_time FROM hosts WHERE id = ?", hostID)
    return seconds if ts else timestamp(seconds)


@call("getChannel", used_by="the client; the builder plugin; koji.daemon.TaskManager; koji add-host-to-channel")
def get_channel(channelInfo: Lookup, strict: bool = False) -> Row | None:
    """A channel by ID or name."""
    row = find("channels", channelInfo)
    if strict:
        row = one_row(row)
    return row and {**row, "enabled": bool(row["enabled"])}


@call("listChannels", used_by="koji hostinfo, list-hosts, list-channels, add-host-to-channel")
def list_channels(hostID: Lookup | None = None, event: int | None = None, enabled: bool | None = None) -> list[Row]:
    """All channels, or those of one host."""
    assert_now(event)
    rows = database().all("SELECT * FROM channels ORDER BY id")
    if hostID is not None:
        host = hostID if isinstance(hostID, int) else known_host(hostID)["id"]
        mine = {row["channel_id"] for row in database().all("SELECT * FROM host_channels WHERE host_id = ?", host)}
        rows = [row for row in rows if row["id"] in mine]
    channels = [{**row, "enabled": bool(row["enabled"])} for row in rows]
    return [row for row in channels if enabled is None or row["enabled"] == enabled]


def _new_name(info: object) -> str:
    if not isinstance(info, str):
        raise koji.GenericError("Name must be a string")
    return verify_name(info)


@call("addHostToChannel", used_by="the box's set-up; koji add-host-to-channel")
def add_host_to_channel(hostname: Lookup, channel_name: Lookup, create: bool = False, force: bool = False) -> None:
    """Add a host to a channel."""
    require_permission("host")
    host = existing_host(hostname)
    channel = find("channels", channel_name)
    if channel is None:
        if not create:
            raise koji.GenericError(f"channel does not exist: {channel_name}")
        channel = {"id": database().insert("channels", name=_new_name(channel_name)), "enabled": True}
    if not channel["enabled"] and not force:
        raise koji.GenericError(f"channel {channel_name} is disabled")
    if channel["id"] in [each["id"] for each in list_channels(host["id"])]:
        raise koji.GenericError(f"host {hostname} is already subscribed to the {channel_name} channel")
    database().execute("INSERT INTO host_channels VALUES (?, ?)", host["id"], channel["id"])


@call("listVolumes", used_by="koji list-volumes, list-builds --volume")
def list_volumes() -> list[Row]:
    """The only volume."""
    return [{"id": 0, "name": "DEFAULT"}]


@call("listBuildroots", used_by="koji.daemon.TaskManager; koji taskinfo, hostinfo, rpminfo")
def list_buildroots(**options: BuildrootFilter) -> object:
    """Empty: builders of this hub have no mock buildroots."""
    return query_options([], options.get("queryOpts"))
