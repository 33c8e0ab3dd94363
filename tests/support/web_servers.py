# SPDX-License-Identifier: GPL-2.0-or-later
"""The real nginx and the real Apache httpd, each in a separate directory, on loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fedpkg_container.box import nginx
from fedpkg_container.engines.network import NONE, attached
from fedpkg_container.process import run, run_in_background
from tests.support.access_log import HTTPD_FORMAT, AccessLog
from tests.support.waiting import PATIENCE

#: Distributions' paths of httpd's modules, and names of its program.
_MODULES = (Path("/usr/lib/apache2/modules"), Path("/usr/lib64/httpd/modules"))
_PROGRAMS = ("/usr/sbin/apache2", "/usr/sbin/httpd")
#: Modules that a front end or the web server of a registry needs, and those that every httpd needs.
_LOADED = (
    "mpm_event unixd authz_core log_config env reqtimeout alias dir mime "  # every distribution's
    "socache_shmcb ssl rewrite proxy proxy_http headers deflate authn_core auth_basic authn_file authz_user"
).split()
_HTTPD = """\
ServerRoot "{folder}"
PidFile "{folder}/httpd.pid"
DefaultRuntimeDir "{folder}"
ServerName localhost
{user}
{modules}
TypesConfig /dev/null
{listen}
ErrorLog "{folder}/httpd.log"
LogLevel warn
LogFormat "{log_format}" requests
CustomLog "{folder}/access.log" requests
Include "{folder}/site.conf"
"""


def free_port() -> int:
    """Return a currently free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running_nginx(folder: Path, servers: str, port: int, *, more: str = "") -> Iterator[AccessLog]:
    """Run nginx with these servers; yield its log.

    :param port: open after startup
    :param more: added to the log's format
    """
    command = nginx.command(folder, servers, log_format=nginx.LOG_FORMAT + more)
    with _running(command, folder / "nginx.log", port):
        yield AccessLog(folder / "access.log")


@contextlib.contextmanager
def running_httpd(folder: Path, site: str, ports: Sequence[int]) -> Iterator[AccessLog]:
    """Run httpd with these virtual hosts; yield its log.

    root's httpd runs its workers as another user: parent directories must be accessible to all.
    """
    with _running(httpd_command(folder, site, ports), folder / "httpd.out", ports[0]):
        yield AccessLog(folder / "access.log")


def httpd_command(folder: Path, site: str, ports: Sequence[int]) -> Sequence[str | Path]:
    """Write the configuration of an httpd; return its command."""
    folder.mkdir(exist_ok=True)
    modules = next(each for each in _MODULES if each.exists())
    built_in = {"unixd", "log_config"} - {each.stem[len("mod_") :] for each in modules.glob("mod_*.so")}
    loaded = [name for name in _LOADED if name not in built_in]
    (folder / "site.conf").write_text(site)
    (folder / "httpd.conf").write_text(
        _HTTPD.format(
            folder=folder,
            user=f"User nobody\nGroup #{pwd.getpwnam('nobody').pw_gid}" if os.geteuid() == 0 else "",
            modules="\n".join(f'LoadModule {name}_module "{modules}/mod_{name}.so"' for name in loaded),
            listen="\n".join(f"Listen 127.0.0.1:{port}" for port in ports),
            log_format=HTTPD_FORMAT,
        )
    )
    program = next(each for each in _PROGRAMS if Path(each).exists())
    return [program, "-f", folder / "httpd.conf", "-DFOREGROUND"]


def check_nginx(folder: Path, servers: str) -> None:
    """Check nginx's configuration.

    :raises ProgramError: if it is invalid
    """
    # It opens the ports, which may be privileged: in a separate network namespace an ordinary user may, too.
    with attached(NONE, folder) as network:
        run([*network.enter, *nginx.command(folder, servers), "-t", "-q"], timeout=PATIENCE)


def check_httpd(folder: Path, site: str) -> None:
    """Check httpd's configuration.

    :raises ProgramError: if it is invalid
    """
    run([*httpd_command(folder, site, [8443]), "-t"], timeout=PATIENCE)


@contextlib.contextmanager
def _running(command: Sequence[str | Path], log: Path, port: int) -> Iterator[None]:
    with run_in_background(command, log=log) as process:
        eventually_listens(port, lambda: process.poll() is None, log)
        yield


def eventually_listens(port: int, is_alive: Callable[[], bool], log: Path) -> None:
    """Wait until a server accepts connections."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert is_alive(), said(log)
        assert time.monotonic() < deadline, said(log)
        time.sleep(0.05)


def said(log: Path) -> str:
    """Return a server's output, and httpd's error log."""
    paths = [log, log.with_name("httpd.log")]
    return "\n".join(path.read_text() for path in paths if path.exists())
