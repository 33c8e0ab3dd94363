# SPDX-License-Identifier: GPL-2.0-or-later
"""Differences between versions of buildah in the Dockerfiles that they accept.

Dockerfiles are read as by the newest version below. What an older version does not support is recorded as a feature
of the instruction: an error on a builder, whose version is known, and a warning in the client. Sources: the vendored
openshift/imagebuilder and ``imagebuildah`` of buildah's releases 1.28 to 1.43; a test compares with the installed one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Oldest supported version of buildah (Debian 12).
OLDEST = (1, 28)


@dataclass(frozen=True)
class Feature:
    """A feature of Dockerfiles that only newer versions of buildah support.

    :param name: name in messages, after "needs"
    :param since: first version of buildah
    """

    name: str
    since: tuple[int, int]

    def known_to(self, version: tuple[int, ...] | None) -> bool | None:
        """Return whether a version of buildah supports it; None if the version is not known."""
        return None if version is None else version[:2] >= self.since


ERROR_IF_EMPTY = Feature("${NAME:?…}", (1, 30))
RUN_NETWORK = Feature("RUN --network", (1, 30))
HERE_DOCUMENTS = Feature("here-documents", (1, 33))
ADD_CHECKSUM = Feature("ADD --checksum", (1, 33))
START_INTERVAL = Feature("HEALTHCHECK --start-interval", (1, 36))
PATTERNS = Feature("${NAME#…}, ${NAME%…} and ${NAME/…}", (1, 37))
IGNORED_DEFAULTS = Feature("a platform argument that ignores its default", (1, 37))
EXCLUDE = Feature("--exclude", (1, 38))
LINK = Feature("--link", (1, 41))
COPY_PARENTS = Feature("COPY --parents", (1, 40))
STAGE_ARGUMENTS = Feature("ARG of an earlier stage", (1, 41))
HEADING_PLATFORM = Feature("a platform argument in ARG before the first FROM", (1, 42))

FEATURES = (
    *(ERROR_IF_EMPTY, RUN_NETWORK, HERE_DOCUMENTS, ADD_CHECKSUM, START_INTERVAL, PATTERNS, EXCLUDE, LINK),
    *(COPY_PARENTS, STAGE_ARGUMENTS, HEADING_PLATFORM, IGNORED_DEFAULTS),
)


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return the numbers of a version of buildah; None if the text is not one."""
    found = re.match(r"[0-9]{1,6}(\.[0-9]{1,6})+", text)
    return tuple(map(int, found[0].split("."))) if found else None
