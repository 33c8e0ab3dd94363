"""Koji hub plugin: the ``buildContainer`` call.

Upstream's signature (koji-containerbuild 1.4), so that its clients keep working; unlike upstream, bad options
are refused here, before a task exists, and so are builds that the site's policy ``build_container`` does not allow.
"""

from __future__ import annotations

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
    has_password,
    option_problems,
    source_problem,
    source_repository_url,
    unavailable_options,
)

#: The policy in hub.conf that says who may build what; see docs/policy.md.
POLICY = "build_container"
#: What rules can ask of a source, besides its type.
_SCM_KEYS = ("scheme", "user", "host", "repository", "revision")

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
    :raises koji.GenericError: when an option is unknown, of a wrong type, contradicts another one or is not offered,
        or the source is no git URL with a commit, or names a folder within a repository
    :raises koji.ActionNotAllowed: when the policy does not allow this build, or a negative priority is asked for by
        somebody who is not an admin
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
    return task_id


def _policy_data(src: Any, target: Any, options: dict[str, Any], channel: str | None) -> dict[str, Any]:
    """What rules can ask about, under the names that Koji's own tests read.

    A target that does not exist keeps its name and has no tags: that there is none, the task finds out.
    """
    if not isinstance(target, str):
        raise koji.GenericError("buildContainer: target must be the name of a build target")
    scm = _source(src)
    data: dict[str, Any] = {
        "method": "buildContainer",
        "user_id": context.session.user_id,
        "source": f"{source_repository_url(scm)}#{scm.revision}",
        "target": target,
        "scratch": bool(options.get("scratch")),
        "isolated": bool(options.get("isolated")),
    }
    # The names of Koji's policy build_from_scm; what is not given is absent, as older hubs cannot match None.
    data.update({f"scm_{key}": value for key in _SCM_KEYS if (value := getattr(scm, key))}, scm_type=scm.scmtype)
    if known := kojihub.get_build_target(target):
        data.update(tag=known["dest_tag_name"], build_tag=known["build_tag_name"])
    if channel:
        data["req_channel"] = channel
    return data


def _source(src: Any) -> SCM:
    """A source as builders read it: koji's own class takes the URL apart, and ``..`` out of its path."""
    if not isinstance(src, str):
        raise koji.GenericError("buildContainer: the source must be a URL")
    if has_password(src):  # koji's own refusal would repeat it
        raise koji.GenericError(f"buildContainer: a source with a password is not built; give {SOURCE_URL_FORM}")
    try:
        scm = SCM(src)
    except (koji.GenericError, ValueError) as error:  # ValueError: urllib cannot take it apart
        raise koji.GenericError(f"buildContainer: {error}; give {SOURCE_URL_FORM}") from error
    reason, solution = source_problem(scm)
    if reason:
        raise koji.GenericError(f"buildContainer: {reason}; {solution}")
    return scm


def _assert_allowed(data: dict[str, Any]) -> None:
    """Refuse what the site's policy does not allow, and name the rule.

    A site without such a policy lets everybody build who may log in, unless ``MissingPolicyOk`` is off.
    """
    allowed, reason = kojihub.check_policy(POLICY, data)
    if allowed:
        return
    rules = context.policy.get(POLICY)
    raise koji.ActionNotAllowed(policy_refusal(POLICY, reason, rules.last_rule() if rules else ""))
