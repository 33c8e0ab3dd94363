"""Values that can stand somewhere: from the cache, from the checkout, from the argument's own mark."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from fedpkg_container.completion import cache
from fedpkg_container.completion.values import ARCHES, KINDS, Completer, Place, complete_with, is_safe
from tests.support.checkouts import make_checkout

pytestmark = pytest.mark.programs


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """A checkout of container/hello, with nothing in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Place("fedpkg", "koji", ["rpms", "container"], path=str(make_checkout(tmp_path / "hello")))


def _offered(kind: str, place: Place, prefix: str = "") -> list[str]:
    return list(Completer(kind, place=place)(prefix=prefix))


def test_a_mark() -> None:
    action = argparse.ArgumentParser().add_argument("--target")
    assert complete_with(action, "targets") is action
    assert action.completer.kind == "targets"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="nothing completes 'target'"):
        complete_with(action, "target")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers_without_a_checkout_or_a_cache(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert isinstance(Completer(kind, place=Place("x", "", path=str(tmp_path)))(prefix=""), dict)
    assert not (tmp_path / "none").exists()


def test_what_is_known_locally(place: Place) -> None:
    assert _offered("targets", place) == ["rawhide-container-candidate"]
    assert _offered("arches", place) == list(ARCHES)
    assert _offered("branches", place) == ["f43", "rawhide"]
    assert _offered("namespaces", place) == ["rpms", "container"]
    assert _offered("nvrs", place) == _offered("tasks", place) == _offered("nothing", place) == []


def test_what_is_in_the_cache(place: Place) -> None:
    cache.write(place.hub_file, {"targets": {"f43": "a → b"}, "arches": ["s390x"], "tasks": {"17": "hello"}})
    cache.write(place.package_file("hello-container"), {"nvrs": {"hello-container-1-1": "2026-11-20"}})
    assert Completer("targets", place=place)() == {"f43": "a → b"}
    assert _offered("arches", place) == ["s390x"]
    assert Completer("builds", place=place)() == {"17": "hello", "hello-container-1-1": "2026-11-20"}


def test_the_checkout_that_is_named_with_path(place: Place, tmp_path: Path) -> None:
    other = make_checkout(tmp_path / "other", "rpms/bash", "f44")
    offered = Completer("targets", place=place)(parsed_args=argparse.Namespace(path=str(other)))
    assert list(offered) == ["f44-candidate"]


def test_an_arguments_own_values(place: Place) -> None:
    assert list(Completer("check-codes", lambda: ["unpushed", "behind"], place)()) == ["unpushed", "behind"]
    settings = Completer("configuration-settings", lambda: {"autorebuild": ["true", "false"], "name": []}, place)
    assert list(settings(prefix="")) == ["autorebuild=", "name="]
    assert list(settings(prefix="autorebuild=t")) == ["autorebuild=true", "autorebuild=false"]
    assert list(settings(prefix="other=")) == ["autorebuild=", "name="]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff", b'{"targets": 3}', b'{"targets": [1, null]}', b'{"targets": {"x": 4}}', b"[" * 100_000],
)
def test_a_damaged_cache_is_no_cache(place: Place, content: bytes) -> None:
    Path(place.hub_file).parent.mkdir(parents=True)
    Path(place.hub_file).write_bytes(content)
    assert _offered("targets", place) == ["rawhide-container-candidate"]


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
def test_what_could_move_a_terminal_is_not_offered(place: Place, value: str) -> None:
    assert not is_safe(value)
    cache.write(place.hub_file, {"targets": {value: "", "good": f"is\x1b[31m {value}"}})
    ((name, description),) = Completer("targets", place=place)().items()
    assert name == "good"
    assert description.isprintable()


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
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
def test_a_name_stays_in_its_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = Path(cache.folder("fedpkg", name))
    assert found.parent == tmp_path / "fedpkg-container" / "fedpkg"
    assert found.name not in ("", ".", "..")
