# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON schema of container.yaml.

The format is that of OSBS; everything accepted by osbs-client 2.8 is accepted here. Every validation error results
from one keyword at one path, so that it can be explained in one sentence: the schema does not use ``anyOf``.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_LIST = {"type": ["array", "null"], "items": _TEXT}
#: A list of Koji tags, or whether to use the target's tag.
_TAGS_OR_FLAG = {"type": ["array", "boolean", "null"], "items": _TEXT}
#: A platform, or a list of platforms.
_PLATFORMS = {"type": ["string", "array"], "items": _TEXT}


def _mapping(keys: dict[str, object], *, required: tuple[str, ...] = (), empty: bool = True) -> dict[str, Any]:
    """Return the schema of a mapping with only these keys.

    :param empty: whether the mapping may be null
    """
    kind: Any = ["object", "null"] if empty else "object"
    schema: dict[str, Any] = {"type": kind, "properties": keys, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


_COMPOSE = _mapping(
    {
        "packages": _LIST,
        "modules": _LIST,
        "pulp_repos": _FLAG,
        "ignore_absent_pulp_repos": _FLAG,
        "include_unpublished_pulp_repos": _FLAG,
        "signing_intent": _TEXT,
        "inherit": _FLAG,
        "multilib_arches": _LIST,
        "multilib_method": {
            "type": ["array", "null"],
            "items": {"enum": ["none", "iso", "runtime", "devel", "all"]},
        },
        "modular_koji_tags": _TAGS_OR_FLAG,
        "module_resolve_tags": _TAGS_OR_FLAG,
        "build_only_content_sets": {
            "type": ["object", "null"],
            "patternProperties": {"^[a-z]": {"type": "array", "minItems": 1, "items": {**_TEXT, "pattern": "-rpms$"}}},
        },
    }
)

_REMOTE_SOURCE = _mapping(
    {
        "repo": _TEXT,
        "ref": {**_TEXT, "pattern": "^[0-9a-z]{40}$"},
        "pkg_managers": {
            "type": ["array", "null"],
            "items": {"enum": ["git-submodule", "gomod", "npm", "pip", "rubygems", "yarn"]},
        },
        "flags": _LIST,
        "packages": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "array", "items": {"type": "object", "minProperties": 1}},
        },
    },
    required=("repo", "ref"),
)

_OPERATOR_MANIFESTS = _mapping(
    {
        "manifests_dir": {**_TEXT, "pattern": "^[^/]"},
        "enable_digest_pinning": _FLAG,
        "enable_repo_replacements": _FLAG,
        "enable_registry_replacements": _FLAG,
        "repo_replacements": {
            "type": "array",
            "items": _mapping(
                {"registry": _TEXT, "package_mappings": {"type": "object", "additionalProperties": _TEXT}},
                required=("registry", "package_mappings"),
                empty=False,
            ),
        },
        "skip_all": _FLAG,
    },
    required=("manifests_dir",),
    empty=False,
)

_NAMED_SOURCE = _mapping(
    {"name": {**_TEXT, "minLength": 1, "pattern": "^[A-Za-z0-9_-]*$"}, "remote_source": _REMOTE_SOURCE},
    required=("name", "remote_source"),
    empty=False,
)

_GO_MODULE = _mapping({"module": _TEXT, "archive": _TEXT, "path": _TEXT}, required=("module",), empty=False)

#: JSON schema of the file.
SCHEMA: dict[str, Any] = _mapping(
    {
        "platforms": _mapping({"only": _PLATFORMS, "not": _PLATFORMS}),
        "tags": {"type": "array", "items": _TEXT},
        "compose": _COMPOSE,
        "remote_source": _REMOTE_SOURCE,
        "remote_sources": {"type": "array", "minItems": 1, "items": _NAMED_SOURCE},
        "remote_sources_version": {"type": "number", "minimum": 1, "maximum": 2},
        "go": _mapping({"modules": {"type": ["array", "null"], "items": _GO_MODULE}}, empty=False),
        "set_release_env": _TEXT,
        "buildtime_limit": {"type": "integer", "minimum": 0},
        "operator_manifests": _OPERATOR_MANIFESTS,
        "flatpak": {"type": ["object", "null"]},
        "autorebuild": _mapping(
            {"from_latest": _FLAG, "add_timestamp_to_release": _FLAG, "ignore_isolated_builds": _FLAG}
        ),
        "image_build_method": {"enum": ["buildah_bud", "docker_api", "imagebuilder"]},
        "version": {"type": "integer", "minimum": 1},
    }
)

#: Keys of which a file may contain only one.
EXCLUSIVE = ("remote_source", "remote_sources", "go")


def keys(schema: dict[str, Any] | None = None, prefix: str = "") -> list[str]:
    """Return the dotted names of all keys, each mapping before its members."""
    names = []
    for name, member in (SCHEMA if schema is None else schema).get("properties", {}).items():
        names += [f"{prefix}{name}", *keys(member, f"{prefix}{name}.")]
    return names


def values(key: str) -> list[str]:
    """Return the possible values of a boolean or enumerated key; empty for other keys."""
    schema: dict[str, Any] = SCHEMA
    for name in key.split("."):
        schema = schema.get("properties", {}).get(name, {})
    if schema.get("type") == "boolean":
        return ["true", "false"]
    return [str(value) for value in schema.get("enum", [])]
