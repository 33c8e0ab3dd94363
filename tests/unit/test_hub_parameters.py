# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's hub gets any values for any call: no unexpected exception, no file outside of topdir."""

from __future__ import annotations

import base64
import json
import logging
import os
import sqlite3
import sys
import urllib.parse
import xmlrpc.client
from collections.abc import Iterator
from typing import Any

import koji
import koji.xmlrpcplus
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fedpkg_container.box.hub import calls, dispatch
from fedpkg_container.box.hub.app import LONGEST_REQUEST
from fedpkg_container.box.hub.kinds import MAX_DEPTH
from fedpkg_container.box.hub.parameters import Signature
from tests.conftest import QUICK
from tests.support.hub_application import CALLERS, Hub, hub_application

SECRET = "the content of a file of the machine"

#: Audit events that name files, and the positions of the names.
_FILE_EVENTS = {
    "open": (0,), "os.mkdir": (0,), "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,), "os.truncate": (0,),
    "os.symlink": (1,), "os.link": (0, 1), "os.listdir": (0,), "os.scandir": (0,), "shutil.move": (0, 1),
    "shutil.rmtree": (0,),
}  # fmt: skip
_touched: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _touched is None or event not in _FILE_EVENTS:
        return
    for position in _FILE_EVENTS[event]:
        if isinstance(arguments[position], (str, bytes, os.PathLike)):
            _touched.append(os.path.realpath(os.fsdecode(arguments[position])))


sys.addaudithook(_audit)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("hub")
    (directory / "secret").write_text(SECRET)
    with hub_application(directory) as hub:
        yield hub


@pytest.fixture
def hub(made: Hub, caplog: pytest.LogCaptureFixture) -> Hub:
    made.log = caplog
    made.reset()
    return made


@pytest.fixture(scope="module")
def names() -> list[str]:
    calls.load()
    return sorted(dispatch.CALLS)


texts = st.one_of(
    st.sampled_from([
        "", ".", "..", "/", "../../../secret", "/../../secret", "%s/../../../../secret", "tasks", "tasks/1/1", "a.log",
        "hello", "hello-1-1", "hello-1-1.x86_64", "rawhide", "rawhide-build", "rawhide-candidate", "builder", "default",
        "packager", "admin", "generator", "metadata.json", "sha256", "1", "-1", "9" * 30, "2026-01-01",
        "x" * 300, "a/b", "{}", "[" * 5000, '{"a": "\\ud800\\u0001"}', ".user", "1/../../../../secret", "id", "-name",
        "\u00e4", "x" * 9000,
    ]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20).filter(
        lambda text: not set(text) & {"\ufffe", "\uffff"}
    ),
)  # fmt: skip
numbers = st.one_of(st.integers(-3, 12), st.sampled_from([2**31, -(2**63), 2**63 - 1]))
keys = st.one_of(
    st.sampled_from([
        "id", "name", "version", "release", "arch", "epoch", "order", "limit", "offset", "countOnly", "state", "parent",
        "method", "owner", "decode", "createdAfter", "label", "channel", "priority", "__starstar", "strict", "taskID",
        "metadata_version", "build", "buildroots", "output", "start_time", "end_time", "extra", "task_id", "source",
    ]),
    texts,
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), numbers, st.floats(width=32), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=8,
)


def _watched(hub: Hub, body: bytes, caller: str | None, **environ: Any) -> bytes:
    """The answer to a request, which may be a fault but nothing unexpected."""
    global _touched
    assert hub.log is not None
    hub.log.clear()
    _touched = []
    try:
        status, answer = hub.request(body, caller, **environ)
        touched = _touched
    finally:
        _touched = None
    assert status in ("200 OK", "400 Bad Request"), status
    _assert_expected(hub.log)
    assert SECRET.encode() not in answer
    assert base64.b64encode(SECRET.encode()) not in answer
    if status == "200 OK":
        try:
            xmlrpc.client.loads(answer)
        except xmlrpc.client.Fault as fault:
            assert "Traceback" not in fault.faultString
    inside = (
        str(hub.topdir),
        str(hub.application.builders),
        str(hub.application.database.path),
        sys.prefix,
        sys.base_prefix,
        "/usr",
        "/etc/localtime",
    )
    assert [path for path in touched if not path.startswith(inside)] == []
    return answer


