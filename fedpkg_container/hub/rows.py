# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of the columns of the rows that a hub returns; their contents are not checked.

The columns are those of Koji's database, so that they have the same types in all calls. Free-form data (``extra``,
requests and results of tasks) is read with ``model.json_values``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import koji

#: End of the year 9999, seconds since the epoch: the last time that can be displayed.
_MAX_TIME = 253402300800
_MAX_INTEGER = 2**63
_MAX_SHOWN = 60


class InvalidResponseError(koji.GenericError):  # type: ignore[misc]  # koji has no type annotations
    """The response of a hub does not have the types of Koji's rows."""


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_MAX_INTEGER <= value < _MAX_INTEGER


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _MAX_INTEGER


def _is_time(value: object) -> bool:
    return _is_number(value) and isinstance(value, (int, float)) and 0 <= value < _MAX_TIME


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_size(value: object) -> bool:
    """Return whether a value is a size of a file: ``st_size`` is a decimal number, as text."""
    return _is_integer(value) or (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20)


_COLUMNS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(
        ("id", "build_id", "task_id", "host_id", "channel_id", "package_id", "parent", "owner"), _is_integer
    ),
    **dict.fromkeys(("state", "build_tag", "dest_tag", "creation_event_id"), _is_integer),
    **dict.fromkeys(("create_ts", "start_ts", "creation_ts", "completion_ts", "update_ts"), _is_time),
    **dict.fromkeys(("task_load", "capacity"), _is_number),
    **dict.fromkeys(("size", "st_size"), _is_size),
    **dict.fromkeys(("name", "nvr", "package_name", "version", "release", "source", "owner_name", "cg_name"), _is_text),
    **dict.fromkeys(("method", "label", "arch", "arches", "build_tag_name", "dest_tag_name", "payloadhash"), _is_text),
    "external_repo_name": _is_text,
    "extra": _is_mapping,
}

_TASK, _BUILD = ("id", "method", "state"), ("nvr",)
#: Calls that return rows → columns that are required, and not null.
_CALLS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("getTaskInfo", "getTaskDescendents", "getTaskChildren", "listTasks"), _TASK),
    **dict.fromkeys(("getBuild", "listBuilds", "listTagged"), _BUILD),
    **dict.fromkeys(("getHost", "listHosts"), ("id", "name")),
    **dict.fromkeys(("getTag", "listTags", "getBuildConfig", "getUser", "getLoggedInUser", "getChannel"), ("name",)),
    **dict.fromkeys(("getBuildTarget", "getBuildTargets"), ("name",)),
    **dict.fromkeys(("getExternalRepoList", "getPackageConfig", "getRPM"), ()),
    "getRepo": ("id",),
    "listArchives": ("id", "size"),
    "listRPMs": ("name", "nvr", "arch"),
    "listTaskOutput": ("st_size",),
}
#: Calls that return rows, or lists of them, by key.
_BY_KEY = frozenset({"getTaskDescendents", "listTaskOutput"})


def check_response(call: str, response: object) -> None:
    """Check the types of the rows in a response; do nothing for calls that return no rows.

    :param call: name of the call
    :raises InvalidResponseError: with the call, the column and its value
    """
    required = _CALLS.get(call)
    if required is None or response is None:
        return
    if call in _BY_KEY:
        if not isinstance(response, Mapping):
            raise _invalid(call, "the response", response)
        groups: Sequence[object] = list(response.values())
    else:
        groups = [response]
    for group in groups:
        for row in group if isinstance(group, (list, tuple)) else [group]:
            if row is not None:
                _check_row(call, row, required)


def _check_row(call: str, row: Any, required: Sequence[str]) -> None:
    if not isinstance(row, Mapping):
        raise _invalid(call, "a row", row)
    for column in required:
        if row.get(column) is None:
            raise _invalid(call, column, None)
    for column, value in row.items():
        is_valid = _COLUMNS.get(column)
        if is_valid is not None and value is not None and not is_valid(value):
            raise _invalid(call, column, value)
    states = koji.TASK_STATES if required is _TASK else koji.BUILD_STATES if required is _BUILD else None
    if states is not None and "state" in row and row["state"] not in states.values():
        raise _invalid(call, "state", row["state"])


def _invalid(call: str, what: str, value: object) -> InvalidResponseError:
    shown = repr(value)
    shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
    return InvalidResponseError(f"invalid response to {call}: {what} is {shown}")


def check_responses(calls: object, responses: object) -> None:
    """Check the responses of a multicall, of which those are faults that are dictionaries.

    :param calls: its calls, dictionaries with ``methodName``
    :param responses: for each call a list of its response, or a fault
    :raises InvalidResponseError: for the first invalid response
    """
    if not isinstance(calls, (list, tuple)) or not isinstance(responses, (list, tuple)):
        raise _invalid("multiCall", "the response", responses)
    for call, response in zip(calls, responses):
        if isinstance(response, (list, tuple)) and len(response) == 1:
            check_response(str(call["methodName"]), response[0])
        elif not isinstance(response, Mapping) or not isinstance(response.get("faultString"), str):
            raise _invalid(str(call["methodName"]), "the response", response)
