# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration files: types of settings, lines of problems, and the documentation that is generated."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docs import make_settings
from fedpkg_container.commands import client_config
from fedpkg_container.image import config_keys as builder
from fedpkg_container.registry import config_keys as site
from fedpkg_container.settings import (
    ANY,
    InvalidWordsError,
    Key,
    Settings,
    choice,
    existing_path,
    flag,
    networks,
    number,
    optional,
    path,
    registry,
    size,
    subset,
    url,
    words,
)

KEYS = (
    Key("main", "count", number("things", minimum=0), "number of `things`", "3", old=("amount",)),
    Key("main", "host", registry, "the `host`", None),
    Key("part NAME", "list", words(lambda word: "must be short" if word[4:] else ""), "words"),
    Key("free", ANY, str, "any"),
)
MAIN = "[main]\nhost = r.example.org\n"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (size, "1.5 kB", 1500),
        (number("days"), "007", 7),
        (optional(size), "", None),
        (choice("a", "b"), "b", "b"),
        (flag("store", "reference"), "reference", False),
        (words(), " a\n  b ", ("a", "b")),
        (subset("a", "b"), "b a b", ("b", "a")),
        (subset("a", "b", none=True), "none", ()),
        (path, "/a", Path("/a")),
        (path, "", None),
        (existing_path, "/", Path("/")),
        (registry, "", ""),
        (registry, "host:5000", "host:5000"),
        (url, "https://a/b", "https://a/b"),
        (networks, "10.0.0.0/8 192.0.2.7", ("10.0.0.0/8", "192.0.2.7/32")),
    ],
)
def test_valid_values(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "allowed"),
    [
        (size, "", "a size"),
        (size, "-1G", "a size"),
        (number("days"), "0", "a number of days, at least 1"),
        (number("days"), "٣", "a number of days"),
        (optional(size), "x", "a size"),
        (flag(), "true", "one of yes, no"),
        (subset("a", "b"), "a none", "none: must be one or more of a, b"),
        (path, "a", "not an absolute path"),
        (existing_path, "/no/such/file", "no such file"),
        (registry, "https://host", "a registry host"),
        (url, "ftp://a/b", "a URL"),
        (networks, "10.0.0.1/8", "IPv4 networks"),
    ],
)
def test_invalid_values(parse: Callable[[str], Any], text: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=allowed):
        parse(text)


def test_every_invalid_word_of_a_list_is_reported() -> None:
    with pytest.raises(InvalidWordsError) as caught:
        subset("a", "b")("a x b y")
    assert [word for word, _ in caught.value.problems] == ["x", "y"]


def test_values_of_all_sections() -> None:
    settings = Settings(f"{MAIN}[part one]\nlist = a\n b\n[free]\nKey = 50%\n", KEYS)
    assert settings["main"] == {"count": 3, "host": "r.example.org"}
    assert settings["part one"] == {"list": ("a", "b")}
    assert settings["free"] == {"Key": "50%"}
    assert settings.problems() == []
    assert ("main" in settings, "other" in settings) == (True, False)


def test_problems_have_lines() -> None:
    text = """\
# a comment: with = signs
[main]
; count = 1
count = -1
colour: red
[part one]

list = a
    longest of all
[part]
[side]
"""
    assert Settings(text, KEYS).problems() == [
        "line 2: [main] host is missing: the host",
        "line 4: [main] count = -1: must be a number of things, at least 0",
        "line 5: [main] colour: unknown setting (known: count, host)",
        "line 8: [part one] list = longest: must be short",
        "line 10: [part]: unknown section (must be [part NAME], with a name of one word)",
        "line 11: [side]: unknown section (known: main, part NAME, free)",
    ]
    assert Settings("", KEYS).problems() == ["[main] host is missing: the host"]


def test_a_problem_of_a_deprecated_setting_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        settings = Settings(f"{MAIN}amount = many\n", KEYS)
    assert settings.problems() == ["line 3: [main] count = many: must be a number of things, at least 0"]
    assert caplog.messages == ["warning: [main] amount is deprecated; use count instead"]


def test_files_need_not_exist_where_the_settings_are_only_printed() -> None:
    keys = (Key("main", "file", existing_path, "a file"),)
    text = "[main]\nfile = /no/such/file\n"
    assert Settings(text, keys).problems() == ["line 2: [main] file = /no/such/file: no such file or directory"]
    settings = Settings(text, keys, files=False)
    assert (settings["main"], settings.problems()) == ({"file": Path("/no/such/file")}, [])


@pytest.mark.parametrize("keys", [builder.KEYS, site.KEYS, client_config.KEYS], ids=["builder", "registry", "client"])
def test_tables(keys: tuple[Key, ...]) -> None:
    assert len({(key.section, key.name) for key in keys}) == len(keys)
    for key in keys:
        assert key.text
        assert not key.text.endswith(".")
        if key.default is not None:
            key.parse(key.default)


@pytest.mark.parametrize("page", make_settings.GENERATED, ids=lambda page: page.name)
def test_documentation_is_generated_from_the_tables(page: Path) -> None:
    assert page.read_text() == make_settings.page(page), "run: python -m docs.make_settings"
