# SPDX-License-Identifier: GPL-2.0-or-later
"""The container commands in the site's own program: the entry point of rpkg's group ``rpkg.clients``.

rpkg has that group with the patch in ``packaging/rpkg``; without it, nothing imports this module.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any

from fedpkg_container.client import Client

#: Modules of the extra ``client``; without them, only other parts of this project are installed.
_CLIENT_MODULES = ("argcomplete", "git", "rich", "ruamel", "ruamel.yaml")


def extend(class_: type) -> type:
    """Return a client class with the container commands.

    The class is returned unchanged if it is that of our own program, which has the commands, and if a module that
    they need is not installed, e.g. on a machine that has only the registry tools.

    :param class_: of the site's client, derived from ``pyrpkg.cli.cliClient``
    """
    if issubclass(class_, Client) or not all(map(find_spec, _CLIENT_MODULES)):
        return class_
    return type(class_.__name__, (Extension, class_), {})


class Extension(Client):
    """The container commands, with their own error messages and exit statuses in a program that has others."""

    offers_activation = False

    def parse_cmdline(self, *arguments: Any, **options: Any) -> None:
        """Parse the command line; our commands get our error messages, because the site's program prints its own."""
        super().parse_cmdline(*arguments, **options)
        command = self.args.command
        if command.__module__ == Client.__module__:
            self.args.command = functools.wraps(command)(functools.partial(self._run, command))

    def _run(self, command: Any) -> int:
        """Run a command as ``fedpkg_container.cli`` does."""
        from fedpkg_container.commands.exit_status import command_status, exit_status
        from fedpkg_container.stdio import run_with_safe_stdio

        self.args.command = command

        def run() -> int:
            self.apply_settings()
            return command_status(self)

        return run_with_safe_stdio(lambda: exit_status(run, lambda: self))
