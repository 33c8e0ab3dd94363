# SPDX-License-Identifier: GPL-2.0-or-later
"""check-target: what it finds out about each kind of registry, and what it leaves there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import pytest

from fedpkg_container.commands.registry import check_target
from fedpkg_container.errors import ReadOnlyRegistryError, RegistryError
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.target_check import Capability, TargetCheck
from tests.support.hubs import Hub

MakeHub = Callable[..., Hub]
ALL = {
    "push an image": "yes",
    "read it back": "yes",
    "images in Docker's format": "yes",
    "move a tag": "yes",
    "mount blobs": "yes",
    "list SBOMs and signatures": "referrers API",
    "list repositories": "yes (1)",
    "delete images": "yes",
}
#: Profile → what differs.
DIFFERENCES = {
    "zot": {},
    "docker-registry-2": {"list SBOMs and signatures": "fallback tag"},
    "artifact-registry": {"list SBOMs and signatures": "fallback tag"},
    "ghcr": {"list SBOMs and signatures": "fallback tag", "list repositories": "no", "delete images": "no"},
    "gitlab": {"list SBOMs and signatures": "no", "list repositories": "no"},
    "mount-ineffective": {"mount blobs": "no"},
    "immutable-412": {"move a tag": "no"},
    "oci-only": {"images in Docker's format": "no"},
    "deletes-nothing": {"delete images": "no"},
    "artifactory": {"list SBOMs and signatures": "fallback tag"},
}


def check(hub: Hub) -> tuple[list[Capability], list[str]]:
    """Check its target; return the results, and what is left."""
    with Registry(hub.reached).http(hub.server.address) as http:
        checked = TargetCheck(http, "stable")
        return list(checked.run()), checked.left


@pytest.mark.parametrize("name", DIFFERENCES)
def test_capabilities(name: str, make_hub: MakeHub) -> None:
    hub = make_hub(name)
    capabilities, left = check(hub)
    assert {each.name: each.result for each in capabilities} == {**ALL, **DIFFERENCES[name]}
    missing = [each for each in capabilities if each.result == "no"]
    assert all(each.advice and each.why for each in missing)
    assert bool(left) == ("no" in (each.result for each in capabilities if each.name == "delete images"))
    if not left:
        assert not any(held.manifests for held in hub.server.repositories.values())


def test_advice_for_immutable_tags(make_hub: MakeHub) -> None:
    capabilities, _ = check(make_hub("immutable-400"))
    (moved,) = [each for each in capabilities if each.name == "move a tag"]
    assert "floating = none" in moved.advice and "immutable" in moved.why


def test_registry_that_shows_changes_late(make_hub: MakeHub) -> None:
    capabilities, left = check(make_hub("late"))
    assert {each.name: each.result for each in capabilities}["delete images"] == "yes"
    assert left == []


def test_nothing_more_is_tried_without_a_requirement(make_hub: MakeHub) -> None:
    hub = make_hub("zot")
    hub.server.faults["POST"] = [403] * 9
    (capability,) = check(hub)[0]
    assert (capability.name, capability.is_missing) == ("push an image", True)
    assert "denied" in capability.why


def test_read_only_and_unreachable_registries_are_errors(make_hub: MakeHub) -> None:
    with pytest.raises(ReadOnlyRegistryError, match="is read-only"):
        check(make_hub("read-only-405"))
    hub = make_hub("zot")
    hub.server.address = "127.0.0.1:9"
    with pytest.raises(RegistryError, match="Connection refused"):
        check(hub)


@pytest.mark.parametrize("as_json", [False, True])
def test_command(as_json: bool, make_hub: MakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub = make_hub("ghcr")
    arguments = argparse.Namespace(target="stable", json=as_json)
    assert check_target.run(arguments, hub.bench.site) == 0
    out, err = capsys.readouterr()
    if as_json:
        report = json.loads(out)
        assert (report["version"], report["target"], len(report["checks"])) == (1, "stable", len(ALL))
        assert report["left"]
    else:
        assert "delete images: no: deletion is disabled on " in out
        assert "test artifacts that were not deleted:" in err
    assert "hidden" not in out + err
