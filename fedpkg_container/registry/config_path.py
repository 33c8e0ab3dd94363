"""Where the site's file is, and the names in it that a TAB offers: without anything that is slow to load."""

from __future__ import annotations

import os
from pathlib import Path

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.settings import Settings

#: The variable that names the file, and where it is otherwise, below ``$XDG_CONFIG_HOME`` and below ``/etc``.
VARIABLE = "FEDPKG_CONTAINER_REGISTRY_CONF"
_BELOW = Path("fedpkg-container") / "registry.conf"
#: Where its settings are described: on an installed system, and in the source.
DOCUMENTATION = "fedpkg-container-registry(1), docs/distribution.md"


def configuration_path(named: Path | None) -> Path:
    """The site's file: the one that was named, that of the variable, the user's own, or the machine's.

    :raises ConfigurationError: there is none
    """
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / _BELOW
    everybodys = Path("/etc") / _BELOW
    variable = os.environ.get(VARIABLE)
    asked = named or (Path(variable) if variable else None)
    found = asked or (own if own.is_file() else everybodys)
    if not found.is_file():
        tried = "" if asked else f" (nor {own})"
        raise ConfigurationError(
            f"there is no configuration file {found}{tried}",
            solution=f"write it ({DOCUMENTATION}), or name another with --config",
        )
    return found


def target_names(named: Path | None) -> tuple[str, ...]:
    """The names of a site's targets; none where its file is not there or cannot be read.

    :param named: the file, where one is named
    """
    try:
        return Settings.read(configuration_path(named)).section_names("target")
    except (ConfigurationError, OSError):
        return ()


def record_path(named: Path | None) -> Path | None:
    """The record of promotions that a site's file names; None where it names none, or cannot be read.

    :param named: the file, where one is named
    """
    try:
        path = Settings.read(configuration_path(named)).text("promotion", "record")
    except (ConfigurationError, OSError):
        return None
    return Path(path) if path else None
