# SPDX-License-Identifier: GPL-2.0-or-later
"""What osbs-client 2.8 accepts in a container.yaml, derived from its documentation and behaviour."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Rule = Callable[[Any], bool]

METHODS = {"docker_api", "imagebuilder", "buildah_bud"}
MULTILIB = {"none", "iso", "runtime", "devel", "all"}
PACKAGE_MANAGERS = {"gomod", "rubygems", "pip", "yarn", "npm", "git-submodule"}


def _anything(_: Any) -> bool:
    return True


def _null(value: Any) -> bool:
    return value is None


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(least: int) -> Rule:
    """Accept integers from a minimum; 1.0 is one."""
    return lambda value: _number(value) and (isinstance(value, int) or value.is_integer()) and value >= least


def _matching(pattern: str) -> Rule:
    return lambda value: _text(value) and re.search(pattern, value) is not None


def _one_of(words: set[str]) -> Rule:
    return lambda value: _text(value) and value in words


def _either(*rules: Rule) -> Rule:
    return lambda value: any(rule(value) for rule in rules)


def _list(rule: Rule, least: int = 0) -> Rule:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(rule, value))


def _mapping(rule: Rule, keys: str = "", least: int = 0) -> Rule:
    """Accept mappings with values that satisfy a rule, by key pattern."""
    return lambda value: (
        isinstance(value, dict)
        and len(value) >= least
        and all(rule(each) for key, each in value.items() if re.search(keys, key))
    )


def _keys(rules: Mapping[str, Rule], *needed: str) -> Rule:
    """Accept mappings with only these keys."""
    return lambda value: (
        isinstance(value, dict)
        and all(key in rules and rules[key](each) for key, each in value.items())
        and all(key in value for key in needed)
    )


_TEXTS = _either(_null, _list(_text))
_TEXTS_OR_BOOLEAN = _either(_TEXTS, _boolean)
_PLATFORMS = _either(_text, _list(_text))
_SOURCE = _either(
    _null,
    _keys(
        {
            "repo": _text,
            "ref": _matching("^[0-9a-z]{40}$"),
            "pkg_managers": _either(_null, _list(_one_of(PACKAGE_MANAGERS))),
            "flags": _TEXTS,
            "packages": _either(_null, _mapping(_list(_mapping(_anything, least=1)))),
        },
        "repo",
        "ref",
    ),
)
_COMPOSE = _keys(
    {
        **dict.fromkeys(("packages", "modules", "multilib_arches"), _TEXTS),
        **dict.fromkeys(("modular_koji_tags", "module_resolve_tags"), _TEXTS_OR_BOOLEAN),
        **dict.fromkeys(("pulp_repos", "inherit", "ignore_absent_pulp_repos"), _boolean),
        "include_unpublished_pulp_repos": _boolean,
        "signing_intent": _text,
        "multilib_method": _either(_null, _list(_one_of(MULTILIB))),
        "build_only_content_sets": _either(_null, _mapping(_list(_matching("^.*-rpms$"), least=1), "^[a-z]")),
    }
)
_OPERATOR = _keys(
    {
        "manifests_dir": _matching("^[^/].*$"),
        "enable_digest_pinning": _boolean,
        "enable_repo_replacements": _boolean,
        "enable_registry_replacements": _boolean,
        "skip_all": _boolean,
        "repo_replacements": _list(
            _keys({"registry": _text, "package_mappings": _mapping(_text)}, "registry", "package_mappings")
        ),
    },
    "manifests_dir",
)
_REBUILD = dict.fromkeys(("from_latest", "add_timestamp_to_release", "ignore_isolated_builds"), _boolean)
_MODULE = _keys(dict.fromkeys(("module", "archive", "path"), _text), "module")

#: Keys allowed in any container.yaml, and mutually exclusive ones.
COMMON: Mapping[str, Rule] = {
    "platforms": _either(_null, _keys({"only": _PLATFORMS, "not": _PLATFORMS})),
    "autorebuild": _either(_null, _keys(_REBUILD)),
    "buildtime_limit": _whole(0),
    "compose": _either(_null, _COMPOSE),
    "flatpak": _either(_null, _mapping(_anything)),
    "operator_manifests": _OPERATOR,
    "image_build_method": _one_of(METHODS),
    "tags": _list(_text),
    "set_release_env": _text,
    "version": _whole(1),
    "remote_sources_version": lambda value: _number(value) and not value < 1 and not value > 2,
}
EXCLUSIVE: Mapping[str, Rule] = {
    "go": _keys({"modules": _either(_null, _list(_MODULE))}),
    "remote_source": _SOURCE,
    "remote_sources": _list(
        _keys({"name": _matching("^[a-zA-Z0-9_-]+$"), "remote_source": _SOURCE}, "name", "remote_source"), least=1
    ),
}


def accepts(value: Any) -> bool:
    """Return whether osbs-client accepts a parsed container.yaml."""
    if value is None:
        return True
    return _keys({**COMMON, **EXCLUSIVE})(value) and len(EXCLUSIVE.keys() & value.keys()) <= 1
