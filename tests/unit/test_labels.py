# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels that a build adds to its image."""

from __future__ import annotations

import re

from fedpkg_container.image.building.labels import build_labels, merge_labels


def test_labels_of_a_build_name_its_source() -> None:
    labels = build_labels("3", "git+https://src.example.org/container/x#0123")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels.pop("build-date"))
    assert labels == {
        "release": "3",
        "vcs-ref": "0123",
        "vcs-type": "git",
        "url": "git+https://src.example.org/container/x",
    }


def test_local_build_has_no_source_labels() -> None:
    assert set(build_labels("local")) == {"release", "build-date"}


def test_dockerfile_overrides_only_labels_that_do_not_identify_the_build() -> None:
    labels = {"release": "3", "vendor": "site", "url": "u"}
    assert merge_labels(labels, {"release": "9", "vendor": "mine"}) == {"release": "3", "url": "u"}
