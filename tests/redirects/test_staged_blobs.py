# SPDX-License-Identifier: GPL-2.0-or-later
"""Blobs of an image on its way to the mirrors: staged, exported, published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.registry.redirects import Kind
from tests.support.clients import pull
from tests.support.front_ends import Distribution, distribution, open_directory
from tests.support.promoting import Bench, make_site


@pytest.fixture(scope="module")
def seeing(kind: Kind) -> Iterator[Distribution]:
    with open_directory() as directory, distribution(kind, directory, sees_tree=True) as made:
        yield made


def test_redirects_begin_when_the_blobs_are_exported(seeing: Distribution, tmp_path: Path) -> None:
    """Without a reload; a digest is known only to who staged the image until it is published."""
    bench = Bench(tmp_path, make_site(tmp_path, seeing.registry, seeing.registry, access=seeing.access))
    candidate = bench.build(arches=("amd64",))
    bench.stage(candidate)
    contents = bench.contents(bench.place(candidate), candidate.image.digest)
    blobs = [digest for digest, content in contents.items() if b"schemaVersion" not in content]
    paths = [f"/v2/stable/hello/blobs/{digest}" for digest in blobs]
    assert len(paths) > 5
    for path, digest in zip(paths, blobs):
        answer = seeing.ask("GET", path)
        assert (answer.status, answer.body) == (200, contents[digest])
    assert bench.mirror(seeing.mirror.tree, repositories=("stable/hello",)).errors == []
    assert [seeing.is_redirected(path) for path in paths] == [True] * len(paths)
    assert bench.publish(candidate, tree=seeing.mirror.tree, mirrors=[seeing.mirror.url])[0].state == "promoted"
    pull(seeing, "stable/hello:latest", tmp_path / "store")
    assert {each.status for each in seeing.mirror.log.requests()} == {200}
