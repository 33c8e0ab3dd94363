"""What a hub knows of a build before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from fedpkg_container.model.finding import Finding


@dataclass(frozen=True)
class Preflight:
    """What the hub knows beforehand.

    :param nvr: what would be built, as far as it is known; with the hub's next release where none was chosen
    :param release_is_next: the release is the hub's next one, which another build may take first
    :param arches: those that would be built for
    :param average: seconds that earlier builds of the package took; None when there are none
    :param newest: id of the newest task of container builds
    """

    findings: list[Finding]
    nvr: str = ""
    release_is_next: bool = False
    arches: tuple[str, ...] = ()
    average: float | None = None
    newest: int = 0
