# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands promote, list and unpromote with a real hub and real registries, including invalid input."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.referrers import fallback_tag
from tests.support import preloaded
from tests.support.box_hub import RunningHub
from tests.support.promoting import KOJI_TAG, Bench, make_site, site_file
from tests.support.proxy import lossy_proxy
from tests.support.recorded_builds import Recorder, environment
from tests.support.registries import PASSWORD, access, docker_registry
from tests.support.waiting import PATIENCE

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "promotion.schema.json").read_text())


@dataclass
class Typed:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        found = json.loads(self.out)
        if "dry_run" in found:
            jsonschema.validate(found, SCHEMA)
        return found


@dataclass
class Desk:
    """A user of a site's commands."""

    bench: Bench
    recorder: Recorder
    environment: Mapping[str, str]
    auth_file: Path | None = None

    def build(self, nvr: str = "hello-1.0-1", **more: Any) -> Candidate:
        """A build that Koji has recorded, in the tag from which builds are promoted."""
        candidate = self.bench.build(f"{self.bench.directory.name}{nvr}".replace("_", "-"), self.name, **more)
        self.recorder.record(candidate)
        return candidate

    @property
    def name(self) -> str:
        return self.bench.directory.name.replace("_", "-").strip("-").lower()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            self._command(*words),
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _command(self, *words: str) -> list[str]:
        path = site_file(self.bench.site, auth_file=self.auth_file)
        return ["fedpkg-container-registry", "--config", str(path), *words]

    def type(self, *words: str) -> Typed:
        """Type a command, and wait for its end."""
        done = preloaded.run(self._command(*words), cwd=Path.cwd(), env=self.environment, timeout=PATIENCE)
        return Typed(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def recorder(hub: RunningHub) -> Recorder:
    return Recorder(hub)


@pytest.fixture
def desk(directory: Path, one: str, recorder: Recorder, hub: RunningHub, tmp_path: Path, monkeypatch: Any) -> Desk:
    monkeypatch.setenv("PATH", environment(hub, tmp_path)["PATH"])
    bench = Bench(tmp_path, make_site(tmp_path, one, one, access=access(directory)))
    return Desk(bench, recorder, environment(hub, tmp_path / "home"))


def test_promote_list_and_unpromote(desk: Desk) -> None:
    first, second = desk.build("hello-1.0-1"), desk.build("hello-1.0-2")
    place = str(desk.bench.place(first))
    planned = desk.type("promote", str(first.nvr), "--dry-run")
    assert (planned.status, planned.err) == (0, "")
    assert planned.out.startswith(f"{first.nvr} in {place}: would be done\n")
    assert "    1.0-1  would be set\n    1.0  would be set\n    latest  would be set\n" in planned.out
    assert "    blobs: 11 to be mounted (" in planned.out
    done = desk.type("promote", str(first.nvr))
    assert (done.status, done.out.splitlines()[0]) == (0, f"{first.nvr} in {place}: done")
    again = desk.type("promote", str(first.nvr))
    assert again.out.splitlines()[0] == f"{first.nvr} in {place}: nothing to do"
    both = desk.type("promote", str(second.nvr), str(first.nvr), "--json")
    assert [each["state"] for each in both.report["images"]] == ["promoted", "unchanged"]
    listing = desk.type("list", desk.name)
    assert f"{place}: 1.0 1.0-2 latest\n    {second.nvr}, promoted " in listing.out
    assert f"    {second.image.digest}\n    arches: amd64, arm64\n" in listing.out
    taken = desk.type("unpromote", str(second.nvr))
    assert f"    latest  set: back to {first.nvr}\n" in taken.out
    assert desk.bench.tags(first)["latest"] == first.image.digest
    foreseen = desk.type("unpromote", str(second.nvr), "--delete", "--dry-run")
    assert f"    to be deleted:\n        {second.image.digest}\n" in foreseen.out
    deleted = desk.type("unpromote", str(second.nvr), "--delete", "--json")
    assert len(deleted.report["images"][0]["deleted"]) == 1 + 2 + 4 + 4, "list, arches, artifacts, lists of them"
    listing = desk.type("list", desk.name, "--json")
    assert [each["nvr"] for each in listing.report["images"]] == [str(first.nvr)]
    desk.bench.assert_promoted(first)


def test_json_report(desk: Desk) -> None:
    candidate = desk.build()
    report = desk.type("promote", str(candidate.nvr), "no-such-build", "--json").report
    assert (report["format"], report["target"], report["dry_run"]) == (1, "stable", False)
    good, bad = report["images"]
    assert (good["source"], good["digest"]) == (str(candidate.image), candidate.image.digest)
    assert good["tags"][0] == {"tag": "1.0-1", "what": "set", "before": "", "after": good["digest"], "why": ""}
    assert good["blobs"] == {"mounted": 11, "sent": 0, "present": 0}
    assert (len(good["manifests"]), good["artifacts"], good["arches"]) == (7, 4, ["amd64", "arm64"])
    assert (bad["nvr"], bad["state"], bad["error"]) == (
        "no-such-build", "refused", "the hub has no build no-such-build"
    )  # fmt: skip


def test_builds_of_a_koji_tag(desk: Desk) -> None:
    tag = f"{desk.name}-container-updates"
    old, new = (replace(desk.bench.build(f"{desk.name}-1-{each}", desk.name), koji_tags=(tag,)) for each in (1, 2))
    for each in (old, new):
        desk.recorder.record(each)
    desk.recorder.session.createEmptyBuild(f"{desk.name}-rpm", "1", "1", None)
    desk.recorder.tag(f"{desk.name}-rpm-1-1", tag)
    report = desk.type("promote", "--koji-tag", tag, "--json").report
    assert [each["nvr"] for each in report["images"]] == [str(new.nvr)], "the latest of each package, of images alone"


def test_parents_and_floating_tags_recorded_in_koji_are_used(desk: Desk) -> None:
    target = replace(desk.bench.site.target("stable"), floating=("recorded",))
    desk.bench.site = replace(desk.bench.site, targets={"stable": target})
    candidate = replace(desk.bench.build(f"{desk.name}-1-1", desk.name), floating=("f42", "rawhide"))
    desk.recorder.record(candidate)
    report = desk.type("promote", str(candidate.nvr), "--json").report
    assert [each["tag"] for each in report["images"][0]["tags"]] == ["1-1", "f42", "rawhide"]


def test_builds_that_are_not_accepted(desk: Desk) -> None:
    base = desk.bench.build(f"{desk.name}-1-1", desk.name)
    elsewhere = replace(base, koji_tags=("f42-container-candidate",))
    no_image = replace(base, nvr=replace(base.nvr, release="2"))
    desk.recorder.record(elsewhere)
    desk.recorder.record(no_image, index={})
    cancelled = f"{desk.name}-1-3"
    importer = desk.recorder._importer
    assert importer
    data = {"name": desk.name, "version": "1", "release": "3"}
    reserved = desk.recorder.session.CGInitBuild(importer.generator, data)
    typed = desk.type("promote", f"{desk.name}-1-1", f"{desk.name}-1-2", cancelled, "no nvr", "--json")
    assert typed.status == 1
    errors = {each["nvr"]: each["error"] for each in typed.report["images"]}
    assert errors[f"{desk.name}-1-1"].endswith("it is in f42-container-candidate")
    assert errors[f"{desk.name}-1-2"] == f"Koji has recorded no image for {desk.name}-1-2"
    assert errors[cancelled] == f"{cancelled} is in state BUILDING, not COMPLETE"
    assert errors["no nvr"] == "'no nvr' is not a valid NVR"
    desk.recorder.session.cancelBuild(reserved["build_id"])
    assert desk.bench.tags(base) == {}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["promote"], 2, "no build is given"),
        (["promote", "x-1-1", "--koji-tag", KOJI_TAG], 2, "exclude each other"),
        (["promote", "x-1-1", "--to", "nowhere"], 2, "has no target 'nowhere'"),
        (
            ["promote", "--koji-tag", "f42-container-candidate"],
            2,
            "does not accept builds from Koji tag f42-container-candidate",
        ),
        (
            ["promote", "--koji-tag", "nowhere-container-updates"],
            2,
            "the hub has no Koji tag nowhere-container-updates",
        ),
        (["promote", "--no-such-option"], 2, "unrecognized arguments: --no-such-option"),
        (["promote", "no-such-build"], 1, "the hub has no build no-such-build"),
        (["promote", "\x1b[2Jx-1-1"], 1, "[2Jx-1-1' is not a valid NVR"),
        (["promote", "-x-1-1"], 2, "unrecognized arguments: -x-1-1"),
        (["promote", "../../x-1-1"], 1, "the hub has no build ../../x-1-1"),
        (["list", "Hello"], 2, "invalid repository: 'Hello' must consist of lower-case"),
        (["list", "no/such"], 1, "no image in"),
        (["unpromote"], 2, "the following arguments are required: NVR"),
        (["unpromote", "x-1-1"], 1, "x-1-1 was not promoted to stable"),
        (["unpromote", "nonsense"], 1, "nonsense was not promoted to stable"),
    ],
)
def test_wrong_input(words: list[str], status: int, said: str, desk: Desk) -> None:
    typed = desk.type(*words)
    assert (typed.status, typed.out) == (status, "")
    assert said in typed.err
    assert "Traceback" not in typed.err
    assert "\x1b" not in typed.err


