# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs an image as its user would: pulled into an empty store."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from fedpkg_container.engines import storage
from fedpkg_container.engines.isolation import Isolation, choose
from fedpkg_container.engines.sandbox import containers_conf
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import run, run_in_background
from fedpkg_container.text import printable, reason_text

#: Timeout of fetching the page, seconds.
TIMEOUT = 60.0


def fetch_page(specification: str, *, certificates: Path) -> str:
    """Run an image that serves HTTP on ``$PORT`` with its own command, and fetch its first page.

    :param specification: pull spec
    :param certificates: directory with the registry's CA
    :raises FedpkgContainerError: no response in time
    """
    with tempfile.TemporaryDirectory(prefix="run-image-") as name:
        workspaces = Workspaces(Path(name))
        with (
            workspaces.open("run") as workspace,
            _started(specification, workspace, certificates, choose(workspaces)) as (port, check),
        ):
            return _get(f"http://127.0.0.1:{port}/", check)


@contextlib.contextmanager
def _started(
    specification: str, workspace: Workspace, certificates: Path, isolation: Isolation
) -> Iterator[tuple[int, Callable[[], None]]]:
    """Run an image; yield its port, and a function that raises if it ended."""
    directory = workspace.directory
    limits = directory / "containers.conf"
    limits.write_text(containers_conf())
    environment = {**storage.configure(workspace, []), "CONTAINERS_CONF": str(limits)}
    pulled: list[str | Path] = ["buildah", "from", "--quiet", "--cert-dir", certificates, f"docker://{specification}"]
    container = run(pulled, env=environment, timeout=600).text.split()[-1]
    facts = json.loads(run(["buildah", "inspect", container], env=environment, timeout=60).text)
    command = facts["OCIv1"]["config"]["Cmd"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    arguments = ["buildah", "run", *isolation.options(), "--network", "host", "--env", f"PORT=127.0.0.1:{port}"]
    log = directory / "run.log"
    with run_in_background([*arguments, container, "--", *command], log=log, env=environment) as process:

        def check() -> None:
            if process.poll() is not None:
                printed = printable(log.read_text(errors="replace")[-2000:])
                raise FedpkgContainerError(f"the container ended with exit status {process.returncode}:\n{printed}")

        yield port, check


def _get(url: str, check: Callable[[], None]) -> str:
    """Fetch a page as soon as its server responds.

    :param check: raises if the server has ended
    """
    deadline = time.monotonic() + TIMEOUT
    while True:
        check()
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise FedpkgContainerError(f"the container does not respond at {url}: {reason_text(error)}") from error
            time.sleep(0.1)
