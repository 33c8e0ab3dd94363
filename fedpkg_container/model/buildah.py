# SPDX-License-Identifier: GPL-2.0-or-later
"""Differences between versions of buildah; docs/reference/dockerfile.md has the tables.

Dockerfiles are read as by the newest version below. What an older version does not support is recorded as a feature
of the instruction: an error on a builder, whose version is known, and a warning in the client. Sources: the vendored
openshift/imagebuilder and ``imagebuildah`` of buildah's releases 1.28 to 1.43; a test compares with the installed one.

The options and results of the program differ too (``DIFFERENCES``). It is called in a way that all versions support, so
that no code depends on the version number. What the number does not show is tested once per version:
``engines.buildah_probe``.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Oldest supported version of buildah (Debian 12).
OLDEST = (1, 28)
#: Versions that are tested: those of Debian 12, Debian 13 and Debian sid. Fedora 42 to 44 have 1.39 to 1.43.
TESTED = (OLDEST, (1, 39), (1, 43))


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


@dataclass(frozen=True)
class Difference:
    """A difference between versions of the program.

    :param name: what newer versions have or do
    :param since: first version with it, of those that were compared
    :param handling: how builds are independent of it
    :param options: of ``buildah build`` that exist since then
    """

    name: str
    since: tuple[int, int]
    handling: str
    options: tuple[str, ...] = ()


DIFFERENCES = (
    Difference(
        "`--source-date-epoch` and `--rewrite-timestamp`", (1, 41),
        "not used, because they keep older times: `--timestamp` sets all",
        options=("--source-date-epoch", "--rewrite-timestamp"),
    ),
    Difference(
        "a build argument SOURCE_DATE_EPOCH means `--source-date-epoch`, which excludes `--timestamp`", (1, 41),
        "the variable is written into the Dockerfile as ARG",
    ),
    Difference(
        "`--timestamp` is recorded in the history of the image", (1, 43),
        "image IDs differ between the versions, layers do not",
    ),
    Difference(
        "layers of the same files differ from those of 1.28", (1, 39),
        "`fedpkg-container-cluster check` knows both; builds are reproducible with one version",
    ),
    Difference(
        "RUN gets the limits NOFILE and NPROC 1048576", (1, 39),
        "`default_ulimits` in containers.conf: the limits of the builder, which it may set",
    ),
    Difference(
        "platform arguments that a Dockerfile does not declare cause no warning", (1, 39),
        "the warning is removed from the log",
    ),
    Difference("compressed docker-archives can be read", (1, 39), "archives of `--local` are not compressed"),
    Difference(
        "options for labels and annotations of the base image", (1, 43),
        "not used: their defaults are what older versions do",
        options=("--inherit-labels", "--inherit-annotations", "--created-annotation"),
    ),
)  # fmt: skip
#: Layer of the small build of ``fedpkg-container-cluster check`` → first compared version that makes it.
KNOWN_LAYERS = {
    "sha256:cfd77d6f280e2bec339ffdd0c241dcc2739308e7dd4dcc619a1e5d512a90ba10": OLDEST,
    "sha256:abd906d2c00b9d68bad0305c7dca60b89a969776e40a7e7eaff243e134baf934": (1, 39),
}
