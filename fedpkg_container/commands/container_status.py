# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg container-status``: builds of the checkout, a task, or a build."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from fedpkg_container.commands.build_arguments import add_follow_arguments
from fedpkg_container.commands.status_fields import ENTRY_FIELDS
from fedpkg_container.completion import complete_with
from fedpkg_container.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fedpkg_container.client import Client
    from fedpkg_container.commands.status_view import View
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.hub.selection import Selection

#: Highest value of ``--limit``.
MAX_LIMIT = 200

EPILOG = """Without arguments, show the latest builds of each branch of the checkout, the
running builds, and whether HEAD has been built.

exit status: 0 success, or with --watch that of container-build;
2 usage error, 3 no such task, build or package, or the task could not be
canceled, 4 not authenticated, 5 lost contact with the hub"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``container-status``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_argument(
        "what", nargs="*", metavar="TASK|NVR|BUILD-ID|PACKAGE", help="Task, build or package to show"
    )
    complete_with(what, "builds")
    parser.add_argument("--watch", action="store_true", help="Follow tasks until they end, as container-build does")
    parser.add_argument("--cancel", action="store_true", help="Cancel tasks and all their subtasks")
    logs = parser.add_argument(
        "--logs",
        nargs="?",
        const="",
        metavar="ARCH",
        help="Print only the logs of a task: all, those of ARCH, or (build) those of the task itself",
    )
    complete_with(logs, "arches")
    tail = parser.add_argument("--tail", type=_number("lines"), metavar="N", help="With --logs: print the last N lines")
    complete_with(tail, "nothing")
    parser.add_argument("--rpms", action="store_true", help="List the RPMs of a build")
    diff = parser.add_argument("--diff", metavar="NVR|BUILD-ID", help="Show the changes since another build")
    complete_with(diff, "nvrs")
    parser.add_argument("--mine", action="store_true", help="Show your own container builds of all packages")
    _add_selection(parser)
    parser.add_argument("--json", action="store_true", help="Print JSON")
    template = parser.add_argument(
        "--format",
        metavar="TEMPLATE",
        help="Print one line per build, e.g. '{{.nvr}} {{.state}}'; json: same as --json",
    )
    complete_with(template, "words", lambda: ["json", *(f"{{{{.{name}}}}}" for name in ENTRY_FIELDS)])
    parser.add_argument("-q", "--quiet", dest="q", action="store_true", default=argparse.SUPPRESS,
                        help="With --watch: same as --progress quiet")  # fmt: skip
    add_follow_arguments(parser)


def _add_selection(parser: argparse.ArgumentParser) -> None:
    limit = parser.add_argument(
        "--limit", type=_number("builds"), metavar="N", help=f"List the newest N builds, at most {MAX_LIMIT}"
    )
    complete_with(limit, "nothing")
    parser.add_argument(
        "--failed", action="store_true", help="List only failed builds; with --logs: print the logs of failed tasks"
    )
    branch = parser.add_argument("--branch", metavar="BRANCH", default="", help="List only builds of this branch")
    complete_with(branch, "branches")
    since = parser.add_argument(
        "--since",
        type=_moment,
        metavar="TIME",
        help="List only builds that ended after this date, or within the last e.g. 12h or 3d",
    )
    complete_with(since, "words", lambda: ("12h", "1d", "3d", "1w"))


def _number(what: str) -> Callable[[str], int]:
    """Return an argument type that accepts a positive number.

    :param what: what is counted, for the error message
    """

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what}")
        return int(text)

    return parse


#: Seconds of the units of ``--since``.
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _moment(text: str) -> float:
    """Parse a local date or date and time, or the time since then.

    :returns: seconds since the epoch
    :raises argparse.ArgumentTypeError: if the text is invalid
    """
    import datetime
    import time

    if len(text) < 8 and text[:-1].isascii() and text[:-1].isdigit() and text[-1:] in _UNITS:
        return time.time() - int(text[:-1]) * _UNITS[text[-1]]
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: use e.g. 2026-11-30, 2026-11-30T12:00, 90m, 12h, 3d or 2w"
        ) from error


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
    """Check that the arguments can be combined.

    :raises UsageError: if they cannot
    """
    arguments = client.args
    logs = arguments.logs is not None
    if arguments.format == "json":
        arguments.json, arguments.format = True, None
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
    if arguments.mine and (arguments.what or logs):
        raise UsageError("argument --mine: not allowed with a task or a build")
    if arguments.watch and (arguments.rpms or arguments.diff or arguments.json):
        raise UsageError("argument --watch: not allowed with --rpms, --diff and --json (use --progress json)")
    if arguments.cancel_on_interrupt and not arguments.watch:
        raise UsageError("argument --cancel-on-interrupt: only allowed with --watch")
    if arguments.progress != "auto" and not arguments.watch:
        raise UsageError("argument --progress: only allowed with --watch", solution="use --json for JSON")
    if logs and (arguments.json or arguments.rpms or arguments.diff or arguments.progress != "auto"):
        raise UsageError("argument --logs: not allowed with --json, --rpms, --diff and --progress")
    if logs and len(arguments.what) > 1:
        raise UsageError("argument --logs: only one task is allowed")
    _check_output(arguments)
    _check_selection(arguments)
    if arguments.cancel and not arguments.what:
        raise UsageError("argument --cancel: at least one task is required")
    if arguments.cancel and (arguments.watch or logs or arguments.rpms or arguments.diff or arguments.mine):
        raise UsageError("argument --cancel: not allowed with --watch, --logs, --rpms, --diff and --mine")


def _check_output(arguments: argparse.Namespace) -> None:
    if arguments.format is None:
        return
    others = {name: getattr(arguments, name) for name in ("json", "diff", "rpms", "watch", "cancel")}
    for name, value in {**others, "logs": arguments.logs is not None}.items():
        if value:
            raise UsageError(f"argument --format: not allowed with argument --{name}")


def _check_selection(arguments: argparse.Namespace) -> None:
    """Check the arguments that select builds of a list.

    :raises UsageError: if there is no list
    """
    is_list = not (arguments.watch or arguments.cancel or arguments.rpms or arguments.diff)
    is_list = is_list and arguments.logs is None and not any(map(str.isdigit, arguments.what))
    for name in ("limit", "branch", "since"):
        if getattr(arguments, name) not in (None, "") and not is_list:
            raise UsageError(f"argument --{name}: only allowed with lists of builds")
    if arguments.failed and not is_list and (arguments.logs is None or arguments.watch):
        raise UsageError("argument --failed: only allowed with lists of builds and with --logs")
    if arguments.limit is not None and not 1 <= arguments.limit <= MAX_LIMIT:
        raise UsageError(f"argument --limit: must be a number from 1 to {MAX_LIMIT}")


def _is_target(word: str) -> bool:
    """Return whether a word is a number or an NVR rather than an architecture."""
    return word.isdigit() or word.count("-") >= 2


def _run(client: Client) -> int:
    from fedpkg_container.commands.client_config import koji_profile, request_timeout
    from fedpkg_container.commands.status_view import parse_format, show
    from fedpkg_container.hub.session import anonymous_session, connect, hub_errors

    arguments = client.args
    template = parse_format(client)
    profile = koji_profile(client)
    logged_in = arguments.mine or arguments.cancel_on_interrupt or arguments.cancel
    timeout = request_timeout(client)
    session = (
        connect(profile, client.cmd, timeout=timeout) if logged_in else anonymous_session(profile, timeout=timeout)
    )
    if arguments.watch:
        return _watch(client, session)
    with hub_errors(session.baseurl):
        if arguments.cancel:
            from fedpkg_container.commands.status_cancel import cancel

            return show(client, [cancel(session, _task_ids(client, session))], template)
        if arguments.logs is not None:
            from fedpkg_container.commands.status_task import show_logs

            return show_logs(client, session, _task_ids(client, session)[0])
        return show(client, _views(client, session), template)


def _views(client: Client, session: HubSession) -> list[View]:
    """Return the views: of the user's builds, of those of the checkout, or one per argument."""
    from fedpkg_container.commands.status_checkout import checkout_view, own_view
    from fedpkg_container.hub.selection import Selection

    arguments = client.args
    selection = Selection(arguments.limit, arguments.failed, arguments.branch, arguments.since)
    if arguments.mine:
        return [own_view(client, session, selection)]
    if not arguments.what:
        return [checkout_view(client, session, selection)]
    return [_view(client, session, word, selection) for word in arguments.what]


