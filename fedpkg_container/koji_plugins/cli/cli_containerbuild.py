"""Plugin of the ``koji`` program: ``koji container-build`` and ``koji flatpak-build``.

Commands, options, messages and exit statuses are those of koji-containerbuild 1.4
(koji_containerbuild/plugins/cli_containerbuild.py), as scripts know them. What a hub does not offer, it says itself.

koji imports every file of a plugin folder: this one stands alone in its own.
"""

from __future__ import annotations

import json
import optparse
from collections.abc import Iterator, Mapping
from typing import Any

from koji.plugin import export_cli
from koji_cli.lib import _running_in_bg, activate_session, get_usage_str, parse_arches, watch_tasks

from fedpkg_container.text import printable_line

#: What ``--background`` adds to Koji's default priority.
BACKGROUND = 5
#: Options of the command that are sent to the hub under the same name.
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


@export_cli
def handle_container_build(options: Any, session: Any, args: list[str]) -> int | None:
    "[build] Build a container image"
    return _build(options, session, args, _parser("container-build", options))


@export_cli
def handle_flatpak_build(options: Any, session: Any, args: list[str]) -> int | None:
    "[build] Build a flatpak image, on hubs that offer it"
    return _build(options, session, args, _parser("flatpak-build", options), flatpak=True)


def _parser(command: str, options: Any) -> optparse.OptionParser:
    """The command's options.

    :param options: the program's, for defaults
    """
    parser = optparse.OptionParser(usage=get_usage_str(f"usage: %prog {command} [options] target <scm url>"))
    add = parser.add_option
    add("--scratch", action="store_true", help="build for testing: the image is not recorded in Koji")
    add("--isolated", action="store_true", help="build beside the others: no tag moves to the image; needs --release")
    add(
        "--arch-override",
        metavar="ARCHES",
        help="only these arches, of a scratch or isolated build: x86_64,aarch64",
    )
    add("--wait", action="store_true", help="wait for the end, in the background too")
    add("--nowait", action="store_false", dest="wait", help="do not wait for the end")
    add("--quiet", action="store_true", default=options.quiet, help="say nothing of the task, only its result")
    add("--background", action="store_true", help="let other builds go first")
    add("--git-branch", metavar="BRANCH", help="branch of dist-git that the commit is on (required)")
    add("--release", help="the build's release, instead of the Dockerfile's or the hub's next one")
    add("--repo-url", dest="yum_repourls", metavar="URL", action="append",
        help="a yum repository's .repo file for the build; may be repeated")  # fmt: skip
    add("--koji-parent-build", metavar="NVR", help="take the base image from this build")
    add("--channel-override", metavar="CHANNEL", help="builders of another channel, where the hub allows that")
    add("--userdata", metavar="JSON", help="a JSON object that is kept with the task as it is")
    add("--signing-intent", metavar="INTENT", help="signatures of packages in ODCS composes; excludes --compose-id")
    add("--compose-id", dest="compose_ids", metavar="ID", action="append", type="int",
        help="an ODCS compose to use; may be repeated")  # fmt: skip
    add("--replace-dependency", dest="dependency_replacements", metavar="MANAGER:NAME:VERSION[:NEW]", action="append",
        help="a dependency that Cachito replaces; may be repeated")  # fmt: skip
    add("--operator-csv-modifications-url", metavar="URL",
        help="a JSON file with changes of an operator's manifest; an isolated build")  # fmt: skip
    return parser


def _parse_arguments(parser: optparse.OptionParser, args: list[str]) -> tuple[optparse.Values, str, str]:
    """The options, the target and the source; ends the program where they cannot be used."""
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
    """What is wrong with the options, in upstream's words."""
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


def _task_options(parser: optparse.OptionParser, values: optparse.Values, *, flatpak: bool) -> dict[str, Any]:
    """What is sent: the options that were given."""
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
    return task_options


def _build(
    options: Any, session: Any, args: list[str], parser: optparse.OptionParser, *, flatpak: bool = False
) -> int | None:
    """Submit a build and, unless told otherwise, wait for it.

    :param options: the program's
    :returns: the program's exit status; None is 0
    """
    values, target, source = _parse_arguments(parser, args)
    task_options = _task_options(parser, values, flatpak=flatpak)
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
    session.logout()
    status: int = watch_tasks(
        session, [task_id], quiet=values.quiet, poll_interval=options.poll_interval, topurl=options.topurl
    )
    if status == 0:
        print(f"Task Result ({task_id}):")
        _print_result(_with_build_urls(session.getTaskResult(task_id), options.weburl))
    return status


def _check_target(parser: optparse.OptionParser, session: Any, name: str, *, scratch: bool) -> None:
    """End the program where the target, or its destination tag, cannot be built for."""
    target = session.getBuildTarget(name)
    if not target:
        parser.error(f"Unknown build target: {name}")
    tag = session.getTag(target["dest_tag"])
    if not tag:
        parser.error(f"Unknown destination tag: {target['dest_tag_name']}")
    if tag["locked"] and not scratch:
        parser.error(f"Destination tag {tag['name']} is locked")


def _with_build_urls(result: Any, weburl: str) -> Any:
    """A task's result with the addresses of its builds in place of their ids."""
    if not isinstance(result, Mapping):
        return result
    builds = [f"{weburl}/buildinfo?buildID={build}" for build in result.get("koji_builds") or []]
    return {**result, "koji_builds": builds}


def _print_result(value: Any, level: int = 0) -> None:
    """A task's result, a line for each value: keys in order, what is in them below."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            print(f"{'  ' * level}{printable_line(str(key))}:")
            _print_result(value[key], level + 1)
    elif isinstance(value, list):
        for item in value:
            _print_result(item, level + 1)
    else:
        print(f"{'  ' * level}{printable_line(str(value))}")
