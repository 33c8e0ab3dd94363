# SPDX-License-Identifier: GPL-2.0-or-later
"""Content-generator metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.record.metadata import Provenance, build_metadata
from fedpkg_container.image.resolve.names import BuildTags
from fedpkg_container.model.koji_types import RPMComponent
from fedpkg_container.model.reference import ImageReference
from tests.unit.test_sbom import described, details, read, rpm


def _sent(components: list[RPMComponent]) -> tuple[list[RPMComponent], list[RPMComponent]]:
    """Return the components of image and buildroot in the metadata, for an image and a builder with some RPMs."""
    facts = described(*((each, details()) for each in components))
    archive: Any = {"type": "docker-image", "filename": "x.tar.gz"}
    built = replace(facts.built, files=[archive], buildroot={"components": components})
    published = PublishedIndex(
        ImageReference("registry.example.org", "hello"), built.digest, "", BuildTags("1-2", "1.0-3")
    )
    provenance = Provenance(
        nvr=facts.nvr, source_url="", task_id=1, owner="", generator="", started=0.0, ended=0.0, parents=[], base="",
        isolated=False, yum_repourls=[], help_file="",
    )  # fmt: skip
    sent = build_metadata(provenance, published, [built], [], None)
    return sent["output"][0]["components"], sent["buildroots"][0]["components"]


def test_duplicate_rpms_are_sent_once(tmp_path: Path) -> None:
    """Koji identifies RPMs by name, version, release and architecture, and stores each once per archive."""
    twins = [rpm("bash"), rpm("bash", sigmd5="0" * 32), rpm("bash", epoch=1)]
    others = [rpm("bash", arch="i686"), rpm("bash", version="2"), rpm("bash", release="4"), rpm("zsh")]
    for sent in _sent([*twins, *others]):
        assert [each for each in sent if each in twins] == sent[:1]
        assert sent[1:] == others
    listed = read(described(*((each, details()) for each in twins)), tmp_path)["packages"]
    assert [each["name"] for each in listed].count("bash") == len(twins)
