"""Settings of container builds in the site's configuration, section ``[SITE.container-build]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedpkg_container.errors import UsageError

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.model.polling import PollInterval


def koji_profile(client: Client) -> str:
    """Return the Koji profile: that of the section for container builds, or else the site's.

    :raises UsageError: if neither is set
    """
    profile = _setting(client, "kojiprofile")
    if not profile and not client.config.has_option(client.name, "kojiprofile"):
        raise UsageError(
            f"no Koji profile is set in [{client.name}]", solution="set kojiprofile in the site's configuration"
        )
    return profile or str(client.config.get(client.name, "kojiprofile"))


def poll_interval(client: Client) -> PollInterval:
    """Return the poll interval (``progress_interval``, ``progress_interval_max``) and the limit of ``--hub-timeout``.

    :raises UsageError: if a setting is not a valid number of seconds
    """
    from fedpkg_container.model.polling import DEFAULT_POLL_INTERVAL, PollInterval

    minimum = _seconds(client, "progress_interval", DEFAULT_POLL_INTERVAL.minimum)
    maximum = _seconds(client, "progress_interval_max", DEFAULT_POLL_INTERVAL.maximum)
    given = client.args.hub_timeout
    return PollInterval(minimum, max(minimum, maximum), DEFAULT_POLL_INTERVAL.hub_timeout if given is None else given)


def _setting(client: Client, option: str) -> str:
    section = f"{client.name}.container-build"
    if client.config.has_option(section, option):
        return str(client.config.get(section, option))
    return ""


def _seconds(client: Client, option: str, default: float) -> float:
    text = _setting(client, option)
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 3600:
        raise UsageError(
            f"[{client.name}.container-build] {option} = {text}: must be a number of seconds from 0.1 to 3600",
            solution="correct the site's configuration",
        )
    return value
