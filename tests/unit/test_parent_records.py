# SPDX-License-Identifier: GPL-2.0-or-later
"""The ENV of parent images from Koji's records, with the request for the build target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import koji
import pytest

from fedpkg_container.commands import parents
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.hub.parent_records import MAX_IMAGES, target_and_parents
from fedpkg_container.hub.protocol import HubSession

TARGET = {"build_tag": 1, "dest_tag": 2, "build_tag_name": "b", "dest_tag_name": "d"}
DIGEST, OTHER_DIGEST = (f"sha256:{digit * 64}" for digit in "ab")
PLACE = "registry.example.org/container/base"


def _build(release: str, environment: object, *, digest: str = DIGEST, completed: float = 1.0) -> dict[str, Any]:
    index = {
        "pull": [f"{PLACE}:1-{release}", f"{PLACE}@{digest}"],
        "tags": [f"1-{release}"],
        "floating_tags": ["1", "latest"],
        "unique_tags": [f"{release}-20260101000000"],
        "digests": {"application/vnd.oci.image.index.v1+json": digest},
    }
    inherited = {} if environment is None else {"inherited": {"Env": environment, "OnBuild": []}}
    return {
        "nvr": f"base-container-1-{release}",
        "state": koji.BUILD_STATES["COMPLETE"],
        "completion_ts": completed,
        "extra": {"image": {"index": index, **inherited}},
    }


class _Hub:
    """A hub with builds; it counts requests and calls."""

    def __init__(self, *builds: dict[str, Any], listed: int = 10) -> None:
        self.by_nvr = {build["nvr"]: build for build in builds}
        self.listed = list(builds)[-listed:] if listed else []
        self.requests = 0
        self.calls: list[str] = []

    @contextmanager
    def multicall(self, **_: Any) -> Iterator[Any]:
        self.requests += 1
        yield SimpleNamespace(
            getBuildTarget=lambda name: SimpleNamespace(result=TARGET if name == "t" else None),
            getBuild=lambda nvr: self._result("getBuild", self.by_nvr.get(nvr)),
            listBuilds=lambda packageID, **_: self._result(
                "listBuilds", self.listed if packageID == "base-container" else []
            ),
        )

    def _result(self, name: str, value: object) -> SimpleNamespace:
        self.calls.append(name)
        return SimpleNamespace(result=value)


def _environment(hub: _Hub, image: str, **options: str) -> object:
    target, inherited = target_and_parents(cast(HubSession, hub), "t", [image], **options)
    assert target == TARGET
    assert hub.requests == 1
    return inherited[image]["Env"] if image in inherited else None


@pytest.mark.parametrize(
    ("image", "environment"),
    [
        (f"{PLACE}:1-1", ["V=1"]),
        (f"{PLACE}:1-20260101000000", ["V=1"]),
        (f"{PLACE}@{DIGEST}", ["V=1"]),
        (f"stable.example.org/base@{DIGEST}", ["V=1"]),
        (f"{PLACE}:latest", ["V=2"]),
        (PLACE, ["V=2"]),
        (f"{PLACE}:1", ["V=2"]),
        (f"{PLACE}:2", None),
        (f"{PLACE}:1-9", None),
        ("stable.example.org/container/base:1-1", None),
        ("registry.example.org/base:1-1", None),
        (f"{PLACE}@sha256:{'c' * 64}", None),
        (f"{PLACE}:latest@{DIGEST}", ["V=1"]),
        ("registry.example.org/container/other:1-1", None),
    ],
)
def test_environment_of_the_recorded_image(image: str, environment: object) -> None:
    hub = _Hub(_build("1", ["V=1"]), _build("2", ["V=2"], digest=OTHER_DIGEST, completed=2.0))
    assert _environment(hub, image) == environment


def test_old_build_is_found_by_its_tag() -> None:
    hub = _Hub(_build("1", ["V=1"]), _build("2", ["V=2"], digest=OTHER_DIGEST), listed=1)
    assert _environment(hub, f"{PLACE}:1-1") == ["V=1"]


def test_build_completed_last_has_the_floating_tags() -> None:
    hub = _Hub(_build("1", ["V=1"], completed=9.0), _build("2", ["V=2"], digest=OTHER_DIGEST, completed=2.0))
    assert _environment(hub, f"{PLACE}:latest") == ["V=1"]


def test_build_that_replaces_the_base_image() -> None:
    hub = _Hub(_build("1", ["V=1"]), _build("2", ["V=2"]))
    image = f"{PLACE}:latest"
    assert _environment(hub, image, base=image, replacement="base-container-1-1") == ["V=1"]
    assert _environment(_Hub(), image, base=image, replacement="base-container-1-1") is None


def test_number_of_calls_is_limited() -> None:
    hub = _Hub()
    images = [f"registry.example.org/image{number}:1-1" for number in range(3 * MAX_IMAGES)]
    assert target_and_parents(cast(HubSession, hub), "none", images) == (None, {})
    assert (hub.requests, len(hub.calls)) == (1, 4 * MAX_IMAGES)


def _labels(recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch, replaced: str = "") -> tuple[Dockerfile, int]:
    queried: list[str] = []

    def query(names: list[str], _: object) -> dict[str, Any]:
        queried.extend(names)
        return {}

    monkeypatch.setattr(parents, "_from_registries", query)
    dockerfile = Dockerfile(f"FROM {PLACE}:1-1\nLABEL com.redhat.component=c name=c version=1.$DISTTAG\n")
    return parents.known_parents(dockerfile, recorded, replaced=replaced), len(queried)


def test_no_registry_is_queried_for_a_recorded_image(monkeypatch: pytest.MonkeyPatch) -> None:
    dockerfile, queried = _labels({f"{PLACE}:1-1": {"Env": ["DISTTAG=fc41"]}}, monkeypatch)
    assert (dockerfile.labels["version"], queried) == ("1.fc41", 0)


@pytest.mark.parametrize("recorded", [{}, {f"{PLACE}:1-1": {"Env": "DISTTAG=fc41"}}, {f"{PLACE}:1-1": {"Env": [1]}}])
def test_unusable_records_leave_labels_unknown(recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    dockerfile, queried = _labels(recorded, monkeypatch)
    assert (dockerfile.unknown_labels, queried) == (frozenset({"version"}), 1)


def test_registry_of_a_replaced_image_is_not_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    dockerfile, queried = _labels({}, monkeypatch, replaced=f"{PLACE}:1-1")
    assert (dockerfile.unknown_labels, queried) == (frozenset({"version"}), 0)
