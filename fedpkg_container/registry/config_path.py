# SPDX-License-Identifier: GPL-2.0-or-later
"""Location of the site's configuration, and the names in it for tab completion; imports nothing slow."""

from __future__ import annotations

import os
from pathlib import Path

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.settings import Settings

#: Environment variable with the path, and the default path below ``$XDG_CONFIG_HOME`` and ``/etc``.
VARIABLE = "FEDPKG_CONTAINER_REGISTRY_CONF"
_BELOW = Path("fedpkg-container") / "registry.conf"
#: Where the settings are documented: installed, and in the source tree.
DOCUMENTATION = "fedpkg-container-registry(1), docs/howto/distribution.md"


def configuration_path(named: Path | None) -> Path:
    """Return the configuration file: the named one, then that of the variable, the user's, and the system's.

    :raises ConfigurationError: if it does not exist
    """
    user_path = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / _BELOW
    system_path = Path("/etc") / _BELOW
    variable = os.environ.get(VARIABLE)
    requested = named or (Path(variable) if variable else None)
    path = requested or (user_path if user_path.is_file() else system_path)
    if not path.is_file():
        hint = "" if requested else f" (nor {user_path})"
        raise ConfigurationError(
            f"no configuration file {path}{hint}",
            solution=f"create it ({DOCUMENTATION}), or name another one with --config",
        )
    return path


def target_names(named: Path | None) -> tuple[str, ...]:
    """Return the names of a site's targets; empty if its configuration cannot be read.

    :param named: the configuration file, if given on the command line
    """
    try:
        return Settings.read(configuration_path(named)).names("target")
    except (ConfigurationError, OSError):
        return ()


def journal_path(named: Path | None) -> Path | None:
    """Return the path of a site's promotion journal; None if none is configured or the file cannot be read.

    :param named: the configuration file, if given on the command line
    """
    try:
        path = Settings.read(configuration_path(named)).text("promotion", "record")
    except (ConfigurationError, OSError):
        return None
    return Path(path) if path else None
