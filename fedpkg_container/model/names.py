"""What the parts of a build's names may be made of: the same for the client's checks and the builder."""

from __future__ import annotations

import re

#: A part of a repository's name (distribution's reference grammar).
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

_REPOSITORY = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
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
