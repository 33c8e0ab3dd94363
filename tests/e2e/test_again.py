# SPDX-License-Identifier: GPL-2.0-or-later
"""A build that fails, is retried, is corrected, and is then needed no more."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from tests.support.packager import Packager, pull_specs


def test_a_running_build_is_not_submitted_again(small_box: Box, tmp_path: Path) -> None:
    packager = Packager.make(small_box, tmp_path)
    packager.commit(packager.dockerfile("RUN true"))
    first = packager.build("--nowait")
    assert first.returncode == 0, first.stderr
    task = int(first.stdout.split()[2])
    again = packager.build("--nowait", "--if-needed")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == f"HEAD is being built by task {task}\n"
    other = packager.build("--nowait", "--if-needed", "--target", "nosuch")
    assert other.returncode == 3
    packager.cancel_builds()


def test_a_build_until_it_is_needed_no_more(packager: Packager, box: Box) -> None:
    outcome = packager.checkout.parent / "outcome.json"
    arguments = ("--metadata-file", str(outcome), "--progress", "plain")
    packager.commit(packager.dockerfile("ENV A=1", "# why", "RUN echo working && \\\n    exit 3", "RUN true"))

    failed = packager.build("--userdata", '{"a": 1}', "--if-needed", *arguments)
    assert failed.returncode == 1
    lines = [*failed.stdout.splitlines(), *failed.stderr.splitlines()]
    assert [line for line in set(lines) if line and lines.count(line) > 2] == []
    line = packager.dockerfile().count("\n") + 3
    assert f"> {line} | RUN echo working && \\" in failed.stdout
    reason = f"Dockerfile:{line}: RUN echo working && exit 3: exit status 3"
    assert [text for text in lines if reason in text] == [
        text for text in failed.stderr.splitlines() if text.startswith("error: task ")
    ]
    recorded = json.loads(outcome.read_text())
    task = recorded["task_id"]
    failure = recorded["failure"]
    assert (recorded["exit_status"], recorded["state"], failure["line"]) == (1, "FAILED", line)
    assert failure["output"][f"{failure['arch']}.log"][-1:] == ["working"]
    assert re.fullmatch(r"(\d+)/\d+", failure["steps"][-1]["number"])
    assert reason in recorded["reason"]

    again = packager.run("fedpkg", "container-build", "--retry", str(task), *arguments, cwd=outcome.parent, check=False)
    assert again.returncode == 1, again.stderr
    second = json.loads(outcome.read_text())["task_id"]
    session = box.session(ADMIN)
    requests = [session.getTaskInfo(number, request=True)["request"] for number in (task, second)]
    assert second > task
    assert requests[0] == requests[1]
    assert requests[1][2]["userdata"] == {"a": 1}

    packager.commit(packager.dockerfile("RUN true"))
    built = packager.build("--if-needed", *arguments)
    assert built.returncode == 0, built.stderr
    nvr = f"{packager.name}-container-1.0-1"
    by_tag, by_digest = pull_specs(built.stdout)
    recorded = json.loads(outcome.read_text())
    assert (recorded["nvr"], recorded["pull_specs"]) == (nvr, [by_tag, by_digest])
    (image,) = recorded["images"].values()
    assert image["sbom"].rpartition("@")[0] == image["pull_spec"].rpartition("@")[0]

    needless = packager.build("--if-needed", *arguments)
    assert needless.returncode == 0
    assert (
        needless.stdout
        == f"HEAD is already built: {nvr} (build {recorded['build_id']})\n    {by_tag}\n    {by_digest}\n"
    )
    assert json.loads(outcome.read_text())["task_id"] is None
    dry = packager.build("--dry-run")
    assert f"note: HEAD is already built: {nvr} " in dry.stderr
    refused = packager.run("fedpkg", "container-build", "--retry", str(recorded["task_id"]), check=False)
    assert refused.returncode == 3
    assert f"task {recorded['task_id']} has completed" in refused.stderr
