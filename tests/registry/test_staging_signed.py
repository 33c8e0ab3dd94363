# SPDX-License-Identifier: GPL-2.0-or-later
"""promote --stage and --publish with signatures: they are made, exported and required before tags are set."""

from __future__ import annotations

from collections.abc import Callable

from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.settings import FORMATS
from fedpkg_container.registry.signing.storage import read_signatures
from tests.support.hubs import NAME, Hub
from tests.support.signing import key_files, signing_bench


def test_signatures_are_staged_and_exported(make_hub: Callable[..., Hub]) -> None:
    hub = make_hub("docker-registry-2")
    candidate = hub.bench.build(arches=("amd64",), layers=1)
    tree = hub.bench.directory / "tree"
    assert hub.bench.stage(candidate)[0].state == "staged"
    assert hub.bench.mirror(tree).errors == []
    bench = signing_bench(hub.bench, key_files(hub.bench.directory).settings, sign=True)
    (result,) = bench.publish(candidate, tree=tree)
    assert (result.state, "is not signed" in result.error, bench.tags(candidate)) == ("refused", True, {})
    (result,) = bench.stage(candidate)
    assert (result.state, len(result.signed)) == ("staged", 2)
    assert bench.publish(candidate, tree=tree)[0].state == "waiting", "blobs of the signatures are not exported"
    assert bench.mirror(tree).errors == [], "the journal leads the mirror to the signatures"
    assert bench.publish(candidate, tree=tree)[0].state == "promoted"
    with bench.http(hub.server.address) as http:
        found = list(read_signatures(Repository(http, NAME), candidate.image.digest, FORMATS))
    assert [signature.format for signature in found] == ["bundle", "tag"]
    assert bench.stage(candidate)[0].state == "unchanged"
