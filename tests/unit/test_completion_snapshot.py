# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of the client's arguments: completions, validity, and damaged snapshots."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest

from fedpkg_container.completion import parsers, snapshot
from fedpkg_container.completion.values import Context
from tests.support import preloaded, tabs
from tests.support.checkouts import make_checkout
from tests.support.tabs import clean_environment, tab
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

#: Modules that a completion must not import.
HEAVY = {"koji", "git", "requests", "pyrpkg", "rpm", "socket", "ssl", "http", "dataclasses", "inspect", "email",
         "importlib.metadata", "jsonschema", "logging", "ruamel", "rich"}  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment of a new user without a usable Koji profile, so that nothing is refreshed."""
    return clean_environment(tmp_path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "hello")


def _snapshot(environment: dict[str, str]) -> Path:
    return Path(environment["XDG_CACHE_HOME"]) / "fedpkg-container" / "fedpkg" / "snapshot.json"


LINES = [
    "fedpkg ",
    "fedpkg cont",
    "fedpkg --",
    "fedpkg container-build ",
    "fedpkg container-build --s",
    "fedpkg container-build --scratch --s",
    "fedpkg container-build --arches ",
    "fedpkg container-build --arches=x",
    "fedpkg container-build --target ",
    "fedpkg container-build --userdata ",
    "fedpkg container-build-setup --set-autorebuild ",
    "fedpkg container-build-setup --get-autorebuild --",
    "fedpkg --namespace ",
    "fedpkg switch-branch ",
    "fedpkg clone ",
    "fedpkg build --target ",
    "fedpkg nonsense ",
    "fedpkg container-build --nonsense ",
    "fedpkg container-build -- ",
    "fedpkg local -- ",
]


def _cold_tab(line: str, environment: dict[str, str], checkout: Path) -> list[str]:
    """Return what a TAB offers; the interpreter has the modules already that the snapshot makes superfluous."""
    answer = checkout / ".answer"  # as in tab: it is offered where a file is allowed
    variables = {**environment, **tabs.completing(line, answer)}
    preloaded.run(["fedpkg"], cwd=checkout, env=variables, timeout=PATIENCE)
    return tabs.offered(answer)


@pytest.mark.parametrize("line", LINES)
def test_snapshot_and_client_offer_the_same(line: str, environment: dict[str, str], checkout: Path) -> None:
    cold = _cold_tab(line, environment, checkout)
    assert _snapshot(environment).exists()
    warm, loaded = tab(line, environment, checkout)
    assert warm == cold
    assert not loaded & HEAVY


def test_offered_values(environment: dict[str, str], checkout: Path) -> None:
    def offered(line: str) -> list[str]:
        return tab(f"fedpkg {line}", environment, checkout)[0]

    commands = offered("")
    assert {"container-build", "clone", "build", "mockbuild", "--path"} <= set(commands)
    assert "-q" in commands, "an option that has no long form"
    assert "-h" not in commands
    assert "--scratch" in offered("container-build --s")
    assert "--scratch" not in offered("container-build --scratch --s"), "given already"
    assert "--arches" in offered("container-build --arches x86_64 --a"), "can be repeated"
    assert offered("container-build --arches ") == ["aarch64", "i686", "ppc64le", "riscv64", "s390x", "x86_64"]
    assert offered("container-build --arches x86_64 --arches=s") == ["--arches=s390x"]
    assert offered("container-build --target ") == ["rawhide-container-candidate"]
    assert offered("container-build-setup --set-autorebuild ") == ["true", "false"]
    assert offered("container-build-setup --get-autorebuild --s") == [], "mutually exclusive"
    assert {"f43", "rawhide"} <= set(offered("switch-branch "))
    assert offered("build --target r") == ["rawhide-container-candidate"]
    assert offered("container-build --scratch -- --") == []
    assert offered("container-build --skip-check unpu") == ["unpushed"]
    assert offered("container-build --progress j") == ["json"]
    assert {"--watch", "--cancel", "--format", "--since"} <= set(offered("container-status --"))
    assert offered("container-status --format {{.nv") == [r"\{\{.nvr\}\}"]
    assert offered("container-status --format j") == ["json"]
    assert offered("container-status --since 1") == ["12h", "1d", "1w"]
    assert offered("container-status --branch f") == ["f43"]
    assert offered("container-status --limit ") == []
    (checkout / "some-file").touch()
    assert "some-file" in offered("local -- some")
    assert offered(f"--path {checkout} container-build --target ") == ["rawhide-container-candidate"]


def test_incomplete_lines(environment: dict[str, str], checkout: Path) -> None:
    assert tab("fedpkg --dry-run container-build --scratch --tar", environment, checkout)[0] == ["--target"]
    assert tab("fedpkg container-build 'unfinished", environment, checkout)[0] == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff", b'{"parser": 3}', b"[" * 200_000],
    ids=["empty", "no parser", "not UTF-8", "a number", "many brackets"],
)
def test_damaged_snapshot_is_replaced(content: bytes, environment: dict[str, str], checkout: Path) -> None:
    _cold_tab("fedpkg ", environment, checkout)
    original = _snapshot(environment).read_bytes()
    _snapshot(environment).write_bytes(content)
    assert _cold_tab("fedpkg container-b", environment, checkout)[0] == "container-build"
    assert json.loads(_snapshot(environment).read_bytes()) == json.loads(original)


def test_snapshot_with_wrong_contents_is_replaced(environment: dict[str, str], checkout: Path) -> None:
    _cold_tab("fedpkg ", environment, checkout)
    data = json.loads(_snapshot(environment).read_text())
    _snapshot(environment).write_text(json.dumps({**data, "parser": {"prog": "fedpkg"}}))
    offered, loaded = tab("fedpkg container-b", environment, checkout)
    assert offered[0] == "container-build"
    assert "pyrpkg" in loaded


def test_changed_configuration(environment: dict[str, str], checkout: Path, tmp_path: Path) -> None:
    assert "containers" not in tab("fedpkg --namespace ", environment, checkout)[0]
    user_file = tmp_path / ".config" / "rpkg" / "fedpkg.conf"
    user_file.parent.mkdir(parents=True)
    user_file.write_text("[fedpkg]\ndistgit_namespaces = rpms containers\n")
    offered, loaded = tab("fedpkg --namespace ", environment, checkout)
    assert offered == ["rpms", "containers"]
    assert "pyrpkg" in loaded
    assert not tab("fedpkg --namespace ", environment, checkout)[1] & HEAVY


def test_unwritable_cache(environment: dict[str, str], checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    offered, _ = tab("fedpkg container-b", {**environment, "XDG_CACHE_HOME": str(tmp_path / "file")}, checkout)
    assert offered[0] == "container-build"


def test_changes_that_invalidate_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    metadata = tmp_path / "site-packages" / "rpkg-1.70.dist-info"
    metadata.mkdir(parents=True)
    monkeypatch.setattr("sys.path", ["/usr/bin", str(metadata.parent)])
    configuration = [str(tmp_path / "fedpkg.conf")]

    def is_valid() -> bool:
        return snapshot.load("fedpkg", configuration) != {}

    def save() -> None:
        snapshot.save("fedpkg", configuration, {"parser": {}})
        assert is_valid()

    save()
    assert not snapshot.load("centpkg", configuration)
    assert not snapshot.load("fedpkg", [])
    (tmp_path / "fedpkg.conf").touch()
    assert not is_valid(), "a configuration file appeared"
    save()
    os.utime(tmp_path / "fedpkg.conf", (1, 1))
    assert not is_valid(), "its time changed"
    save()
    metadata.rename(metadata.with_name("rpkg-1.71.dist-info"))
    assert not is_valid(), "another version"
    save()
    (tmp_path / "site-packages" / "fedpkg").mkdir()
    assert not is_valid(), "something was installed"
    save()
    monkeypatch.setattr("sys.version", "4.0")
    assert not is_valid(), "another interpreter"


def test_completers_that_cannot_be_stored_load_the_client(tmp_path: Path) -> None:
    """Only the argument with such a completer (e.g. a site's list of packages) needs the client."""
    parser = argparse.ArgumentParser("fedpkg")
    argument = parser.add_argument("--package")
    argument.completer = lambda **_: ["bash", "zsh"]  # type: ignore[attr-defined]
    described: list[object] = []
    data = json.loads(json.dumps(parsers.describe(parser, described)))
    calls = []

    def live() -> list[object]:
        calls.append(1)
        return described

    rebuilt = parsers.rebuild(data, [], Context("fedpkg", ""), live)
    assert not calls
    (action,) = [action for action in rebuilt._actions if action.dest == "package"]
    assert action.completer(prefix="") == ["bash", "zsh"]  # type: ignore[attr-defined]
    assert calls == [1]


def test_rebuilt_parser_formats_help() -> None:
    parser = argparse.ArgumentParser("fedpkg", add_help=False)
    parser.add_argument("--arches", help="build for these")
    rebuilt = parsers.rebuild(json.loads(json.dumps(parsers.describe(parser, []))), [], Context("fedpkg", ""), list)
    assert "--arches ARCHES" in rebuilt.format_help()
    assert "usage: fedpkg" in rebuilt.format_usage()


def test_rebuilt_parser_equals_the_original() -> None:
    parser = argparse.ArgumentParser("p", prefix_chars="-+", allow_abbrev=False)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("+a", action="count", help="100%% of %(dest)s")
    group.add_argument("-b", action="store_const", const=object())
    parser.add_argument("--version", action="version", version="1")
    commands = parser.add_subparsers()
    one = commands.add_parser("one", aliases=["uno"], help="the first")
    one.add_argument("numbers", nargs="+", type=int, choices=[1, 2])
    commands.add_parser("two").add_argument("rest", nargs=argparse.REMAINDER)
    data = json.loads(json.dumps(parsers.describe(parser, [])))
    rebuilt = parsers.rebuild(data, ["uno"], Context("x", ""), list)
    assert parsers.describe(parsers.rebuild(data, ["one", "two"], Context("x", ""), list), []) == data
    (subparsers,) = [action for action in rebuilt._actions if isinstance(action, argparse._SubParsersAction)]
    assert subparsers.choices["one"] is subparsers.choices["uno"]
    assert list(subparsers.choices["one"]._actions[-1].choices) == ["1", "2"]
