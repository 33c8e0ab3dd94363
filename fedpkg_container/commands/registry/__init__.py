# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of ``fedpkg-container-registry``, one module each.

A module has ``HELP``, ``add_arguments(parser)`` and ``run(arguments, site)``, which returns the exit status. It imports
nothing slow at the top, because every tab completion loads its arguments.
"""

from __future__ import annotations

#: Commands in the order of ``--help``, with their modules.
COMMANDS: dict[str, str] = {
    "promote": "promote",
    "list": "list_promoted",
    "unpromote": "unpromote",
    "send-messages": "send_messages",
    "check-target": "check_target",
    "trust": "trust",
    "mirror": "mirror",
    "redirects": "redirects",
    "catalog": "catalog",
    "import-base": "import_base",
    "prune": "prune",
}
