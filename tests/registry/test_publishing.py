# SPDX-License-Identifier: GPL-2.0-or-later
"""The options of promote --stage, promote --publish and mirror --probe, their output and exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from fedpkg_container.commands.registry import mirror, promote, results
from fedpkg_container.commands.registry.mirror_probe import probed_urls
from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.registry.config import DistributionSite, read_site
from fedpkg_container.registry.promotion import publish
from fedpkg_container.registry_cli import make_parser
from tests.support.hubs import Hub
from tests.support.mirror_server import WRONG, mirror_server
from tests.support.promoting import site_file

MakeHub = Callable[..., Hub]


class Desk:
    """Runs commands in this process."""

    def __init__(self, hub: Hub, candidate: Candidate) -> None:
        self.bench, self.candidate, self.site = hub.bench, candidate, hub.bench.site
        self.tree = hub.bench.directory / "tree"

    def mirroring(self, **changes: object) -> DistributionSite:
        """Change the configuration."""
        self.site = replace(self.site, mirroring=replace(self.site.mirroring, **changes))  # type: ignore[arg-type]
        return self.site

    def run(self, command: str, *words: str) -> int:
        run = promote.run if command == "promote" else mirror.run
        return run(make_parser().parse_args([command, *words]), self.site)

    def publish(self, *words: str) -> int:
        return self.run("promote", "--publish", "hello-1.0-1", *words)


@pytest.fixture
def desk(make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch) -> Desk:
    hub = make_hub("docker-registry-2")
    candidate = hub.bench.build()
    monkeypatch.setattr("fedpkg_container.hub.session.anonymous_session", lambda _: SimpleNamespace(baseurl="hub"))
    monkeypatch.setattr("fedpkg_container.hub.candidates.find_candidates", lambda *_: [candidate])
    return Desk(hub, candidate)


def test_stage_mirror_and_publish(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.mirroring(directory=desk.tree)
    assert desk.run("promote", "--stage", "hello-1.0-1") == 0
    said = capsys.readouterr().out
    assert f"hello-1.0-1 in {desk.bench.place(desk.candidate)}: staged\n" in said
    assert ".staged  set\n" in said
    desk.tree.mkdir()
    assert desk.publish() == 9
    said = capsys.readouterr().err
    assert f"hello-1.0-1 is not published, because blobs are missing: 11 of 11 blobs in {desk.tree}\n" in said
    assert said.count(": not exported yet\n") == results.MAX_MISSING
    assert f"{desk.tree}: 1 more, which --json lists\n" in said
    assert desk.publish("--json") == 9
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert (image["state"], len(image["missing"][str(desk.tree)])) == ("waiting", 11)
    assert desk.run("mirror") == 0
    assert desk.publish() == 0
    assert "latest  set\n" in capsys.readouterr().out


def test_waiting_is_announced_once(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "FIRST_PAUSE", 0.3)
    desk.bench.stage(desk.candidate)
    desk.tree.mkdir()
    assert desk.publish("--tree", str(desk.tree), "--wait", "1s") == 9
    assert capsys.readouterr().err.count("waiting up to 1 s until mirrors have the blobs of 1 build\n") == 1


def test_configured_mirrors_are_checked(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.bench.stage(desk.candidate)
    desk.bench.mirror(desk.tree)
    (desk.bench.directory / "remote").mkdir()
    with mirror_server(desk.bench.directory / "remote") as lacking, mirror_server(desk.tree) as complete:
        desk.mirroring(directory=desk.tree, probe=(lacking.url,))
        assert desk.publish() == 9
        assert f"11 of 11 blobs in {lacking.url}\n" in capsys.readouterr().err
        assert desk.publish("--tree", "none", "--probe", complete.url) == 0


def test_repository_that_is_not_mirrored_is_not_checked(desk: Desk) -> None:
    desk.bench.stage(desk.candidate)
    desk.tree.mkdir()
    desk.mirroring(directory=desk.tree, repositories=("stable/other*",))
    assert desk.publish() == 0


def test_mirror_of_another_target(desk: Desk) -> None:
    """Its tree has nothing about this target."""
    desk.mirroring(directory=desk.tree, target="testing")
    with pytest.raises(UsageError, match="mirrors of target 'stable' are not known") as error:
        desk.publish()
    assert "--tree DIR" in error.value.solution
    with pytest.raises(UsageError, match="is not a directory"):
        desk.publish("--tree", str(desk.tree))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--wait", "1m"], "--wait requires --publish"),
        (["--stage", "--tree", "/srv"], "--tree requires --publish"),
        (["--probe", "https://m.example.org"], "--probe requires --publish"),
        (["--publish", "--verify"], "--publish copies nothing"),
    ],
)
def test_options_without_meaning(desk: Desk, words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        desk.run("promote", "hello-1.0-1", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stage", "--publish"], "not allowed with"),
        (["--publish", "--wait", "soon"], "'soon' is not a time"),
        (["--publish", "--probe", "mirror.example.org"], "'mirror.example.org' must be a URL"),
        (["--publish", "--probe", "https://me:secret@mirror.example.org"], "'https://…@mirror.example.org' must be"),
    ],
)
def test_invalid_options(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        make_parser().parse_args(["promote", "hello-1.0-1", *words])
    assert error.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400)])
def test_times(text: str, seconds: int) -> None:
    assert make_parser().parse_args(["promote", "N", "--publish", "--wait", text]).wait == seconds


def test_probe(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.bench.stage(desk.candidate)
    desk.bench.mirror(desk.tree)
    with mirror_server(desk.tree) as server:
        desk.mirroring(directory=desk.tree, probe=(server.url,))
        assert desk.run("mirror", "--probe") == 0
        said = capsys.readouterr().out
        assert said.startswith(f"{server.url}: 11 verified\n{desk.tree}: 11 of 11 blobs probed, ")
        server.faults["/sha256:|blobs"] = 404
        assert desk.run("mirror", str(desk.tree), "--probe", server.url, "--probe-sample", "3") == 9
        printed = capsys.readouterr()
        assert f"{server.url}: 3 missing\n" in printed.out
        assert printed.err.count(": missing: HTTP 404\n") == 3
        server.faults = {"blobs": WRONG}
        assert desk.run("mirror", "--probe", "--probe-all", "--json") == 1
        report = json.loads(capsys.readouterr().out)
        assert (report["version"], report["sampled"], len(report["mirrors"][0]["wrong"])) == (1, 11, 11)
        assert desk.run("mirror", "--probe", "--probe-size", "0", "--probe-timeout", "5m") == 0
        assert f"{server.url}: 11 with the right size\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--probe"], "no mirror to probe"),
        (["--probe", "https://m.example.org", "--full"], "--full cannot be used with --probe"),
        (["--probe", "https://m.example.org", "--grace", "0"], "--grace cannot be used with --probe"),
        (["--probe-all"], "--probe-all requires --probe"),
        (["--probe", "https://m.example.org", "--probe-all", "--probe-sample", "3"], "exclude each other"),
    ],
)
def test_invalid_probe(desk: Desk, words: list[str], message: str) -> None:
    desk.mirroring(directory=desk.tree)
    with pytest.raises(UsageError, match=message):
        desk.run("mirror", *words)


def test_site_file(desk: Desk) -> None:
    """The configuration of mirrors as it is written in the file."""
    path = site_file(desk.site)
    text = path.read_text()
    path.write_text(f"{text}[mirror]\nprobe = https://cdn.example.org/pub/ http://mirror.example.org\n")
    assert read_site(path).mirroring.probe == ("https://cdn.example.org/pub/", "http://mirror.example.org")
    assert [str(url) for url in probed_urls(None, read_site(path))] == [
        "https://cdn.example.org/pub",
        "http://mirror.example.org",
    ]


def test_invalid_mirror_in_the_site_file(desk: Desk) -> None:
    path = site_file(desk.site)
    path.write_text(f"{path.read_text()}[mirror]\nprobe = https://cdn.example.org rsync://mirror.example.org\n")
    with pytest.raises(ConfigurationError) as error:
        read_site(path)
    assert "[mirror] probe = rsync://mirror.example.org: must be a URL" in error.value.solution
