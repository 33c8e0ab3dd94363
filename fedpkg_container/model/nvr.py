"""Names of builds: what their parts may be made of, and the labels that they come from.

The client's checks and the builder use the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: A part of a repository's name (distribution's reference grammar).
REPOSITORY_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

_REPOSITORY = re.compile(rf"{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*")
_PACKAGE = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")
_NVR_PART = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9._+~^]*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = ("staging",)
#: The longest NVR: with arch and suffix it is the name of a file (255 bytes).
LONGEST_NVR = 200


def repository_problem(name: str) -> str:
    """What keeps a text from being an image's repository; empty when nothing does."""
    if not _REPOSITORY.fullmatch(name) or len(name) > 255:
        return "must be lower-case letters, digits and dashes, with / between parts"
    if name.split("/")[0] in _RESERVED:
        return f"must not begin with {name.split('/')[0]}, where builds keep their images meanwhile"
    return ""


def package_problem(text: str) -> str:
    """What keeps a text from being a package's name, which becomes a part of files' names; empty when nothing does."""
    if not _PACKAGE.fullmatch(text) or ".." in text:
        return "must be letters, digits and any of . _ + -, and begin with neither . nor -"
    return ""


def nvr_part_problem(text: str) -> str:
    """What keeps a text from being a version or a release; empty when nothing does."""
    if not _NVR_PART.fullmatch(text) or ".." in text:
        return "must be letters, digits and any of . _ + ~ ^, without a dash, and not begin with a dot"
    return ""


def tag_problem(text: str) -> str:
    """What keeps a text from being an image's tag; empty when nothing does."""
    if len(text) > 128:
        return "is longer than 128 characters"
    if not _TAG.fullmatch(text):
        return "must be letters, digits and any of _ . -, and begin with neither . nor -"
    return ""


def legal_tag(text: str) -> str:
    """A text as a tag: what a tag cannot hold, or begin with, becomes ``_``, and it is cut at 128 characters."""
    return re.sub(r"\A[.-]|[^A-Za-z0-9_.-]", "_", text)[:128]


def is_variable(text: str) -> bool:
    """Whether a text is the name of an environment variable."""
    return _VARIABLE.fullmatch(text) is not None


COMPONENT = "com.redhat.component"
#: Labels that name a build → how they were spelled before.
OLDER = {COMPONENT: "BZComponent", "name": "Name", "version": "Version", "release": "Release"}


def label(labels: Mapping[str, str], name: str) -> str:
    """A label under its name or its older one; empty when it is not set."""
    return labels.get(name) or labels.get(OLDER.get(name, name)) or ""
