# SPDX-License-Identifier: GPL-2.0-or-later
"""NVRs and image names: rules for their parts, and the labels that define them.

The client's checks and the builder use the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: A component of a repository name (distribution's reference grammar).
REPOSITORY_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

_REPOSITORY = re.compile(rf"{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*")
_PACKAGE = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")
_NVR_PART = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9._+~^]*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = ("staging",)
#: Maximum length of an NVR: with architecture and suffix it becomes a file name (255 bytes).
MAX_NVR_LENGTH = 200


@dataclass(frozen=True)
class NVR:
    """Name, version and release of a Koji build."""

    name: str
    version: str
    release: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}-{self.release}"

    @property
    def primary_tag(self) -> str:
        """The image tag made of version and release; never equal to a floating tag, which has no hyphen."""
        return sanitize_tag(f"{self.version}-{self.release}")


def repository_problem(name: str) -> str:
    """Return why a text is not a valid image repository; empty if it is valid."""
    if not _REPOSITORY.fullmatch(name) or len(name) > 255:
        return "must consist of lower-case letters, digits and dashes, with / between components"
    if name.split("/")[0] in _RESERVED:
        return f'must not start with "{name.split("/")[0]}/", which is reserved for builds in progress'
    return ""


def package_problem(text: str) -> str:
    """Return why a text is not a valid package name, which is used in file names; empty if it is valid."""
    if not _PACKAGE.fullmatch(text) or ".." in text:
        return "must consist of letters, digits and any of . _ + -, and must not start with . or -"
    return ""


def nvr_part_problem(text: str) -> str:
    """Return why a text is not a valid version or release; empty if it is valid."""
    if not _NVR_PART.fullmatch(text) or ".." in text:
        return "must consist of letters, digits and any of . _ + ~ ^, without dashes, and must not start with a dot"
    return ""


def tag_problem(text: str) -> str:
    """Return why a text is not a valid image tag; empty if it is valid."""
    if len(text) > 128:
        return "is longer than 128 characters"
    if not _TAG.fullmatch(text):
        return "must consist of letters, digits and any of _ . -, and must not start with . or -"
    return ""


def sanitize_tag(text: str) -> str:
    """Return a text as a valid tag: invalid characters are replaced with ``_``, and it is cut at 128 characters."""
    return re.sub(r"\A[.-]|[^A-Za-z0-9_.-]", "_", text)[:128]


def is_variable(text: str) -> bool:
    """Whether a text is a valid name of an environment variable."""
    return _VARIABLE.fullmatch(text) is not None


#: The label that names the package.
COMPONENT_LABEL = "com.redhat.component"
#: Labels that identify a build → their old names.
OLD_LABEL_NAMES = {COMPONENT_LABEL: "BZComponent", "name": "Name", "version": "Version", "release": "Release"}


def label_value(labels: Mapping[str, str], name: str) -> str:
    """Return the value of a label, also if set under its old name; empty if it is not set."""
    return labels.get(name) or labels.get(OLD_LABEL_NAMES.get(name, name)) or ""