def _view(client: Client, session: HubSession, word: str, selection: Selection) -> View:
    """Return the view of a task, a build or a package."""
    from fedpkg_container.commands.status_build import build_view
    from fedpkg_container.commands.status_checkout import package_view
    from fedpkg_container.commands.status_task import task_view
    from fedpkg_container.hub.builds import build_of_task
    from fedpkg_container.hub.lookup import find
    from fedpkg_container.hub.task_report import read_task
    from fedpkg_container.model.koji_images import image_metadata

    result = find(session, word, selection)
    build = result.build
    of_build = bool(client.args.rpms or client.args.diff)
    if result.task is not None and not of_build:
        is_image = build is not None and bool(image_metadata(build))
        note = f"(build {word}: {client.name} container-status {build['nvr']})" if build and is_image else ""
        return task_view(client, read_task(session, result.task, result.tree or {}), note)
    if result.task is not None:
        build = build_of_task(session, result.task["id"]) or build
    if build is not None:
        return build_view(client, session, build)
    if result.package is None or of_build:
        raise RefusedError(f"no such build: {word}", solution="pass the NVR of a build with --rpms or --diff")
    return package_view(client, result.package, selection)


def _watch(client: Client, session: HubSession) -> int:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.commands.following import follow_logs, follow_to_end
    from fedpkg_container.hub.events import Submitted
    from fedpkg_container.hub.lookup import task_number
    from fedpkg_container.hub.session import hub_errors, site_urls

    words = client.args.what
    if client.args.mine or len(words) > 1:
        from fedpkg_container.commands.following_several import watch_several

        with hub_errors(session.baseurl):
            builds = _builds_to_watch(client, session)
        return watch_several(client, session, builds)
    number = task_number(words[0]) if words else None
    if number is not None:
        task_id = number  # following retries until the hub responds
    else:
        with hub_errors(session.baseurl):
            task_id = _task_ids(client, session)[0]
    page = site_urls(koji_profile(client)).task(task_id)
    title, average = _title_and_average(client, session, task_id)
    submitted = Submitted(task_id, page, title=title, average=average)
    if client.args.logs is not None:
        return follow_logs(client, session, submitted, client.args.logs)
    return follow_to_end(client, session, submitted)


