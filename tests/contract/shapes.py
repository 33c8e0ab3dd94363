# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of results. A hub that omits or adds a key violates the contract."""

from __future__ import annotations

_BUILD_COMMON = [
    "build_id",
    "completion_time",
    "completion_ts",
    "creation_event_id",
    "creation_time",
    "creation_ts",
    "draft",
    "epoch",
    "extra",
    "name",
    "nvr",
    "owner_id",
    "owner_name",
    "package_id",
    "package_name",
    "promoter_id",
    "promoter_name",
    "promotion_time",
    "promotion_ts",
    "release",
    "source",
    "start_time",
    "start_ts",
    "state",
    "task_id",
    "version",
    "volume_id",
    "volume_name",
]

#: getTaskInfo, getTaskChildren
TASK = frozenset(
    [
        "arch",
        "awaited",
        "channel_id",
        "completion_time",
        "completion_ts",
        "create_time",
        "create_ts",
        "host_id",
        "id",
        "label",
        "method",
        "owner",
        "parent",
        "priority",
        "start_time",
        "start_ts",
        "state",
        "waiting",
        "weight",
    ]
)

#: listTasks
LISTED_TASK = TASK | {"owner_name", "owner_type", "request", "result"}

#: host.getTasks
ASSIGNED_TASK = frozenset(["arch", "channel_id", "create_ts", "host_id", "id", "method", "priority", "state"])

#: getBuild, CGImport
BUILD = frozenset([*_BUILD_COMMON, "id", "cg_id", "cg_name"])

#: listBuilds
LISTED_BUILD = frozenset(_BUILD_COMMON)

#: listTagged
TAGGED_BUILD = frozenset(
    [
        "build_id",
        "completion_time",
        "create_event",
        "creation_event_id",
        "creation_time",
        "draft",
        "epoch",
        "id",
        "name",
        "nvr",
        "owner_id",
        "owner_name",
        "package_id",
        "package_name",
        "promoter_id",
        "promoter_name",
        "promotion_time",
        "release",
        "start_time",
        "state",
        "tag_id",
        "tag_name",
        "task_id",
        "version",
        "volume_id",
        "volume_name",
    ]
)

#: queryHistory, in `tag_listing`
TAG_HISTORY = frozenset(
    [
        "active",
        "build.state",
        "build_id",
        "create_event",
        "create_ts",
        "creator_id",
        "creator_name",
        "epoch",
        "name",
        "release",
        "revoke_event",
        "revoke_ts",
        "revoker_id",
        "revoker_name",
        "tag.name",
        "tag_id",
        "version",
    ]
)

#: listTags; getTag adds `extra`, getBuildConfig adds `config_inheritance` to that
LISTED_TAG = frozenset(["arches", "id", "locked", "maven_include_all", "maven_support", "name", "perm", "perm_id"])
TAG = LISTED_TAG | {"extra"}
BUILD_CONFIG = TAG | {"config_inheritance"}

#: getBuildTarget, getBuildTargets
TARGET = frozenset(["build_tag", "build_tag_name", "dest_tag", "dest_tag_name", "id", "name"])

#: getPackageConfig, listPackages(tagID=…)
PACKAGE = frozenset(
    ["blocked", "extra_arches", "owner_id", "owner_name", "package_id", "package_name", "tag_id", "tag_name"]
)

#: listArchives; with type='image' also `arch`
ARCHIVE = frozenset(
    [
        "btype",
        "btype_id",
        "build_id",
        "buildroot_id",
        "checksum",
        "checksum_type",
        "compression_type",
        "extra",
        "filename",
        "id",
        "metadata_only",
        "size",
        "type_description",
        "type_extensions",
        "type_id",
        "type_name",
    ]
)

#: getRPM; listRPMs adds `nvr`
RPM = frozenset(
    [
        "arch",
        "build_id",
        "buildroot_id",
        "buildtime",
        "draft",
        "epoch",
        "external_repo_id",
        "external_repo_name",
        "extra",
        "id",
        "metadata_only",
        "name",
        "payloadhash",
        "release",
        "size",
        "version",
    ]
)
LISTED_RPM = RPM | {"nvr"}

#: getHost, listHosts, host.getHost
HOST = frozenset(
    [
        "arches",
        "capacity",
        "comment",
        "description",
        "enabled",
        "id",
        "name",
        "ready",
        "task_load",
        "update_ts",
        "user_id",
    ]
)

#: getChannel, listChannels
CHANNEL = frozenset(["comment", "description", "enabled", "id", "name"])

#: getSessionInfo; with details=True also `hostip` and `id`
SESSION = frozenset(
    [
        "authtype",
        "callnum",
        "exclusive",
        "expired",
        "master",
        "renew_time",
        "renew_ts",
        "start_time",
        "start_ts",
        "update_time",
        "update_ts",
        "user_id",
    ]
)

#: getLoggedInUser
LOGGED_IN_USER = frozenset(["authtype", "id", "krb_principal", "krb_principals", "name", "status", "usertype"])

#: getRepo, repoInfo
REPO = frozenset(
    [
        "begin_event",
        "begin_ts",
        "create_event",
        "create_ts",
        "creation_time",
        "creation_ts",
        "custom_opts",
        "dist",
        "end_event",
        "end_ts",
        "id",
        "opts",
        "state",
        "state_time",
        "state_ts",
        "tag_id",
        "tag_name",
        "task_id",
        "task_state",
    ]
)
