# SPDX-License-Identifier: GPL-2.0-or-later
"""A build in a pod, on any cluster: its log, its result, its cancellation, and that nothing is left."""

from __future__ import annotations

import logging
import re

import pytest

from fedpkg_container.cluster.client import ClusterError
from fedpkg_container.cluster.manifests import JOB
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.signals import Interrupted
from tests.support.cluster.scripted import Target
from tests.support.waiting import eventually

WAITING = "report('started')\nwhile True: time.sleep(0.1)\n"


def test_a_build_that_succeeds(target: Target) -> None:
    run = target.start("for n in range(200): report(f'line {n}')\nend()").wait()
    assert run.error is None
    assert run.text() == [f"line {n}" for n in range(200)]
    assert run.result is not None
    assert run.result.message.artifact == "sha256:" + "a" * 64
    assert run.result.image, "the image of the pod is not known"
    target.nothing_left()
    assert not target.has_secret(run.build.build.name())


def test_a_build_that_fails(target: Target) -> None:
    run = target.start("report('one')\nend('RUN failed', '', 1)").wait()
    assert isinstance(run.error, BuildFailedError)
    assert run.error.reason == "RUN failed"
    assert run.text() == ["one"]
    target.nothing_left()


def test_a_pod_that_ends_without_a_result(target: Target) -> None:
    run = target.start("report('one')\nsys.exit(3)").wait()
    assert isinstance(run.error, BuildFailedError)
    assert "ended with exit status 3 without a result" in run.error.reason
    target.nothing_left()


def test_output_that_is_not_a_record_is_shown(target: Target) -> None:
    run = target.start("report('one')\nraise ValueError('broken')").wait()
    assert run.text()[0] == "one"
    assert "ValueError: broken" in run.text()
    target.nothing_left()


def test_lines_longer_than_a_record(target: Target) -> None:
    run = target.start("print('1+' + 'a' * 12000)\nprint('2 ' + 'b' * 10)\nnumber = 2\nend()").wait()
    assert run.text() == ["a" * 12000 + "b" * 10]


def test_a_cancel_while_the_pod_runs(target: Target) -> None:
    run = target.start(WAITING)
    run.eventually_prints("started")
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    assert isinstance(run.error, Interrupted)
    target.nothing_left()
    assert not target.has_secret(run.build.build.name())


def test_the_pods_deadline(target: Target) -> None:
    run = target.start(WAITING, timeout=3).wait(120)
    assert isinstance(run.error, BuildFailedError)
    assert run.error.reason == "building the image for x86_64 exceeded the time limit of 3 s"
    assert run.text()[0] == "started"
    target.nothing_left()


def test_a_task_that_starts_again_continues_with_its_pod(target: Target) -> None:
    script = f"{WAITING.splitlines()[0]}\nwhile not os.path.exists('/proc/1/nothing') and number < 30:\n"
    script += "    report(f'line {number}'); time.sleep(0.1)\nend()"
    first = target.start(script, restarts=True)
    first.eventually_prints("line 3")
    first.log.canceled = Interrupted("kojid has died")
    first.wait()
    assert len(target.objects()) == 2, "the Job and its pod must still exist"
    second = target.start(script).wait()
    assert second.error is None
    assert second.text() == ["started", *(f"line {n}" for n in range(1, 30))]
    assert any("of an earlier run" in report for report in second.log.reports)
    target.nothing_left()


def test_other_objects_of_the_task_are_deleted(target: Target) -> None:
    first = target.start(WAITING, restarts=True)
    first.eventually_prints("started")
    first.log.canceled = Interrupted("kojid has died")
    first.wait()
    changed = target.build("").spec
    from dataclasses import replace

    second = target.start("report('other')\nend()", spec=replace(changed, release="2")).wait()
    assert second.text() == ["other"]
    target.nothing_left()
    assert not target.has_secret(first.build.build.name())


def test_two_builders_with_one_task(target: Target) -> None:
    script = "for n in range(20): report(f'line {n}'); time.sleep(0.1)\nend()"
    runs = [target.start(script), target.start(script)]
    for run in runs:
        run.wait()
    complete = [run for run in runs if run.text() == [f"line {n}" for n in range(20)] and run.error is None]
    assert complete, [(run.error, run.text()) for run in runs]
    target.nothing_left()


def test_an_unknown_field_is_refused(target: Target) -> None:
    build = target.build("")
    job = build.object()
    job["spec"]["template"]["spec"]["hostUser"] = False
    path = JOB.collection(target.config.namespace)
    with pytest.raises(ClusterError, match="hostUser"):
        target.client.request("POST", path, query={"fieldValidation": "Strict"}, body=job)
    assert target.objects() == []


def test_requests_are_logged_without_secrets(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "fedpkg_container"):
        run = target.start("report('from the pod')\nend()").wait()
    assert run.error is None
    path = JOB.collection(target.config.namespace)
    logged = [record.getMessage() for record in caplog.records]
    assert any(re.fullmatch(rf"POST \S+ {path}: HTTP 201 after [0-9.]+ s", line) for line in logged), logged
    assert any(f"/pods/{run.build.build.name()}" in line and "/log: HTTP 200" in line for line in logged), logged
    for secret in ("builder-token", "Bearer", "labelSelector", "sinceTime", "?", "from the pod"):
        assert secret not in caplog.text, secret


def test_the_account_can_do_nothing_else(target: Target) -> None:
    for method, path in (
        ("GET", f"/api/v1/namespaces/{target.config.namespace}/secrets"),
        ("GET", "/api/v1/namespaces/kube-system/pods"),
        ("POST", f"/api/v1/namespaces/{target.config.namespace}/pods"),
    ):
        with pytest.raises(ClusterError) as caught:
            target.client.request(method, path, body={"metadata": {"name": "x"}} if method == "POST" else None)
        assert caught.value.status == 403, path


def test_a_secret_is_deleted_with_its_owner(target: Target) -> None:
    run = target.start(WAITING)
    run.eventually_prints("started")
    name = run.build.build.name()
    path = f"{JOB.collection(target.config.namespace)}/{name}"
    run.log.canceled = None
    target.client.request("DELETE", path, body={"propagationPolicy": "Foreground"})
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    eventually(lambda: not target.objects(), target.objects, 60)
    assert not target.has_secret(name)
