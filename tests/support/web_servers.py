"""The real nginx and the real Apache httpd, each in a folder of its own, on loopback."""

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

#: Where distributions keep httpd's modules, and what they call the program.
_MODULES = (Path("/usr/lib/apache2/modules"), Path("/usr/lib64/httpd/modules"))
_PROGRAMS = ("/usr/sbin/apache2", "/usr/sbin/httpd")
#: Those that a front end needs, and those without which no httpd starts.
_LOADED = (
    "mpm_event unixd authz_core log_config env reqtimeout alias "  # every distribution's
    "socache_shmcb ssl rewrite proxy proxy_http headers deflate"
).split()
_HTTPD = """\
ServerRoot "{folder}"
PidFile "{folder}/httpd.pid"
DefaultRuntimeDir "{folder}"
ServerName localhost
{user}
{modules}
{listen}
ErrorLog "{folder}/httpd.log"
LogLevel warn
LogFormat "{log_format}" requests
CustomLog "{folder}/access.log" requests
Include "{folder}/site.conf"
"""


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running_nginx(folder: Path, servers: str, port: int, *, more: str = "") -> Iterator[AccessLog]:
    """nginx with these servers; its access log.

    :param port: on which it listens when it has started
    :param more: added to the log's format
    """
    command = nginx.command(folder, servers, log_format=nginx.LOG_FORMAT + more)
    with _running(command, folder / "nginx.log", port):
        yield AccessLog(folder / "access.log")


@contextlib.contextmanager
def running_httpd(folder: Path, site: str, ports: Sequence[int]) -> Iterator[AccessLog]:
    """httpd with these virtual hosts; its access log.

    root's httpd runs its workers as somebody else: the folders above must be open to everybody.
    """
    with _running(httpd_command(folder, site, ports), folder / "httpd.out", ports[0]):
        yield AccessLog(folder / "access.log")


def httpd_command(folder: Path, site: str, ports: Sequence[int]) -> Sequence[str | Path]:
    """How an httpd is started whose configuration is written into a folder."""
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
    """Let nginx load a configuration.

    :raises ProgramError: it does not
    """
    # It opens the ports, which may be those of the system: in a network of its own an ordinary user may, too.
    with attached(NONE, folder) as network:
        run([*network.enter, *nginx.command(folder, servers), "-t", "-q"], timeout=PATIENCE)


def check_httpd(folder: Path, site: str) -> None:
    """Let httpd load a configuration.

    :raises ProgramError: it does not
    """
    run([*httpd_command(folder, site, [8443]), "-t"], timeout=PATIENCE)


@contextlib.contextmanager
def _running(command: Sequence[str | Path], log: Path, port: int) -> Iterator[None]:
    with run_in_background(command, log=log) as process:
        eventually_listens(port, lambda: process.poll() is None, log)
        yield


def eventually_listens(port: int, is_alive: Callable[[], bool], log: Path) -> None:
    """Wait until a server takes connections."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert is_alive(), said(log)
        assert time.monotonic() < deadline, said(log)
        time.sleep(0.05)


def said(log: Path) -> str:
    """What a server has said, and where httpd says it."""
    paths = [log, log.with_name("httpd.log")]
    return "\n".join(path.read_text() for path in paths if path.exists())
