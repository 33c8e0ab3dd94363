# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg container-status``: builds of the checkout, a task, or a build."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from fedpkg_container.commands.build_arguments import add_follow_arguments
from fedpkg_container.commands.terminal import print_json, print_lines
from fedpkg_container.completion import complete_with
from fedpkg_container.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fedpkg_container.client import Client
    from fedpkg_container.hub.protocol import HubSession

EPILOG = """Without arguments, show the latest builds of each branch of the checkout, running builds, and whether HEAD
has been built.

exit status: 0 success, or with --watch that of container-build; 2 usage error, 3 no such task or build,
4 not authenticated, 5 lost contact with the hub"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``container-status``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_argument("what", nargs="*", metavar="TASK|NVR|BUILD-ID", help="Task or build to show")
    complete_with(what, "builds")
    parser.add_argument("--watch", action="store_true", help="Follow a task to its end, as container-build does")
    logs = parser.add_argument(
        "--logs",
        nargs="?",
        const="",
        metavar="ARCH",
        help="Print the logs of a task (of one architecture, or build) only",
    )
    complete_with(logs, "arches")
    tail = parser.add_argument("--tail", type=_lines, metavar="N", help="With --logs: print the last N lines")
    complete_with(tail, "nothing")
    parser.add_argument("--rpms", action="store_true", help="List the RPMs of a build")
    diff = parser.add_argument("--diff", metavar="NVR|BUILD-ID", help="Show the changes since another build")
    complete_with(diff, "nvrs")
    parser.add_argument("--mine", action="store_true", help="Show your own container builds of all packages")
    parser.add_argument("--json", action="store_true", help="Print JSON")
    parser.add_argument("-q", "--quiet", dest="q", action="store_true", default=argparse.SUPPRESS,
                        help="With --watch: same as --progress quiet")  # fmt: skip
    add_follow_arguments(parser)


def _lines(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)


def run(client: Client) -> int:
    """Show builds or tasks and return the exit status.

    :raises FedpkgContainerError: each subclass has its own exit status
    """
    from fedpkg_container.commands.client_config import note_ignored_options
    from fedpkg_container.signals import interruptible

    _check_usage(client)
    note_ignored_options(client)
    if client.args.watch:
        return _run(client)
    with interruptible(exit_on_second=True):
        return _run(client)


def _check_usage(client: Client) -> None:
    arguments = client.args
    logs = arguments.logs is not None
    if (
        arguments.logs and not arguments.what and _is_target(arguments.logs)
    ):  # argparse parsed the task as value of --logs
        arguments.what, arguments.logs = [arguments.logs], ""
    if arguments.tail is not None and (not logs or arguments.watch):
        raise UsageError("argument --tail: only allowed with --logs and without --watch")
    if (arguments.rpms or arguments.diff) and len(arguments.what) != 1:
        raise UsageError("arguments --rpms and --diff: exactly one build is required")
    if arguments.rpms and arguments.diff:
        raise UsageError("argument --rpms: not allowed with argument --diff")
    if arguments.mine and (arguments.what or arguments.watch or logs):
        raise UsageError("argument --mine: not allowed with a task or a build")
    if arguments.watch and (arguments.rpms or arguments.diff or arguments.json):
        raise UsageError("argument --watch: not allowed with --rpms, --diff and --json (use --progress json)")
    if arguments.cancel_on_interrupt and not arguments.watch:
        raise UsageError("argument --cancel-on-interrupt: only allowed with --watch")
    if arguments.progress != "auto" and not arguments.watch:
        raise UsageError("argument --progress: only allowed with --watch", solution="use --json for JSON")
    if logs and (arguments.json or arguments.rpms or arguments.diff or arguments.progress != "auto"):
        raise UsageError("argument --logs: not allowed with --json, --rpms, --diff and --progress")
    if (arguments.watch or logs) and len(arguments.what) > 1:
        raise UsageError("arguments --watch and --logs: only one task is allowed")


def _is_target(word: str) -> bool:
    """Return whether a word is a number or an NVR rather than an architecture."""
    return word.isdigit() or word.count("-") >= 2


def _run(client: Client) -> int:
    from fedpkg_container.commands.client_config import koji_profile, request_timeout
    from fedpkg_container.hub.session import anonymous_session, connect, hub_errors

    arguments = client.args
    profile = koji_profile(client)
    logged_in = arguments.mine or arguments.cancel_on_interrupt
    timeout = request_timeout(client)
    session = (
        connect(profile, client.cmd, timeout=timeout) if logged_in else anonymous_session(profile, timeout=timeout)
    )
    if arguments.watch:
        return _watch(client, session)
    with hub_errors(session.baseurl):
        if arguments.mine:
            from fedpkg_container.commands.status_checkout import show_my_builds

            return show_my_builds(client, session)
        if not arguments.what and arguments.logs is None:
            from fedpkg_container.commands.status_checkout import show_checkout

            return show_checkout(client, session)
        if arguments.logs is not None:
            from fedpkg_container.commands.status_task import show_logs

            return show_logs(client, session, _task_id(client, session))
        results = [_show(client, session, word) for word in arguments.what]
    if arguments.json:
        print_json(results if len(results) > 1 else results[0])
    return 0


def _show(client: Client, session: HubSession, word: str) -> Mapping[str, object]:
    """Print one task or build, unless ``--json`` is set, and return its fields."""
    from fedpkg_container.commands.status_build import show_build
    from fedpkg_container.commands.status_task import show_task
    from fedpkg_container.hub.builds import build_of_task, find_task_or_build

    task, build = find_task_or_build(session, word)
    arguments = client.args
    of_build = bool(arguments.rpms or arguments.diff)
    if of_build and task is not None:
        build = build_of_task(session, task["id"]) or build
    if build is None and of_build:
        raise RefusedError(f"no such build: {word}", solution="pass the NVR of a build with --rpms or --diff")
    if task is not None and not of_build:
        fields = show_task(client, session, task["id"])
        if build is not None and not arguments.json:
            print_lines(f"(build {word} exists too: {client.name} container-status {build['nvr']})")
        return fields
    assert build is not None, "find() returns a task or a build"
    return show_build(client, session, build)


def _watch(client: Client, session: HubSession) -> int:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.commands.following import follow_logs, follow_to_end
    from fedpkg_container.hub.events import Submitted
    from fedpkg_container.hub.session import hub_errors, site_urls

    words = client.args.what
    if words and words[0].isascii() and words[0].isdigit():
        task_id = int(words[0])  # following retries until the hub responds
    else:
        with hub_errors(session.baseurl):
            task_id = _task_id(client, session)
    page = site_urls(koji_profile(client)).task(task_id)
    submitted = Submitted(task_id, page, average=_average(client, session, task_id))
    if client.args.logs is not None:
        return follow_logs(client, session, submitted, client.args.logs)
    return follow_to_end(client, session, submitted)


def _average(client: Client, session: HubSession, task_id: int) -> float | None:
    """Return the average duration of builds of the task's package in seconds; None if it is unknown."""
    from fedpkg_container.commands.status_checkout import checkout_component
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.builds import average_of_task
    from fedpkg_container.hub.session import hub_errors

    components: dict[str, str] = {}
    with suppress(FedpkgContainerError):
        components = checkout_component(client)
    try:
        with hub_errors(session.baseurl):
            return average_of_task(session, task_id, components)
    except FedpkgContainerError:
        return None


def _task_id(client: Client, session: HubSession) -> int:
    """Return the ID of the given task, of the given build's task, or of the running task of the checkout.

    :raises RefusedError: if there is no such task
    """
    from fedpkg_container.hub.builds import find_task_or_build, read_build

    if not client.args.what:
        from fedpkg_container.commands.status_checkout import running_task

        return running_task(client, session)
    word = client.args.what[0]
    task, build = find_task_or_build(session, word)
    if task is not None:
        return int(task["id"])
    build_info = read_build(build or {})
    if build_info.task_id is None:
        raise RefusedError(f"build {build_info.nvr} has no task", solution="name a task, or a build made by a task")
    return int(build_info.task_id)
