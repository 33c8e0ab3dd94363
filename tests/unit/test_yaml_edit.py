# SPDX-License-Identifier: GPL-2.0-or-later
"""Editing YAML in place: only the requested value changes, and no other byte."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fedpkg_container.distgit.yaml_document import parse
from fedpkg_container.distgit.yaml_edit import dump_flow, set_value, unset_value
from fedpkg_container.errors import FedpkgContainerError, RefusedError

FILE = """\
# Copyright: the authors
platforms:   # see the wiki
    # slow ones are left out
    not:
    - s390x    # no machine
    # try again in spring
    - ppc64le

tags: [ latest,"1.0" ]   # floating
flatpak: &all
  name: |+
    kept

  text: >-
    folded
    text

compose: {packages:  [httpd], inherit: true}   # quick


# the end
"""
#: The list in it.
ITEMS = """\
    - s390x    # no machine
    # try again in spring
    - ppc64le
"""


def _set(text: str, keys: str, value: Any) -> str:
    return set_value(text, tuple(keys.split(".")), value, "f")


def _unset(text: str, keys: str) -> str:
    return unset_value(text, tuple(keys.split(".")), "f")


@pytest.mark.parametrize(
    ("keys", "value", "old", "new"),
    [
        ("tags", ["latest"], '[ latest,"1.0" ]', "[latest]"),
        ("tags", "x y", '[ latest,"1.0" ]', '"x y"'),
        ("compose.inherit", False, "inherit: true", "inherit: false"),
        ("compose.packages", ["a", "b"], " [httpd]", " [a, b]"),
        ("compose.signing_intent", "release", "inherit: true", "inherit: true, signing_intent: release"),
        ("compose.x.z", 1, "inherit: true", "inherit: true, x: {z: 1}"),
        ("flatpak.text", "short", ">-\n    folded\n    text\n", "short\n"),
        ("flatpak.extra", "x", "    text\n", "    text\n  extra: x\n"),
        ("platforms.only", ["x86_64"], "    - ppc64le\n", "    - ppc64le\n    only: [x86_64]\n"),
        ("platforms.not", ["ppc64le", "a"], ITEMS, "    # try again in spring\n    - ppc64le\n    - a\n"),
        ("platforms.not", "a", f"    not:\n{ITEMS}", "    not: a\n"),
        ("set_release_env", "R", "# quick\n", "# quick\nset_release_env: R\n"),
        ("go.modules", [{"module": "m"}], "# quick\n", "# quick\ngo:\n  modules: [{module: m}]\n"),
    ],
)
def test_setting_preserves_the_rest(keys: str, value: Any, old: str, new: str) -> None:
    assert FILE.count(old) == 1
    assert _set(FILE, keys, value) == FILE.replace(old, new)


@pytest.mark.parametrize(
    ("keys", "gone"),
    [
        ("tags", 'tags: [ latest,"1.0" ]   # floating\n'),
        ("compose.inherit", ", inherit: true"),
        ("compose.packages", "packages:  [httpd], "),
        ("compose", "compose: {packages:  [httpd], inherit: true}   # quick\n"),
        ("flatpak", FILE[FILE.index("flatpak") : FILE.index("\ncompose")]),
        ("flatpak.name", "  name: |+\n    kept\n\n"),
    ],
)
def test_unsetting_preserves_the_rest(keys: str, gone: str) -> None:
    assert FILE.count(gone) == 1
    assert _unset(FILE, keys) == FILE.replace(gone, "")


def test_empty_mapping_is_removed_with_its_last_key() -> None:
    start, end = FILE.index("platforms:"), FILE.index("\ntags:")
    assert _unset(FILE, "platforms.not") == FILE[:start] + FILE[end:]
    assert _unset("a: {b: {c: 1}}\nd: 1\n", "a.b.c") == "d: 1\n"
    assert _unset("# c\na:\n  b: 1\n", "a.b") == "# c\n"
    assert _unset("{a: {b: 1}}\n", "a.b") == "{}\n"


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("", "a:\n  b: 1\n"),
        ("# only a comment", "# only a comment\na:\n  b: 1\n"),
        ("---\n", "---\na:\n  b: 1\n"),
        ("null\n", "a:\n  b: 1\n"),
        ("{}\n", "{a: {b: 1}}\n"),
        ("a:\n", "a:\n  b: 1\n"),
        ("a:", "a:\n  b: 1\n"),
        ("a: # why\n# more\n", "a: # why\n  b: 1\n# more\n"),
        ("a: ~\n", "a: {b: 1}\n"),
        ("a: {}\n", "a: {b: 1}\n"),
        ("{a: }\n", "{a: {b: 1} }\n"),
        ("a:\n  b:\n", "a:\n  b: 1\n"),
        ("a:\n  b:  # why\n", "a:\n  b: 1  # why\n"),
        ("a:\n  b: # why\n    - x\n    - y # gone\nc: 1\n", "a:\n  b: 1 # why\nc: 1\n"),
        ("a:\n  c: 1", "a:\n  c: 1\n  b: 1\n"),
        ("a:\n  c: {x: 1,\n      y: 2}\n\n# next\n", "a:\n  c: {x: 1,\n      y: 2}\n  b: 1\n\n# next\n"),
        ("a: {c: 1,}\n", "a: {c: 1, b: 1,}\n"),
        ('"a":\n  "b": 2\n', '"a":\n  "b": 1\n'),
        ("x: &x 2\na: {b: *x }\n", "x: &x 2\na: {b: 1 }\n"),
    ],
)
def test_position_of_a_new_value(text: str, new: str) -> None:
    assert _set(text, "a.b", 1) == new


@pytest.mark.parametrize("text", ["a: 1\n", "a: [x]\n", "- a\n"])
def test_non_mapping_cannot_get_keys(text: str) -> None:
    with pytest.raises(RefusedError, match="is not a mapping"):
        _set(text, "a.b", 1)


def test_value_with_kept_newlines_is_not_removed_silently() -> None:
    with pytest.raises(RefusedError, match="without changing other values"):
        _unset("a: |+\n  x\nb: 1\n\n", "b")


def test_line_endings_are_preserved() -> None:
    text = FILE.replace("\n", "\r\n")
    assert _set(text, "platforms.only", ["x86_64"]) == _set(FILE, "platforms.only", ["x86_64"]).replace("\n", "\r\n")
    assert _set(text, "platforms.not", ["a", "s390x"]) == _set(FILE, "platforms.not", ["a", "s390x"]).replace(
        "\n", "\r\n"
    )
    assert _set(text, "platforms.not", "a") == _set(FILE, "platforms.not", "a").replace("\n", "\r\n")
    assert _unset(text, "tags") == _unset(FILE, "tags").replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a: &x {b: 2}\nc: *x\n", "a.b"),
        ("c: &x {b: 2}\na: *x\n", "a.b"),
        ("c: &x {a: {d: 2}}\n<<: *x\n", "a.b"),
        ("a: {b: &x 2}\nc: *x\n", "a.b"),
    ],
)
def test_edit_with_side_effects_is_rejected(text: str, keys: str) -> None:
    with pytest.raises(RefusedError, match="without changing other values"):
        _set(text, keys, 1)


def test_invalid_document_is_not_edited() -> None:
    with pytest.raises(RefusedError, match="f was not edited") as error:
        _set("a: [\n", "a", 1)
    assert [each.code for each in error.value.findings] == ["yaml-syntax"]


@pytest.mark.parametrize("keys", ["b", "a.c", "a.b.c", "l.x"])
def test_unsetting_a_missing_key_fails(keys: str) -> None:
    with pytest.raises(FedpkgContainerError, match=f"{keys} is not set in f"):
        _unset("a: {b: 1}\nl: [x]\n", keys)


_TEXT = st.text("ab: #-'\"\\\n\t[]{},&*!|>%@`yes1.0é\u2028\x85\x07\ufeff\U0001f600", max_size=6)
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT
_VALUE = st.recursive(
    _SCALAR, lambda below: st.lists(below, max_size=3) | st.dictionaries(_TEXT, below, max_size=3), max_leaves=6
)


@given(_VALUE)
def test_formatted_values_can_be_parsed(value: Any) -> None:
    for text, expected in ((f"- {dump_flow(value)}\n", [value]), (f"{{a: [{dump_flow(value)}]}}", {"a": [value]})):
        document = parse(text, "f")
        assert document.findings == []
        assert document.values == expected


@given(_VALUE)
def test_formatted_values_mean_the_same_in_yaml_1_2(value: Any) -> None:
    assert YAML(typ="safe", pure=True).load(f"- {dump_flow(value)}\n") == [value]


_KEY = st.sampled_from(["a", "b", "c"])
_PLAIN = st.recursive(
    st.sampled_from([None, True, 1, "x", "long text here", "two\nlines\n"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_KEY, below, max_size=3),
    max_leaves=8,
)


@st.composite
def _documents(draw: st.DrawFn) -> str:
    """A document in common layouts: block or flow style, different indentation, comments and blank lines."""
    yaml = YAML(typ="rt")
    yaml.default_flow_style = draw(st.sampled_from([True, False, None]))
    yaml.indent(mapping=draw(st.integers(2, 4)), sequence=4, offset=draw(st.integers(0, 2)))
    yaml.width = draw(st.sampled_from([20, 1000]))
    stream = io.StringIO()
    yaml.dump(draw(st.dictionaries(_KEY, _PLAIN, max_size=3)), stream)
    text = stream.getvalue()
    if draw(st.booleans()) and parse(text + "# c\n", "f").values == parse(text, "f").values:
        lines = [f"{line}\n" for line in text.splitlines()]
        at = draw(st.integers(0, len(lines)))
        commented = "".join([*lines[:at], "# a comment\n", *lines[at:]])
        text = commented if parse(commented, "f").values == parse(text, "f").values else text
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@given(_documents(), st.lists(_KEY, min_size=1, max_size=3), _PLAIN)
def test_any_edit_is_correct_or_rejected(text: str, keys: list[str], value: Any) -> None:
    path = tuple(keys)
    before = parse(text, "f").values or {}
    try:
        after = set_value(text, path, value, "f")
    except RefusedError as error:
        assert "is not a mapping" in error.reason
        return
    values = parse(after, "f").values
    for key in keys[:-1]:
        values = values[key]
    assert json.dumps(values[keys[-1]]) == json.dumps(value)
    restored = parse(unset_value(after, path, "f"), "f").values or {}
    assert {key: each for key, each in restored.items() if key != keys[0]} == {
        key: each for key, each in before.items() if key != keys[0]
    }
    assert text.count("# a comment") == after.count("# a comment") or len(keys) == 1 or keys[0] in before
