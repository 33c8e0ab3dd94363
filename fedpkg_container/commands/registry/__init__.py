"""What release engineers type: the commands of ``fedpkg-container-registry``, a module each.

A module has ``HELP``, ``add_arguments(parser)`` and ``run(arguments, site)``, which returns the exit status. Nothing
heavy is imported at its top: its arguments are read for every TAB.
"""

from __future__ import annotations

#: The commands, in the order of ``--help``, and the module of each.
COMMANDS: dict[str, str] = {
    "promote": "promote",
    "list": "list_promoted",
    "unpromote": "unpromote",
    "mirror": "mirror",
    "redirects": "redirects",
    "import-base": "import_base",
    "prune": "prune",
}
