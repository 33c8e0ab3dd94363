# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's dist-git: bare repositories over HTTP, served by git's http-backend.

Reading is anonymous, over http and https; pushing requires a client certificate, over https.
"""

from __future__ import annotations

import argparse
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fedpkg_container.box.tls import make_server, serve
from fedpkg_container.errors import ProgramOutputError, ProgramTimeoutError, UsageError
from fedpkg_container.process import run

#: Timeout of one git request, seconds.
TIMEOUT = 120.0
#: Maximum bytes of a git response: a box's repositories are small.
LARGEST_ANSWER = 512 * 1024**2

_NAME = re.compile(r"[a-z]+/[A-Za-z0-9][A-Za-z0-9._+-]*")
_PATH = re.compile(r"/(?P<name>[a-z]+/[A-Za-z0-9][A-Za-z0-9._+-]*?)(\.git)?(?P<rest>/.*)")


def repository_path(root: Path, name: str) -> Path:
    """Path of a repository, existing or not, below the root.

    :param name: namespace and name, ``container/hello-web``
    :raises UsageError: the name is not valid
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"not the name of a repository: {name!r}", solution="use namespace and name, e.g. container/hello-web"
        )
    return root / f"{name}.git"


def create_repository(root: Path, name: str) -> Path:
    """Create a bare repository that accepts pushes, unless it exists.

    :raises UsageError: the name is not valid
    """
    path = repository_path(root, name)
    if not path.exists():
        run(["git", "init", "--quiet", "--bare", "--initial-branch", "rawhide", path], timeout=60)
        run(["git", "-C", path, "config", "http.receivepack", "true"], timeout=60)
    return path


class GitApplication:
    """git's http-backend as a WSGI application.

    :param root: directory of the repositories
    :param may_push: whether this server accepts pushes at all
    """

    def __init__(self, root: Path, *, may_push: bool) -> None:
        self.root = root
        self.may_push = may_push

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle a request."""
        match = _PATH.fullmatch(environ["PATH_INFO"])
        pushing = "git-receive-pack" in environ["PATH_INFO"] + environ.get("QUERY_STRING", "")
        if not match or not (self.root / f"{match['name']}.git").is_dir():
            return _text(start_response, "404 Not Found", "no such repository\n")
        if pushing and not (self.may_push and environ.get("SSL_CLIENT_VERIFY") == "SUCCESS"):
            return _text(start_response, "403 Forbidden", "pushing needs a client certificate, over https\n")
        return self._backend(environ, f"/{match['name']}.git{match['rest']}", start_response)

    def _backend(self, environ: dict[str, Any], path: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
        variables = {
            "PATH": "/usr/bin:/bin",
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": environ.get("QUERY_STRING", ""),
            "REQUEST_METHOD": environ["REQUEST_METHOD"],
            "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
            "REMOTE_USER": environ.get("SSL_CLIENT_S_DN_CN", ""),
            "REMOTE_ADDR": environ.get("REMOTE_ADDR", ""),
            "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
            "HTTP_CONTENT_ENCODING": environ.get("HTTP_CONTENT_ENCODING", ""),
        }
        body = environ["wsgi.input"].read()
        try:
            response = run(
                ["git", "http-backend"], env=variables, stdin=body, timeout=TIMEOUT, check=False, limit=LARGEST_ANSWER
            ).stdout
        except (ProgramTimeoutError, ProgramOutputError):
            return _text(start_response, "500 Internal Server Error", "git did not answer\n")
        head, _, content = response.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = headers.pop("Status", "200 OK")
        start_response(status, [*headers.items(), ("Content-Length", str(len(content)))])
        return [content]


def _text(start_response: Callable[..., object], status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="The dist-git of a box")
    for name in ("root", "certificate", "ca"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True, help="https: reading and pushing")
    parser.add_argument("--anonymous-port", type=int, required=True, help="http: reading")
    arguments = parser.parse_args()
    pushing = make_server(
        GitApplication(arguments.root, may_push=True),
        ("127.0.0.1", arguments.port),
        certificate=arguments.certificate,
        ca=arguments.ca,
    )
    reading = make_server(GitApplication(arguments.root, may_push=False), ("127.0.0.1", arguments.anonymous_port))
    reading.prepare()
    threading.Thread(target=reading.serve, daemon=True).start()
    try:
        serve(pushing)
    finally:
        reading.stop()


if __name__ == "__main__":
    main()
