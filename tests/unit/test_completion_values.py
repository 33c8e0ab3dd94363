# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion of values from the cache, the checkout and the argument itself."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from fedpkg_container.completion import cache
from fedpkg_container.completion.values import ARCHES, KINDS, Completer, Context, complete_with, is_safe
from tests.support.checkouts import make_checkout

pytestmark = pytest.mark.programs


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Context:
    """Context of a checkout of container/hello, with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Context("fedpkg", "koji", ["rpms", "container"], path=str(make_checkout(tmp_path / "hello")))


def _offered(kind: str, context: Context, prefix: str = "") -> list[str]:
    return list(Completer(kind, context=context)(prefix=prefix))


def test_complete_with_sets_the_completer() -> None:
    action = argparse.ArgumentParser().add_argument("--target")
    assert complete_with(action, "targets") is action
    assert action.completer.kind == "targets"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="unknown kind of values: 'target'"):
        complete_with(action, "target")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_works_without_checkout_and_cache(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert isinstance(Completer(kind, context=Context("x", "", path=str(tmp_path)))(prefix=""), dict)
    assert not (tmp_path / "none").exists()


def test_local_values(context: Context) -> None:
    assert _offered("targets", context) == ["rawhide-container-candidate"]
    assert _offered("arches", context) == list(ARCHES)
    assert _offered("branches", context) == ["f43", "rawhide"]
    assert _offered("namespaces", context) == ["rpms", "container"]
    assert _offered("nvrs", context) == _offered("tasks", context) == _offered("nothing", context) == []


def test_cached_values(context: Context) -> None:
    cache.write(context.hub_file, {"targets": {"f43": "a → b"}, "arches": ["s390x"], "tasks": {"17": "hello"}})
    cache.write(context.package_file("hello-container"), {"nvrs": {"hello-container-1-1": "2026-11-20"}})
    assert Completer("targets", context=context)() == {"f43": "a → b"}
    assert _offered("arches", context) == ["s390x"]
    assert Completer("builds", context=context)() == {"17": "hello", "hello-container-1-1": "2026-11-20"}


def test_checkout_of_the_path_option(context: Context, tmp_path: Path) -> None:
    other = make_checkout(tmp_path / "other", "rpms/bash", "f44")
    offered = Completer("targets", context=context)(parsed_args=argparse.Namespace(path=str(other)))
    assert list(offered) == ["f44-candidate"]


def test_additional_values_of_an_argument(context: Context) -> None:
    assert list(Completer("check-codes", lambda: ["unpushed", "behind"], context)()) == ["unpushed", "behind"]
    settings = Completer("configuration-settings", lambda: {"autorebuild": ["true", "false"], "name": []}, context)
    assert list(settings(prefix="")) == ["autorebuild=", "name="]
    assert list(settings(prefix="autorebuild=t")) == ["autorebuild=true", "autorebuild=false"]
    assert list(settings(prefix="other=")) == ["autorebuild=", "name="]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff", b'{"targets": 3}', b'{"targets": [1, null]}', b'{"targets": {"x": 4}}', b"[" * 100_000],
)
def test_damaged_cache_is_ignored(context: Context, content: bytes) -> None:
    Path(context.hub_file).parent.mkdir(parents=True)
    Path(context.hub_file).write_bytes(content)
    assert _offered("targets", context) == ["rawhide-container-candidate"]


@pytest.mark.parametrize(
    "value",
    [
        "a\x1b[2Jb",
        "a\nb",
        "a\rb",
        "a\x0bb",
        "\u202egnp",
        "a\u2066b",
        "\ud800",
        "--force",
        "-x",
        "",
        "x" * 300,
        "a\x9bb",
    ],
)
def test_unsafe_values_are_not_offered(context: Context, value: str) -> None:
    assert not is_safe(value)
    cache.write(context.hub_file, {"targets": {value: "", "good": f"is\x1b[31m {value}"}})
    ((name, description),) = Completer("targets", context=context)().items()
    assert name == "good"
    assert description.isprintable()


def test_cache_files_are_written_atomically(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    cache.write(str(path), {"x": 1})
    cache.write(str(path), {"x": 2})
    assert cache.read(str(path)) == {"x": 2}
    assert [each.name for each in path.parent.iterdir()] == ["b.json"]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with pytest.raises(TypeError):
        cache.write(str(path), {"x": object()})
    assert json.loads(path.read_text()) == {"x": 2}
    assert [each.name for each in path.parent.iterdir()] == ["b.json"]


@pytest.mark.parametrize("name", ["../../etc", "..", ".", "", "a/b", "a\0b"])
def test_cache_names_stay_in_their_directory(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = Path(cache.directory("fedpkg", name))
    assert found.parent == tmp_path / "fedpkg-container" / "fedpkg"
    assert found.name not in ("", ".", "..")
