"""Fills the cache of values in the background, from the hub, without logging in.

A process of its own, started after a TAB that found the cache old and after a command that logged in. It asks in two
requests, says nothing, holds a lock so that it is the only one for its profile, and is ended by a deadline.
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

#: Seconds after which values are asked for again.
MAX_AGE = 10 * 60
#: Seconds between two attempts, for a hub that does not answer.
RETRY_INTERVAL = 60
#: Seconds that a refresh may take, and one request of it.
DEADLINE = 90
TIMEOUT = 30
#: Builds and tasks that are offered at most.
MAX_ENTRIES = 50

UNFINISHED = ("FREE", "OPEN", "ASSIGNED")


def refresh_if_stale(place: Context, *, user: str = "", now: bool = False) -> bool:
    """Start a refresh that outlives this process, unless the values are new or one was started a moment ago.

    :param user: one's name on the hub, when it is known
    :param now: refresh what is not old as well: something has changed
    :returns: whether one was started
    """
    component = Checkout(place.path).component
    if not place.profile or not _is_due(place, component, now=now):
        return False
    from pathlib import Path

    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.process import start

    command = [sys.executable, "-m", __name__, place.site, place.profile, component, user]
    with contextlib.suppress(OSError, FedpkgContainerError):
        cache.write(_attempt(place, component), {})
        # Not in the checkout: Python looks for modules in the folder where it starts.
        start(command, log=Path(os.devnull), cwd=Path("/"))
        return True
    return False


def _is_due(place: Context, component: str, *, now: bool) -> bool:
    clock = time.time()
    if cache.age(_attempt(place, component), clock) < RETRY_INTERVAL and not now:
        return False
    files = [place.hub_file, *([place.package_file(component)] if component else [])]
    return now or any(cache.age(file, clock) > MAX_AGE for file in files)


def _attempt(place: Context, component: str) -> str:
    return os.path.join(os.path.dirname(place.hub_file), "attempts", os.path.basename(place.package_file(component)))


def refresh(place: Context, component: str, user: str = "") -> None:
    """Ask the hub and write what it says.

    :param component: the package whose builds are wanted; may be empty
    :param user: one's name as far as it is known, used where the profile's certificate does not say it; without it,
        that of an earlier refresh
    :raises FedpkgContainerError: the hub does not answer, or there is no such profile
    :raises OSError: the cache cannot be written
    """

    from fedpkg_container.hub.session import anonymous, contact, profile_options

    options = profile_options(place.profile)
    user = _user(options, user or str(cache.read(place.hub_file).get("user", "")))
    session = anonymous(place.profile, timeout=TIMEOUT)
    with contact(options["server"]):
        found = _ask(session, component, user)
    nvrs = found.pop("nvrs", None)
    cache.write(place.hub_file, {**cache.read(place.hub_file), **found, "user": user})
    if component:
        known = cache.read(place.package_file(component))
        cache.write(place.package_file(component), known if nvrs is None else {"nvrs": nvrs})


def _ask(session: Any, component: str, user: str) -> dict[str, Any]:
    """Two requests, or one for a stranger; what the hub refuses is left out."""
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
    found: dict[str, Any] = {}
    if (rows := _result(targets)) is not None:
        found["targets"] = {row["name"]: f"{row['build_tag_name']} → {row['dest_tag_name']}" for row in rows}
    if (rows := _result(hosts)) is not None:
        found["arches"] = sorted({arch for row in rows for arch in (row["arches"] or "").split()} - {"noarch"})
    if builds and (rows := _result(builds)) is not None:
        found["nvrs"] = {row["nvr"]: str(row["completion_time"] or "")[:16] for row in rows}
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
            found["tasks"] = {str(row["id"]): _task(row) for row in rows}
    return found


def _result(call: Any) -> Any:
    """What a call answered; None when the hub refused it."""
    import koji

    try:
        return call.result
    except koji.GenericError:
        return None


def _task(row: Mapping[str, Any]) -> str:
    """What a task builds, from its request: source and target."""
    request = row.get("request") or []
    source, target = ([str(each) for each in request[:2]] + ["", ""])[:2] if isinstance(request, list) else ("", "")
    return f"{source.rpartition('/')[2].partition('#')[0]} for {target}" if source else ""


def _user(options: Mapping[str, Any], known: str) -> str:
    """One's name on the hub, for the way in which rpkg would log in."""
    certificate = os.path.expanduser(str(options.get("cert") or ""))
    if os.path.isfile(certificate) and options.get("authtype") in ("ssl", None):
        return _certificate_name(certificate)
    return known or str(options.get("user") or "")


def _certificate_name(path: str) -> str:
    """The name that a certificate is made out to; empty when it cannot be read."""
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
def _alone(place: Context) -> Iterator[bool]:
    """Hold the profile's lock; whether it was free."""
    from pathlib import Path

    from fedpkg_container.locking import locked

    directory = Path(place.hub_file).parent
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(directory / "lock", wait=False))
        except BlockingIOError:
            yield False
            return
        yield True


def main(arguments: list[str]) -> None:
    """The background process: site, profile, component, user."""
    from fedpkg_container.errors import FedpkgContainerError

    site, profile, component, user = arguments
    place = Context(site, profile)
    signal.alarm(DEADLINE)
    with contextlib.suppress(OSError, FedpkgContainerError), _alone(place) as alone:
        if alone:
            refresh(place, component, user)


if __name__ == "__main__":
    main(sys.argv[1:])
