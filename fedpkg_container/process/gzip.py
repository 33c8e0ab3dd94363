# SPDX-License-Identifier: GPL-2.0-or-later
"""The program that compresses streams."""

from __future__ import annotations

import shutil


def gzip_command(*, igzip_level: int, gzip_level: int) -> list[str]:
    """Return the command of igzip (isa-l) if it is installed, otherwise of gzip; neither writes a timestamp.

    For 562 MB of /usr: igzip -3 256 MB in 2 s, gzip -6 238 MB in 32 s, gzip -3 249 MB in 15 s of CPU time.
    """
    if shutil.which("igzip"):
        return ["igzip", "-n", f"-{igzip_level}", "-c"]
    return ["gzip", "-n", f"-{gzip_level}", "-c"]
