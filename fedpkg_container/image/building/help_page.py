"""``help.md`` of the sources as the manual page ``/help.1`` of the image, made by go-md2man."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.distgit.safe_read import read_bytes
from fedpkg_container.engines.sandbox import confined
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.process import run

HELP_SOURCE = "help.md"
MAN_PAGE = "help.1"
#: The build context in which buildah finds the page: not the packager's, whose .dockerignore could hide it.
BUILD_CONTEXT = "fedpkg-container-help"
#: What brings it into the image.
COPY_INSTRUCTION = f"COPY --from={BUILD_CONTEXT} {MAN_PAGE} /{MAN_PAGE}"
TIMEOUT = 60.0


def read_help(checkout: Path) -> bytes | None:
    """``help.md`` of a checkout; None where there is none, or nothing in it."""
    text = read_bytes(checkout, HELP_SOURCE)
    return text if text and text.strip() else None


def make_man_page(checkout: Path, workspace: Workspace) -> Path | None:
    """Make the page.

    :param checkout: the checkout
    :param workspace: of this build
    :returns: a folder with nothing but the page; None where there is nothing to make one of
    :raises BuildFailedError: it cannot be made into a page
    """
    text = read_help(checkout)
    if text is None:
        return None
    directory = workspace.new("help")
    markdown = workspace.folder / HELP_SOURCE
    markdown.write_bytes(text)
    try:
        command: list[str | Path] = ["go-md2man", "-in", markdown, "-out", directory / MAN_PAGE]
        run(confined(command, workspace, readable=[markdown]), timeout=TIMEOUT)
    except ProgramError as error:
        raise BuildFailedError(
            f"{HELP_SOURCE} cannot be made into a manual page: {error.reason}", solution="mend it, or delete it"
        ) from error
    return directory
