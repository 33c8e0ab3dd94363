"""``fedpkg container-status``: builds of the checkout, a task, or a build."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.build_arguments import add_following
from fedpkg_container.completion import complete_with
from fedpkg_container.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

EPILOG = """without arguments, for the checkout: the latest builds of each branch, what is being built now, and whether
HEAD is built

exit status: 0, or with --watch that of container-build; 2 wrong usage, 3 there is no such task or build,
4 not authenticated, 5 lost contact with the hub"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``container-status``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_argument("what", nargs="*", metavar="TASK|NVR|BUILD-ID", help="What to show")
    complete_with(what, "builds")
    parser.add_argument("--watch", action="store_true", help="Follow a task to its end, as container-build does")
    logs = parser.add_argument(
        "--logs", nargs="?", const="", metavar="ARCH", help="Show the logs of a task (of one arch) and nothing else"
    )
    complete_with(logs, "arches")
    tail = parser.add_argument("--tail", type=_lines, metavar="N", help="With --logs: the last N lines")
    complete_with(tail, "nothing")
    parser.add_argument("--rpms", action="store_true", help="List the RPMs of a build")
    diff = parser.add_argument("--diff", metavar="NVR", help="Show what changed since another build")
    complete_with(diff, "nvrs")
    parser.add_argument("--mine", action="store_true", help="Show your own container builds, of all packages")
    parser.add_argument("--json", action="store_true", help="Write JSON")
    parser.add_argument("-q", "--quiet", dest="q", action="store_true", default=argparse.SUPPRESS,
                        help="With --watch: same as --progress quiet")  # fmt: skip
    add_following(parser)


def _lines(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)


def run(client: Any) -> int:
    """Show what was asked for; the exit status.

    :raises FedpkgContainerError: see the exit statuses
    """
    from fedpkg_container.signals import interruptible

    _check_usage(client)
    if client.args.watch:
        return _run(client)
    with interruptible(leave_on_second=True):
        return _run(client)


def _check_usage(client: Any) -> None:
    arguments = client.args
    if arguments.logs and not arguments.what:  # --logs took the task for an arch
        arguments.what, arguments.logs = [arguments.logs], ""
    if arguments.tail is not None and arguments.logs is None:
        raise UsageError("argument --tail: only allowed with argument --logs")
    if (arguments.rpms or arguments.diff) and len(arguments.what) != 1:
        raise UsageError("arguments --rpms and --diff: name one build")
    if arguments.mine and (arguments.what or arguments.watch or arguments.logs is not None):
        raise UsageError("argument --mine: not allowed with a task or a build")
    if arguments.watch and (arguments.rpms or arguments.diff or arguments.json):
        raise UsageError("argument --watch: only allowed with --logs and --progress")
    if (arguments.watch or arguments.logs is not None) and len(arguments.what) > 1:
        raise UsageError("arguments --watch and --logs: name one task")


def _run(client: Any) -> int:
    from fedpkg_container.commands.site import koji_profile
    from fedpkg_container.hub.session import anonymous, connect, contact

    arguments = client.args
    profile = koji_profile(client)
    logged_in = arguments.mine or arguments.cancel_on_interrupt
    session = connect(profile, client.cmd) if logged_in else anonymous(profile)
    if arguments.watch:
        return _watch(client, session)
    with contact(session.baseurl):
        if arguments.mine:
            from fedpkg_container.commands.status_checkout import show_own

            return show_own(client, session)
        if not arguments.what and arguments.logs is None:
            from fedpkg_container.commands.status_checkout import show_checkout

            return show_checkout(client, session)
        if arguments.logs is not None:
            from fedpkg_container.commands.status_task import show_logs

            return show_logs(client, session, _task_id(client, session))
        shown = [_show(client, session, word) for word in arguments.what]
    if arguments.json:
        import json

        print(json.dumps(shown if len(shown) > 1 else shown[0], indent=4))
    return 0


def _show(client: Any, session: Any, word: str) -> Mapping[str, Any]:
    """Show one task or build, unless JSON is wanted; its facts."""
    from fedpkg_container.commands.status_build import show_build
    from fedpkg_container.commands.status_task import show_task
    from fedpkg_container.hub.builds import find
    from fedpkg_container.text import printable_line

    task, build = find(session, word)
    arguments = client.args
    if task is not None and not (build is not None and (arguments.rpms or arguments.diff)):
        facts = show_task(client, session, task["id"])
        if build is not None and not arguments.json:
            nvr = printable_line(build["nvr"])
            print(f"(there is a build {word} too: {client.name} container-status {nvr})")
        return facts
    assert build is not None, "one of the two was found"
    return show_build(client, session, build)


def _watch(client: Any, session: Any) -> int:
    from fedpkg_container.commands.following import follow_to_end
    from fedpkg_container.commands.site import koji_profile
    from fedpkg_container.commands.status_task import follow_logs
    from fedpkg_container.hub.events import Submitted
    from fedpkg_container.hub.session import addresses, contact

    with contact(session.baseurl):
        task_id = _task_id(client, session)
    if client.args.logs is not None:
        return follow_logs(client, session, task_id)
    page = addresses(koji_profile(client)).task(task_id)
    return follow_to_end(client, session, Submitted(task_id, page))


def _task_id(client: Any, session: Any) -> int:
    """The task that is meant: the one that is named, that of a build that is named, or the checkout's running one.

    :raises RefusedError: there is none
    """
    from fedpkg_container.hub.builds import find, read_build

    if not client.args.what:
        from fedpkg_container.commands.status_checkout import running_task

        return running_task(client, session)
    word = client.args.what[0]
    task, build = find(session, word)
    if task is not None:
        return int(task["id"])
    known = read_build(build or {})
    if known.task_id is None:
        raise RefusedError(f"the hub knows no task of build {known.nvr}")
    return int(known.task_id)
