# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror of ten thousand unchanged blobs: what a repeated run reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mirrored import Clock, Mirrored, mirrored, promoted

REPOSITORIES, BUILDS = 50, 50


def fill(it: Mirrored) -> None:
    """2,500 images under as many tags, 10,000 blobs."""
    for number in range(REPOSITORIES):
        for build in range(BUILDS):
            layers = [f"{number} {build} {layer}".encode() for layer in range(3)]
            it.storage.image(f"team/image{number}", f"{build}-1", layers=layers)


@pytest.mark.slow
def test_ten_thousand_blobs(tmp_path: Path) -> None:
    record, clock = tmp_path / "record", Clock()
    with mirrored(tmp_path) as it:
        promoted(record, f"{it.host}/team/image1")
        fill(it)
        first = it.run(parallel=8, journal=record, now=clock)
        assert (first.errors, first.new) == ([], 10_000)
        again = it.run(full=True, now=clock)
        assert (again.new, again.present, again.requests) == (0, 10_000, 2 + REPOSITORIES + REPOSITORIES * BUILDS)
        promoted(record, f"{it.host}/team/image7")
        it.run(journal=record, now=clock)
        promoted(record, f"{it.host}/team/image8")
        touched = it.run(journal=record, now=clock)
        nothing = it.run(journal=record, now=clock)
        assert (touched.present, touched.requests, touched.queried) == (10_000, 1 + BUILDS, BUILDS)
        assert (nothing.present, nothing.requests) == (10_000, 0)
