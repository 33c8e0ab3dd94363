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
ServerRoot "{directory}"
PidFile "{directory}/httpd.pid"
DefaultRuntimeDir "{directory}"
ServerName localhost
{user}
{modules}
TypesConfig /dev/null
{listen}
ErrorLog "{directory}/httpd.log"
LogLevel warn
LogFormat "{log_format}" requests
CustomLog "{directory}/access.log" requests
Include "{directory}/site.conf"
"""
#: User of httpd's processes if root starts it.
_UNPRIVILEGED = "nobody"


def free_port() -> int:
    """Return a currently free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running_nginx(directory: Path, servers: str, port: int, *, more: str = "") -> Iterator[AccessLog]:
    """Run nginx with these servers; yield its log.

    :param port: open after startup
    :param more: added to the log's format
    """
    command = nginx.command(directory, servers, log_format=nginx.LOG_FORMAT + more)
    with _running(command, directory / "nginx.log", port):
        yield AccessLog(directory / "access.log")


@contextlib.contextmanager
def running_httpd(directory: Path, site: str, ports: Sequence[int]) -> Iterator[AccessLog]:
    """Run httpd with these virtual hosts; yield its log.

    root's httpd runs its workers as another user: parent directories must be accessible to all.
    """
    with _running(httpd_command(directory, site, ports), directory / "httpd.out", ports[0]):
        yield AccessLog(directory / "access.log")


def httpd_command(directory: Path, site: str, ports: Sequence[int]) -> Sequence[str | Path]:
    """Write the configuration of an httpd; return its command."""
    directory.mkdir(exist_ok=True)
    modules = next(each for each in _MODULES if each.exists())
    built_in = {"unixd", "log_config"} - {each.stem[len("mod_") :] for each in modules.glob("mod_*.so")}
    loaded = [name for name in _LOADED if name not in built_in]
    (directory / "site.conf").write_text(site)
    (directory / "httpd.conf").write_text(
        _HTTPD.format(
            directory=directory,
            user=f"User {_UNPRIVILEGED}\nGroup #{pwd.getpwnam(_UNPRIVILEGED).pw_gid}" if os.geteuid() == 0 else "",
            modules="\n".join(f'LoadModule {name}_module "{modules}/mod_{name}.so"' for name in loaded),
            listen="\n".join(f"Listen 127.0.0.1:{port}" for port in ports),
            log_format=HTTPD_FORMAT,
        )
    )
    program = next(each for each in _PROGRAMS if Path(each).exists())
    return [program, "-f", directory / "httpd.conf", "-DFOREGROUND"]


def check_nginx(directory: Path, servers: str) -> None:
    """Check nginx's configuration.

    :raises ProgramError: if it is invalid
    """
    # It opens the ports, which may be privileged: in a separate network namespace an ordinary user may, too.
    with attached(NONE, directory) as network:
        run([*network.enter, *nginx.command(directory, servers), "-t", "-q"], timeout=PATIENCE)


def check_httpd(directory: Path, site: str) -> None:
    """Check httpd's configuration.

    :raises ProgramError: if it is invalid
    """
    run([*httpd_command(directory, site, [8443]), "-t"], timeout=PATIENCE)


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
