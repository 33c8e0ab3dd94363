# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin of the koji program: options and errors without a hub, worded as koji-containerbuild's."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import koji.plugin
import pytest

from fedpkg_container.box.box import PLUGINS

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "koji-cli.md"
SOURCE = "git+https://src.example.org/container/hello#1"
#: The options of koji-containerbuild 1.4's container-build.
UPSTREAM = set(
    "--help --scratch --isolated --arch-override --wait --nowait --quiet --background --replace-dependency --repo-url"
    " --git-branch --channel-override --signing-intent --compose-id --userdata --operator-csv-modifications-url"
    " --release --koji-parent-build".split()
)


@pytest.fixture(scope="module")
def plugin() -> Any:
    """Return the plugin, loaded as koji loads it."""
    return koji.plugin.PluginTracker().load("cli_containerbuild", path=str(PLUGINS / "cli"), reload=True)


def _refusal(plugin: Any, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the error of a command with invalid arguments, which does not contact the hub."""
    with pytest.raises(SystemExit) as ended:
        plugin.handle_container_build(types.SimpleNamespace(quiet=False), None, list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err.rpartition("error: ")[2].strip()


@pytest.mark.parametrize("command", ["container-build", "flatpak-build"])
def test_options_match_upstream(plugin: Any, command: str) -> None:
    parser = plugin._parser(command, types.SimpleNamespace(quiet=False))
    assert {text for option in parser.option_list for text in option._long_opts} == UPSTREAM
    assert f" {command} [options] target <scm url>" in parser.get_usage()


def test_options_are_documented() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert {text for row in rows for text in re.findall(r"`(--[a-z-]+)", row.split(" | ")[0])} == UPSTREAM - {"--help"}


@pytest.mark.parametrize("name", ["handle_container_build", "handle_flatpak_build"])
def test_koji_exports_the_commands(plugin: Any, name: str) -> None:
    assert getattr(plugin, name).exported_cli
    assert getattr(plugin, name).__doc__.startswith("[build] ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--arch-override", "x86_64"), "--arch-override is only allowed for --scratch or --isolated builds"),
        (("--signing-intent", "r", "--compose-id", "1"), "--signing-intent cannot be used with --compose-id"),
        (
            ("--operator-csv-modifications-url", "https://x/y"),
            "Only --isolated builds support option --operator-csv-modifications-url",
        ),
        (
            ("--isolated", "--operator-csv-modifications-url", "y"),
            "Value provided to --operator-csv-modifications-url does not look like an URL",
        ),
        (("--git-branch", ""), "git-branch must be specified"),
        (("--scratch", "--isolated"), "Build cannot be both isolated and scratch"),
        (("--userdata", "{x"), "--userdata is not JSON: Expecting property name enclosed in double quotes"),
        (("--compose-id", "one"), "option --compose-id: invalid integer value: 'one'"),
        (("word",), "Exactly two arguments (a build target and a SCM URL) are required"),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_invalid_options_are_rejected(
    plugin: Any, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    refusal = _refusal(plugin, capsys, "--git-branch", "rawhide", *options, "target", SOURCE)
    assert refusal.partition(": line")[0] == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hello.tar", "scm URL does not look like an URL to a source repository"),
        ("git+https://h/hello", "scm URL must be of the form <url_to_repository>#<revision>)"),
    ],
)
def test_invalid_source_urls_are_rejected(
    plugin: Any, capsys: pytest.CaptureFixture[str], source: str, said: str
) -> None:
    assert _refusal(plugin, capsys, "--git-branch", "rawhide", "target", source) == said


def test_result_is_printed_with_urls_and_escaped(plugin: Any, capsys: pytest.CaptureFixture[str]) -> None:
    result = {"repositories": ["r/a:1", "r/a@sha256:2"], "koji_builds": ["7"], "user_warnings": ["evil\033[2J"]}
    plugin._print_result(plugin._with_build_urls(result, "https://koji.example.org"))
    assert capsys.readouterr().out.splitlines() == [
        "koji_builds:",
        "    https://koji.example.org/buildinfo?buildID=7",
        "repositories:",
        "    r/a:1",
        "    r/a@sha256:2",
        "user_warnings:",
        "    evil\N{REPLACEMENT CHARACTER}[2J",
    ]


@pytest.mark.parametrize("result", [None, "done", ["a"], {}])
def test_results_of_other_types_are_printed(plugin: Any, capsys: pytest.CaptureFixture[str], result: Any) -> None:
    plugin._print_result(plugin._with_build_urls(result, ""))
    assert len(capsys.readouterr().out.splitlines()) == 1
