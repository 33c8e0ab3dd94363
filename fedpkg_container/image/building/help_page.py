# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual page ``/help.1`` of an image, made of ``help.md`` by go-md2man."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.distgit.safe_read import read_bytes
from fedpkg_container.engines.sandbox import confined
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.process import run

HELP_SOURCE = "help.md"
MAN_PAGE = "help.1"
#: A separate build context, as the .dockerignore of the packager's could exclude the page.
BUILD_CONTEXT = "fedpkg-container-help"
#: The instruction that copies the page into the image.
COPY_INSTRUCTION = f"COPY --from={BUILD_CONTEXT} {MAN_PAGE} /{MAN_PAGE}"
TIMEOUT = 60.0


def read_help(checkout: Path) -> bytes | None:
    """Return ``help.md`` of a checkout; None if it is missing or empty."""
    text = read_bytes(checkout, HELP_SOURCE)
    return text if text and text.strip() else None


def make_man_page(checkout: Path, workspace: Workspace) -> Path | None:
    """Convert ``help.md`` to a manual page.

    :param checkout: checkout directory
    :param workspace: of this build
    :returns: a directory that holds only the page; None without ``help.md``
    :raises BuildFailedError: if the conversion fails
    """
    text = read_help(checkout)
    if text is None:
        return None
    directory = workspace.new("help")
    markdown = workspace.directory / HELP_SOURCE
    markdown.write_bytes(text)
    try:
        command: list[str | Path] = ["go-md2man", "-in", markdown, "-out", directory / MAN_PAGE]
        run(confined(command, workspace, readable=[markdown]), timeout=TIMEOUT)
    except ProgramError as error:
        raise BuildFailedError(
            f"cannot convert {HELP_SOURCE} to a manual page: {error.reason}", solution="fix the file, or delete it"
        ) from error
    return directory
