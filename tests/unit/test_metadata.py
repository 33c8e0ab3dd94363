# SPDX-License-Identifier: GPL-2.0-or-later
"""Content-generator metadata."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.record.metadata import MAX_INHERITED, Provenance, build_metadata
from fedpkg_container.image.resolve.names import BuildTags
from fedpkg_container.model.koji_types import RPMComponent
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from tests.unit.test_sbom import described, details, read, rpm

_PROVENANCE = Provenance(
    nvr=NVR("hello-container", "1.0", "3"), source_url="", task_id=1, owner="", generator="", started=0.0, ended=0.0,
    parents=[], base="", isolated=False, yum_repourls=[], help_file="",
)  # fmt: skip


def _sent(components: list[RPMComponent]) -> tuple[list[RPMComponent], list[RPMComponent]]:
    """Return the components of image and buildroot in the metadata, for an image and a builder with some RPMs."""
    facts = described(*((each, details()) for each in components))
    archive: Any = {"type": "docker-image", "filename": "x.tar.gz"}
    built = replace(facts.built, files=[archive], buildroot={"components": components})
    published = PublishedIndex(
        ImageReference("registry.example.org", "hello"), built.digest, "", BuildTags("1-2", "1.0-3")
    )
    sent = build_metadata(replace(_PROVENANCE, nvr=facts.nvr), published, [built], [], None)
    return sent["output"][0]["components"], sent["buildroots"][0]["components"]


def _inherited(*configs: object) -> object:
    """Return what is recorded for an image with these configurations of its architectures."""
    built = described((rpm("bash"), details())).built
    images = [
        replace(built, arch=f"arch{number}", config=json.dumps({"config": config}), buildroot={"components": []})
        for number, config in enumerate(configs)
    ]
    published = PublishedIndex(ImageReference("registry.example.org", "hello"), "", "", BuildTags("1-2", "1.0-3"))
    return build_metadata(_PROVENANCE, published, images, [], None)["build"]["extra"]["image"].get("inherited")


def test_inherited_configuration() -> None:
    config = {"Env": ["A=1"], "OnBuild": ["RUN true"], "Labels": {"a": "b"}}
    assert _inherited(config, config) == {"Env": ["A=1"], "OnBuild": ["RUN true"]}
    assert _inherited({"Env": None}) == {"Env": [], "OnBuild": []}


def test_inherited_configuration_that_is_not_recorded() -> None:
    assert _inherited({"Env": ["ARCH=a"]}, {"Env": ["ARCH=b"]}) is None
    assert _inherited({"Env": ["A=" + "x" * MAX_INHERITED]}) is None


def test_duplicate_rpms_are_sent_once(tmp_path: Path) -> None:
    """Koji identifies RPMs by name, version, release and architecture, and stores each once per archive."""
    twins = [rpm("bash"), rpm("bash", sigmd5="0" * 32), rpm("bash", epoch=1)]
    others = [rpm("bash", arch="i686"), rpm("bash", version="2"), rpm("bash", release="4"), rpm("zsh")]
    for sent in _sent([*twins, *others]):
        assert [each for each in sent if each in twins] == sent[:1]
        assert sent[1:] == others
    listed = read(described(*((each, details()) for each in twins)), tmp_path)["packages"]
    assert [each["name"] for each in listed].count("bash") == len(twins)