def _assert_expected(log: pytest.LogCaptureFixture | None) -> None:
    """Refused rows (two of the same name) are Koji's own response; all else must be a separate fault."""
    assert log is not None
    for record in log.records:
        if record.levelno >= logging.ERROR:
            error = record.exc_info and record.exc_info[1]
            assert isinstance(error, sqlite3.IntegrityError), record.exc_text or error


def _plausible(signature: Signature) -> st.SearchStrategy[list[Any]]:
    count = len([each for each in signature.signature.parameters.values() if each.kind.name != "KEYWORD_ONLY"])
    return st.lists(values, min_size=0, max_size=count + 1)


def _metadata(**changes: Any) -> dict[str, Any]:
    return {
        "metadata_version": 0,
        "build": {
            "name": "new",
            "version": "1",
            "release": "1",
            "start_time": 1,
            "end_time": 2,
            "extra": {"image": {}},
        },
        "buildroots": [{"id": 1, "content_generator": {"name": "generator"}, "components": []}],
        "output": [],
        **changes,
    }


def _mutated(draw: Any, document: Any) -> Any:
    """A document with one place changed."""
    if isinstance(document, dict) and document and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(document)))
        return {**document, key: _mutated(draw, document[key])}
    if isinstance(document, list) and document and draw(st.booleans()):
        return [_mutated(draw, document[0]), *document[1:]]
    return draw(values)


OUTPUT = {
    "filename": "a.log", "filesize": 3, "checksum": "900150983cd24fb0d6963f7d28e17f72", "checksum_type": "md5",
    "type": "log", "buildroot_id": 1, "subdir": "x86_64", "arch": "x86_64",
}  # fmt: skip


def _refusal(hub: Hub, caller: str | None, name: str, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(xmlrpc.client.Fault) as caught:
        hub.call(caller, name, *arguments)
    _assert_expected(hub.log)
    return caught.value.faultCode, caught.value.faultString


def test_a_task_id_that_is_a_path(hub: Hub) -> None:
    """The directory of a task is tasks/ID % 10000/ID: of text, ``%`` and ``/`` are kept."""
    way = "../" * 8 + str(hub.topdir.parent)
    for text in (f"%s/{way}", way, "1/../../../../secret"):
        code, message = _refusal(hub, None, "downloadTaskOutput", text, "secret")
        assert (code, message.startswith("Invalid type for value")) == (1019, True)
        assert _refusal(hub, None, "listTaskOutput", text)[0] == 1019


def test_a_number_may_be_text(hub: Hub) -> None:
    assert hub.call(None, "downloadTaskOutput", str(hub.task_id), "a.log") == base64.b64encode(b"abc").decode()


@pytest.mark.parametrize(
    "subdir, relpath, btype",
    [("../../../../../x", "", None), ("/tmp/x", "", None), ("", "../other", None), ("", "", "../../../../x")],
)
def test_paths_in_metadata(hub: Hub, subdir: str, relpath: str, btype: str | None) -> None:
    hub.call("packager", "uploadFile", "paths", "a.log", 3, None, 0, base64.b64encode(b"abc").decode())
    output = {**OUTPUT, "subdir": subdir, "relpath": relpath}
    if btype:
        output |= {"type": "file", "extra": {"typeinfo": {btype: {}}}}
    metadata = _metadata(output=[output])
    if btype:
        metadata["build"]["extra"]["typeinfo"] = {btype: {}}
    code, message = _refusal(hub, "packager", "CGImport", metadata, "paths")
    assert code == 1000
    assert message.startswith("Invalid ")


@pytest.mark.parametrize("key", ["name", "version", "release"])
@pytest.mark.parametrize("value", ["..", "../../x", "a/b", ".", ""])
def test_paths_in_builds(hub: Hub, key: str, value: str) -> None:
    parts = {"name": "n", "version": "1", "release": "1", key: value}
    assert _refusal(hub, "admin", "createEmptyBuild", *parts.values(), None) == (1000, f"Invalid {key}: {value}")
    metadata = _metadata()
    metadata["build"].update(parts)
    metadata["output"] = [OUTPUT]
    hub.call("packager", "uploadFile", f"nvr-{key}", "a.log", 3, None, 0, base64.b64encode(b"abc").decode())
    assert _refusal(hub, "packager", "CGImport", metadata, f"nvr-{key}") == (1000, f"Invalid {key}: {value}")
    assert not [path for path in hub.topdir.parent.iterdir() if path.name.startswith(("x", "a"))]


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ""])
def test_tags_and_arches_that_are_paths(hub: Hub, name: str) -> None:
    assert _refusal(hub, "admin", "createTag", name)[1] == f"Invalid tag name: {name}"
    assert _refusal(hub, "admin", "editTag2", "rawhide-build", {"__starstar": True, "name": name})[0] == 1000
    if name:
        assert _refusal(hub, "admin", "createTag", "fine", None, f"x86_64 {name}")[1] == f"Invalid arch: {name}"


