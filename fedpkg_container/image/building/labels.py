# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels that a build adds to its image."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping

#: Labels that identify a build: the Dockerfile cannot override them.
BUILD_LABELS = frozenset({"release", "version", "build-date", "vcs-ref", "vcs-type"})


def build_labels(release: str, source_url: str = "") -> dict[str, str]:
    """Return the labels that describe a build: release, time and source.

    :param source_url: dist-git URL with the exact commit; empty for a local build
    """
    labels = {"release": release, "build-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    if source_url:
        url, _, commit = source_url.partition("#")
        labels |= {"vcs-ref": commit, "vcs-type": "git", "url": url}
    return labels


def merge_labels(labels: Mapping[str, str], dockerfile_labels: Container[str]) -> dict[str, str]:
    """Return the labels to add: those in ``BUILD_LABELS``, and others that the Dockerfile does not set.

    :param dockerfile_labels: names of the labels of the Dockerfile
    """
    return {name: value for name, value in labels.items() if name in BUILD_LABELS or name not in dockerfile_labels}
