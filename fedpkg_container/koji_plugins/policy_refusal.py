# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages for builds that a hub policy denies."""

from __future__ import annotations

#: End of koji.policy's ``last_rule`` if no rule matched.
_NO_MATCH = "(no match)"


def policy_refusal(policy: str, reason: str | None, rule: str | None) -> str:
    """Return the message for a denied build: policy, reason and rule.

    It starts like Koji's own messages, but always ends with the rule; Koji's do so only with ``VerbosePolicy``.

    :param policy: its name in hub.conf
    :param reason: from the hub's ``check_policy``; Koji 1.34 converts it to lower case
    :param rule: ``last_rule`` of the rule set: ``tests :: ... tests :: deny Why``; empty without such a policy
    """
    tests, action = _split_rule(" ".join((rule or "").split()))
    word, _, why = action.partition(" ")
    if word == "deny":
        reason = why
    message = f"policy violation ({policy})" + (f": {reason}" if reason else "")
    if not rule:
        return message
    return f"{message} [no rule matches]" if rule.endswith(_NO_MATCH) else f"{message} [rule: {tests} {word}]"


def _split_rule(rule: str) -> tuple[str, str]:
    """Return the tests of a rule with the last separator, and its action."""
    end = max(rule.rfind(":: "), rule.rfind("!! ")) + 2
    return rule[:end], rule[end:].strip()