def test_nothing_is_made_for_those_who_may_not_write(hub: Hub) -> None:
    task = koji.pathinfo.taskrelpath(hub.task_id)
    before = sorted(hub.topdir.rglob("*"))
    for caller, directory in (
        ("packager", f"{task}/build.log"),
        (None, "mine"),
        ("packager", f"{task}/../{hub.task_id}/x"),
    ):
        _refusal(hub, caller, "uploadFile", directory, "x", 1, None, 0, "YQ==")
        query = urllib.parse.urlencode({"filename": "x", "filepath": directory})
        hub.request(b"a", caller, CONTENT_TYPE="application/octet-stream", QUERY_STRING=query)
    _refusal(hub, "builder", "uploadFile", f"tasks/9/{hub.task_id}", "x", 1, None, 0, "YQ==")
    assert sorted(hub.topdir.rglob("*")) == before


@pytest.mark.parametrize("directory", [".", "x/.user", ".user", "x/./.user/y"])
def test_the_record_of_an_owner_is_no_upload(hub: Hub, directory: str) -> None:
    assert _refusal(hub, "packager", "uploadFile", directory, "tasks", 1, None, 0, "YQ==")[1].startswith(
        "Invalid upload dir"
    )


def test_entities_are_not_expanded(hub: Hub) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    body = f"<?xml version='1.0'?>{bomb}<methodCall><methodName>&b;</methodName><params/></methodCall>"
    status, answer = hub.request(body.encode(), None)
    assert status == "400 Bad Request"
    assert b"xxx" not in answer
    result = "<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"
    response = f"<?xml version='1.0'?>{bomb}{result}"
    assert "Invalid response of a task" in _refusal(hub, "builder", "host.closeTask", hub.task_id, response)[1]


@pytest.mark.parametrize(
    "response", ["", "<a/>", "no XML", "<methodResponse></methodResponse>", "<methodResponse><fault/></methodResponse>"]
)
def test_a_result_that_nobody_could_read(hub: Hub, response: str) -> None:
    code, message = _refusal(hub, "builder", "host.closeTask", hub.task_id, response)
    assert (code, message.startswith("Invalid response of a task")) == (1000, True)


def test_data_that_is_nested_too_deeply(hub: Hub) -> None:
    depth = MAX_DEPTH + 1
    body = "<value><array><data>" * depth + "</data></array></value>" * depth
    call = f"<methodCall><methodName>getTag</methodName><params><param>{body}</param></params></methodCall>"
    with pytest.raises(xmlrpc.client.Fault, match="nested too deeply"):
        xmlrpc.client.loads(hub.request(call.encode(), None)[1])
    endless = call.replace(body, "<value><array><data>" * 20000 + "</data></array></value>" * 20000)
    with pytest.raises(xmlrpc.client.Fault, match="nested too deeply"):
        xmlrpc.client.loads(hub.request(endless.encode(), None)[1])


