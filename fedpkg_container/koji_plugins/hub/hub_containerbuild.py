# SPDX-License-Identifier: GPL-2.0-or-later
"""Koji hub plugin: the ``buildContainer`` call.

Its signature is that of koji-containerbuild 1.4, so that existing clients keep working. Unlike upstream, it rejects
invalid options, and builds denied by the policy ``build_container``, before a task is created.
"""

from __future__ import annotations

import logging
from typing import Any

import koji
import koji.tasks
import kojihub
from koji.context import context
from koji.daemon import SCM
from koji.plugin import export

from fedpkg_container.koji_plugins.policy_refusal import policy_refusal
from fedpkg_container.model.options import (
    SOURCE_URL_FORM,
    BuildOptions,
    has_password,
    option_problems,
    source_problem,
    source_repository_url,
    unavailable_options,
)
from fedpkg_container.redaction import redact_message, redact_url
from fedpkg_container.text import printable_line

#: A logger of Koji, so that the hub's level and handlers apply.
_log = logging.getLogger("koji.plugin.hub_containerbuild")

#: Policy in hub.conf that decides who may build what; see docs/howto/policy.md.
POLICY = "build_container"
#: Attributes of a source that policy tests can use, besides its type.
_SCM_KEYS = ("scheme", "user", "host", "repository", "revision")

# Hub policies look up a task's arguments by name in this table.
koji.tasks.LEGACY_SIGNATURES["buildContainer"] = [[["src", "target", "opts"], None, None, (None,)]]


@export  # type: ignore[untyped-decorator]
def buildContainer(  # noqa: N802, the name of the call is Koji's
    src: str,
    target: str,
    opts: BuildOptions | None = None,
    priority: int | None = None,
    channel: str = "container-binary",
) -> int:
    """Create a task that builds a container image.

    :param src: source URL of the Dockerfile: dist-git URL with the commit, ``git+https://host/path#commit``
    :param target: name of the build target
    :param opts: options of the build, see ``fedpkg_container.model.options``
    :param priority: added to Koji's default priority; larger numbers mean later. Only admins may use negative ones
    :param channel: channel of the task
    :returns: the task ID
    :raises koji.GenericError: if an option is unknown, has a wrong type, contradicts another one or is not supported,
        or the source is not a git URL with a commit, or names a directory within a repository
    :raises koji.ActionNotAllowed: if the policy denies the build, or a user who is not an admin passes a negative
        priority
    """
    context.session.assertLogin()
    problems = option_problems(opts) or unavailable_options(opts)
    if problems:
        raise koji.GenericError("buildContainer: " + "; ".join(problems))
    task_options: dict[str, Any] = {"channel": channel} if channel else {}
    if priority:
        if priority < 0 and not context.session.hasPerm("admin"):
            raise koji.ActionNotAllowed("only admins may create high-priority tasks")
        task_options["priority"] = koji.PRIO_DEFAULT + priority
    _assert_allowed(_policy_data(src, target, opts or {}, channel))
    task_id: int = kojihub.make_task("buildContainer", [src, target, opts or {}], **task_options)
    source, _, commit = src.partition("#")
    where = f"{redact_url(source)} at {printable_line(commit)}"
    _log.info("task %d created: %s for target %s", task_id, where, printable_line(target))
    return task_id


def _policy_data(src: object, target: object, options: BuildOptions, channel: str | None) -> dict[str, object]:
    """Return the data for policy tests, under the names that Koji's own tests use.

    A target that does not exist is passed by name, without tags: the task reports it.
    """
    if not isinstance(target, str):
        raise koji.GenericError("buildContainer: target must be the name of a build target")
    scm = _source(src)
    data: dict[str, object] = {
        "method": "buildContainer",
        "user_id": context.session.user_id,
        "source": f"{source_repository_url(scm)}#{scm.revision}",
        "target": target,
        "scratch": bool(options.get("scratch")),
        "isolated": bool(options.get("isolated")),
    }
    # Names as in Koji's policy build_from_scm; unset values are left out, as older hubs cannot match None.
    data.update({f"scm_{key}": value for key in _SCM_KEYS if (value := getattr(scm, key))}, scm_type=scm.scmtype)
    if build_target := kojihub.get_build_target(target):
        data.update(tag=build_target["dest_tag_name"], build_tag=build_target["build_tag_name"])
    if channel:
        data["req_channel"] = channel
    return data


def _source(src: object) -> SCM:
    """Parse a source URL as builders do, with koji's own class, which also removes ``..`` from its path."""
    if not isinstance(src, str):
        raise koji.GenericError("buildContainer: the source must be a URL")
    if has_password(src):  # koji's own message would contain it
        raise koji.GenericError(f"buildContainer: a source with a password is not built; give {SOURCE_URL_FORM}")
    try:
        scm = SCM(src)
    except (koji.GenericError, ValueError) as error:  # ValueError: urllib cannot parse it
        raise koji.GenericError(f"buildContainer: {error}; give {SOURCE_URL_FORM}") from error
    reason, solution = source_problem(scm)
    if reason:
        raise koji.GenericError(f"buildContainer: {reason}; {solution}")
    return scm


def _assert_allowed(data: dict[str, object]) -> None:
    """Raise an error that names the rule if the site's policy denies the build.

    Without such a policy, every user who can log in may build, unless ``MissingPolicyOk`` is off.
    """
    allowed, reason = kojihub.check_policy(POLICY, data)
    if allowed:
        return
    rules = context.policy.get(POLICY)
    refusal = policy_refusal(POLICY, reason, rules.last_rule() if rules else "")
    _log.info("denied %s: %s", redact_message(str(data["source"])), redact_message(refusal))
    raise koji.ActionNotAllowed(refusal)
