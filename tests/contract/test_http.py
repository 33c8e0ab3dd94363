# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP behaviour of the hub, independent of the call."""

from __future__ import annotations

import xmlrpc.client

import pytest
import requests

from tests.contract.support import HTTP_DEADLINE, HubAccess, post


def test_get_is_not_allowed(access: HubAccess) -> None:
    answer = requests.get(access.url, verify=access.ca or True, timeout=HTTP_DEADLINE)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


def test_an_answer_names_the_version_of_the_hub(access: HubAccess) -> None:
    answer = post(access, xmlrpc.client.dumps((), "getKojiVersion"))
    (version,), _ = xmlrpc.client.loads(answer.text)
    assert answer.headers["Koji-Version"] == version
    assert str(version).startswith("1.")


def test_a_refusal_of_get_names_the_version_of_the_hub(access: HubAccess) -> None:
    answer = requests.get(access.url, verify=access.ca or True, timeout=HTTP_DEADLINE)
    assert answer.headers["Koji-Version"].split(".")[0] == "1"


def test_a_fault_is_an_http_success(access: HubAccess) -> None:
    answer = post(access, xmlrpc.client.dumps((), "noSuchMethod"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/xml"
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(answer.text)
    assert (caught.value.faultCode, caught.value.faultString) == (1000, "Invalid method: noSuchMethod")


@pytest.mark.since("1.36")
@pytest.mark.parametrize("body", ["", "this is not a call"])
def test_a_body_that_is_no_call_is_a_bad_request(access: HubAccess, body: str) -> None:
    answer = post(access, body)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text.startswith("Invalid request: ")


def test_named_arguments_travel_in_a_marked_last_argument(access: HubAccess) -> None:
    named = {"__starstar": True, "strict": True, "buildTargetInfo": "x"}
    answer = post(access, xmlrpc.client.dumps((named,), "getBuildTarget"))
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(answer.text)
    assert caught.value.faultCode == 1019
    assert "buildTargetInfo" in caught.value.faultString
