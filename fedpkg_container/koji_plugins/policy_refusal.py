"""How a hub's policy refuses, in words that a packager can act on."""

from __future__ import annotations

#: What koji.policy's ``last_rule`` ends with when no rule matched.
_NO_MATCH = "(no match)"


def policy_refusal(policy: str, reason: str | None, rule: str | None) -> str:
    """The message of a refusal: which policy, why, and by which rule.

    It begins as Koji's own refusals do; unlike those, which name the rule only where ``VerbosePolicy`` is on, it
    always ends with the rule.

    :param policy: its name in hub.conf
    :param reason: what the hub's ``check_policy`` gave as the reason; Koji 1.34 makes it lower case
    :param rule: ``last_rule`` of the rule set: ``tests :: ... tests :: deny Why``; empty when there is no such policy
    """
    tests, action = _split_rule(" ".join((rule or "").split()))
    word, _, why = action.partition(" ")
    if word == "deny":
        reason = why
    said = f"policy violation ({policy})" + (f": {reason}" if reason else "")
    if not rule:
        return said
    return f"{said} [no rule matches]" if rule.endswith(_NO_MATCH) else f"{said} [rule: {tests} {word}]"


def _split_rule(rule: str) -> tuple[str, str]:
    """Its tests with the last mark, and its action."""
    end = max(rule.rfind(":: "), rule.rfind("!! ")) + 2
    return rule[:end], rule[end:].strip()
