# SPDX-License-Identifier: GPL-2.0-or-later
"""Several calls in one request."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import koji

from tests.contract.support import assert_refused, new_name
from tests.contract.tasks import TaskBench


def call(name: str, *args: Any) -> dict[str, Any]:
    return {"methodName": name, "params": list(args)}


def test_results_are_lists_of_one(anonymous: Any) -> None:
    assert anonymous.callMethod("multiCall", [call("getAPIVersion"), call("getLoggedInUser")]) == [
        [1],
        [None],
    ]


def test_no_calls(anonymous: Any) -> None:
    assert anonymous.callMethod("multiCall", []) == []


def test_a_fault_keeps_its_place(anonymous: Any) -> None:
    first, fault, last = anonymous.callMethod(
        "multiCall", [call("getAPIVersion"), call("noSuchMethod"), call("getAPIVersion")]
    )
    assert (first, last) == ([1], [1])
    assert set(fault) == {"faultCode", "faultString", "traceback"}
    assert (fault["faultCode"], fault["faultString"]) == (1000, "Invalid method: noSuchMethod")
    assert all(isinstance(line, str) for line in fault["traceback"])
    assert fault["traceback"][-1] == "koji.GenericError: Invalid method: noSuchMethod\n"


def test_a_fault_rolls_back_alone(admin: Any) -> None:
    first, last, package = new_name("tag"), new_name("tag"), new_name("package")
    # A hub makes the package before it misses the owner.
    made, fault, found, made_last = admin.callMethod(
        "multiCall",
        [
            call("createTag", first),
            call("packageListAdd", first, package),
            call("getPackageID", package),
            call("createTag", last),
        ],
    )
    assert (fault["faultCode"], fault["faultString"]) == (1000, "owner not specified")
    assert found == [None]
    assert [admin.getTag(first)["id"], admin.getTag(last)["id"]] == made + made_last
    assert admin.getPackageID(package) is None


def test_a_call_sees_what_the_one_before_it_wrote(admin: Any) -> None:
    tag = new_name("tag")
    created, read = admin.callMethod("multiCall", [call("createTag", tag), call("getTag", tag)])
    assert read[0]["id"] == created[0]


def test_permissions_are_those_of_the_session(packager: Any) -> None:
    (fault,) = packager.callMethod("multiCall", [call("createTag", new_name("tag"))])
    assert fault["faultCode"] == 1004
    assert fault["faultString"].startswith("tag permission required")


def test_named_arguments(anonymous: Any) -> None:
    with anonymous.multicall(strict=False) as calls:
        missing = calls.getTag("contract-no-such-tag", strict=True)
    with assert_refused(1000, "No such tagInfo: 'contract-no-such-tag'"):
        assert missing.result is None


def test_the_client_raises_the_first_fault_when_strict(anonymous: Any) -> None:
    calls = anonymous.multicall(strict=True)
    calls.getAPIVersion()
    calls.noSuchMethod()
    with assert_refused(1000, "Invalid method: noSuchMethod"):
        calls.call_all()


def test_output_of_a_task_stays_encoded(bench: TaskBench, host: Any, anonymous: Any, tmp_path: Path) -> None:
    task_id = bench.open_task()
    (tmp_path / "x86_64.log").write_bytes(b"\x00\xff log")
    host.uploadWrapper(os.fspath(tmp_path / "x86_64.log"), koji.pathinfo.taskrelpath(task_id))
    with anonymous.multicall() as calls:
        output = calls.downloadTaskOutput(task_id, "x86_64.log")
    assert output.result == base64.b64encode(b"\x00\xff log").decode()
    assert anonymous.downloadTaskOutput(task_id, "x86_64.log") == b"\x00\xff log"
