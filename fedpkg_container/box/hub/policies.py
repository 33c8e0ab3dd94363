# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies: Koji's rules (koji.policy), as in ``[policy]`` of hub.conf, with the tests that this hub supports.

The names of the tests and of their data are Koji's; docs/howto/policy.md has examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import koji
import koji.policy
from koji.context import context
from koji.util import multi_fnmatch

from fedpkg_container.box.hub.calls import tags, users

Data = Mapping[str, Any]
#: Policies of a hub without any in hub.conf: Koji's default of ``channel``, and ``tag`` from docs/howto/policy.md.
#: Koji has no default of ``tag``: there, every user may tag a build as tested.
DEFAULTS = {
    "tag": (
        "has_perm admin container-releases :: allow\n"
        "tag *-container-updates :: deny Only release engineers tag tested builds\n"
        "fromtag *-container-updates :: deny Only release engineers untag tested builds\n"
        "all :: allow"
    ),
    "channel": "has req_channel :: req\nis_child_task :: parent\nall :: use default",
}


def _user_names(data: Data) -> list[str]:
    return [users.known_user(data["user_id"])["name"]]


def _groups(data: Data) -> Iterable[str]:
    return users.groups_of(data["user_id"])


def _permissions(data: Data) -> Iterable[str]:
    return users.permissions_of(data["user_id"])


def _tag(data: Data) -> list[str]:
    tag = tags.get_tag(data["tag"]) if data.get("tag") else None
    return [tag["name"]] if tag else []


def _from_tag(data: Data) -> list[str]:
    tag = tags.get_tag(data["fromtag"]) if data.get("fromtag") else None
    return [tag["name"]] if tag else []


def _build_tag(data: Data) -> list[str]:
    if "build_tag" in data:
        return [tags.get_tag(data["build_tag"], strict=True)["name"]]  # type: ignore[index]
    target = tags.get_build_target(data["target"]) if data.get("target") else None
    return [target["build_tag_name"]] if target else []


def _field(name: str) -> Callable[[Data], list[str]]:
    return lambda data: [data[name]] if data.get(name) else []


def _matching(values: Callable[[Data], Iterable[str]]) -> type:
    """A test that is true if one of its patterns matches one of these values."""

    class ValuesTest(koji.policy.BaseSimpleTest):  # type: ignore[misc]
        def run(self, data: Data) -> bool:
            """Whether any matches."""
            patterns = self.str.split()[1:]
            return any(multi_fnmatch(value, patterns) for value in values(data))

    return ValuesTest


class ChildTaskTest(koji.policy.BoolTest):  # type: ignore[misc]
    """Whether the task has a parent."""

    field = "parent"


#: Koji's tests that need a hub, in addition to those of koji.policy.
TESTS: dict[str, type] = {
    "buildtag": _matching(_build_tag),
    "fromtag": _matching(_from_tag),
    "has_perm": _matching(_permissions),
    "is_child_task": ChildTaskTest,
    "method": _matching(_field("method")),
    "operation": _matching(_field("operation")),
    "source": _matching(_field("source")),
    "tag": _matching(_tag),
    "user": _matching(_user_names),
    "user_in_group": _matching(_groups),
}


def load(path: Path | None) -> dict[str, Any]:
    """Rule sets of a hub, by policy name.

    :param path: file in the format of hub.conf, of which ``[policy]`` is read; None or missing: the defaults
    :raises koji.GenericError: a rule uses a test that this hub lacks
    """
    written = koji.read_config_files(str(path), raw=True) if path else None
    texts = dict(written.items("policy")) if written and written.has_section("policy") else {}
    tests = {**koji.policy.findSimpleTests(vars(koji.policy)), **TESTS}
    return {name: koji.policy.SimpleRuleSet(text.splitlines(), tests) for name, text in {**DEFAULTS, **texts}.items()}


def check_policy(name: str, data: Mapping[str, object], default: str = "deny") -> tuple[bool, str]:
    """Whether a policy allows an action, and the reason; ``kojihub.check_policy`` for plugins.

    A missing policy allows everything, as in Koji (``MissingPolicyOk``).
    """
    rules = context.policy.get(name)
    if rules is None:
        return True, "missing policy"
    action = rules.apply(dict(data))
    if action is None:
        return default == "allow", "not covered by policy"
    word, _, reason = action.partition(" ")
    known = word.lower() in {"allow", "deny"}
    return word.lower() == "allow", reason.strip() if known else "error in policy"


def assert_policy(name: str, data: Mapping[str, Any], *, force: bool = False) -> None:
    """Refuse actions that a policy denies.

    :param force: allow admins
    :raises koji.ActionNotAllowed: with the rule's reason
    """
    allowed, reason = check_policy(name, data)
    if allowed or (force and "admin" in users.permissions_of(data["user_id"])):
        return
    raise koji.ActionNotAllowed(f"policy violation ({name})" + (f": {reason}" if reason else ""))


def channel_of(data: Mapping[str, object]) -> str | None:
    """Channel of a new task by the policy ``channel``; None: that of its parent.

    :param data: of the task; ``req_channel`` is the requested channel
    :raises koji.GenericError: the policy's action is not valid
    """
    rules = context.policy["channel"]
    words = (rules.apply(dict(data)) or "use default").split()
    if words[0] == "use" and len(words) > 1:
        return str(words[1])
    if words[0] == "req" and "req_channel" in data:
        return str(data["req_channel"])
    if words[0] == "parent" and data.get("parent"):
        return None
    raise koji.GenericError("invalid channel policy")
