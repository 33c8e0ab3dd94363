"""A mirror of ten thousand blobs that finds nothing new is done in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.mirrored import Clock, Mirrored, mirrored

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
    record.write_text(json.dumps({"repository": "team/image1"}) + "\n")
    with mirrored(tmp_path) as it:
        fill(it)
        first = it.run(parallel=8, record=record, now=clock)
        assert (first.errors, first.new) == ([], 10_000)
        again = it.run(full=True, now=clock)
        assert (again.new, again.present, again.requests) == (0, 10_000, 2 + REPOSITORIES + REPOSITORIES * BUILDS)
        with record.open("a") as file:
            file.write(json.dumps({"repository": "team/image7"}) + "\n")
        it.run(record=record, now=clock)
        with record.open("a") as file:
            file.write(json.dumps({"repository": "team/image8"}) + "\n")
        touched = it.run(record=record, now=clock)
        nothing = it.run(record=record, now=clock)
        assert (touched.present, touched.requests, touched.asked) == (10_000, 1 + BUILDS, BUILDS)
        assert (nothing.present, nothing.requests) == (10_000, 0)
        assert again.seconds < 20 and touched.seconds < 5 and nothing.seconds < 5
