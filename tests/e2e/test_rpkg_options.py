# SPDX-License-Identifier: GPL-2.0-or-later
"""What rpkg 1.70's container-build would send, and what ours sends: the same, for every option of rpkg."""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import koji
import pyrpkg
import pyrpkg.cli
import pytest
from pyrpkg.errors import rpkgError

from fedpkg_container import cli
from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.hub.session import log_out
from tests.support.packager import Packager

OTHER_TARGET = "f41-container-candidate"
REPO = "https://example.com/a.repo"


@dataclass(frozen=True)
class Sent:
    """A call of buildContainer."""

    source: str
    target: str
    options: dict[str, Any]
    priority: int | None


@pytest.fixture(scope="module")
def checkout(small_box: Box, tmp_path_factory: pytest.TempPathFactory) -> Packager:
    session = small_box.session(ADMIN)
    session.createBuildTarget(OTHER_TARGET, site.BUILD_TAG, site.DEST_TAG)
    log_out(session)
    packager = Packager.make(small_box, tmp_path_factory.mktemp("checkout"))
    packager.commit(packager.dockerfile("RUN true"))
    return packager


@pytest.fixture
def sent(checkout: Packager, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sent]]:
    """What is submitted from the checkout; nothing of it reaches the hub, all else does."""
    calls: list[Sent] = []

    def build_container(_: Any, source: str, target: str, options: dict[str, Any], priority: int | None = None) -> int:
        calls.append(Sent(source, target, options, priority))
        return len(calls)

    monkeypatch.setattr(koji.ClientSession, "buildContainer", build_container, raising=False)
    for name, value in checkout.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(checkout.checkout)
    handlers = list(pyrpkg.log.handlers)
    yield calls
    pyrpkg.log.handlers[:] = handlers


def _rpkg(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """rpkg's own client, as its ``bin/rpkg`` starts it."""
    monkeypatch.setattr("sys.argv", ["fedpkg", *arguments])
    config = configparser.ConfigParser()
    config.read(Path.home() / ".config" / "rpkg" / "fedpkg.conf")
    client = pyrpkg.cli.cliClient(config, name="fedpkg")
    client.do_imports()
    client.parse_cmdline()
    client.args.path = client.args.path or str(Path.cwd())
    client.setupLogging(pyrpkg.log)
    client.args.command()


def _ours(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["fedpkg", *arguments])
    return cli.run(list(arguments))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options without those that have no effect: None and False mean the same as absent."""
    return {name: value for name, value in options.items() if value is not None and value is not False}


OPTIONS: list[list[str]] = [
    [],
    ["--background"],
    ["--target", OTHER_TARGET],
    ["--build-release", "99"],
    ["--isolated", "--build-release", "99.1"],
    ["--isolated", "--build-release", "99.1", "--arches", MACHINE],
    ["--koji-parent-build", "base-container-1-1"],
    ["--scratch"],
    ["--scratch", "--arches", MACHINE],
    ["--scratch", "--target", OTHER_TARGET, "--repo-url", REPO, REPO + "?2", "--repo-url", REPO + "?3"],
    ["--scratch", "--compose-id", "1", "2", "--compose-id", "3"],
    ["--signing-intent", "release"],
    ["--replace-dependency", "pip:a:1", "npm:b:2:c", "--replace-dependency", "gomod:d:3"],
    ["--skip-remote-rules-validation"],
    ["--skip-build"],
]


def test_a_counted_release_is_not_for_isolated_builds(
    sent: list[Sent], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as usage:
        _ours(["container-build", "--nowait", "--isolated", "--build-release", "99"], monkeypatch)
    assert usage.value.code == 2
    assert "the release of an isolated build must have the form 3.1 or 3.1.fix, not '99'" in capsys.readouterr().err
    assert sent == []


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_the_same_is_sent(sent: list[Sent], options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["container-build", "--nowait", *options]
    _rpkg(arguments, monkeypatch)
    skipped = ("--skip-check", "koji-parent-build", "--skip-check", "build-options")  # checks that rpkg does not have
    assert _ours([*arguments, *skipped], monkeypatch) == 0
    rpkg, ours = sent
    assert _given(ours.options) == _given(rpkg.options)
    assert (ours.target, ours.priority) == (rpkg.target, rpkg.priority)
    assert ours.source == f"git+{rpkg.source}"  # the reason is in docs/internals/rpkg.md


@pytest.mark.parametrize(
    "options", [["-q"], ["--release", "f41"], ["--name", "other", "--namespace", "container"], ["-v"]], ids=" ".join
)
def test_global_options_mean_the_same(sent: list[Sent], options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [*options, "container-build", "--scratch", "--nowait"]
    _rpkg(arguments, monkeypatch)
    assert _ours(arguments, monkeypatch) == 0
    rpkg, ours = sent
    assert _given(ours.options) == _given(rpkg.options)
    assert (f"git+{rpkg.source}", rpkg.target, rpkg.priority) == (ours.source, ours.target, ours.priority)


def test_path_names_the_checkout(
    sent: list[Sent], checkout: Packager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--path", str(checkout.checkout), "container-build", "--scratch", "--nowait"]
    _rpkg(arguments, monkeypatch)
    assert _ours(arguments, monkeypatch) == 0
    assert sent[1].source == f"git+{sent[0].source}"


def test_what_rpkg_says_nothing_of_is_absent(sent: list[Sent], monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ours(["container-build", "--nowait"], monkeypatch) == 0
    assert sent[0].options == {"git_branch": "rawhide"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--compose-id", "1", "--signing-intent", "x"], "argument --compose-id: not allowed with argument"),
        (["--arches", MACHINE], "Cannot override arches for non-scratch and non-isolated builds"),
        (["--isolated"], "missing --build-release: using --isolated requires --build-release option"),
        (["--compose-id", "one"], "invalid int value: 'one'"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
def test_the_same_is_refused_in_the_same_words(
    sent: list[Sent],
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["container-build", "--nowait", *options]
    with pytest.raises((rpkgError, SystemExit)) as refused:
        _rpkg(arguments, monkeypatch)
    assert said in str(refused.value) + capsys.readouterr().err
    with pytest.raises(SystemExit) as usage:
        _ours(arguments, monkeypatch)
    assert usage.value.code == 2
    assert said in capsys.readouterr().err
    assert sent == []
