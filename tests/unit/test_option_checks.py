# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that the hub plugin refuses: findings before the submission, in real runs as in dry runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.commands.option_checks import check_options
from fedpkg_container.model.build import BuildRequest
from fedpkg_container.model.options import BuildOptions
from tests.support.checkout import LocalCheckout
from tests.support.fake_hub import fake_hub


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({}, "", ""),
        ({"yum_repourls": ["https://example.org/a.repo"]}, "", ""),
        ({"signing_intent": "release"}, "build-options", "option signing_intent is not supported"),
        ({"skip_build": True}, "build-options", "skip_build is no longer supported"),
        ({"compose_ids": [1]}, "build-options", "option compose_ids is not supported"),
        ({"git_branch": ""}, "", ""),
        ({"yum_repourls": ["example.org/a.repo"]}, "repo-url", "'example.org/a.repo' is not a valid URL"),
        ({"yum_repourls": ["https://me:secret@h/a.repo"]}, "repo-url", "https://h/a.repo contains a user name"),
        ({"yum_repourls": ["https://[h/a.repo"]}, "repo-url", "is not a valid URL"),
    ],
)
def test_findings(options: BuildOptions, code: str, message: str) -> None:
    request = BuildRequest("git+https://example.org/container/foo#1", "rawhide", {"git_branch": "rawhide", **options})
    findings = list(check_options(request))
    assert [finding.code for finding in findings] == ([code] if code else [])
    assert all(message in finding.message and "secret" not in finding.message for finding in findings)


@pytest.mark.programs
@pytest.mark.parametrize("arguments", [("--nowait",), ("--dry-run",)])
def test_no_task_is_created(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    checkout = LocalCheckout.make(tmp_path)
    (checkout.directory / "container.yaml").write_text("tags: [a-b]\n")
    with fake_hub(checkout.home, answers={"getTag": {"id": 2, "name": "dest", "locked": True}}) as hub:
        done = checkout.run("container-build", *arguments, "--signing-intent", "release")
        skip = [f"--skip-check={code}" for code in ("build-options", "untracked")]
        skipped = checkout.run("container-build", "--nowait", "--scratch", "--skip-build", *skip)
    assert done.returncode == 3, done.stderr
    for code in ("build-options", "tag-locked", "tag-ignored"):
        assert f"[{code}]" in done.stderr
    assert skipped.returncode == 0, skipped.stderr
    assert hub.calls.count("buildContainer") == 1
