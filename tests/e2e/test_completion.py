# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion in bash, zsh and fish on a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.completion import cache
from fedpkg_container.completion.values import Context
from tests.support.checkouts import make_checkout
from tests.support.tabs import clean_environment
from tests.support.terminal import SETUP, Shell


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user who has pressed TAB before, so that there is a snapshot of the client; the hub cannot be reached."""
    directory = tmp_path_factory.mktemp("home")
    environment = clean_environment(directory)
    shell = Shell("bash", environment, directory)
    assert shell.tab("fedpkg mockb").words == ["fedpkg", "mockbuild"]
    shell.close()
    assert list(Path(environment["XDG_CACHE_HOME"]).rglob("snapshot.json"))
    return environment


@pytest.fixture
def environment(used: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Environment of the same user, with a copy of the cache."""
    copy = shutil.copytree(used["XDG_CACHE_HOME"], tmp_path / "cache")
    return {**used, "XDG_CACHE_HOME": str(copy)}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of container/hello on rawhide that contains one file."""
    directory = make_checkout(tmp_path_factory.mktemp("checkout") / "hello")
    (directory / "some-file").touch()
    return directory


@pytest.fixture(scope="module", params=sorted(SETUP))
def started(request: pytest.FixtureRequest, used: dict[str, str], checkout: Path) -> Iterator[Shell]:
    """Each shell, in the checkout."""
    shell = Shell(request.param, used, checkout)
    yield shell
    shell.close()


@pytest.fixture
def shell(started: Shell, environment: dict[str, str]) -> Shell:
    """The same, with the cache of the test."""
    started.run(f"export XDG_CACHE_HOME='{environment['XDG_CACHE_HOME']}'")
    return started


@pytest.fixture
def context(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Context:
    """A context whose cache is up to date."""
    monkeypatch.setenv("XDG_CACHE_HOME", environment["XDG_CACHE_HOME"])
    context = Context("fedpkg", "koji")
    targets = dict.fromkeys(("f43-container-candidate", "future-build", "eln-build", "odd $(reboot) 'x'"), "")
    cache.write(
        context.hub_file,
        {"targets": {**targets, "bad\x1b[31mtarget": "", "--bad-option": ""}, "arches": ["riscv64", "s390x"]},
    )
    cache.write(context.package_file("hello-container"), {"nvrs": {"hello-container-1.0-1": "2026-11-20"}})
    return context


def test_other_programs(shell: Shell) -> None:
    assert shell.tab("fedpkg-container-box create-r").words == ["fedpkg-container-box", "create-repo"]
    assert shell.tab("fedpkg-container-box up --cap").words == ["fedpkg-container-box", "up", "--capacity"]
    assert shell.tab("fedpkg-container-registry promote some-f").words == [
        "fedpkg-container-registry",
        "promote",
        "some-f",
    ]
    assert shell.tab("fedpkg-container-registry --deb").words == ["fedpkg-container-registry", "--debug"]


@pytest.fixture
def own(environment: dict[str, str]) -> Iterator[Path]:
    """Where the user's own site file is searched."""
    path = Path(environment["HOME"]) / ".config" / "fedpkg-container" / "registry.conf"
    yield path
    path.unlink(missing_ok=True)


def test_targets_of_the_site_configuration(shell: Shell, own: Path, tmp_path: Path) -> None:
    assert shell.tab("fedpkg-container-registry promote --to sta").words[-1] == "sta"  # there is no file
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("[target stable]\n[target --delete]\n[mirror]\nrate = 5%\n")
    assert shell.tab("fedpkg-container-registry promote --to sta").words[-1] == "stable"
    assert shell.tab("fedpkg-container-registry mirror --from=sta").words[-1] == "--from=stable"
    other = tmp_path / "other.conf"
    other.write_text("[target testing]\n[target hub]\n")
    shown = shell.tab(f"fedpkg-container-registry --config {other} unpromote --to ")
    assert shown.offers("testing")
    assert shown.offers("hub")
    assert not shown.offers("stable")


def test_commands_cold_and_warm(shell: Shell, environment: dict[str, str]) -> None:
    shutil.rmtree(environment["XDG_CACHE_HOME"])
    for _ in range(2):
        assert shell.tab("fedpkg mockb").words == ["fedpkg", "mockbuild"]
        assert shell.tab("fedpkg container-b").words == ["fedpkg", "container-build"]
        shown = shell.tab("fedpkg cl")
        assert shown.offers("clone")
        assert shown.offers("clog")
        assert not shown.offers("container-build")
        assert shell.tab("fedpkg-container clog").words == ["fedpkg-container", "clog"]


