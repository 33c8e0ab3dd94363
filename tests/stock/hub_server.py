# SPDX-License-Identifier: GPL-2.0-or-later
"""The process of a stock hub: the WSGI application of a source tree, as httpd would serve it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kojihub.kojixmlrpc import application

from fedpkg_container.box.tls import make_server, serve


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="A stock Koji hub")
    parser.add_argument("--port", type=int, required=True)
    for name in ("configuration", "certificate", "ca"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()

    def configured(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """What SetEnv does in httpd's configuration."""
        environ["koji.hub.ConfigFile"] = str(arguments.configuration)
        environ["koji.hub.ConfigDir"] = f"{arguments.configuration}.d"
        answer: Iterable[bytes] = application(environ, start_response)
        return answer

    server = make_server(configured, ("127.0.0.1", arguments.port), certificate=arguments.certificate, ca=arguments.ca)
    serve(server)


if __name__ == "__main__":
    main()