def test_unreachable_hub(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "home" / ".koji" / "config").write_text("[box]\nserver = https://127.0.0.1:9/kojihub\n")
    typed = desk.type("promote", "x-1-1")
    assert (typed.status, "cannot reach the hub https://127.0.0.1:9/kojihub" in typed.err) == (5, True)


def test_invalid_or_unwritable_journal(desk: Desk) -> None:
    candidate, record = desk.build(), desk.bench.site.journal
    assert record
    record.write_text('{"format": 1}\n')
    for command in (["promote", str(candidate.nvr)], ["list"], ["unpromote", str(candidate.nvr)]):
        typed = desk.type(*command)
        assert (typed.status, f"invalid line 1 in the promotion journal {record}" in typed.err) == (2, True)
    record.write_text('{"format": 2}\n')
    assert "not of format 1" in desk.type("list").err
    desk.bench.site = replace(desk.bench.site, journal=Path("/nowhere/at/all.jsonl"))
    typed = desk.type("promote", str(candidate.nvr))
    assert (typed.status, "/nowhere/at/all.jsonl cannot be written" in typed.err) == (2, True)
    assert desk.bench.tags(candidate) == {}
    desk.bench.site = replace(desk.bench.site, journal=None)
    assert desk.type("promote", str(candidate.nvr)).status == 0
    typed = desk.type("unpromote", str(candidate.nvr))
    assert (typed.status, "no promotion journal is configured" in typed.err) == (2, True)


