# SPDX-License-Identifier: GPL-2.0-or-later
"""Responses of a hub, or of a proxy before it, that are not those of Koji; and free-form data of other programs."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import koji
import pytest

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.hub.rows import InvalidResponseError
from fedpkg_container.hub.session import Session, hub_errors
from fedpkg_container.text import printable
from tests.support.status_client import Status
from tests.support.status_hub import StatusHub, build, host, task

TASK, BUILD, HOST = task(7, "FAILED"), build(5, "COMPLETE"), host(1)
HOSTILE: tuple[Any, ...] = ("\x1b]0;x\x07\r\n", 10**30, float("nan"), [[1]], {"a": {"b": [None]}}, True, b"\xff")
INVALID = [
    ("getTaskInfo", [7, 8], "a row is 7"),
    ("getTaskInfo", {**TASK, "id": "7"}, "id is '7'"),
    ("getTaskInfo", {**TASK, "id": None}, "id is None"),
    ("getTaskInfo", {**TASK, "state": 99}, "state is 99"),
    ("getTaskInfo", {**TASK, "state": "OPEN"}, "state is 'OPEN'"),
    ("getTaskInfo", {**TASK, "host_id": True}, "host_id is True"),
    ("getTaskInfo", {**TASK, "label": ["x"]}, r"label is \['x'\]"),
    ("getTaskInfo", {**TASK, "start_ts": float("nan")}, "start_ts is nan"),
    ("getTaskInfo", {**TASK, "start_ts": 1e300}, r"start_ts is 1e\+300"),
    ("getTaskDescendents", [TASK], "the response is "),
    ("getTaskDescendents", {"7": [{**TASK, "arch": 1}]}, "arch is 1"),
    ("listTasks", "x" * 10_000, "a row is 'x{59}…"),
    ("getBuild", {**BUILD, "state": -1}, "state is -1"),
    ("getBuild", {**BUILD, "nvr": None}, "nvr is None"),
    ("listBuilds", [{**BUILD, "extra": "x"}], "extra is 'x'"),
    ("listHosts", [{**HOST, "capacity": "2"}], "capacity is '2'"),
    ("listTaskOutput", {"a.log": {"st_size": "-1"}}, "st_size is '-1'"),
    ("getUser", {"name": {"a": 1}}, r"name is \{'a': 1\}"),
]
VALID = [
    ("getTaskInfo", [TASK, None]),
    ("getTaskDescendents", {"7": [TASK]}),
    ("getBuild", None),
    ("listBuilds", [BUILD]),
    ("listHosts", [HOST]),
    ("listTaskOutput", {"a.log": {"st_size": "1"}}),
    ("getTaskResult", {"id": "x"}),
]


def _session(monkeypatch: pytest.MonkeyPatch, response: object) -> Any:
    """A session whose hub sends one response, also to each call of a multicall."""

    def answer(_self: object, name: str, *_: Any, **__: Any) -> object:
        return [[response]] if name == "multiCall" else response

    monkeypatch.setattr(koji.ClientSession, "_callMethod", answer)
    return Session("https://hub.example/kojihub")


@pytest.mark.parametrize(("call", "response", "message"), INVALID)
def test_invalid_rows(call: str, response: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _session(monkeypatch, response)
    with pytest.raises(InvalidResponseError, match=f"^invalid response to {call}: {message}"):
        getattr(session, call)(7)
    expected = f"^the hub https://hub.example sent an invalid response to {call}: {message}"
    with pytest.raises(FedpkgContainerError, match=expected) as raised, hub_errors("https://hub.example"):
        with session.multicall(strict=False) as multicall:
            getattr(multicall, call)(7)
    assert "administrators" in raised.value.solution


@pytest.mark.parametrize(("call", "response"), VALID)
def test_valid_rows(call: str, response: object, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _session(monkeypatch, response)
    assert getattr(session, call)(7) == response
    with session.multicall(strict=False) as multicall:
        result = getattr(multicall, call)(7)
    if call != "getTaskResult":
        assert result.result == response


@pytest.mark.parametrize("responses", [None, 7, [7], [[]], [{"a": 1}], [{"faultString": ["x"]}]])
def test_invalid_multicall(responses: object, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _session(monkeypatch, None)
    monkeypatch.setattr(koji.ClientSession, "_callMethod", lambda *_, **__: responses)
    with pytest.raises(InvalidResponseError, match="^invalid response to (multiCall|getBuild): the response is "):
        with session.multicall(strict=False) as multicall:
            multicall.getBuild(7)


def _hub() -> StatusHub:
    """A hub with two builds whose free-form data is complete, and a failed task."""
    image = {
        "isolated": False,
        "index": {"pull": ["r/x:1"], "digests": {"a/b": "sha256:1"}, "floating_tags": ["latest"]},
        "parent_image_builds": {"f:1": {"id": 6, "nvr": "web-container-1-6"}},
        "parent_build_id": 6,
    }
    docker = {"config": {"config": {"Labels": {"a": "b"}}}, "repositories": ["r/x:1"]}
    archive = {"id": 1, "size": 5, "extra": {"image": {"arch": "x86_64"}, "docker": docker}}
    return StatusHub(
        tasks=[task(7, "FAILED"), task(13, "CLOSED")],
        builds=[
            build(
                number, "COMPLETE", task_id=13, extra={"submitter": "me", "typeinfo": {"image": copy.deepcopy(image)}}
            )
            for number in (5, 6)
        ],
        results={7: "x86_64: no", 13: {"repositories": ["r/x:1"], "koji_builds": ["5"], "user_warnings": ["w"]}},
        archives={5: [archive], 6: [copy.deepcopy(archive)]},
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield containers and keys of all values in a value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _free_form(hub: StatusHub) -> list[tuple[Any, Any]]:
    builds = [place for each in hub.builds for place in _places(each["extra"])]
    archives = [place for group in hub.archives.values() for each in group for place in _places(each["extra"])]
    requests = [(each, "request") for each in hub.tasks] + list(_places([each["request"] for each in hub.tasks]))
    return [*builds, *archives, *requests, *_places(hub.results)]


@pytest.mark.parametrize("command", [["5"], ["web-container-1-5"], ["5", "--diff", "6"], ["web"], ["7"], ["13"]])
def test_free_form_data_of_any_type(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    values = itertools.cycle(HOSTILE)
    for number in range(len(_free_form(_hub()))):
        hub = _hub()
        container, key = _free_form(hub)[number]
        container[key] = next(values)
        output = Status(monkeypatch, hub).run(*command)
        assert output.strip()
        assert output == printable(output)


@pytest.mark.parametrize("word", ["7", "web"])
def test_options_that_json_has_not(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user can submit a task with such options: XML-RPC has bytes and numbers that JSON has not."""
    hub = _hub()
    hub.tasks[0]["request"][2]["release"] = [b"\xff", float("nan")]
    output = Status(monkeypatch, hub).run(word, "--json")
    assert json.dumps(str(b"\xff")) in output
    assert '"NaN"' in output
    for template in ("{{json .options}}", "{{.options}}"):
        assert json.dumps(str(b"\xff")) in Status(monkeypatch, hub).run(word, "--format", template)