def test_options(shell: Shell) -> None:
    assert shell.tab("fedpkg container-build --tar").words == ["fedpkg", "container-build", "--target"]
    shown = shell.tab("fedpkg container-build --s")
    assert shown.words[-1] == "--s"
    assert shown.offers("--scratch")
    assert shown.offers("--skip-build")
    assert not shown.offers("--target")


def test_options_are_offered_once(shell: Shell) -> None:
    assert shell.tab("fedpkg container-build --scr").words[-1] == "--scratch"
    assert shell.tab("fedpkg container-build --scratch --scr").words[-1] == "--scr"
    assert shell.tab("fedpkg container-build --now").words[-1] == "--nowait"
    assert shell.tab("fedpkg container-build --nowait --now").words[-1] == "--now"
    assert shell.tab("fedpkg container-build --arches s390x --arc").words[-1] == "--arches"


def test_after_two_dashes(shell: Shell) -> None:
    shown = shell.tab("fedpkg container-build --scratch -- --tar")
    assert shown.words[-1] == "--tar"
    assert not shown.offers("--target")
    assert shell.tab("fedpkg local -- some-f").words == ["fedpkg", "local", "--", "some-file"]


def test_local_values_without_a_cache(shell: Shell, checkout: Path) -> None:
    assert shell.tab("fedpkg container-build --target ").words[-1] == "rawhide-container-candidate"
    assert shell.tab("fedpkg container-build --target=raw").words[-1] == "--target=rawhide-container-candidate"
    assert shell.tab("fedpkg container-build --arches pp").words[-1] == "ppc64le"
    assert shell.tab("fedpkg switch-branch f").words[-1] == "f43"
    assert shell.tab("fedpkg --namespace cont").words[-1] == "container"
    assert shell.tab("fedpkg container-build-setup --set-autorebuild t").words[-1] == "true"
    other = make_checkout(checkout.parent / f"other-{shell.name}", "rpms/bash", "f44")
    assert shell.tab(f"fedpkg --path ../{other.name} build --target ").words[-1] == "f44-candidate"


def test_nothing_is_offered_for_unknown_values(shell: Shell) -> None:
    shown = shell.tab("fedpkg container-build --userdata so")
    assert shown.words[-1] == "so"
    assert not shown.offers("some-file")


def test_files(shell: Shell) -> None:
    assert shell.tab("fedpkg upload some-f").words == ["fedpkg", "upload", "some-file"]


def test_cached_values_of_the_hub(shell: Shell, context: Context) -> None:
    for _ in range(2):
        shown = shell.tab("fedpkg container-build --target f")
        assert shown.offers("f43-container-candidate")
        assert shown.offers("future-build")
        assert not shown.offers("eln-build")
        assert shell.tab("fedpkg container-build --target e").words[-1] == "eln-build"
        assert shell.tab("fedpkg container-build --arches riscv64 s").words[-2:] == ["riscv64", "s390x"]


def test_status(shell: Shell, context: Context) -> None:
    assert shell.tab("fedpkg container-status hel").words[-1] == "hello-container-1.0-1"
    assert shell.tab("fedpkg container-status --diff ").words[-1] == "hello-container-1.0-1"
    assert shell.tab("fedpkg container-status --logs r").words[-1] == "riscv64"


def test_values_are_quoted(shell: Shell, context: Context) -> None:
    value = "odd $(reboot) 'x'"
    assert shell.tab("fedpkg container-build --target od").words[-2:] == ["--target", value]


def test_open_quote(shell: Shell, context: Context) -> None:
    """The closing quote is added unless the shell adds it itself."""
    for quote in ('"', "'"):
        assert shell.tab(f"fedpkg container-build --target {quote}eln").words[-2:] == ["--target", "eln-build"]


def test_hostile_values_are_not_offered(shell: Shell, context: Context) -> None:
    shown = shell.tab("fedpkg container-build --target ba")
    assert shown.words[-1] == "ba"
    shown = shell.tab("fedpkg container-build --target ")
    assert "bad" not in shown.screen


def test_all_at_once(shell: Shell, context: Context) -> None:
    assert shell.tab("fedpkg -q --dry-run container-build --scratch --nowait --target eln").words[-1] == "eln-build"
