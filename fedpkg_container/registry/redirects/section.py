"""The section ``[redirects]`` of the site's file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.redirects.settings import FrontEnd
from fedpkg_container.settings import Settings

NAME = "redirects"
#: Its settings are called as those of a front end are.
SETTINGS = {field.name for field in dataclasses.fields(FrontEnd)}


def read(settings: Settings) -> FrontEnd | None:
    """The front end; None where the site says nothing of one, or something that is wrong, which is remembered.

    The files that it names need not be there: it may be for another machine.
    """
    if not settings.section(NAME):
        return None

    def path(option: str) -> Path | None:
        return settings.path(NAME, option, exists=False)

    missing = [option for option in ("names", "certificate", "registry", "mirror") if not settings.text(NAME, option)]
    for option in missing:
        settings.complain(NAME, option, "is missing")
    certificate = path("certificate") or Path("/")
    try:
        front = FrontEnd(
            names=settings.words(NAME, "names"),
            certificate=certificate,
            key=path("key") or certificate,
            registry=settings.text(NAME, "registry"),
            mirror=settings.text(NAME, "mirror"),
            registry_ca=path("registry_ca"),
            no_cdn_names=settings.words(NAME, "no_cdn_names"),
            tree=path("tree"),
            switch=path("switch") or FrontEnd.switch,
            via=settings.words(NAME, "via"),
            networks=settings.words(NAME, "networks"),
            listen=settings.words(NAME, "listen") or FrontEnd.listen,
            plain_listen=settings.words(NAME, "plain_listen"),
        )
    except ConfigurationError as error:
        if not missing:
            settings.complain(NAME, "cannot be used:", error.reason)
        return None
    return None if missing else front
