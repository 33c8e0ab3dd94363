# SPDX-License-Identifier: GPL-2.0-or-later
"""Arguments of ``container-build``: those of rpkg and the additional ones."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fedpkg_container.completion import complete_with
from fedpkg_container.progress import KINDS

if TYPE_CHECKING:
    from fedpkg_container.client import Client

EPILOG = """exit status: 0 built, 1 failed, 2 usage error, 3 refused by a check,
4 not authenticated, 5 hub not reached and no build known to be submitted,
6 canceled, 7 submitted and still running, but no longer followed (lost contact
with the hub, disk full), 130 interrupted (the build keeps running)"""

#: Corrected help texts of rpkg's options, some of which are about services that no longer exist.
_HELP = {
    "target": "Build target instead of the default; if repeated, build for each target",
    "signing_intent": "Signing intent of the composes; not supported without a compose service (ODCS)",
    "compose_ids": "IDs of existing composes (ODCS) to use; not allowed with --signing-intent",
    "replace_dependency": "Dependency replacement (Cachito)",
    "skip_build": "Not supported any more; rejected by hubs",
    "arches": "Limit a scratch, isolated or local build to these architectures",
}

#: Completion of the values of rpkg's arguments.
_COMPLETES = {
    "target": "targets",
    "arches": "arches",
    "build_release": "nothing",
    "koji_parent_build": "nothing",
    "repo_url": "nothing",
    "signing_intent": "nothing",
    "compose_ids": "nothing",
    "replace_dependency": "nothing",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that rpkg's ``container-build`` does not have."""
    _change_arguments_of_rpkg(parser)
    # A default would overwrite rpkg's global options of the same names, which precede the command.
    parser.add_argument(
        "--dry-run",
        action="store_true",
        default=argparse.SUPPRESS,
        help="Run all checks and show the request, but do not submit it",
    )
    parser.add_argument(
        "-q", "--quiet", dest="q", action="store_true", default=argparse.SUPPRESS, help="Same as --progress quiet"
    )
    _add_request_arguments(parser)
    _add_check_arguments(parser)
    _add_record_arguments(parser)
    add_follow_arguments(parser)
    parser.add_argument(
        "--local",
        action="store_true",
        help="Build locally from the working tree, without a hub or a candidate registry",
    )


def _add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select what is submitted, and when."""
    parser.add_argument("--if-needed", action="store_true", help="Do not build if the target has a build of HEAD")
    chain = parser.add_argument(
        "--chain",
        metavar="PACKAGE",
        nargs="+",
        help="Build these packages first, then this one, each based on the new build of its parent; ':' separates"
        " groups that are built in parallel",
    )
    complete_with(chain, "nothing")
    retry = parser.add_argument(
        "--retry",
        metavar="TASK",
        type=parse_task,
        help="Submit the request of this failed or canceled task again; requires no checkout",
    )
    complete_with(retry, "nothing")
    wait_repo = parser.add_argument(
        "--wait-repo",
        metavar="NVR",
        action="append",
        nargs="?",
        const="",
        help="First wait until the repository of the build tag is up to date and contains this build (repeatable)",
    )
    complete_with(wait_repo, "nothing")


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offline", action="store_true", help="With --dry-run: skip all requests to the hub")
    parser.add_argument("--strict", action="store_true", help="Treat check warnings as errors")
    skip_check = parser.add_argument(
        "--skip-check", metavar="CODE", action="append", default=[], help="Skip the check with this code (repeatable)"
    )
    complete_with(skip_check, "check-codes", _checks)


def _add_record_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments about what is stored with the task, and written to files."""
    userdata = parser.add_argument(
        "--userdata",
        "--custom-user-metadata",
        metavar="JSON",
        default=None,
        help="JSON object to store verbatim with the task",
    )
    complete_with(userdata, "nothing")
    parser.add_argument(
        "--task-info", metavar="FILE", help="Write the task ID and the submitted request to FILE as JSON"
    )
    parser.add_argument(
        "--metadata-file",
        metavar="FILE",
        help="At the end, write the outcome of the build to FILE as JSON, even if it fails or is canceled",
    )


def _change_arguments_of_rpkg(parser: argparse.ArgumentParser) -> None:
    """Set help texts and completion of rpkg's arguments, and accept several targets."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for action in _own_actions(parser):
        action.help = _HELP.get(action.dest, action.help)
        if action.dest == "target":
            action.__class__ = argparse._AppendAction  # rpkg's accepts one target
        if kind := _COMPLETES.get(action.dest):
            complete_with(action, kind)


def _checks() -> dict[str, str]:
    from fedpkg_container.model.checks import CHECKS

    return {code: check.what for code, check in CHECKS.items()}


def _own_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Replace the actions that the parser shares with others (rpkg's ``parents``) by copies, and return all actions."""
    copies = {id(action): copy.copy(action) for action in parser._actions}
    for group in (*parser._action_groups, *parser._mutually_exclusive_groups):
        group._group_actions[:] = [copies.get(id(action), action) for action in group._group_actions]
    parser._actions[:] = [copies[id(action)] for action in parser._actions]
    for option, action in parser._option_string_actions.items():
        parser._option_string_actions[option] = copies[id(action)]
    return parser._actions


