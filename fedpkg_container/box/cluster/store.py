# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects with resource versions, their history, and notification of watches."""

from __future__ import annotations

import builtins
import copy
import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
#: Resource (plural name), namespace, name.
Key = tuple[str, str, str]


class ApiError(Exception):
    """A Status that the server returns."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def status(self) -> Object:
        """The object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


@dataclass(frozen=True)
class Change:
    """A change of an object."""

    version: int
    resource: str
    namespace: str
    kind: str
    object: Object


@dataclass
class Store:
    """All objects.

    :param offset: difference of the cluster's clock from this machine's, seconds
    """

    offset: float = 0.0
    objects: dict[Key, Object] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    #: Versions up to this one have been compacted.
    oldest: int = 0

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self._versions = itertools.count(1000)
        self.version = next(self._versions)

    def now(self) -> str:
        """Time of the cluster, as in objects."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.offset))

    def create(self, resource: str, namespace: str, content: Mapping[str, Any]) -> Object:
        """Create an object (a3: 201, then 409 AlreadyExists)."""
        with self.changed:
            created = copy.deepcopy(dict(content))
            metadata = created.setdefault("metadata", {})
            key = (resource, namespace, metadata["name"])
            if key in self.objects:
                raise ApiError(409, "AlreadyExists", f'{resource} "{metadata["name"]}" already exists')
            metadata.update(namespace=namespace, uid=str(uuid.uuid4()), creationTimestamp=self.now())
            self.objects[key] = created
            self._record("ADDED", key, created)
            return copy.deepcopy(created)

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """Return an object."""
        with self.changed:
            item = self.objects.get((resource, namespace, name))
            if item is None:
                raise ApiError(404, "NotFound", f'{resource} "{name}" not found')
            return copy.deepcopy(item)

    def update(self, resource: str, namespace: str, name: str, changes: Mapping[str, Any]) -> None:
        """Merge changes into an object; ignore one that was deleted."""
        with self.changed:
            item = self.objects.get((resource, namespace, name))
            if item is not None:
                _merge(item, copy.deepcopy(dict(changes)))
                self._record("MODIFIED", (resource, namespace, name), item)

    def delete(self, resource: str, namespace: str, name: str) -> Object:
        """Remove an object."""
        with self.changed:
            deleted = self.get(resource, namespace, name)
            stored = self.objects.pop((resource, namespace, name))
            self._record("DELETED", (resource, namespace, name), stored)
            return deleted

    def list(self, resource: str, namespace: str, labels: str = "", fields: str = "") -> list[Object]:
        """Return the objects that match selectors, oldest first."""
        with self.changed:
            return [
                copy.deepcopy(item)
                for (kind, where, _), item in self.objects.items()
                if kind == resource and where == namespace and matches(item, labels, fields)
            ]

    def snapshot(self) -> builtins.list[tuple[Key, Object]]:
        """Return a copy of all objects."""
        with self.changed:
            return [(key, copy.deepcopy(item)) for key, item in self.objects.items()]

    def compact(self) -> None:
        """Discard the history, as etcd does after five minutes: watches from older versions get 410 (a3)."""
        with self.changed:
            self.history.clear()
            self.oldest = self.version
            self.changed.notify_all()

    def changes_since(self, version: int) -> Iterator[Change]:
        """Yield the changes after a version."""
        with self.changed:
            if version < self.oldest:
                raise ApiError(410, "Expired", f"too old resource version: {version} ({self.oldest})")
            yield from [change for change in self.history if change.version > version]

    def _record(self, kind: str, key: Key, changed: Object) -> None:
        self.version = next(self._versions)
        changed["metadata"]["resourceVersion"] = str(self.version)
        self.history.append(Change(self.version, key[0], key[1], kind, copy.deepcopy(changed)))
        self.changed.notify_all()


def _merge(target: Object, changes: Object) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def matches(item: Mapping[str, Any], labels: str, fields: str = "") -> bool:
    """Whether an object matches selectors; only equality is supported."""
    item_labels = item["metadata"].get("labels") or {}
    for word in filter(None, labels.split(",")):
        name, _, value = word.partition("=")
        if item_labels.get(name) != value:
            return False
    for word in filter(None, fields.split(",")):
        path, _, value = word.partition("=")
        at: Any = item
        for part in path.split("."):
            at = (at or {}).get(part)
        if at != value:
            return False
    return True