def _title_and_average(client: Client, session: HubSession, task_id: int) -> tuple[str, float | None]:
    """Return what a task builds, and the average duration of builds of its package in seconds, as far as known."""
    from fedpkg_container.commands.status_checkout import checkout_component
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.builds import title_and_average
    from fedpkg_container.hub.session import hub_errors

    components: dict[str, str] = {}
    with suppress(FedpkgContainerError):
        components = checkout_component(client)
    try:
        with hub_errors(session.baseurl):
            return title_and_average(session, task_id, components)
    except FedpkgContainerError:
        return f"task {task_id}", None


def _task_ids(client: Client, session: HubSession) -> list[int]:
    """Return the IDs of the given tasks, of the given builds' tasks, or of the running task of the checkout.

    :raises RefusedError: if there is no such task
    """
    if not client.args.what:
        from fedpkg_container.commands.status_checkout import running_task

        return [running_task(client, session)]
    may_be_build = client.args.logs is not None
    return list(dict.fromkeys(_task_id(session, word, may_be_build=may_be_build) for word in client.args.what))


def _task_id(session: HubSession, word: str, *, may_be_build: bool) -> int:
    """Return the ID of a task, or of the task of a build.

    :param may_be_build: whether a number may be the ID of a build
    """
    from fedpkg_container.hub.builds import find_task_or_build, read_build
    from fedpkg_container.hub.lookup import task_number

    number = task_number(word)
    if number is not None and not may_be_build:
        return number
    task, build = find_task_or_build(session, word)
    if task is not None:
        return int(task["id"])
    build_info = read_build(build or {})
    if build_info.task_id is None:
        raise RefusedError(f"build {build_info.nvr} has no task", solution="name a task, or a build made by a task")
    return int(build_info.task_id)


def _builds_to_watch(client: Client, session: HubSession) -> dict[int, str]:
    """Return the tasks to follow with the titles of their builds: the named ones, or the user's running ones."""
    from fedpkg_container.hub.overview import builds_of_user, titles_of_tasks

    if client.args.mine:
        running, *_ = builds_of_user(session, session.getLoggedInUser())
        return {build.root.id: build.title for build in running}
    return titles_of_tasks(session, _task_ids(client, session))
