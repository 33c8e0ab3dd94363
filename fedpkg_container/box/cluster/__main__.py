# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster of a box, as a service; its objects exist as long as it runs."""

from __future__ import annotations

import argparse
import shutil
import signal
from pathlib import Path

from fedpkg_container import logs
from fedpkg_container.box.cluster.site import make_cluster


def _stop(*_: object) -> None:
    raise SystemExit


def main() -> None:
    """Serve until SIGTERM, or until a controller fails."""
    parser = argparse.ArgumentParser(description="The cluster of a box")
    parser.add_argument("--port", type=int, required=True)
    for name in ("--directory", "--certificate", "--token-file", "--topdir"):
        parser.add_argument(name, type=Path, required=True)
    arguments = parser.parse_args()
    logs.serve()
    signal.signal(signal.SIGTERM, _stop)
    shutil.rmtree(arguments.directory, ignore_errors=True)  # volumes of pods of an earlier run
    cluster = make_cluster(arguments.directory, arguments.topdir, arguments.token_file.read_text())
    with cluster.running(arguments.certificate, arguments.port):
        cluster.controllers.ended.result()


if __name__ == "__main__":
    main()
