"""Logging in to a hub with a koji profile, and telling a hub that refuses from one that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xmlrpc.client import Fault

import koji
import requests
from pyrpkg.errors import rpkgError

from fedpkg_container.errors import FedpkgContainerError, LostContactError, NotAuthenticatedError
from fedpkg_container.text import printable

#: Seconds for one request.
TIMEOUT = 60
#: What koji's client raises when no hub answers.
UNREACHABLE = (requests.exceptions.ConnectionError, requests.exceptions.Timeout, requests.exceptions.HTTPError,
               requests.exceptions.ChunkedEncodingError)  # fmt: skip

#: Koji hides a failed connection in the text of its login error; these words give it away.
_NO_CONTACT = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "HTTPError")


def profile_options(profile: str) -> dict[str, Any]:
    """A koji profile.

    :raises FedpkgContainerError: there is none of that name
    """
    try:
        options: dict[str, Any] = koji.read_config(profile)
    except koji.ConfigurationError as error:
        raise FedpkgContainerError(
            f"koji profile {profile} cannot be read: {error}", solution="install the site's koji configuration"
        ) from error
    return options


def connect(profile: str, commands: Any) -> Any:
    """A session, logged in as the profile and rpkg's options say.

    Unlike koji's own it does not hang on a hub that is gone: who calls decides how long to try.

    :param commands: the site's ``pyrpkg.Commands``, whose login is used
    :raises NotAuthenticatedError: the hub does not know who is asking
    :raises LostContactError: there is no hub
    """
    options = profile_options(profile)
    settings = {**koji.grab_session_options(options), "max_retries": 0, "anon_retry": False, "timeout": TIMEOUT}
    session = koji.ClientSession(options["server"], settings)
    try:
        with contact(options["server"]):
            commands.login_koji_session(options, session)
    except (rpkgError, koji.GenericError) as error:
        said = printable(str(error))
        if any(word in said for word in _NO_CONTACT):
            raise _unreachable(options["server"]) from error
        raise NotAuthenticatedError(
            f"the hub {options['server']} refuses the login: {said}",
            solution="get a new certificate or ticket (fkinit, kinit), and see the koji profile",
        ) from error
    return session


def _unreachable(server: str) -> LostContactError:
    return LostContactError(f"the hub {server} cannot be reached", solution="check the network, and try again later")


@contextmanager
def contact(server: str) -> Iterator[None]:
    """Turn what koji's client raises into our errors.

    :raises LostContactError: the hub did not answer
    :raises NotAuthenticatedError: the session is not, or no longer, known there
    :raises FedpkgContainerError: the hub answered with a fault
    """
    try:
        yield
    except UNREACHABLE as error:
        raise _unreachable(server) from error
    except koji.ServerOffline as error:
        raise LostContactError(
            f"the hub {server} is down for maintenance: {error}", solution="try again later"
        ) from error
    except koji.AuthError as error:
        raise NotAuthenticatedError(
            f"the hub {server} refuses: {printable(str(error))}", solution="log in again"
        ) from error
    except (koji.GenericError, Fault) as error:
        said = printable(str(getattr(error, "faultString", error)))
        raise FedpkgContainerError(f"the hub {server} answers with an error: {said}") from error
