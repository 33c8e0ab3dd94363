# SPDX-License-Identifier: GPL-2.0-or-later
"""How concurrent promotions copy blobs: mounted, already present, or sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.promotion.blob_copying import BlobCopier
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import Fault
from tests.support.registry_clients import Serve, latest


def test_blob_shared_by_images_is_sent_once(serve: Serve) -> None:
    source, here = serve(token=False)
    target, there = serve(token=False)
    (config, *_) = Manifest.read(latest(source)).blobs
    del target["hello"].blobs[config.digest]
    target.faults["HEAD"] = [404] * 3  # none of them finds it there
    blobs = BlobCopier()
    with ThreadPoolExecutor(3) as pool:
        bringing = [
            pool.submit(blobs.copy, config, here, there, mount_sources=(), deadline=Deadline("the test", 60))
            for _ in range(3)
        ]
    assert sorted(each.result() for each in bringing) == ["present", "present", "sent"]
    assert target.asked("PUT") == 1


@pytest.mark.parametrize("refused", [401, 403, 405])
def test_blob_is_sent_if_the_mount_is_refused(serve: Serve, refused: int) -> None:
    server, here = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    there = Repository(here.http, "elsewhere")
    server.faults["mount="] = [Fault(refused)] * 2
    assert BlobCopier().copy(config, here, there, mount_sources=(), deadline=Deadline("the test", 60)) == "sent"
    assert server["elsewhere"].blobs[config.digest] == server["hello"].blobs[config.digest]
