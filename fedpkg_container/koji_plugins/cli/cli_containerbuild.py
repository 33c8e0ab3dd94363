# SPDX-License-Identifier: GPL-2.0-or-later
"""Plugin of the ``koji`` program: ``koji container-build`` and ``koji flatpak-build``.

Commands, options, messages and exit statuses are those of koji-containerbuild 1.4
(koji_containerbuild/plugins/cli_containerbuild.py), as scripts depend on them. Unsupported options are rejected by the
hub.

koji imports every file of a plugin directory, so this one is alone in its directory.
"""

from __future__ import annotations

import json
import optparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from koji.plugin import export_cli
from koji_cli.lib import _running_in_bg, activate_session, get_usage_str, parse_arches, watch_tasks

from fedpkg_container import logs
from fedpkg_container.hub.call_log import log_calls
from fedpkg_container.hub.session import log_out
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.model.options import BuildOptions

#: Logger of Koji whose level, set by koji's own options, and handlers apply.
KOJI_LOGGER = "koji.container_build"
#: Added to Koji's default priority by ``--background``.
BACKGROUND = 5
#: Command-line options that are task options of the same name.
SAME_NAME_OPTIONS = (
    "scratch",
    "isolated",
    "yum_repourls",
    "git_branch",
    "signing_intent",
    "compose_ids",
    "userdata",
    "dependency_replacements",
    "operator_csv_modifications_url",
    "release",
    "koji_parent_build",
)


@export_cli  # type: ignore[untyped-decorator]
def handle_container_build(options: optparse.Values, session: HubSession, args: list[str]) -> int | None:
    "[build] Build a container image"
    return _build(options, session, args, _parser("container-build", options))


@export_cli  # type: ignore[untyped-decorator]
def handle_flatpak_build(options: optparse.Values, session: HubSession, args: list[str]) -> int | None:
    "[build] Build a flatpak image, on hubs that support it"
    return _build(options, session, args, _parser("flatpak-build", options), flatpak=True)


def _parser(command: str, options: optparse.Values) -> optparse.OptionParser:
    """Return the parser of a command.

    :param options: global options of koji, for defaults
    """
    parser = optparse.OptionParser(usage=get_usage_str(f"usage: %prog {command} [options] target <scm url>"))
    add = parser.add_option
    add("--scratch", action="store_true", help="test build that is not recorded in Koji")
    add("--isolated", action="store_true", help="build that moves no floating tags; requires --release")
    add(
        "--arch-override",
        metavar="ARCHES",
        help="architectures of a scratch or isolated build, e.g. x86_64,aarch64",
    )
    add("--wait", action="store_true", help="wait for the task, even if running in the background")
    add("--nowait", action="store_false", dest="wait", help="do not wait for the task")
    add("--quiet", action="store_true", default=options.quiet, help="print only the result of the task")
    add("--background", action="store_true", help="run the build at a lower priority")
    add("--git-branch", metavar="BRANCH", help="dist-git branch of the commit (required)")
    add("--release", help="release of the build (default: from the Dockerfile, or the hub's next one)")
    add("--repo-url", dest="yum_repourls", metavar="URL", action="append",
        help="URL of a .repo file to use in the build (repeatable)")  # fmt: skip
    add("--koji-parent-build", metavar="NVR", help="use the image of this build as the base image")
    add("--channel-override", metavar="CHANNEL", help="run the build in another channel, if the hub allows it")
    add("--userdata", metavar="JSON", help="JSON object to store verbatim with the task")
    add("--signing-intent", metavar="INTENT", help="signing intent of ODCS composes; not with --compose-id")
    add("--compose-id", dest="compose_ids", metavar="ID", action="append", type="int",
        help="ODCS compose to use (repeatable)")  # fmt: skip
    add("--replace-dependency", dest="dependency_replacements", metavar="MANAGER:NAME:VERSION[:NEW]", action="append",
        help="dependency for Cachito to replace (repeatable)")  # fmt: skip
    add("--operator-csv-modifications-url", metavar="URL",
        help="URL of a JSON file with changes to an operator's manifest; only with --isolated")  # fmt: skip
    return parser