@pytest.mark.parametrize("password", [PASSWORD, "a wrong secret"])
def test_passwords_are_not_disclosed(password: str, desk: Desk, directory: Path, tmp_path: Path) -> None:
    candidate = desk.build()
    own = tmp_path / "own"
    own.mkdir()
    (own / "pki").symlink_to(directory / "pki")
    with docker_registry(own, password=True) as host:
        desk.auth_file = access(own, host, password=password).auth_file
        target = replace(desk.bench.site.target("stable"), registry=host)
        desk.bench.site = replace(desk.bench.site, targets={"stable": target})
        typed = desk.type("--debug", "promote", str(candidate.nvr), "--json")
    assert typed.status == (0 if password == PASSWORD else 1)
    if password != PASSWORD:
        assert f"{host} denied " in typed.report["images"][0]["error"]
    assert desk.auth_file
    record = desk.bench.site.journal
    shown = typed.out + typed.err + (record.read_text() if record and record.exists() else "")
    encoded = json.loads(desk.auth_file.read_text())["auths"][host]["auth"]
    assert password not in shown
    assert encoded not in shown
    assert "Authorization" not in shown


@pytest.mark.parametrize(
    "number",
    [*(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGTERM)), signal.SIGKILL],
)
def test_interrupted_command_can_be_repeated(number: signal.Signals, desk: Desk, directory: Path) -> None:
    """Interrupted while it sends layers to a registry that does not read them completely."""
    candidate = desk.build(layers=3, size=3_000_000)
    with docker_registry(directory) as host, lossy_proxy(int(host.rpartition(":")[2]), hold_after=1_000_000) as proxy:
        target = replace(desk.bench.site.target("stable"), registry=f"127.0.0.1:{proxy.port}")
        desk.bench.site = replace(desk.bench.site, targets={"stable": target})
        process = desk.start("promote", str(candidate.nvr))
        assert proxy.holds.wait(PATIENCE)
        assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
        assert number == signal.SIGKILL or "rerun the command" in err
        assert "Traceback" not in err
        proxy.release()
        assert desk.bench.tags(candidate) == {}
        assert desk.type("promote", str(candidate.nvr)).status == 0
        desk.bench.assert_promoted(candidate)
        assert [each.state for each in Journal(desk.bench.site.journal).entries()][-1] == "done"


def test_two_targets_of_a_site(desk: Desk) -> None:
    tag = f"{desk.name}-testing"
    candidate = replace(desk.bench.build(f"{desk.name}-1-1", desk.name), koji_tags=(tag,))
    desk.recorder.record(candidate)
    assert desk.type("promote", str(candidate.nvr)).status == 1, "stable does not let it through"
    assert desk.type("promote", str(candidate.nvr), "--to", "testing").status == 0
    assert set(desk.bench.tags(candidate, to="testing")) == {"1-1", "1", "testing"}
    assert fallback_tag(candidate.image.digest) in desk.bench.all_tags(candidate, to="testing")
    listing = desk.type("list", "--to", "testing", desk.name).out
    assert f"testing/{desk.name}: 1 1-1 testing\n" in listing
    user = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    assert f" by {user}@" in listing
