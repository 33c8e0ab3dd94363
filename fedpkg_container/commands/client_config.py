"""What the site's configuration says of container builds, in section ``[SITE.container-build]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedpkg_container.errors import UsageError

if TYPE_CHECKING:
    from fedpkg_container.model.polling import Pace


def koji_profile(client: Any) -> str:
    """The koji profile: that of the section for container builds, else the site's.

    :raises UsageError: neither names one
    """
    named = _setting(client, "kojiprofile")
    if not named and not client.config.has_option(client.name, "kojiprofile"):
        raise UsageError(
            f"no koji profile is named in [{client.name}]", solution="set kojiprofile in the site's configuration"
        )
    return named or str(client.config.get(client.name, "kojiprofile"))


def poll_interval(client: Any) -> Pace:
    """How often the hub is asked: settings ``progress_interval`` and ``progress_interval_max``, and ``--hub-timeout``.

    :raises UsageError: a setting is no number of seconds
    """
    from fedpkg_container.model.polling import USUAL, Pace

    tick = _seconds(client, "progress_interval", USUAL.tick)
    slowest = _seconds(client, "progress_interval_max", USUAL.slowest)
    given = client.args.hub_timeout
    return Pace(tick, max(tick, slowest), USUAL.hub_timeout if given is None else given)


def _setting(client: Any, option: str) -> str:
    section = f"{client.name}.container-build"
    if client.config.has_option(section, option):
        return str(client.config.get(section, option))
    return ""


def _seconds(client: Any, option: str, usual: float) -> float:
    text = _setting(client, option)
    try:
        value = float(text) if text else usual
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 3600:
        raise UsageError(
            f"[{client.name}.container-build] {option} = {text}: must be seconds, from 0.1 to 3600",
            solution="mend the site's configuration",
        )
    return value
