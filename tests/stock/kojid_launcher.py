# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts kojid in a separate mount namespace: it finds its files in /etc, and the machine keeps its own /etc."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from fedpkg_container.process import run

#: Seconds for one mount.
TIMEOUT = 60.0


def main() -> None:
    """Lay files over /etc, and become kojid."""
    parser = argparse.ArgumentParser(description="A stock kojid; to be started by unshare --mount")
    parser.add_argument("--etc", type=Path, required=True, help="files that kojid finds in /etc")
    parser.add_argument("--layers", type=Path, required=True, help="an empty directory")
    parser.add_argument("--log", type=Path, required=True, help="the directory that kojid finds as /var/log")
    parser.add_argument("kojid", type=Path)
    arguments = parser.parse_args()
    run(["mount", "-t", "tmpfs", "tmpfs", arguments.layers], timeout=TIMEOUT)
    upper, work = arguments.layers / "upper", arguments.layers / "work"
    for path in (upper, work):
        path.mkdir(mode=0o755)
    layers = f"lowerdir=/etc,upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", "overlay", "-o", layers, "/etc"], timeout=TIMEOUT)
    run(["mount", "--bind", arguments.log, "/var/log"], timeout=TIMEOUT)
    # kojid takes no task while the load is above four times the processors, and other tests load this machine too.
    processors = arguments.layers / "processors"
    processors.write_text("0-63\n")
    run(["mount", "--bind", processors, "/sys/devices/system/cpu/online"], timeout=TIMEOUT)
    shutil.copytree(arguments.etc, "/etc", dirs_exist_ok=True)
    os.execv(sys.executable, [sys.executable, str(arguments.kojid), "--fg", "--verbose", "--force-lock"])  # noqa: S606


if __name__ == "__main__":
    main()
