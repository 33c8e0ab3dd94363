# SPDX-License-Identifier: GPL-2.0-or-later
"""The site's own client, extended with the container commands."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpkg_container.activation import has_client
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    import argparse
    import configparser
    from typing import Protocol

    from fedpkg_container.distgit.rpkg_commands import RpkgCommands
    from fedpkg_container.hub.session import KojiLogin

    class SiteCommands(RpkgCommands, KojiLogin, Protocol):
        """The site's ``pyrpkg.Commands``."""


def client_class(site: str) -> tuple[type[Client], str]:
    """Return the class of the site's client with the container commands, and the name of the module it extends.

    :raises ConfigurationError: if git, or a module of the site's client, is missing
    """
    if shutil.which(os.environ.get("GIT_PYTHON_GIT_EXECUTABLE") or "git") is None:
        raise ConfigurationError("program not found: git", solution="install git, and check PATH")
    with _import_errors(site):
        module = site if has_client(site) else "pyrpkg"
    with _import_errors(module):
        base = getattr(importlib.import_module(f"{module}.cli"), f"{module}Client", None)
        if base is None:
            base = importlib.import_module("pyrpkg.cli").cliClient
    return type("ContainerClient", (Client, base), {}), module


@contextmanager
def _import_errors(package: str) -> Iterator[None]:
    """Translate errors while the client of a site is imported.

    :raises ConfigurationError: with the name of the missing module
    """
    try:
        yield
    except (ImportError, SyntaxError) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        reason = f"the Python module {missing} is missing" if missing else printable_line(str(error))
        raise ConfigurationError(
            f"cannot import {package}: {reason}",
            solution=f"install the missing module for {sys.executable}, or reinstall {package}",
        ) from error


