# SPDX-License-Identifier: GPL-2.0-or-later
"""Deletion of Jobs and Builds whose task has ended, e.g. because it was canceled while its builder was down."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.cluster import manifests, objects
from fedpkg_container.cluster.client import ClusterClient, quoted
from fedpkg_container.cluster.job import delete_named
from fedpkg_container.cluster.manifests import Kind, hub_labels, selector

_log = logging.getLogger(__name__)
#: A task ID; those of the hub are below 2**31.
_TASK = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Leftover:
    """An object of a build.

    :param task_id: 0 if its label is not a task ID
    :param age: seconds, by the API server's clock
    """

    name: str
    task_id: int
    age: float


def leftovers(client: ClusterClient, kind: Kind, namespace: str, hub: str) -> list[Leftover]:
    """Return all objects of a hub's builds.

    The age is computed from the API server's clock, since the builder's may differ.

    :raises ClusterError: if a request fails
    """
    path = kind.collection(quoted(namespace))
    response = client.request("GET", path, query={"labelSelector": selector(hub_labels(hub))})
    items = objects.items_of(response)
    now = client.server_time() if items else 0.0
    return [_leftover(item, now) for item in items]


def sweep(
    client: ClusterClient,
    kind: Kind,
    namespace: str,
    hub: str,
    *,
    ended: Callable[[Iterable[int]], set[int]],
    min_age: float = 0.0,
) -> list[str]:
    """Delete the objects of builds whose task has ended; return their names.

    :param ended: returns which of some tasks have ended or are unknown to the hub
    :param min_age: seconds by the API server's clock; younger objects are kept
    :raises ClusterError: if a request fails
    """
    old = [each for each in leftovers(client, kind, namespace, hub) if each.age >= min_age]
    ended_tasks = ended({each.task_id for each in old}) if old else set()
    deleted = []
    for each in old:
        if each.task_id in ended_tasks:
            delete_named(client, kind, namespace, each.name)
            _log.info("deleted %s, whose task has ended", each.name)
            deleted.append(each.name)
    return deleted


def _leftover(item: Mapping[str, Any], now: float) -> Leftover:
    task = objects.labels_of(item).get(manifests.TASK, "")
    created = objects.parse_time(objects.text_at(item, "metadata", "creationTimestamp"))
    return Leftover(item["metadata"]["name"], int(task) if _TASK.fullmatch(task) else 0, now - created)
