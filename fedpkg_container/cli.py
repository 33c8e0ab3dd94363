# PYTHON_ARGCOMPLETE_OK
"""The program: the site's own client with our commands in it.

Its site is what it is called, without ``-container``: ``fedpkg`` and ``fedpkg-container`` serve fedpkg. When the
site's client is installed, its commands are all there, unchanged; otherwise rpkg's are.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

# A TAB runs this program as well, and waits for what is imported here.
if TYPE_CHECKING:
    import configparser
    from collections.abc import Iterator

    from fedpkg_container.errors import FedpkgContainerError

DEFAULT_SITE = "fedpkg"


def site_name(program: str) -> str:
    """The site of a program's name: ``centpkg-container`` serves centpkg."""
    name = program.rpartition("/")[2].removesuffix("-container")
    return DEFAULT_SITE if not name or name.startswith("__main__") else name


def configuration_files(site: str) -> list[str]:
    """The site's configuration file and the user's."""
    return [f"/etc/rpkg/{site}.conf", os.path.expanduser(f"~/.config/rpkg/{site}.conf")]  # noqa: PTH111


def read_configuration(site: str, arguments: list[str]) -> configparser.ConfigParser:
    """The site's configuration and the user's; a bundled one where there is none.

    :raises UsageError: the file that was named cannot be read, or does not know the site
    """
    import argparse
    import configparser
    from importlib import resources
    from pathlib import Path

    from fedpkg_container.errors import UsageError

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-C", "--config")
    parser.add_argument("--user-config")
    known, _ = parser.parse_known_args(arguments)
    default, default_own = configuration_files(site)
    path, own = Path(known.config or default), Path(known.user_config or default_own)
    config = configparser.ConfigParser()
    for option, named in (("--config", known.config), ("--user-config", known.user_config)):
        if named and not Path(named).is_file():
            raise UsageError(f"there is no configuration file {named}", solution=f"check {option}")
    try:
        if path.is_file():
            config.read(path)
        elif site == DEFAULT_SITE:
            config.read_string(resources.files("fedpkg_container").joinpath("fedpkg.conf").read_text())
        config.read(own)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"configuration cannot be read: {error}", solution="mend the file that it names") from error
    if not config.has_section(site):
        raise UsageError(
            f"there is no configuration of {site}: no section [{site}] in {path} or {own}",
            solution=f"install {site}, or name a file with --config",
        )
    return config


def bare_client(site: str, arguments: list[str]) -> Any:
    """The client, with no arguments parsed yet.

    :raises UsageError: there is no usable configuration
    """
    from fedpkg_container.client import client_class

    config = read_configuration(site, arguments)
    kind, module = client_class(site)
    client = kind(config, name=site)
    client.do_imports(site=None if module == "pyrpkg" else module)
    return client


def make_client(site: str, arguments: list[str]) -> Any:
    """The client, with its arguments parsed and its logging set up.

    :raises UsageError: there is no usable configuration
    """
    import importlib
    import logging
    from pathlib import Path

    if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        os.environ["LOGNAME"] = str(os.getuid())  # rpkg looks for a name, which not everybody has (OpenShift)
    client = bare_client(site, arguments)
    client.parse_cmdline()
    if not client.args.path:
        client.args.path = str(Path.cwd())
    log = importlib.import_module("pyrpkg").log
    client.setupLogging(log)
    log.setLevel(logging.DEBUG if client.args.v else logging.WARNING if client.args.q else logging.INFO)
    return client


@contextmanager
def _loading() -> Iterator[None]:
    """Load without looking for garbage among what modules define: it stays, and the search is a tenth of the time."""
    import gc

    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def run(arguments: list[str]) -> int:
    """Run a command line; the exit status."""
    from fedpkg_container.errors import FedpkgContainerError, UsageError

    client = None
    try:
        with _loading():
            client = make_client(site_name(sys.argv[0]), arguments)
        if getattr(client.args, "command", None) is None:
            client.parser.print_help(sys.stderr)
            return UsageError.exit_code
        return _run_command(client)
    except FedpkgContainerError as error:
        _show(error, client)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


def _run_command(client: Any) -> int:
    """Run the command; errors of rpkg are shown as rpkg shows them."""
    import configparser

    import git
    from pyrpkg import errors

    from fedpkg_container.commands.terminal import print_error, print_stderr
    from fedpkg_container.errors import UsageError

    try:
        return int(client.args.command() or 0)
    except BrokenPipeError:
        raise
    except errors.rpkgError as error:
        if client.args.debug:
            raise
        print_stderr(f"Could not execute {client.args.command.__name__}: {error}")
        return 1
    except configparser.Error as error:
        print_error(f"a configuration file cannot be read: {error}", "mend the file that it names")
        return UsageError.exit_code
    except (OSError, git.GitError) as error:
        if client.args.debug:
            raise
        print_error(f"{error}", "run it again with --debug before the command to see where that came from")
        return 1
    finally:
        if client.logged_in:
            _refresh_values(client)


def _refresh_values(client: Any) -> None:
    """What completion offers has changed, or may be old: ask the hub in the background."""
    import configparser
    from contextlib import suppress

    from pyrpkg.errors import rpkgError

    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.completion.refresh import refresh_if_stale
    from fedpkg_container.completion.values import Context
    from fedpkg_container.errors import FedpkgContainerError

    with suppress(FedpkgContainerError, rpkgError, OSError, configparser.Error):
        place = Context(client.name, koji_profile(client), path=client.args.path)
        refresh_if_stale(place, user=client.cmd.user, now=True)


def _show(error: FedpkgContainerError, client: Any) -> None:
    from fedpkg_container.commands import terminal

    findings = getattr(error, "findings", ())
    if client is not None and terminal.is_json(client):
        terminal.print_findings_json(findings)
        terminal.print_event("error", exit_status=error.exit_code, reason=error.reason, solution=error.solution)
        return
    terminal.print_findings(findings)
    terminal.print_error(error.reason, error.solution)


def _complete(site: str) -> None:
    """Answer a TAB of a shell, and exit."""
    from fedpkg_container.completion.complete import complete
    from fedpkg_container.errors import FedpkgContainerError

    try:
        complete(site, configuration_files(site), lambda: bare_client(site, []), os._exit)
    except FedpkgContainerError:
        os._exit(1)  # a TAB has no place for messages


def main() -> None:
    """The program's entry: the only place that exits."""
    if "_ARGCOMPLETE" in os.environ:
        _complete(site_name(sys.argv[0]))
    import signal

    from fedpkg_container.stdio import run_with_safe_stdio

    status = run_with_safe_stdio(lambda: run(sys.argv[1:]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left is to log out, which may be cut short
    sys.exit(status)


if __name__ == "__main__":
    main()