class Client:
    """Mixin that adds the container commands to a site's client (``pyrpkg.cli.cliClient``)."""

    #: Whether the command logged in to the hub.
    logged_in = False
    #: Whether there are the command and the option that only our own program has.
    offers_activation = True

    if TYPE_CHECKING:  # attributes and methods of cliClient, which has no type annotations
        name: str
        args: argparse.Namespace
        cmd: SiteCommands
        parser: argparse.ArgumentParser
        subparsers: argparse._SubParsersAction[argparse.ArgumentParser]
        container_build_parser: argparse.ArgumentParser

        def do_imports(self, site: str | None = None) -> None: ...  # noqa: D102
        def parse_cmdline(self) -> None: ...  # noqa: D102
        def setupLogging(self, log: object) -> None: ...  # noqa: D102, N802
        def set_completer(self, name: str, completer: object) -> None: ...  # noqa: D102
        def check_remote_rules_gating(self) -> None: ...  # noqa: D102

    def __init__(self, config: configparser.ConfigParser, name: str | None = None) -> None:
        self.config = config
        self._name = name
        self.setup_completers()  # rpkg leaves the call to the sites
        super().__init__(config, name=name)  # type: ignore[call-arg]

    def setup_completers(self) -> None:
        """Complete rpkg's arguments from the cache instead of the site's completers, which access the network."""
        from fedpkg_container.completion.values import RPKG_COMPLETERS, Completer

        super().setup_completers()  # type: ignore[misc]
        for completer, kind in RPKG_COMPLETERS.items():
            self.set_completer(completer, Completer(kind))

    def setup_argparser(self) -> None:
        """Add ``--version`` to the site's global options, unless the site has one."""
        from fedpkg_container import __version__
        from fedpkg_container.commands.usage_errors import refuse_empty, report_briefly

        super().setup_argparser()  # type: ignore[misc]
        refuse_empty(self.parser)
        report_briefly(self.parser)
        if self.offers_activation and "--version" not in self.parser._option_string_actions:
            self.parser.add_argument(
                "--version",
                action="version",
                version=f"fedpkg-container {__version__}",
                help="Show the version of fedpkg-container and exit",
            )

    def apply_settings(self) -> None:
        """Apply the site's settings to the parsed arguments, and show our log as the arguments specify.

        :raises UsageError: if a setting is invalid
        """
        from fedpkg_container import logs

        if hasattr(self.args, "hub_timeout"):
            from fedpkg_container.commands.client_config import apply_defaults

            apply_defaults(self)
        logs.show(debug=bool(self.args.v or self.args.debug))

    def load_cmd(self) -> None:
        """Load rpkg's commands object, and record in ``logged_in`` when it logs in to the hub."""
        super().load_cmd()  # type: ignore[misc]
        commands: Any = self._cmd  # type: ignore[attr-defined]
        login = commands.login_koji_session

        def record_login(*arguments: object) -> None:
            login(*arguments)
            self.logged_in = True

        commands.login_koji_session = record_login

    def register_container_build(self) -> None:
        """Register ``container-build`` and ``container-status``."""
        from fedpkg_container.commands.build_arguments import add_arguments
        from fedpkg_container.commands.usage_errors import refuse_wrong_arguments

        super().register_container_build()  # type: ignore[misc]
        add_arguments(self.container_build_parser)
        refuse_wrong_arguments(self.container_build_parser, self.parser)

        self.register_container_status()

    def register_container_status(self) -> None:
        """Register ``container-status``."""
        from fedpkg_container.commands.container_status import add_arguments
        from fedpkg_container.commands.usage_errors import refuse_wrong_arguments

        parser = self.subparsers.add_parser(
            "container-status",
            help="Show container builds",
            description="Show the container builds of the checkout, a task, or a build",
            allow_abbrev=False,
        )
        add_arguments(parser)
        refuse_wrong_arguments(parser, self.parser)
        parser.set_defaults(command=self.container_status)
        self.container_status_parser = parser

    def container_status(self) -> int:
        """Run ``container-status``."""
        from fedpkg_container.commands.container_status import run as run_status

        return run_status(self)

    def register_container_build_setup(self) -> None:
        """Register ``container-build-setup`` and ``container-build-config``."""
        from fedpkg_container.commands import container_build_config
        from fedpkg_container.commands.usage_errors import refuse_wrong_arguments

        super().register_container_build_setup()  # type: ignore[misc]
        self.container_build_config_parser = self.subparsers.add_parser(
            "container-build-config",
            help="Show, change and check the configuration of container builds",
            allow_abbrev=False,
        )
        container_build_config.add_arguments(self.container_build_config_parser)
        refuse_wrong_arguments(self.container_build_config_parser, self.parser)
        self.container_build_config_parser.set_defaults(command=self.container_build_config)

        if self.offers_activation:
            self.register_container_enable()

    def register_container_enable(self) -> None:
        """Register ``container-enable``."""
        from fedpkg_container.commands.container_enable import add_arguments
        from fedpkg_container.commands.usage_errors import refuse_wrong_arguments

        parser = self.subparsers.add_parser(
            "container-enable",
            help=f"Make the command {self.name} run this client",
            description=f"Create a link {self.name} to {self.name}-container, so that the command {self.name} has the"
            " container commands",
            allow_abbrev=False,
        )
        add_arguments(parser)
        refuse_wrong_arguments(parser, self.parser)
        parser.set_defaults(command=self.container_enable)
        self.container_enable_parser = parser

    def container_enable(self) -> int:
        """Run ``container-enable``."""
        from fedpkg_container.commands.container_enable import run as run_enable

        return run_enable(self)

    def register_lint(self) -> None:
        """Add the checks of containers to rpkg's ``lint``, which runs rpmlint."""
        from fedpkg_container.commands import lint

        super().register_lint()  # type: ignore[misc]
        self.lint_parser = self.subparsers.choices["lint"]
        lint.add_arguments(self.lint_parser)
        for action in self.subparsers._choices_actions:
            if action.dest == "lint":
                action.help = lint.HELP

    def lint(self) -> int:
        """Run ``lint``: rpmlint in the checkout of an RPM package, otherwise the checks of containers."""
        from fedpkg_container.commands import lint

        directory = Path(self.args.path)
        directory = Path() if directory == Path.cwd() else directory
        has_own_arguments = self.args.paths or self.args.explain is not None
        if self.args.info or self.args.rpmlintconf or (not has_own_arguments and lint.is_package(directory)):
            status: int | None = super().lint()  # type: ignore[misc]
            return status or 0
        return lint.run(self.args, directory)

    def container_build(self, flatpak: bool = False) -> int:
        """Run ``container-build``; Flatpaks are built by rpkg's own code."""
        from fedpkg_container.commands import container_build

        if flatpak:
            status: int = super().container_build(flatpak=True)  # type: ignore[misc]
            return status
        return container_build.run(self)

    def container_build_config(self) -> int:
        """Run ``container-build-config``."""
        from fedpkg_container.commands import container_build_config

        return container_build_config.run(self)

    def container_build_setup(self) -> int:
        """Run ``container-build-setup``, the old name of ``container-build-config --[gs]et-autorebuild``."""
        from fedpkg_container.commands import container_build_config

        return container_build_config.autorebuild(self)