def add_follow_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for following a build, which ``container-status --watch`` has too."""
    parser.add_argument(
        "--progress", choices=KINDS, default=None, help="Progress display (auto: live on a terminal, otherwise plain)"
    )
    parser.add_argument("--timestamps", action="store_true", help="Start each line of plain output with the time")
    hub_timeout = parser.add_argument(
        "--hub-timeout",
        metavar="SECONDS",
        type=parse_seconds,
        default=None,
        help="Keep retrying an unresponsive hub for this many seconds (default: 600)",
    )
    complete_with(hub_timeout, "nothing")
    parser.add_argument(
        "--cancel-on-interrupt", action="store_true", help="Cancel the build on Ctrl-C instead of detaching from it"
    )


def parse_task(text: str) -> int:
    """Parse a task ID.

    :raises argparse.ArgumentTypeError: if the text is not one
    """
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a task ID")
    return int(text)


def parse_seconds(text: str) -> float:
    """Parse a non-negative number of seconds.

    :raises argparse.ArgumentTypeError: if the text is not one
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def flatten(groups: Sequence[Sequence[object]] | None) -> list[Any] | None:
    """Flatten the values of a repeatable option with several values; None if the option was not given."""
    return [item for group in groups for item in group] if groups else None


def check_usage(client: Client) -> None:
    """Exit with a usage error if arguments contradict each other; rpkg's messages are used where it has one.

    :raises UsageError: if a code of ``--skip-check`` is unknown
    """
    from fedpkg_container.commands.findings import check_codes
    from fedpkg_container.model.nvr import nvr_part_problem
    from fedpkg_container.model.options import isolated_release_problem

    arguments = client.args
    error = client.container_build_parser.error
    arguments.targets = list(dict.fromkeys(arguments.target or ()))
    arguments.target = next(iter(arguments.targets), None)
    if arguments.isolated and not arguments.build_release:
        error("missing --build-release: using --isolated requires --build-release option")
    if arguments.isolated and arguments.scratch:
        error("argument --isolated: not allowed with argument --scratch")
    if arguments.compose_ids and arguments.signing_intent:
        error("argument --compose-id: not allowed with argument --signing-intent")
    if arguments.build_release and (problem := nvr_part_problem(arguments.build_release)):
        error(f"argument --build-release: {arguments.build_release!r} {problem}")
    if arguments.isolated and (problem := isolated_release_problem(arguments.build_release)):
        error(f"argument --build-release: the release of an isolated build {problem}")
    if arguments.arches is not None and not flatten(arguments.arches):
        error("argument --arches: expected at least one architecture")
    if arguments.arches and not (arguments.scratch or arguments.isolated or arguments.local):
        error("Cannot override arches for non-scratch and non-isolated builds")
    if arguments.offline and not arguments.dry_run:
        error("argument --offline: only allowed with argument --dry-run")
    if arguments.dry_run:
        for name in ("nowait", "task_info", "cancel_on_interrupt"):  # they are about a task
            if getattr(arguments, name):
                error(f"argument --{name.replace('_', '-')}: not allowed with argument --dry-run")
    if arguments.local:
        _check_local_usage(client)
    if len(arguments.targets) > 1:
        _refuse_options(client, "--target TARGET --target TARGET", (*_ONE_BUILD, "chain"))
    if arguments.chain:
        _refuse_options(client, "--chain", (*_ONE_BUILD, "nowait", "scratch", "isolated", "build_release"))
    if arguments.retry:
        _refuse_options(client, "--retry", (*_REQUEST_OPTIONS, "local", "offline", "if_needed"))
    if arguments.if_needed:
        _refuse_options(client, "--if-needed", ("scratch", "isolated", "local", "offline"))
    check_codes(arguments.skip_check)


#: Options that are part of the request to the hub.
_REQUEST_OPTIONS = (
    "target", "scratch", "isolated", "build_release", "koji_parent_build", "arches", "repo_url", "compose_ids",
    "signing_intent", "replace_dependency", "skip_build", "userdata", "background",
)  # fmt: skip
#: Options that a local build has, of those.
_LOCAL_OPTIONS = ("target", "arches", "repo_url", "build_release")


#: Options that are for one build only.
_ONE_BUILD = ("local", "offline", "task_info", "retry", "koji_parent_build")


def _check_local_usage(client: Client) -> None:
    options = [name for name in _REQUEST_OPTIONS if name not in _LOCAL_OPTIONS]
    about_task = ("nowait", "task_info", "metadata_file", "wait_repo", "chain", "cancel_on_interrupt")
    _refuse_options(client, "--local", (*options, *about_task))


def _refuse_options(client: Client, option: str, names: Sequence[str]) -> None:
    """Exit with a usage error if one of the options is given beside another one."""
    for name in names:
        if getattr(client.args, name):
            other = "--compose-id" if name == "compose_ids" else f"--{name.replace('_', '-')}"
            client.container_build_parser.error(f"argument {option}: not allowed with argument {other}")
