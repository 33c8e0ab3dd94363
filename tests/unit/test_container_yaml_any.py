# SPDX-License-Identifier: GPL-2.0-or-later
"""Any content of container.yaml yields values or findings, never a traceback; the format is that of osbs-client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedpkg_container.distgit import container_yaml
from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.container_yaml_schema import SCHEMA
from fedpkg_container.model.findings import ERROR
from tests.support import osbs_client

_WORDS = ["platforms", "only", "tags", "a", "1.0", "yes", "~", "2024-01-01", ".nan", "0x1f", "1:30", "''", '"\\x', "<<"]
_SIGNS = ["\n", "\n  ", "\n- ", "\n    - ", "\t", "\r\n", ": ", "? ", ", ", "[", "]", "{", "}", "&a ", "*a", "| ", "|+"]
_RARE = ["!", "!!int ", "!!binary ", "!!python/name:os.system ", "%YAML 1.1\n", "%TAG ! x\n", "---", "...", "# c", "> "]
_ODD = ["\x85", "\u2028", "\x00", "\ud800", "\ufeff"]
_PIECES = st.sampled_from([*_WORDS, *_SIGNS, *_RARE, *_ODD])


def _holds(read: ContainerYaml) -> None:
    assert isinstance(read.values, dict)
    for finding in read.findings:
        assert finding.message
        assert finding.solution
        assert finding.line >= 0
        assert len(str(finding).splitlines()) <= 2
    assert all(isinstance(each, str) for each in (*read.platforms.only, *read.platforms.excluded, *read.tags))
    assert isinstance(read.set_release_env, str)
    assert all(isinstance(each, dict) for each in (read.compose, *read.remote_sources))


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_any_yaml_fragments(text: str) -> None:
    _holds(ContainerYaml.from_text(text))


@given(st.text())
def test_any_text(text: str) -> None:
    _holds(ContainerYaml.from_text(text))


@given(st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "container.yaml").write_bytes(content)
    _holds(ContainerYaml.read(tmp_path))
    assert container_yaml.check(tmp_path) == list(ContainerYaml.read(tmp_path).findings)


_KEYS = st.sampled_from([*SCHEMA["properties"], "only", "not", "packages", "modules", "repo", "ref", "name", "x"])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_KEYS, below, max_size=4),
    max_leaves=12,
)


def _yaml(value: Any) -> str:
    """Format a value as JSON, which is YAML, except for numbers unknown to JSON, which get their YAML form."""
    text = json.dumps(value)
    return text.replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace("NaN", ".nan")


@given(_ANYTHING)
def test_any_structure(value: Any) -> None:
    _holds(ContainerYaml.from_text(_yaml(value)))


_TEXT = st.text("abcx86_64-.:/ 1", min_size=0, max_size=8)
_TEXTS = st.none() | st.lists(_TEXT, max_size=3)
_PLATFORMS = _TEXT | st.lists(_TEXT, max_size=3)
_COMPOSE = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("packages", "modules", "multilib_arches"), _TEXTS),
        **{key: _TEXTS | st.booleans() for key in ("modular_koji_tags", "module_resolve_tags")},
        **{key: st.booleans() for key in ("pulp_repos", "inherit", "ignore_absent_pulp_repos")},
        "include_unpublished_pulp_repos": st.booleans(),
        "signing_intent": _TEXT,
        "multilib_method": st.none() | st.lists(st.sampled_from(["none", "iso", "runtime", "devel", "all"])),
        "build_only_content_sets": st.none()
        | st.dictionaries(_TEXT, st.lists(_TEXT.map("{}-rpms".format), min_size=1, max_size=2), max_size=2),
    },
)
_SOURCE = st.none() | st.fixed_dictionaries(
    {"repo": _TEXT, "ref": st.text("0123456789abcdefz", min_size=40, max_size=40)},
    optional={
        "pkg_managers": st.none()
        | st.lists(st.sampled_from(["gomod", "rubygems", "pip", "yarn", "npm", "git-submodule"]), max_size=2),
        "flags": _TEXTS,
        "packages": st.none()
        | st.dictionaries(_TEXT, st.lists(st.dictionaries(_TEXT, _ANYTHING, min_size=1, max_size=2), max_size=2)),
    },
)
_MAPPINGS = st.dictionaries(_TEXT, _TEXT, max_size=2)
_OPERATOR = st.fixed_dictionaries(
    {"manifests_dir": _TEXT.map("m{}".format)},
    optional={
        **{f"enable_{key}": st.booleans() for key in ("digest_pinning", "repo_replacements", "registry_replacements")},
        "skip_all": st.booleans(),
        "repo_replacements": st.lists(
            st.fixed_dictionaries({"registry": _TEXT, "package_mappings": _MAPPINGS}), max_size=2
        ),
    },
)
_GO = st.fixed_dictionaries(
    {},
    optional={
        "modules": st.none()
        | st.lists(st.fixed_dictionaries({"module": _TEXT}, optional={"archive": _TEXT, "path": _TEXT}), max_size=2)
    },
)
_NAMED = st.fixed_dictionaries({"name": st.text("aZ0_-", min_size=1, max_size=4), "remote_source": _SOURCE})
_REBUILD = ("from_latest", "add_timestamp_to_release", "ignore_isolated_builds")
_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "platforms": st.none() | st.fixed_dictionaries({}, optional={"only": _PLATFORMS, "not": _PLATFORMS}),
    "autorebuild": st.none() | st.fixed_dictionaries({}, optional={key: st.booleans() for key in _REBUILD}),
    "buildtime_limit": st.integers(0) | st.sampled_from([0.0, 15000.0]),
    "compose": st.none() | _COMPOSE,
    "flatpak": st.none() | st.dictionaries(_TEXT, _ANYTHING, max_size=2),
    "operator_manifests": _OPERATOR,
    "image_build_method": st.sampled_from(["docker_api", "imagebuilder", "buildah_bud"]),
    "tags": st.lists(_TEXT, max_size=3),
    "set_release_env": _TEXT,
    "version": st.integers(1),
    "remote_sources_version": st.floats(1, 2) | st.sampled_from([1, 2]),
}
_VALID = st.one_of(
    st.none(),
    *(
        st.fixed_dictionaries({}, optional={**_COMMON, key: strategy})
        for key, strategy in (
            ("go", _GO),
            ("remote_source", _SOURCE),
            ("remote_sources", st.lists(_NAMED, min_size=1, max_size=2)),
        )
    ),
)


@st.composite
def _mutated(draw: st.DrawFn) -> Any:
    """An instance with one of its values, at any depth, replaced by any other value."""
    value = draw(_VALID)
    if not value:
        return draw(_ANYTHING)
    below: Any = value
    while True:
        key = draw(st.sampled_from(sorted(below) if isinstance(below, dict) else range(len(below))))
        if not isinstance(below[key], (dict, list)) or not below[key] or draw(st.booleans()):
            below[key] = draw(_ANYTHING)
            return value
        below = below[key]


def _accepted(value: Any) -> list[str]:
    return [str(each) for each in ContainerYaml.from_text(_yaml(value)).findings if each.severity == ERROR]


def test_reference_schema_is_fully_covered() -> None:
    assert {*_COMMON, "go", "remote_source", "remote_sources"} == set(SCHEMA["properties"])
    assert set(SCHEMA["properties"]) == {*osbs_client.COMMON, *osbs_client.EXCLUSIVE}


@given(_VALID)
def test_everything_osbs_client_accepts_is_accepted(value: Any) -> None:
    assert osbs_client.accepts(value), "the strategies above make what osbs-client accepts"
    assert _accepted(value) == []


@given(_mutated())
def test_accepts_exactly_what_osbs_client_accepts(value: Any) -> None:
    assert (_accepted(value) == []) == osbs_client.accepts(value)
