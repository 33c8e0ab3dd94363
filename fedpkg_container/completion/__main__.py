# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m fedpkg_container.completion SHELL``: print the shell code if argcomplete's own program is missing."""

from __future__ import annotations

import sys

from argcomplete import shellcode  # type: ignore[attr-defined]

from fedpkg_container.errors import UsageError

#: Shell → argcomplete's name of its code; that for bash works in zsh too.
SHELLS = {"bash": "bash", "zsh": "bash", "fish": "fish"}
PROGRAMS = (
    "fedpkg-container",
    "fedpkg",
    "fedpkg-container-registry",
    "fedpkg-container-box",
    "fedpkg-container-cluster",
)


def main(arguments: list[str]) -> int:
    """Print the code for a shell and return the exit status."""
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        sys.stderr.write(f"usage: python -m fedpkg_container.completion {'|'.join(SHELLS)}\n")
        return UsageError.exit_code
    sys.stdout.write(shellcode(list(PROGRAMS), use_defaults=False, shell=SHELLS[arguments[0]]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
