"""The site's own client with our commands in it."""

from __future__ import annotations

import importlib.util
from typing import Any


def client_class(site: str) -> tuple[Any, str]:
    """The class of the site's client with our commands, and the name of the module that it works with."""
    module = "pyrpkg"
    if importlib.util.find_spec(site) and importlib.util.find_spec(f"{site}.cli"):
        module = site
    base = getattr(importlib.import_module(f"{module}.cli"), f"{module}Client", None)
    if base is None:
        base = importlib.import_module("pyrpkg.cli").cliClient
    return type("ContainerClient", (_Commands, base), {}), module


class _Commands:
    """Our commands, in front of a site's client."""

    #: Whether a session with the hub was asked for.
    logged_in = False

    def __init__(self, config: Any, name: str) -> None:
        self.config = config
        self._name = name
        self.setup_completers()  # rpkg leaves the call to the sites
        super().__init__(config, name=name)  # type: ignore[call-arg]

    def setup_completers(self) -> None:
        """What completes the arguments of rpkg: our values in place of the site's, which ask the network."""
        from fedpkg_container.completion.values import RPKG_COMPLETERS, Completer

        super().setup_completers()  # type: ignore[misc]
        for completer, kind in RPKG_COMPLETERS.items():
            self.set_completer(completer, Completer(kind))  # type: ignore[attr-defined]

    def load_cmd(self) -> None:
        """Load rpkg's part, and notice when it logs in."""
        super().load_cmd()  # type: ignore[misc]
        login = self._cmd.login_koji_session  # type: ignore[attr-defined]

        def noticed(*arguments: Any) -> None:
            login(*arguments)
            self.logged_in = True

        self._cmd.login_koji_session = noticed  # type: ignore[attr-defined]

    def register_container_build(self) -> None:
        from fedpkg_container.commands.build_arguments import add_arguments

        super().register_container_build()  # type: ignore[misc]
        add_arguments(self.container_build_parser)  # type: ignore[attr-defined]

        self.register_container_status()

    def register_container_status(self) -> None:
        """``container-status``."""
        from fedpkg_container.commands.container_status import add_arguments

        parser = self.subparsers.add_parser(  # type: ignore[attr-defined]
            "container-status",
            help="Show container builds",
            description="Show the container builds of the checkout, a task, or a build",
            allow_abbrev=False,
        )
        add_arguments(parser)
        parser.set_defaults(command=self.container_status)
        self.container_status_parser = parser

    def container_status(self) -> int:
        """``container-status``."""
        from fedpkg_container.commands.container_status import run as run_status

        return run_status(self)

    def register_container_build_setup(self) -> None:
        from fedpkg_container.commands import container_build_config

        super().register_container_build_setup()  # type: ignore[misc]
        self.container_build_config_parser = self.subparsers.add_parser(  # type: ignore[attr-defined]
            "container-build-config",
            help="Show, change and check the configuration of container builds",
            allow_abbrev=False,
        )
        container_build_config.add_arguments(self.container_build_config_parser)
        self.container_build_config_parser.set_defaults(command=self.container_build_config)

    def container_build(self, flatpak: bool = False) -> int:
        """``container-build``; a Flatpak goes the way of rpkg."""
        from fedpkg_container.commands import container_build

        if flatpak:
            status: int = super().container_build(flatpak=True)  # type: ignore[misc]
            return status
        return container_build.run(self)

    def container_build_config(self) -> int:
        """``container-build-config``."""
        from fedpkg_container.commands import container_build_config

        return container_build_config.run(self)

    def container_build_setup(self) -> int:
        """``container-build-setup``, the old name for the autorebuild part."""
        from fedpkg_container.commands import container_build_config

        return container_build_config.autorebuild(self)
