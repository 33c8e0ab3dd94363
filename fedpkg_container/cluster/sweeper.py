# SPDX-License-Identifier: GPL-2.0-or-later
"""Deletion of Jobs and Builds whose task has ended, e.g. because it was canceled while its builder was down."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.cluster import manifests
from fedpkg_container.cluster.client import ClusterClient, quoted
from fedpkg_container.cluster.job import delete_named
from fedpkg_container.cluster.manifests import Kind, hub_labels, selector

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Leftover:
    """An object of a build.

    :param task_id: 0 if its label is not a number
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
    items = response.get("items") or []
    now = client.server_time() if items else 0.0
    return [_leftover(item["metadata"], now) for item in items]


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


def _leftover(metadata: Mapping[str, Any], now: float) -> Leftover:
    task = str((metadata.get("labels") or {}).get(manifests.TASK, ""))
    created = datetime.datetime.strptime(str(metadata["creationTimestamp"]), "%Y-%m-%dT%H:%M:%SZ")
    age = now - created.replace(tzinfo=datetime.timezone.utc).timestamp()
    return Leftover(str(metadata["name"]), int(task) if task.isdigit() else 0, age)
