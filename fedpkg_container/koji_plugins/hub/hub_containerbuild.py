"""Koji hub plugin: the ``buildContainer`` call.

Upstream's signature (koji-containerbuild 1.4), so that its clients keep working; unlike upstream, bad options
are refused here, before a task exists.
"""

from __future__ import annotations

from typing import Any

import koji
import koji.tasks
import kojihub
from koji.context import context
from koji.plugin import export

from fedpkg_container.model.options import option_problems

# The hub's policies read a task's arguments by name through this table.
koji.tasks.LEGACY_SIGNATURES["buildContainer"] = [[["src", "target", "opts"], None, None, (None,)]]


@export
def buildContainer(  # noqa: N802, the name of the call is Koji's
    src: str,
    target: str,
    opts: dict[str, Any] | None = None,
    priority: int | None = None,
    channel: str = "container-binary",
) -> int:
    """Create a task that builds a container image.

    :param src: where the Dockerfile is: a URL of dist-git with the commit, ``git+https://host/path#commit``
    :param target: name of the build target
    :param opts: options of the build, see ``fedpkg_container.model.options``
    :param priority: added to Koji's default priority; a larger number means later. Only admins may go below 0
    :param channel: the channel of the task
    :returns: the task's id
    :raises koji.GenericError: when an option is unknown, of a wrong type, or contradicts another one
    :raises koji.ActionNotAllowed: when a negative priority is asked for by somebody who is not an admin
    """
    problems = option_problems(opts)
    if problems:
        raise koji.GenericError("buildContainer: " + "; ".join(problems))
    task_options: dict[str, Any] = {"channel": channel} if channel else {}
    if priority:
        if priority < 0 and not context.session.hasPerm("admin"):
            raise koji.ActionNotAllowed("only admins may create high-priority tasks")
        task_options["priority"] = koji.PRIO_DEFAULT + priority
    task_id: int = kojihub.make_task("buildContainer", [src, target, opts or {}], **task_options)
    return task_id
