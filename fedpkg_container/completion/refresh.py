# SPDX-License-Identifier: GPL-2.0-or-later
"""Background update of the cached completion values from the hub, without login.

A separate process, started after a completion with stale values and after a command that logged in. It sends two
requests, prints nothing, holds a lock so that only one runs per profile, and ends at a deadline.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fedpkg_container.completion import cache
from fedpkg_container.completion.checkout import Checkout
from fedpkg_container.completion.values import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fedpkg_container.hub.protocol import HubSession

#: Age in seconds from which values are stale.
MAX_AGE = 10 * 60
#: Minimum time in seconds between two attempts, for a hub that does not respond.
RETRY_INTERVAL = 60
#: Time limit of an update, and of each request, in seconds.
DEADLINE = 90
TIMEOUT = 30
#: Maximum number of builds, and of tasks, to offer.
MAX_ENTRIES = 50

UNFINISHED = ("FREE", "OPEN", "ASSIGNED")


def refresh_if_stale(context: Context, *, user: str = "", now: bool = False) -> bool:
    """Start an update that outlives this process, if the values are stale and none was started recently.

    :param user: the user's name on the hub, if it is known
    :param now: update even if the values are not stale, because they have changed
    :returns: whether an update was started
    """
    component = Checkout(context.path).component
    if not context.profile or not _is_due(context, component, now=now):
        return False
    from pathlib import Path

    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.process import start

    command = [sys.executable, "-m", __name__, context.site, context.profile, component, user]
    with contextlib.suppress(OSError, FedpkgContainerError):
        cache.write(_attempt_file(context, component), {})
        # Not in the checkout: Python would import modules from the current directory.
        start(command, log=Path(os.devnull), cwd=Path("/"))
        return True
    return False


def _is_due(context: Context, component: str, *, now: bool) -> bool:
    current_time = time.time()
    if cache.age(_attempt_file(context, component), current_time) < RETRY_INTERVAL and not now:
        return False
    files = [context.hub_file, *([context.package_file(component)] if component else [])]
    return now or any(cache.age(file, current_time) > MAX_AGE for file in files)


def _attempt_file(context: Context, component: str) -> str:
    return os.path.join(
        os.path.dirname(context.hub_file), "attempts", os.path.basename(context.package_file(component))
    )


def refresh(context: Context, component: str, user: str = "") -> None:
    """Fetch the values from the hub and write them to the cache.

    :param component: package whose builds are fetched; may be empty
    :param user: the user's name, if known; used if the profile has no certificate with a name. By default that of the
        previous update
    :raises FedpkgContainerError: if the hub does not respond, or there is no such profile
    :raises OSError: if the cache cannot be written
    """
    from fedpkg_container.hub.session import anonymous_session, hub_errors, profile_options

    options = profile_options(context.profile)
    user = _user(options, user or str(cache.read(context.hub_file).get("user", "")))
    session = anonymous_session(context.profile, timeout=TIMEOUT)
    with hub_errors(options["server"]):
        values = _fetch(session, component, user)
    nvrs = values.pop("nvrs", None)
    cache.write(context.hub_file, {**cache.read(context.hub_file), **values, "user": user})
    if component:
        cached = cache.read(context.package_file(component))
        cache.write(context.package_file(component), cached if nvrs is None else {"nvrs": nvrs})


def _fetch(session: HubSession, component: str, user: str) -> dict[str, Any]:
    """Fetch the values in two requests, or one if the user is unknown; omit calls that the hub refuses."""
    import koji

    with session.multicall(strict=False) as calls:
        targets = calls.getBuildTargets()
        hosts = calls.listHosts(enabled=True)
        builds = component and calls.listBuilds(
            packageID=component,
            state=koji.BUILD_STATES["COMPLETE"],
            queryOpts={"limit": MAX_ENTRIES, "order": "-build_id"},
        )
        person = user and calls.getUser(user)
    values: dict[str, Any] = {}
    if (rows := _result(targets)) is not None:
        values["targets"] = {row["name"]: f"{row['build_tag_name']} → {row['dest_tag_name']}" for row in rows}
    if (rows := _result(hosts)) is not None:
        values["arches"] = sorted({arch for row in rows for arch in (row["arches"] or "").split()} - {"noarch"})
    if builds and (rows := _result(builds)) is not None:
        values["nvrs"] = {row["nvr"]: str(row["completion_time"] or "")[:16] for row in rows}
    if person and (row := _result(person)):
        with session.multicall(strict=False) as calls:
            tasks = calls.listTasks(
                opts={
                    "owner": row["id"],
                    "method": "buildContainer",
                    "state": [koji.TASK_STATES[state] for state in UNFINISHED],
                    "decode": True,
                },
                queryOpts={"limit": MAX_ENTRIES, "order": "-id"},
            )
        if (rows := _result(tasks)) is not None:
            values["tasks"] = {str(row["id"]): _task(row) for row in rows}
    return values


def _result(call: Any) -> Any:
    """Return the result of a call; None if the hub refused it."""
    import koji

    try:
        return call.result
    except koji.GenericError:
        return None


def _task(row: Mapping[str, object]) -> str:
    """Describe a task by the source and the target in its request."""
    request = row.get("request") or []
    source, target = ([str(value) for value in request[:2]] + ["", ""])[:2] if isinstance(request, list) else ("", "")
    return f"{source.rpartition('/')[2].partition('#')[0]} for {target}" if source else ""


def _user(options: Mapping[str, object], default: str) -> str:
    """Return the user's name on the hub for the authentication that rpkg would use."""
    certificate = os.path.expanduser(str(options.get("cert") or ""))
    if os.path.isfile(certificate) and options.get("authtype") in ("ssl", None):
        return _certificate_name(certificate)
    return default or str(options.get("user") or "")


def _certificate_name(path: str) -> str:
    """Return the common name of a certificate's subject; empty if it cannot be read."""
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.process import run

    try:
        done = run(
            ["openssl", "x509", "-noout", "-subject", "-nameopt", "multiline", "-in", path],
            timeout=TIMEOUT,
        )
    except FedpkgContainerError:
        return ""
    names = [line.partition("=")[2].strip() for line in done.text.splitlines() if "commonName" in line]
    return names[-1] if names else ""


@contextlib.contextmanager
def _alone(context: Context) -> Iterator[bool]:
    """Hold the profile's lock during the block; yield whether it was free."""
    from pathlib import Path

    from fedpkg_container.locking import locked

    directory = Path(context.hub_file).parent
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(directory / "lock", wait=False))
        except BlockingIOError:
            yield False
            return
        yield True


def main(arguments: list[str]) -> None:
    """Run the background process; the arguments are site, profile, component and user."""
    from fedpkg_container.errors import FedpkgContainerError

    site, profile, component, user = arguments
    context = Context(site, profile)
    signal.alarm(DEADLINE)
    with contextlib.suppress(OSError, FedpkgContainerError), _alone(context) as alone:
        if alone:
            refresh(context, component, user)


if __name__ == "__main__":
    main(sys.argv[1:])
