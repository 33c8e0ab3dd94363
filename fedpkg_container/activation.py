# SPDX-License-Identifier: GPL-2.0-or-later
"""Use of the site's program name, e.g. ``fedpkg``, for this project's client: opt-in, enabled and undone by a command.

No package of this project installs a program of that name, because it belongs to the site's own package. A link in a
directory that precedes the site's program in PATH, or a shell function, runs the client under that name.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from fedpkg_container.errors import UsageError

SUFFIX = "-container"
#: Directory of the link for all users, and for one user.
FOR_ALL, FOR_USER = Path("/usr/local/bin"), Path("~/.local/bin")
_POSIX = '{site}() {{ command {site}-container "$@"; }}'
#: Shell → function that runs the client under the site's name.
FUNCTIONS = {
    "bash": _POSIX,
    "zsh": _POSIX,
    "fish": "function {site} --wraps {site}-container; command {site}-container $argv; end",
}


def client_program(site: str) -> Path:
    """Return the path of the installed client.

    :raises UsageError: if it is not installed
    """
    sibling = Path(sys.executable).parent / f"{site}{SUFFIX}"
    search_path = os.pathsep.join(_absolute(os.environ.get("PATH", "")))
    program = str(sibling) if os.access(sibling, os.X_OK) else shutil.which(f"{site}{SUFFIX}", path=search_path)
    if program is None:
        raise UsageError(
            f"program not found: {site}{SUFFIX}", solution="install it, or create a link to fedpkg-container"
        )
    return Path(program)


def _absolute(search_path: str) -> list[str]:
    """Return the directories in a PATH, without relative and empty entries, which are those of a working directory."""
    return [each for each in search_path.split(os.pathsep) if os.path.isabs(each)]


def create_link(directory: Path, site: str, program: Path) -> Path:
    """Link a site's name to the client, replacing an earlier link to it.

    :returns: path of the link
    :raises UsageError: if there is another file of that name, or it cannot be created
    """
    path = directory / site
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if _is_link(path, site):
            path.unlink()
        if os.path.lexists(path):
            reason = f"{path} already exists, and is not a link to {site}{SUFFIX}"
            raise UsageError(reason, solution="remove or rename it, or use --print-function")
        path.symlink_to(program)
    except OSError as error:
        raise UsageError(f"cannot create {path}: {error.strerror}", solution=_solution(directory)) from error
    return path


def remove_link(directory: Path, site: str) -> bool:
    """Remove the link that ``create_link`` created; return whether there was one.

    :raises UsageError: if there is another file of that name, or the link cannot be removed
    """
    path = directory / site
    if not os.path.lexists(path):
        return False
    if not _is_link(path, site):
        raise UsageError(f"{path} is not a link to {site}{SUFFIX}", solution="remove it manually")
    try:
        path.unlink()
    except OSError as error:
        raise UsageError(f"cannot remove {path}: {error.strerror}", solution=_solution(directory)) from error
    return True


def _is_link(path: Path, site: str) -> bool:
    return path.is_symlink() and path.readlink().name == f"{site}{SUFFIX}"


def _solution(directory: Path) -> str:
    return "run the command as root" if directory == FOR_ALL else f"check the permissions of {directory}"


def check_link(directory: Path, site: str, search_path: str) -> None:
    """Check, before a link is created, that it would be found first in PATH, and would hide no command of the site.

    :param search_path: PATH of the user
    :raises UsageError: if it would not be found, or would hide commands
    """
    directories = _absolute(search_path)
    places = [os.path.realpath(each) for each in directories]
    resolved = os.path.realpath(directory)
    if resolved not in places:
        solution = f'add export PATH="{directory}:$PATH" to the shell\'s startup file, or use --print-function'
        raise UsageError(f"{directory} is not in PATH", solution=solution)
    others = [each for each in directories if os.path.realpath(each) != resolved]
    site_program = shutil.which(site, path=os.pathsep.join(others))
    if site_program is None or _is_link(Path(site_program), site):
        return
    if places.index(resolved) > places.index(os.path.realpath(Path(site_program).parent)):
        solution = f"move {directory} to the start of PATH, or use --print-function"
        raise UsageError(f"{site_program} precedes {directory} in PATH", solution=solution)
    check_commands(site, site_program)


def has_client(site: str) -> bool:
    """Return whether the site's own client can be imported here."""
    return bool(importlib.util.find_spec(site) and importlib.util.find_spec(f"{site}.cli"))


def check_commands(site: str, site_program: str) -> None:
    """Check that this installation has the commands of the site's program.

    :param own: path of the site's program
    :raises UsageError: if the site's client cannot be imported
    """
    if has_client(site):
        return
    solution = (
        f"install the distribution's package fedpkg-container, or install with pipx --system-site-packages; or run"
        f" {site}{SUFFIX} instead of {site}"
    )
    raise UsageError(f"the commands of {site_program} are not available in this installation", solution=solution)
