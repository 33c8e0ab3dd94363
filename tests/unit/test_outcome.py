# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of ``--metadata-file``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from fedpkg_container.commands.metadata_file import recorded_outcome
from fedpkg_container.errors import BuildFailedError, CanceledError, RefusedError, UsageError
from fedpkg_container.hub.events import Finished, TaskState
from fedpkg_container.model.build import BuildRequest, BuildResult, SiteUrls
from fedpkg_container.model.findings import ERROR, Finding
from fedpkg_container.progress.failure import Failure, LogTails
from fedpkg_container.progress.outcome import Outcome
from tests.support.installed import require

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
REQUEST = BuildRequest("git+https://h/container/hello#1", "rawhide", {"git_branch": "rawhide"})
RESULT: dict[str, Any] = {
    "repositories": ["r.io/hello:1-2", "r.io/hello@sha256:aa"],
    "koji_builds": ["12"],
    "arches": {"x86_64": "r.io/hello@sha256:bb", "aarch64": "r.io/hello@sha256:cc"},
    "sboms": {"x86_64": "r.io/hello@sha256:dd"},
    "user_warnings": ["old base"],
}


def _task(state: str, number: int = 7) -> TaskState:
    return TaskState(number, None, "buildContainer", "", state, "b1", started=10.0, completed=20.0)


def _client(path: Path) -> Any:
    return argparse.Namespace(args=argparse.Namespace(metadata_file=str(path)))


def _read(path: Path) -> Mapping[str, Any]:
    """Read and validate a file."""
    require("jsonschema", "4.18")
    resources = [(name, json.loads((REFERENCE / name).read_text())) for name in ("progress.schema.json",)]
    registry = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in resources)
    schema = json.loads((REFERENCE / "outcome.schema.json").read_text())
    fields: Mapping[str, Any] = json.loads(path.read_text())
    jsonschema.Draft7Validator(schema, registry=registry).validate(fields)
    return fields


def _record(outcome: Outcome) -> None:
    outcome.note_request(REQUEST)
    outcome.note_task(7, "https://koji.example.org/koji/taskinfo?taskID=7", "hello-1-2")


def test_a_build(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    build: Any = {"id": 12, "nvr": "hello-1-2"}
    with recorded_outcome(_client(path)) as outcome:
        _record(outcome)
        outcome.note_end(Finished(_task("CLOSED"), BuildResult.read(RESULT), builds=[build]), None)
        outcome.note_status(0)
    fields = _read(path)
    assert fields["images"] == {
        "x86_64": {"pull_spec": "r.io/hello@sha256:bb", "digest": "sha256:bb", "sbom": "r.io/hello@sha256:dd"},
        "aarch64": {"pull_spec": "r.io/hello@sha256:cc", "digest": "sha256:cc", "sbom": None},
    }
    expected = {"exit_status": 0, "state": "CLOSED", "nvr": "hello-1-2", "build_id": 12, "digest": "sha256:aa",
                "duration": 10.0, "warnings": ["old base"], "task_id": 7, "failure": None, "reason": None}  # fmt: skip
    assert {name: fields[name] for name in expected} == expected


def test_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    event = Finished(_task("FAILED"), fault="no space", failed=_task("FAILED", 8))
    with pytest.raises(BuildFailedError), recorded_outcome(_client(path)) as outcome:
        _record(outcome)
        outcome.note_end(event, Failure.of(event, LogTails(), SiteUrls()))
        raise BuildFailedError("task 8 failed: no space", solution="try again")
    fields = _read(path)
    assert (fields["exit_status"], fields["state"], fields["nvr"]) == (1, "FAILED", "hello-1-2")
    assert (fields["reason"], fields["solution"]) == ("task 8 failed: no space", "try again")
    assert (fields["failure"]["task_id"], fields["failure"]["reason"]) == (8, "no space")


def test_a_canceled_build(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    with pytest.raises(CanceledError), recorded_outcome(_client(path)) as outcome:
        _record(outcome)
        raise CanceledError("interrupted; task 7 was canceled")
    fields = _read(path)
    assert (fields["exit_status"], fields["state"], fields["task_id"]) == (6, "CANCELED", 7)


def test_a_refused_build(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    finding = Finding("target", ERROR, "no such target", "choose another")
    with pytest.raises(RefusedError), recorded_outcome(_client(path)) as outcome:
        outcome.note_request(REQUEST)
        raise RefusedError("not submitted: 1 error", findings=[finding])
    fields = _read(path)
    assert (fields["exit_status"], fields["state"], fields["task_id"]) == (3, None, None)
    assert [each["code"] for each in fields["findings"]] == ["target"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--metadata-file: cannot write"), recorded_outcome(_client(tmp_path)):
        raise AssertionError("nothing must be done")


def test_a_failed_write_at_the_end_keeps_the_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gone" / "outcome.json"
    path.parent.mkdir()
    with recorded_outcome(_client(path)) as outcome:
        path.parent.rmdir()
        outcome.note_status(0)
    assert f"cannot write {path}" in capsys.readouterr().err
