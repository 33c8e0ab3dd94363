# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of container builds in the site's configuration, section ``[SITE.container-build]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedpkg_container.errors import UsageError
from fedpkg_container.model.polling import DEFAULT_POLL_INTERVAL, PollInterval
from fedpkg_container.progress import KINDS
from fedpkg_container.settings import Key, choice, flag, subset, warn_renamed

if TYPE_CHECKING:
    from fedpkg_container.client import Client


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 3600:
        raise ValueError("must be a number of seconds from 0.1 to 3600")
    return value


def _timeout(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 10**9:
        raise ValueError("must be a number of seconds")
    return value


_SECTION = "SITE.container-build"
KEYS = (
    Key(_SECTION, "kojiprofile", str, "Koji profile for container builds", default_text="that of `[SITE]`"),
    Key(
        _SECTION, "progress_interval", _seconds, "poll interval in seconds while a build changes",
        f"{DEFAULT_POLL_INTERVAL.minimum:g}",
    ),
    Key(
        _SECTION, "progress_interval_max", _seconds, "poll interval in seconds while nothing happens",
        f"{DEFAULT_POLL_INTERVAL.maximum:g}",
    ),
    Key(
        _SECTION, "progress", choice(*(kind for kind in KINDS if kind != "live")),
        "default of `--progress`: `auto`, `plain`, `json` or `quiet`", "auto",
    ),
    Key(
        _SECTION, "hub_timeout", _timeout, "default of `--hub-timeout`, in seconds",
        f"{DEFAULT_POLL_INTERVAL.hub_timeout:g}",
    ),
    Key(_SECTION, "timestamps", flag(), "`yes`: as `--timestamps`", "no"),
    Key(_SECTION, "cancel_on_interrupt", flag(), "`yes`: as `--cancel-on-interrupt`", "no"),
    Key(_SECTION, "strict", flag(), "`yes`: as `--strict`", "no"),
    Key(
        _SECTION, "notify", subset("bell", "title", none=True),
        "what to do at the end of a build: ring the terminal's `bell`, set its `title`, or both", "none",
    ),
)  # fmt: skip
#: Settings that are the defaults of options of the same names.
_OPTIONS = ("progress", "hub_timeout", "timestamps", "cancel_on_interrupt", "strict")


def apply_defaults(client: Client) -> None:
    """Set options that were not given to the values of the settings of the same names.

    They apply to commands that follow a build: ``container-build``, and ``container-status --watch``.

    :raises UsageError: if a setting is invalid
    """
    arguments = client.args
    follows = getattr(arguments, "watch", True) and not (arguments.dry_run or getattr(arguments, "local", False))
    notifications(client)  # report an invalid value before a task is created
    for name in _OPTIONS:
        given = getattr(arguments, name, True)  # some commands do not have all of them
        if given is None or given is False:
            setattr(arguments, name, _setting(client, name) if follows else _default(name))


def notifications(client: Client) -> tuple[str, ...]:
    """Return what happens at the end of a build: ``bell``, ``title``, both or nothing.

    :raises UsageError: if the setting is invalid
    """
    return tuple(_setting(client, "notify"))


def koji_profile(client: Client) -> str:
    """Return the Koji profile: that of the section for container builds, or else the site's.

    :raises UsageError: if neither is set
    """
    profile = _setting(client, "kojiprofile")
    if not profile and not client.config.has_option(client.name, "kojiprofile"):
        raise UsageError(
            f"no Koji profile is set in [{client.name}]", solution="set kojiprofile in the site's configuration"
        )
    return str(profile or client.config.get(client.name, "kojiprofile"))


def note_ignored_options(client: Client) -> None:
    """Print a note about global options of rpkg that have no effect with the login method of the Koji profile."""
    from fedpkg_container.commands.terminal import print_stderr

    arguments = client.args
    ignored = [f"--{name}" for name in ("user", "password") if getattr(arguments, name, None)]
    if ignored and _authentication(client) != "password":
        options = " and ".join(ignored)
        print_stderr(f"note: ignoring {options}: the Kerberos ticket or client certificate identifies the user")


def _authentication(client: Client) -> str:
    """Return the ``authtype`` of the Koji profile; empty if it has none or cannot be read, which is reported later."""
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.session import profile_options

    try:
        return str(profile_options(koji_profile(client)).get("authtype") or "")
    except FedpkgContainerError:
        return ""


def poll_interval(client: Client) -> PollInterval:
    """Return the poll interval (``progress_interval``, ``progress_interval_max``) and the limit of ``--hub-timeout``.

    :raises UsageError: if a setting is not a valid number of seconds
    """
    minimum, maximum = _setting(client, "progress_interval"), _setting(client, "progress_interval_max")
    return PollInterval(minimum, max(minimum, maximum), client.args.hub_timeout)


def _key(name: str) -> Key:
    return next(key for key in KEYS if key.name == name)


def _default(name: str) -> Any:
    key = _key(name)
    return key.parse(key.default or "")


def request_timeout(client: Client) -> float:
    """Return the timeout of one request to the hub in seconds: at most that of ``--hub-timeout``."""
    from fedpkg_container.hub.retry import MIN_TIMEOUT
    from fedpkg_container.hub.session import CLIENT_TIMEOUT

    given = client.args.hub_timeout
    return CLIENT_TIMEOUT if given is None else min(CLIENT_TIMEOUT, max(given, MIN_TIMEOUT))


def _setting(client: Client, name: str) -> Any:
    """Return the value of a setting.

    :raises UsageError: if it is invalid
    """
    key = _key(name)
    section = key.section.replace("SITE", client.name)
    written = next((each for each in (name, *key.old) if client.config.has_option(section, each)), name)
    if written != name:
        warn_renamed(section, written, name)
    text = str(client.config.get(section, written, fallback=""))
    try:
        return key.parse(text or key.default or "")
    except ValueError as error:
        raise UsageError(
            f"[{section}] {name} = {text}: {error}", solution="correct the site's configuration"
        ) from error
