"""The file ``.osbs-repo-config``, in which rpkg keeps whether an image is to be rebuilt by itself."""

from __future__ import annotations

import configparser
from pathlib import Path

from fedpkg_container.distgit.small_file import decode, read_bytes
from fedpkg_container.errors import RefusedError

FILE = ".osbs-repo-config"
SECTION, OPTION = "autorebuild", "enabled"


def read_autorebuild(folder: Path) -> bool | None:
    """Whether the file turns rebuilds on; None when it says nothing, which means no.

    :raises RefusedError: the file cannot be read
    """
    content = read_bytes(folder, FILE)
    parser = configparser.ConfigParser()
    try:
        parser.read_string(decode(content or b"", FILE), source=FILE)
        return parser.getboolean(SECTION, OPTION) if parser.has_option(SECTION, OPTION) else None
    except (configparser.Error, ValueError) as error:
        said = " ".join(str(error).split())
        raise RefusedError(
            f"{FILE} cannot be read: {said}", solution=f"write [{SECTION}] and {OPTION} = true"
        ) from error
