# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries before images are deleted: their builds, builds based on them, tags and tasks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from fedpkg_container.errors import LostContactError
from fedpkg_container.hub import image_records as hub_records
from fedpkg_container.hub.image_records import KojiRecords
from fedpkg_container.hub.session import TIMEOUT
from fedpkg_container.model.koji_images import ImageRecord, TaskRecord
from tests.contract.images import ImageImporter
from tests.contract.support import new_name
from tests.contract.tasks import Target, TaskBench

pytestmark = pytest.mark.contract

#: A moment after which a build is young.
LONG_AGO, SOON = 0.0, time.time() + 24 * 3600

Import = Callable[..., dict[str, Any]]


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.fixture
def image(importer: ImageImporter) -> Import:
    """Return a function that imports a build with further image keys; the image digest is derived from the release."""

    def made(release: str, **image: Any) -> dict[str, Any]:
        pull = f"registry.example.com/contract@{_digest(importer.name + release)}"
        index = {"pull": [pull], "tags": [f"1-{release}"], "digests": {"x": _digest(importer.name + release)}}
        return importer.imported(release, extra={"image": {"index": index, **image}})

    return made


@pytest.fixture
def records(anonymous: Any) -> KojiRecords:
    return KojiRecords(anonymous)


def test_recent_build_is_needed_until_the_retention_period_ends(
    image: Import, importer: ImageImporter, records: KojiRecords
) -> None:
    build = image("1")
    digest = _digest(f"{importer.name}1")
    (young,) = records.images([digest, _digest("unknown")], LONG_AGO).values()
    assert young == ImageRecord(
        (build["nvr"],), build["completion_ts"], f"{build['nvr']} is newer than the retention period"
    )
    assert records.images([digest], SOON)[digest].needed == ""


def test_tagged_build_is_needed_until_untagged(
    image: Import, importer: ImageImporter, records: KojiRecords, admin: Any, target: Target
) -> None:
    build = image("1")
    digest = _digest(f"{importer.name}1")
    assert not records.images([digest], SOON)[digest].needed
    admin.packageListAdd(target.dest_tag_name, importer.name, owner=admin.getLoggedInUser()["name"])
    admin.tagBuildBypass(target.dest_tag_name, build["nvr"])
    assert records.images([digest], SOON)[digest].needed == f"{build['nvr']} has Koji tag {target.dest_tag_name}"
    admin.untagBuild(target.dest_tag_name, build["nvr"])
    assert not records.images([digest], SOON)[digest].needed


def test_parent_builds_are_needed_as_long_as_their_children(
    image: Import, importer: ImageImporter, records: KojiRecords, admin: Any, target: Target
) -> None:
    base = image("base")
    pinned = f"other.example.com/contract@{_digest('copied')}"
    middle = image("middle", parent_image_builds={pinned: {"id": base["id"], "nvr": base["nvr"]}})
    top = image("top", parent_build_id=middle["id"])
    digests = [_digest(f"{importer.name}{name}") for name in ("base", "middle")] + [_digest("copied")]
    assert [each.needed for each in records.images(digests, SOON).values()] == ["", "", ""]
    admin.packageListAdd(target.dest_tag_name, importer.name, owner=admin.getLoggedInUser()["name"])
    admin.tagBuildBypass(target.dest_tag_name, top["nvr"])
    found = records.images(digests, SOON)
    assert found[digests[0]].needed == f"{middle['nvr']} is based on {base['nvr']}"
    assert found[digests[1]].needed == f"{top['nvr']} is based on {middle['nvr']}"
    assert found[digests[2]].needed == f"{middle['nvr']} is based on it"


def test_imported_base_image_is_needed(image: Import, importer: ImageImporter, records: KojiRecords) -> None:
    build = image("1", imported={"from": "registry.example.org/base"})
    digest = _digest(f"{importer.name}1")
    assert records.images([digest], SOON)[digest].needed == f"{build['nvr']} is an imported base image"


def test_builds_are_read_in_pages_and_updated(
    image: Import, importer: ImageImporter, records: KojiRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_records, "PAGE_SIZE", 2)
    names = [new_name("release").replace("-", ".") for _ in range(6)]
    digests = {name: _digest(importer.name + name) for name in names}
    for name in names[:5]:
        image(name)
    assert set(records.images(digests.values(), LONG_AGO)) == {digests[name] for name in names[:5]}
    image(names[5])
    assert set(records.images(digests.values(), LONG_AGO)) == set(digests.values())


def test_tasks(records: KojiRecords, bench: TaskBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_records, "MAX_CALLS", 2)
    running, ended = bench.open_task(), bench.open_task()
    bench.admin.cancelTask(ended)
    found = records.tasks([running, ended, 2**31 - 2])
    assert found == {running: TaskRecord(builds=True, ended=False), ended: TaskRecord(builds=True, ended=True)}


def test_unreachable_hub() -> None:
    import koji

    session = koji.ClientSession(
        "https://127.0.0.1:9/kojihub", {"max_retries": 0, "anon_retry": False, "timeout": TIMEOUT}
    )
    with pytest.raises(LostContactError, match="127.0.0.1:9"):
        KojiRecords(session).images([_digest("x")], SOON)
