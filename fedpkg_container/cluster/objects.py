# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects of the API server, reduced to what the engine reads: known types and bounded sizes.

Users of a pod, admission plugins and other controllers can write to some of their fields.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from fedpkg_container.cluster.client import ClusterError

Object = Mapping[str, Any]

#: Maximum length of a text, characters; a termination message has at most 4096 bytes.
MAX_TEXT = 5000
#: Conditions that are kept.
_CONDITIONS = ("PodScheduled", "DisruptionTarget")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?Z")


def items_of(response: Object) -> list[Object]:
    """Return the items of a list, each with metadata and a name.

    :raises ClusterError: if it is not a list of objects
    """
    items = response.get("items") or []
    if not isinstance(items, list):
        raise ClusterError("unexpected response of the API server: not a list of objects")
    for item in items:
        text_at(item, "metadata", "name")
    return items


def text_at(item: object, *path: str) -> str:
    """Return a text in an object.

    :param path: names of fields, from the outside in
    :raises ClusterError: if it does not exist
    """
    value = item
    for name in path:
        value = _mapping(value).get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise ClusterError(f"unexpected response of the API server: an object without {'.'.join(path)}")
    return value


def labels_of(item: Object) -> dict[str, str]:
    """Return the labels of an object."""
    labels = _mapping(_mapping(item.get("metadata")).get("labels"))
    return {name: value for name, value in labels.items() if isinstance(value, str)}


def is_deleted(item: Object) -> bool:
    """Return whether an object is being deleted."""
    return bool(_mapping(item.get("metadata")).get("deletionTimestamp"))


def parse_time(text: str) -> float:
    """Return a time of an object, seconds since the epoch.

    :raises ClusterError: if it is not a time
    """
    match = _TIME.fullmatch(text)
    try:
        moment = datetime.datetime.strptime(match[1] if match else "", "%Y-%m-%dT%H:%M:%S")
    except ValueError as error:
        raise ClusterError(f"unexpected response of the API server: not a time: {text[:50]!r}") from error
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def pod_state(value: object, container: str) -> Object:
    """Return the state of a pod, in the form of the API.

    :param container: whose state is kept; sidecars are not of interest
    :raises ClusterError: if it has no name
    """
    pod = _mapping(value)
    status = _mapping(pod.get("status"))
    conditions = [_mapping(each) for each in _list(status.get("conditions"))]
    containers = [_mapping(each) for each in _list(status.get("containerStatuses"))]
    own: Object = next((each for each in containers if each.get("name") == container), {})
    states = {
        name: _texts(state) for name, state in _mapping(own.get("state")).items() if name in
        ("waiting", "running", "terminated")
    }  # fmt: skip
    return {
        "metadata": {"name": text_at(pod, "metadata", "name"), "deletionTimestamp": is_deleted(pod)},
        "status": {
            **_texts(status),
            "conditions": [_texts(each) for each in conditions if each.get("type") in _CONDITIONS][:2],
            "containerStatuses": [{"name": container, "imageID": _text(own.get("imageID")), "state": states}],
        },
    }


def events(response: Object) -> list[Object]:
    """Return the events of a list, oldest first: their reason, message and time. Anything else is ignored."""
    items = [_texts(item) for item in _list(response.get("items"))[-1000:]]
    return sorted(items, key=lambda item: str(item.get("lastTimestamp") or ""))


def _texts(value: object) -> dict[str, Any]:
    """Return the fields of an object that the engine reads; texts are shortened."""
    fields = {}
    for name in ("type", "status", "phase", "reason", "message", "lastTimestamp"):
        if text := _text(_mapping(value).get(name)):
            fields[name] = text
    code = _mapping(value).get("exitCode")
    return {**fields, "exitCode": code} if isinstance(code, int) else fields


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _mapping(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
