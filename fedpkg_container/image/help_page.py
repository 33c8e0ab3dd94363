"""``help.md`` of the sources as the manual page ``/help.1`` of the image, made by go-md2man."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.distgit.small_file import read_bytes
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.process import run

SOURCE = "help.md"
PAGE = "help.1"
#: The build context in which buildah finds the page: not the packager's, whose .dockerignore could hide it.
CONTEXT = "fedpkg-container-help"
#: What brings it into the image.
LINE = f"COPY --from={CONTEXT} {PAGE} /{PAGE}"
TIMEOUT = 60.0


def read(source: Path) -> bytes | None:
    """``help.md`` of a checkout; None where there is none, or nothing in it."""
    text = read_bytes(source, SOURCE)
    return text if text and text.strip() else None


def make(source: Path, folder: Path) -> Path | None:
    """Make the page.

    :param source: the checkout
    :param folder: for files of this build
    :returns: a folder with nothing but the page; None where there is nothing to make one of
    :raises BuildFailedError: it cannot be made into a page
    """
    text = read(source)
    if text is None:
        return None
    made = folder / "help"
    made.mkdir()
    original = folder / SOURCE
    original.write_bytes(text)
    try:
        run(["go-md2man", "-in", original, "-out", made / PAGE], timeout=TIMEOUT)
    except ProgramError as error:
        raise BuildFailedError(
            f"{SOURCE} cannot be made into a manual page: {error.reason}", solution="mend it, or delete it"
        ) from error
    (made / PAGE).chmod(0o644)
    return made
