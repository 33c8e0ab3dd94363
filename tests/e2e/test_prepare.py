# SPDX-License-Identifier: GPL-2.0-or-later
"""Preparation of a build: registries that FROM can make a builder connect to, and the time limit."""

from __future__ import annotations

from fedpkg_container.box.box import Box
from tests.support.faulty_registry import faulty_registry
from tests.support.leftovers import nothing_left
from tests.support.listening import listener
from tests.support.packager import Packager
from tests.support.site import site_settings


def test_from_does_not_reach_the_builder(packager: Packager, box: Box) -> None:
    with listener() as inside:
        for host in (inside.address, inside.address.replace("127.0.0.1", "localhost")):
            packager.commit(packager.dockerfile("RUN true", base=f"{host}/x:1"))
            done = packager.build("--scratch")
            assert done.returncode == 1
            assert f"{host} resolves to an address that builders of this site may not connect to" in done.stderr
    assert inside.accepted == []
    nothing_left(box)


def test_hanging_registry_hits_the_timeout(packager: Packager, box: Box) -> None:
    with faulty_registry(box) as registry:
        base = packager.base.replace(box.layout.registry_address, registry.address)
        packager.commit(packager.dockerfile("RUN true", base=base))
        settings = {"registry": {"candidate": registry.address}, "limits": {"prepare_timeout": "6"}}
        for on in ("GET /v2/.*/manifests/", "GET /v2/.*/blobs/"):
            registry.fail(on, 0)
            with site_settings(box, settings):
                done = packager.build("--scratch")
            registry.release()
            assert done.returncode == 1
            assert "downloading the build's inputs: exceeded the time limit of 6 s" in done.stderr, done.stderr
    nothing_left(box)