def _parse_arguments(parser: optparse.OptionParser, args: list[str]) -> tuple[optparse.Values, str, str]:
    """Return the options, the target and the source URL; exit if they are invalid."""
    values, positional = parser.parse_args(args)
    if len(positional) != 2:
        parser.error("Exactly two arguments (a build target and a SCM URL) are required")
    target, source = positional
    if "://" not in source:
        parser.error("scm URL does not look like an URL to a source repository")
    if "#" not in source:
        parser.error("scm URL must be of the form <url_to_repository>#<revision>)")
    for problem in _option_problems(values):
        parser.error(problem)
    return values, target, source


def _option_problems(values: optparse.Values) -> Iterator[str]:
    """Yield errors in the options, worded as upstream's."""
    modifications = values.operator_csv_modifications_url
    if values.arch_override and not (values.scratch or values.isolated):
        yield "--arch-override is only allowed for --scratch or --isolated builds"
    if values.signing_intent and values.compose_ids:
        yield "--signing-intent cannot be used with --compose-id"
    if modifications and not values.isolated:
        yield "Only --isolated builds support option --operator-csv-modifications-url"
    if modifications and "://" not in modifications:
        yield "Value provided to --operator-csv-modifications-url does not look like an URL"
    if not values.git_branch:
        yield "git-branch must be specified"
    if values.isolated and values.scratch:
        yield "Build cannot be both isolated and scratch"


def _task_options(parser: optparse.OptionParser, values: optparse.Values, *, flatpak: bool) -> BuildOptions:
    """Return the task options to send."""
    task_options = {name: value for name in SAME_NAME_OPTIONS if (value := getattr(values, name)) is not None}
    if values.arch_override:
        task_options["arch_override"] = parse_arches(values.arch_override)
    if flatpak:
        task_options["flatpak"] = True
    if "userdata" in task_options:
        try:
            task_options["userdata"] = json.loads(values.userdata)
        except ValueError as error:
            parser.error(f"--userdata is not JSON: {error}")
    return cast("BuildOptions", task_options)


def _build(
    options: optparse.Values,
    session: HubSession,
    args: list[str],
    parser: optparse.OptionParser,
    *,
    flatpak: bool = False,
) -> int | None:
    """Submit a build and, unless disabled, wait for it.

    :param options: global options of koji
    :returns: exit status; None is 0
    """
    values, target, source = _parse_arguments(parser, args)
    task_options = _task_options(parser, values, flatpak=flatpak)
    logs.forward_to_koji(KOJI_LOGGER)
    log_calls(session)
    activate_session(session, options)
    _check_target(parser, session, target, scratch=bool(values.scratch))
    channel = {"channel": values.channel_override} if values.channel_override else {}
    priority = BACKGROUND if values.background else None
    task_id = session.buildContainer(source, target, task_options, priority=priority, **channel)
    if not values.quiet:
        print(f"Created task: {task_id}")
    if options.weburl and not values.quiet:
        print(f"Task info: {options.weburl}/taskinfo?taskID={task_id}")
    if values.wait is False or (values.wait is None and _running_in_bg()):
        return None
    log_out(session)
    status: int = watch_tasks(
        session, [task_id], quiet=values.quiet, poll_interval=options.poll_interval, topurl=options.topurl
    )
    if status == 0:
        print(f"Task Result ({task_id}):")
        _print_result(_with_build_urls(session.getTaskResult(task_id), options.weburl))
    return status


def _check_target(parser: optparse.OptionParser, session: HubSession, name: str, *, scratch: bool) -> None:
    """Exit if the target or its destination tag cannot be used."""
    target = session.getBuildTarget(name)
    if not target:
        parser.error(f"Unknown build target: {name}")
    tag = session.getTag(target["dest_tag"])
    if not tag:
        parser.error(f"Unknown destination tag: {target['dest_tag_name']}")
    if tag["locked"] and not scratch:
        parser.error(f"Destination tag {tag['name']} is locked")


def _with_build_urls(result: object, weburl: str) -> object:
    """Return a task's result with URLs of its builds instead of their IDs."""
    if not isinstance(result, Mapping):
        return result
    builds = [f"{weburl}/buildinfo?buildID={build}" for build in result.get("koji_builds") or []]
    return {**result, "koji_builds": builds}


def _print_result(value: object, level: int = 0) -> None:
    """Print a task's result, one line per value, with sorted keys and indented values."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            print(f"{'  ' * level}{printable_line(str(key))}:")
            _print_result(value[key], level + 1)
    elif isinstance(value, list):
        for item in value:
            _print_result(item, level + 1)
    else:
        print(f"{'  ' * level}{printable_line(str(value))}")
