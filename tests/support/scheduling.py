# SPDX-License-Identifier: GPL-2.0-or-later
"""How pytest-xdist distributes tests over workers: tests with common fixtures stay together, slow tests start first.

Each worker has separate session fixtures. A group, usually a file, runs on one worker.
"""

from __future__ import annotations

import re

# Any: pytest-xdist's class for its log is not public.
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Packages whose tests share a fixture with a long setup.
_SHARING = ("tests/contract/", "tests/security/")
#: Tests that change the network of the machine: see tests/support/outside.py.
_OUTSIDE = {"tests/e2e/test_network.py", "tests/e2e/test_repo_urls.py"}
#: Files of many tests with at most a quick common fixture: each test is a group, which any free worker takes.
_SPREAD = {
    "tests/registry/test_profiles.py",
    "tests/registry/test_target_check.py",
    "tests/unit/test_hub_parameters.py",
}
_KIND = re.compile(r"[\[-](nginx|httpd)[]-]")

#: Seconds of the slowest groups, which start first, and of any other file of tests/e2e.
_SECONDS = {
    "tests/security/": 165,
    "tests/e2e/test_builder_survives.py": 89,
    "tests/e2e/test_releases.py": 74,
    "tests/redirects/nginx": 73,
    "tests/redirects/httpd": 71,
    "tests/e2e/test_wrong_input.py": 58,
    "tests/e2e/test_completion.py": 53,
    "tests/e2e/test_status.py": 50,
    "tests/e2e/test_arches.py": 48,
    "tests/e2e/test_import_base.py": 47,
    "tests/e2e/test_cluster.py": 46,
    "tests/cluster/test_api_faults.py": 41,
    "tests/e2e/test_content.py": 40,
    "tests/e2e/test_referrers.py": 40,
    "tests/cluster/test_faults.py": 40,
    "tests/e2e/test_hostile.py": 38,
    "tests/e2e/test_prepare.py": 38,
    "tests/contract/": 37,
    "tests/e2e/promotion/test_unpromote.py": 36,
    "tests/buildah/test_differential.py": 36,
    "tests/unit/test_box_servers.py": 31,
    "tests/e2e/test_box_distribution.py": 31,
    "tests/cluster/test_cancel.py": 31,
    "tests/registry/test_responses.py": 31,
    "tests/e2e/promotion/test_promote_faults.py": 29,
    "tests/e2e/test_follow.py": 27,
    "tests/e2e/test_watch.py": 27,
    "tests/e2e/test_build_options.py": 26,
    "tests/e2e/test_requests.py": 25,
    "tests/e2e/promotion/test_promote.py": 25,
    "tests/e2e/test_again.py": 24,
    "tests/e2e/promotion/test_promote_kills.py": 23,
    "tests/e2e/test_prune.py": 22,
    "tests/e2e/test_check_examples.py": 21,
    "tests/e2e/test_mirror_command.py": 20,
    "tests/registry/test_staging.py": 20,
    "tests/registry/test_message_faults.py": 20,
    "tests/registry/test_client.py": 19,
    "tests/unit/test_client_traps.py": 19,
    "tests/unit/test_completion_snapshot.py": 18,
    "tests/registry/test_preparation.py": 18,
    "tests/cluster/test_job.py": 16,
    "tests/registry/test_signatures.py": 16,
    "tests/unit/test_process.py": 15,
    "tests/registry/test_reports.py": 13,
    "tests/unit/test_config_command.py": 12,
    "tests/unit/test_after_submission.py": 12,
}
_SECONDS_E2E = 15


def group(nodeid: str) -> str:
    """Return the group of a test, for example ``tests/unit/test_rules.py``."""
    file = nodeid.partition("::")[0]
    if file.startswith("tests/redirects/"):  # the front ends of one kind serve all files
        kind = _KIND.search(nodeid)
        return f"tests/redirects/{kind[1] if kind else ''}"
    if file in _SPREAD:
        return nodeid
    if file in _OUTSIDE:
        return "tests/security/"
    return next((each for each in _SHARING if file.startswith(each)), file)


def sort(items: list[pytest.Item]) -> None:
    """Sort tests so that the slowest groups come first."""
    items.sort(key=lambda item: -_seconds(group(item.nodeid)))


def _seconds(name: str) -> int:
    return _SECONDS.get(name, _SECONDS_E2E if name.startswith("tests/e2e/") else 0)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Groups in the workers' order of collection."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