def test_a_large_file_is_answered_in_parts(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedpkg_container.box.hub.calls.task_output.LONGEST_PART", 2)
    assert "request it in parts" in _refusal(hub, None, "downloadTaskOutput", hub.task_id, "a.log")[1]
    assert hub.call(None, "downloadTaskOutput", hub.task_id, "a.log", 1, 9) == base64.b64encode(b"bc").decode()


def test_every_parameter_declares_its_type() -> None:
    def untyped(name):  # type: ignore[no-untyped-def]
        return name

    def any_type(name: Any) -> Any:
        return name

    for function in (untyped, any_type):
        with pytest.raises(TypeError, match="no type for parameters of calls"):
            Signature(function)


#: Examples per call: there are more than a hundred calls, which share the code that reads values.
EXAMPLES = 5 if settings().max_examples == QUICK else settings().max_examples


@pytest.mark.parametrize("name", [*sorted(set(calls.load() or dispatch.CALLS)), "buildContainer", "multiCall"])  # type: ignore[func-returns-value]
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
@given(data=st.data())
def test_any_values(hub: Hub, name: str, data: st.DataObject) -> None:
    known = dispatch.CALLS.get(name)
    arguments = data.draw(_plausible(known.signature) if known else st.lists(values, max_size=4))
    named = data.draw(st.one_of(st.none(), st.dictionaries(keys, values, max_size=3)))
    caller = data.draw(st.sampled_from(CALLERS))
    if named:
        arguments.append({"__starstar": True, **named})
    body = koji.xmlrpcplus.dumps(tuple(arguments), name, allow_none=True).encode("utf-8", "surrogatepass")
    hub.reset()
    _watched(hub, body, caller)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from(["filename", "filepath", "offset", "overwrite", "fileverify"]), texts),
       caller=st.sampled_from(CALLERS), length=st.sampled_from(["3", "", "x", "-1", "2", "9" * 30]))  # fmt: skip
@example(fields={"filename": "a", "filepath": "tasks/1/1"}, caller="builder", length="x")
def test_any_upload(hub: Hub, fields: dict[str, str], caller: str | None, length: str) -> None:
    hub.reset()
    query = urllib.parse.urlencode(fields)
    environ = {"CONTENT_TYPE": "application/octet-stream", "QUERY_STRING": query, "CONTENT_LENGTH": length}
    _watched(hub, b"abc", caller, **environ)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tokens=st.lists(st.sampled_from([
    "<value>", "</value>", "<array>", "</array>", "<data>", "</data>", "<struct>", "</struct>", "<member>", "</member>",
    "<name>a</name>", "<int>", "</int>", "<i8>1</i8>", "<double>nan</double>", "<nil/>", "<base64>eA==</base64>",
    "<dateTime.iso8601>x</dateTime.iso8601>", "<bigdecimal>x</bigdecimal>", "<fault>", "</fault>", "<params>",
    "</params>", "<param>", "</param>", "<methodName>getTag</methodName>", "<boolean>7</boolean>", "1", "x",
]), max_size=25))  # fmt: skip
def test_any_request(hub: Hub, tokens: list[str]) -> None:
    _watched(hub, f"<methodCall>{''.join(tokens)}</methodCall>".encode(), "admin")
    _watched(hub, "".join(tokens).encode(), "admin")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_metadata(hub: Hub, data: st.DataObject) -> None:
    hub.reset()
    hub.call("packager", "uploadFile", "import", "a.log", 3, None, 0, base64.b64encode(b"abc").decode())
    archive = {**OUTPUT, "type": "tar", "filename": "a.tar", "extra": {"image": {"arch": "x86_64"}}}
    document = _mutated(data.draw, _metadata(output=[OUTPUT, archive]))
    body = koji.xmlrpcplus.dumps((json.dumps(document), "import"), "CGImport", allow_none=True).encode()
    if len(body) < LONGEST_REQUEST:
        _watched(hub, body, "packager")
