# SPDX-License-Identifier: GPL-2.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""``fedpkg-container-box``: all services on this machine, started and stopped with one command."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container import __version__
from fedpkg_container.box.layout import ADMIN, PACKAGER, Layout, default_directory
from fedpkg_container.box.machines import CAPACITY, Machine, machines
from fedpkg_container.commands import program
from fedpkg_container.commands.usage_errors import report_briefly
from fedpkg_container.errors import FedpkgContainerError, UsageError
from fedpkg_container.process import foreground
from fedpkg_container.text import os_error_solution, os_error_text, pluralize

if TYPE_CHECKING:
    from fedpkg_container.box.box import Box
    from fedpkg_container.box.services import Service


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fedpkg-container-box",
        description="Koji hub, builder, registry and dist-git for containers, all on this machine. "
        "For evaluation and for tests, by one user.",
    )
    parser.add_argument(
        "-d", "--directory", type=Path, default=default_directory(), help="directory of the box (default: %(default)s)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log decisions and steps")
    parser.add_argument(
        "--debug", action="store_true", help="log programs and requests to the hub too, and show tracebacks"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_up(commands.add_parser("up", help="start the box; create it if it does not exist"))
    commands.add_parser("status", help="show the services, their state and addresses").set_defaults(run=_status)
    shell = commands.add_parser("shell", help="start a shell in which fedpkg, koji and git are configured for the box")
    shell.add_argument(
        "--user", choices=(PACKAGER, ADMIN), default=PACKAGER, help="Koji user to log in as (default: %(default)s)"
    )
    # With this name, completion offers files after --, as in rpkg.
    shell.add_argument("extra_args", nargs="*", metavar="COMMAND", help="command to run instead of a shell (after --)")
    shell.set_defaults(run=_shell)
    repository = commands.add_parser("create-repo", help="create an empty repository in dist-git")
    repository.add_argument("name", help="namespace and name, e.g. container/hello-web")
    repository.set_defaults(run=_create_repository)
    commands.add_parser("prune", help="empty the staging repositories of builds that have ended").set_defaults(
        run=_prune
    )
    down = commands.add_parser("down", help="stop the box; its data is kept")
    down.add_argument("--remove", action="store_true", help="also delete its directory")
    down.set_defaults(run=_down)
    for each in (parser, *commands.choices.values()):
        report_briefly(each)
    return parser


def _add_up(up: argparse.ArgumentParser) -> None:
    up.add_argument(
        "--builders",
        type=int,
        default=None,
        metavar="N",
        help="number of builders of this machine's architecture in a new box (default: 1)",
    )
    up.add_argument(
        "--builder",
        action="append",
        default=[],
        metavar="NAME=ARCH[,ARCH]",
        help="additional builder of a new box, for tasks of these architectures; for those that this machine cannot "
        "execute, only Dockerfiles without RUN are built (repeatable)",
    )
    up.add_argument(
        "--capacity",
        type=float,
        default=None,
        metavar="WEIGHT",
        help=f"total weight of tasks per builder of a new box; an architecture weighs 2 (default: {CAPACITY:g})",
    )
    up.add_argument(
        "--distribution",
        action="store_true",
        help="also start a stable registry, its front end and a mirror, now and later",
    )
    up.add_argument(
        "--cluster",
        action="store_true",
        help="also start a simulated Kubernetes, and run builds in its pods, now and later; requires root",
    )
    up.set_defaults(run=_up)


def _up(arguments: argparse.Namespace) -> int:
    from fedpkg_container.box import nginx
    from fedpkg_container.box.box import Box
    from fedpkg_container.engines import rootless

    wanted = _wanted(arguments)
    layout = Layout.open(arguments.directory, builders=wanted)
    if arguments.distribution:
        nginx.program()
        layout = layout.with_distribution()
    if arguments.cluster or layout.cluster:
        from fedpkg_container.box.cluster.site import check_usable

        check_usable(os.geteuid())
        layout = layout.with_cluster()
    rootless.enter()
    box = Box(layout)
    if wanted not in (None, box.layout.machines):
        raise UsageError(
            f"the builders of a box cannot be changed; this box has {', '.join(map(str, box.layout.machines))}",
            solution="create another box with --directory",
        )
    box.up()
    _describe(box.layout)
    print(f"\nnext: {_program(arguments)} shell")
    return 0


def _wanted(arguments: argparse.Namespace) -> tuple[Machine, ...] | None:
    """The requested builders; None if none are specified."""
    if arguments.builders is None and not arguments.builder and arguments.capacity is None:
        return None
    capacity = CAPACITY if arguments.capacity is None else arguments.capacity
    if not 0 < capacity <= 1000:
        raise UsageError(
            "--capacity must be above 0 and at most 1000",
            solution="use e.g. --capacity 4, for two architectures at a time",
        )
    count = 1 if arguments.builders is None else arguments.builders
    return machines(count, arguments.builder, capacity=capacity)


def _program(arguments: argparse.Namespace) -> str:
    """This program's name as called, for suggestions."""
    where = "" if arguments.directory == default_directory() else f" -d {shlex.quote(str(arguments.directory))}"
    return f"{sys.argv[0]}{where}"


def _prune(arguments: argparse.Namespace) -> int:
    print(f"{pluralize(_running(arguments).prune(), 'image')} deleted from staging")
    return 0


def _existing(arguments: argparse.Namespace) -> Layout:
    if not (arguments.directory / "box.ini").exists():
        raise UsageError(f"there is no box in {arguments.directory}", solution=f"create one: {_program(arguments)} up")
    return Layout.open(arguments.directory)


def _running(arguments: argparse.Namespace) -> Box:
    """The box, which must be running.

    :raises FedpkgContainerError: if it is not
    """
    from fedpkg_container.box.box import Box

    box = Box(_existing(arguments))
    if box.hub.pid is None:
        raise FedpkgContainerError("the box is not running", solution=f"start it: {_program(arguments)} up")
    return box


def _describe(layout: Layout) -> None:
    print(f"hub       {layout.hub_url}")
    print(f"registry  {layout.registry_address}")
    print(f"dist-git  https://127.0.0.1:{layout.ports.distgit}/ (reading and pushing)")
    print(f"          http://127.0.0.1:{layout.ports.distgit_anonymous}/ (reading)")
    if beyond := layout.distribution:
        print(f"stable    {beyond.address} (as {beyond.no_cdn_address}: without redirects)")
        print(f"mirror    {beyond.mirror_url}/ of {beyond.tree}")
        print(f"catalog   https://{beyond.address}/catalog/ of {beyond.catalog}")
        print(f"switch    {beyond.switch}: no redirects while this file exists")
    if layout.cluster:
        print(f"cluster   {layout.cluster.url} (simulated; {layout.cluster.kubeconfig})")
    print(f"builders  {', '.join(map(str, layout.machines))}")
    print(f"directory {layout.directory}")


def _status(arguments: argparse.Namespace) -> int:
    from fedpkg_container.box.box import Box
    from fedpkg_container.engines.versions import exposures

    box = Box(_existing(arguments))
    _describe(box.layout)
    print()
    running = 0
    for service in box.services:
        pid = service.pid
        running += pid is not None
        print(f"{service.name:<12}{_state(service, pid, supervised=box.supervisor.pid is not None)}")
    for exposure in exposures():
        print(f"\nwarning: {exposure}")
    if running < len(box.services):
        print(f"\nstart the stopped services: {_program(arguments)} up")
        return 1
    return 0


def _state(service: Service, pid: int | None, *, supervised: bool) -> str:
    if pid is not None:
        return f"running (process {pid})"
    if supervised and service.start_file.exists():
        return f"not running; the supervisor restarts it (log: {service.log})"
    return "not running"


def _shell(arguments: argparse.Namespace) -> int:
    from fedpkg_container.box.shell import environment

    box = _running(arguments)
    command = arguments.extra_args or [os.environ.get("SHELL") or "/bin/sh"]
    if not arguments.extra_args:
        print(
            f"fedpkg, koji, git and skopeo are configured for the box in {box.layout.directory}; use exit to leave",
            flush=True,
        )
    return foreground(command, env=environment(box, user=arguments.user))


def _create_repository(arguments: argparse.Namespace) -> int:
    from fedpkg_container.box.distgit import create_repository, repository_path

    root = _existing(arguments).distgit
    if repository_path(root, arguments.name).exists():
        print(f"{arguments.name} already exists and is not changed:", file=sys.stderr)
    print(create_repository(root, arguments.name))
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from fedpkg_container.box.box import Box
    from fedpkg_container.engines import rootless

    rootless.enter()
    box = Box(_existing(arguments))
    was_running = any(service.pid is not None for service in box.services)
    stopped = "stopped the box in" if was_running else "the box was not running:"
    if arguments.remove:
        box.remove()
        print(f"{stopped} {box.layout.directory}, deleted its directory")
    else:
        box.down()
        print(f"{stopped} {box.layout.directory}; its data is kept (start it again: {_program(arguments)} up)")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    """Run a command; return status."""
    from fedpkg_container import logs

    logs.show(verbose=arguments.verbose, debug=arguments.debug)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except FedpkgContainerError as error:
        logs.log_traceback(error)
        return _print_error(error.reason, error.solution, error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        logs.log_traceback(error)
        return _print_error(os_error_text(error), os_error_solution(error), 1)
    except KeyboardInterrupt:
        return _print_error("interrupted", f"run the command again, or stop the box: {_program(arguments)} down", 130)


def _print_error(reason: str, solution: str, status: int) -> int:
    print(f"error: {reason}", file=sys.stderr)
    if solution:
        print(f"       {solution}", file=sys.stderr)
    return status


def main() -> None:
    """Program entry point."""
    program.main(_parser(), _run)


if __name__ == "__main__":
    main()
