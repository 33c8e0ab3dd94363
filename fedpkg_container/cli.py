# SPDX-License-Identifier: GPL-2.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""Entry point of the client program: the site's own client, extended with the container commands.

The site is the program's name without ``-container``: ``fedpkg`` and ``fedpkg-container`` both serve fedpkg. If the
site's client is installed, all of its commands are available unchanged; otherwise those of rpkg are.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

# Shell completion runs this program too: every import here delays it.
if TYPE_CHECKING:
    import configparser
    from collections.abc import Iterator

    from fedpkg_container.client import Client

DEFAULT_SITE = "fedpkg"


def site_name(program: str) -> str:
    """Return the site of a program name: ``centpkg`` for ``centpkg-container``."""
    name = program.rpartition("/")[2].removesuffix("-container")
    return DEFAULT_SITE if not name or name.startswith("__main__") else name


def configuration_files(site: str) -> list[str]:
    """Return the paths of the site's and the user's configuration files."""
    return [f"/etc/rpkg/{site}.conf", os.path.expanduser(f"~/.config/rpkg/{site}.conf")]  # noqa: PTH111


def read_configuration(site: str, arguments: list[str]) -> configparser.ConfigParser:
    """Return the site's configuration merged with the user's; without a site file, the bundled one for fedpkg.

    :raises UsageError: if a file cannot be read, or there is no section for the site
    """
    import argparse
    import configparser
    from importlib import resources
    from pathlib import Path

    from fedpkg_container.errors import UsageError

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-C", "--config")
    parser.add_argument("--user-config")
    options, _ = parser.parse_known_args(arguments)
    default_site_file, default_user_file = configuration_files(site)
    site_file, user_file = Path(options.config or default_site_file), Path(options.user_config or default_user_file)
    config = configparser.ConfigParser()
    for option, value in (("--config", options.config), ("--user-config", options.user_config)):
        if value and not Path(value).is_file():
            raise UsageError(f"configuration file not found: {value}", solution=f"check {option}")
    try:
        if site_file.is_file():
            config.read(site_file)
        elif site == DEFAULT_SITE:
            config.read_string(resources.files("fedpkg_container").joinpath("fedpkg.conf").read_text())
        config.read(user_file)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the configuration: {error}", solution="fix the file named above") from error
    if not config.has_section(site):
        raise UsageError(
            f"no configuration for {site}: section [{site}] is missing in {site_file} and {user_file}",
            solution=f"install {site}, or pass a file with --config",
        )
    return config


def bare_client(site: str, arguments: list[str]) -> Client:
    """Return the client before its command line is parsed.

    :raises UsageError: if there is no usable configuration
    """
    from fedpkg_container.client import client_class

    config = read_configuration(site, arguments)
    class_, module = client_class(site)
    client = class_(config, name=site)
    client.do_imports(site=None if module == "pyrpkg" else module)
    return client


def make_client(site: str, arguments: list[str]) -> Client:
    """Return the client with its command line parsed and its logging set up.

    :raises UsageError: if there is no usable configuration
    """
    import importlib
    import logging
    from pathlib import Path

    if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        os.environ["LOGNAME"] = str(os.getuid())  # rpkg needs a user name; arbitrary UIDs have none (OpenShift)
    client = bare_client(site, arguments)
    client.parse_cmdline()
    if not client.args.path:
        client.args.path = str(Path.cwd())
    log = importlib.import_module("pyrpkg").log
    client.setupLogging(log)
    client.apply_settings()
    log.setLevel(logging.DEBUG if client.args.v else logging.WARNING if client.args.q else logging.INFO)
    return client


@contextmanager
def _gc_disabled() -> Iterator[None]:
    """Import modules without garbage collection: their objects live on, and collecting takes a tenth of the time."""
    import gc

    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def run(arguments: list[str]) -> int:
    """Run a command line and return the exit status."""
    from fedpkg_container.commands.exit_status import command_status, exit_status
    from fedpkg_container.errors import UsageError

    client = None

    def run_client() -> int:
        nonlocal client
        os.getcwd()  # noqa: PTH109  # raises FileNotFoundError if the directory was deleted
        if arguments[:1] == ["lint"] and (status := _lint(arguments[1:])) is not None:
            return status
        with _gc_disabled():
            client = make_client(site_name(sys.argv[0]), arguments)
        if getattr(client.args, "command", None) is None:
            client.parser.print_help(sys.stderr)
            return UsageError.exit_code
        return command_status(client)

    return exit_status(run_client, lambda: client)


def _lint(arguments: list[str]) -> int | None:
    """Run ``lint`` without the site's client, which needs a configuration; return None if rpmlint is to be run."""
    from fedpkg_container.commands.lint import run_alone

    return run_alone(arguments)


def _complete(site: str) -> None:
    """Write the completions that the shell requested, and exit."""
    from fedpkg_container.completion.complete import complete
    from fedpkg_container.errors import FedpkgContainerError

    try:
        complete(site, configuration_files(site), lambda: bare_client(site, []), os._exit)
    except FedpkgContainerError:
        os._exit(1)  # messages would disturb the command line being completed


def main() -> None:
    """Run the program and exit with its status; no other function exits."""
    if "_ARGCOMPLETE" in os.environ:
        _complete(site_name(sys.argv[0]))
    import signal

    from fedpkg_container.stdio import run_with_safe_stdio

    is_ours = any(
        argument.startswith("container-") for argument in sys.argv[1:]
    )  # rpkg's commands pass bytes on to git
    status = run_with_safe_stdio(lambda: run(sys.argv[1:]), utf8_arguments=is_ours)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # only the logout is left, which may be cut short
    sys.exit(status)


if __name__ == "__main__":
    main()
