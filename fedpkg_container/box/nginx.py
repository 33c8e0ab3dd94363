# SPDX-License-Identifier: GPL-2.0-or-later
"""nginx with all its files in a separate directory, running as the user who starts it."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError

#: Log line per request: client, time, request, status, bytes in the response, and redirect target.
LOG_FORMAT = '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent "$sent_http_location"'

_MAIN = """\
daemon off;
{user}
worker_processes 2;
pid "{directory}/nginx.pid";
error_log stderr warn;
events {{
    worker_connections 512;
}}
http {{
    client_body_temp_path "{directory}/body";
    proxy_temp_path "{directory}/proxy";
    fastcgi_temp_path "{directory}/fastcgi";
    uwsgi_temp_path "{directory}/uwsgi";
    scgi_temp_path "{directory}/scgi";
    log_format requests '{log_format}';
    access_log "{directory}/access.log" requests;
    include "{directory}/servers.conf";
}}
"""

_FILES = """\
server {{
    listen 127.0.0.1:{port};
    root "{tree}";
    default_type application/octet-stream;
    {options}
}}
"""


def program() -> str:
    """Path of nginx, which may be outside a user's PATH.

    :raises FedpkgContainerError: it is not installed
    """
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise FedpkgContainerError("program not found: nginx", solution="install nginx")
    return path


def command(directory: Path, servers: str, *, log_format: str = LOG_FORMAT) -> list[str | Path]:
    """Write an nginx configuration to a directory; return the command.

    :param servers: contents of ``http { }``
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Workers of root's nginx would run as another user, who cannot read a box's directories.
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name};" if os.geteuid() == 0 else ""
    (directory / "servers.conf").write_text(servers)
    (directory / "nginx.conf").write_text(_MAIN.format(directory=directory, user=user, log_format=log_format))
    return [program(), "-e", "stderr", "-p", directory, "-c", directory / "nginx.conf"]


def files(tree: Path, port: int, *, options: str = "") -> str:
    """A server for a directory's files, over plain http on loopback.

    :param options: further directives
    """
    return _FILES.format(tree=tree, port=port, options=options)
