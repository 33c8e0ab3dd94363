# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages for builds denied by a hub policy, for all versions of Koji."""

from __future__ import annotations

from pathlib import Path

import koji
import koji.policy
import pytest
from koji.context import context

from fedpkg_container.box.hub import policies
from fedpkg_container.koji_plugins.policy_refusal import policy_refusal

BEGINNING = "policy violation (build_container)"


@pytest.mark.parametrize(
    ("reason", "rule", "said"),
    [
        ("Not for you", "tag f41 :: deny Not for you", ": Not for you [rule: tag f41 :: deny]"),
        ("not for you", "tag f41 :: deny Not for you", ": Not for you [rule: tag f41 :: deny]"),  # Koji 1.34
        ("", "tag f41  && user a* :: deny", " [rule: tag f41 && user a* :: deny]"),
        ("Why", "bool scratch !! deny Why", ": Why [rule: bool scratch !! deny]"),
        ("Why", "bool a :: ... bool b !! deny Why", ": Why [rule: bool a :: ... bool b !! deny]"),
        ("Why", "bool a !! ... all :: deny Why: so", ": Why: so [rule: bool a !! ... all :: deny]"),
        ("error in policy", "all :: forbid it", ": error in policy [rule: all :: forbid]"),
        ("not covered by policy", "(no match)", ": not covered by policy [no rule matches]"),
        ("not covered by policy", "bool a :: (no match)", ": not covered by policy [no rule matches]"),
        ("missing policy", "", ": missing policy"),
        (None, None, ""),
    ],
)
def test_message_names_policy_reason_and_rule(reason: str | None, rule: str | None, said: str) -> None:
    assert policy_refusal("build_container", reason, rule) == BEGINNING + said


@pytest.mark.parametrize("line", ["bool scratch !! deny Why", "all :: deny", "bool a && has scratch :: deny c d"])
def test_rule_is_parsed_as_koji_formats_it(line: str) -> None:
    rules = koji.policy.SimpleRuleSet([line], koji.policy.findSimpleTests(vars(koji.policy)))
    rules.apply({"a": True, "scratch": False})
    tests, mark, _ = line.partition(" deny")
    assert policy_refusal("build_container", None, rules.last_rule()).endswith(f"[rule: {tests}{mark}]")


def _policies(directory: Path, text: str) -> None:
    """Return the policies of a box, as calls use them."""
    (directory / "hub.conf").write_text(f"[policy]\n{text}\n")
    context.policy = policies.load(directory / "hub.conf")


def test_unsupported_policy_test_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(koji.GenericError, match="missing test handler: package"):
        _policies(tmp_path, "build_container = package x :: allow")


def test_invalid_policy_action_is_rejected(tmp_path: Path) -> None:
    _policies(tmp_path, "build_container = all :: forbid\nchannel = all :: parent")
    assert policies.check_policy("build_container", {}) == (False, "error in policy")
    with pytest.raises(koji.GenericError, match="invalid channel policy"):
        policies.channel_of({"req_channel": "default"})


def test_everything_is_allowed_without_a_policy_file(tmp_path: Path) -> None:
    context.policy = policies.load(tmp_path / "none")
    assert policies.check_policy("build_container", {}) == (True, "missing policy")
    assert policies.channel_of({"req_channel": "container-binary"}) == "container-binary"
    assert policies.channel_of({"parent": 1}) is None
    assert policies.channel_of({}) == "default"
