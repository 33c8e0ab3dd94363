# SPDX-License-Identifier: GPL-2.0-or-later
"""Two releases side by side on a hub, builders and clients: what is accepted, and what is refused, with a reason."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import koji
import koji.plugin
import pytest

from fedpkg_container.box.box import PLUGINS
from fedpkg_container.commands import client_config
from fedpkg_container.errors import FedpkgContainerError, UsageError
from fedpkg_container.image import arch_result
from fedpkg_container.model import build
from fedpkg_container.model.build import FORMAT, BuildSpec, BuiltImage
from fedpkg_container.model.options import option_problems
from fedpkg_container.model.pod import TerminationMessage
from fedpkg_container.settings import Key
from tests.support.cluster.scripted import spec

#: Fields of earlier formats of a spec, as the releases with these formats sent them.
_FIRST = {
    "task_id": 7, "arch": "x86_64", "source": "git+https://example.org/container/x#" + "0" * 40, "version": "1",
    "component": "x-container", "release": "1", "image": "x", "scratch": True, "parents": {}, "labels": {},
    "repository": "", "staging": "staging/task-7", "upload": "", "timeout": 600,
}  # fmt: skip
_SECOND: dict[str, object] = {**_FIRST, "network": "none", "repo_files": {}, "environment": {}, "arguments": {}}
EARLIER: tuple[dict[str, object], ...] = (
    {"format": 1, **_FIRST},
    {"format": 2, **_SECOND},
    {"format": 3, **_SECOND},  # only the image has another format
)
#: Required fields of the current format. A change of them needs another FORMAT; then these are the earlier ones.
REQUIRED = {
    BuildSpec: (
        "task_id arch source_url component version release repository_path scratch parents labels yum_repository"
        " staging_repository upload_directory timeout"
    ),
    BuiltImage: (
        "arch staged_image digest media_type image_id config layers diff_ids components files buildroot"
    ),
}  # fmt: skip


def _task(parameter: object) -> Any:
    """Return the task of an architecture, with a log that is not uploaded."""
    plugin = koji.plugin.PluginTracker().load("builder_containerbuild", path=str(PLUGINS / "builder"), reload=True)

    class Task(plugin.CreateContainerTask):  # type: ignore[name-defined,misc]
        log_name = ""

        @contextlib.contextmanager
        def supervised(self, log_name: str) -> Iterator[None]:
            self.log_name = log_name
            try:
                yield None
            except FedpkgContainerError as error:
                raise koji.BuildError(f"{error.reason}. {error.solution}") from error

    return Task(7, "createContainer", [parameter], None, None, workdir="/nonexistent")


@pytest.mark.parametrize("packed", EARLIER, ids=lambda packed: f"format {packed['format']}")
def test_a_builder_refuses_the_task_of_an_older_one(packed: dict[str, Any]) -> None:
    task = _task(packed)
    with pytest.raises(
        koji.BuildError, match=f"unsupported format version {packed['format']} .expected {FORMAT}."
    ) as refused:
        task.handler(packed)
    assert "install the same version of fedpkg-container on all builders" in str(refused.value)
    assert task.log_name == "x86_64.log"


@pytest.mark.parametrize("older", [1, 2, 3])
def test_an_older_builder_refuses_the_task_of_this_one(older: int, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = spec(7).pack()
    monkeypatch.setattr(build, "FORMAT", older)
    with pytest.raises(UsageError, match=f"BuildSpec: unsupported format version {FORMAT} .expected {older}."):
        BuildSpec.unpack(packed)


@pytest.mark.parametrize("packed", [{"format": number} for number in (1, 2, 3, FORMAT + 1)], ids=str)
def test_a_build_refuses_the_image_of_another_builder(packed: dict[str, Any]) -> None:
    """Formats 1 and 2 had the whole image in the result, later ones a file on the hub."""
    with pytest.raises(UsageError, match=f"unsupported format version {packed['format']}"):
        arch_result.download_result({**packed, "arch": "x86_64"}, "x86_64", lambda *_: b"")


@pytest.mark.parametrize("kind", REQUIRED, ids=lambda kind: kind.__name__)
def test_the_same_format_has_the_same_required_fields(kind: type[BuildSpec | BuiltImage]) -> None:
    required = [each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING]
    assert required == REQUIRED[kind].split()
    assert FORMAT == 4


def test_releases_with_the_same_format_work_together() -> None:
    """A newer one sends fields that an older one does not know; an older one does not send them."""
    built = spec(7)
    assert BuildSpec.unpack({**built.pack(), "field_of_a_newer_release": 1}) == built
    optional = [
        each.name for each in fields(BuildSpec) if each.default is not MISSING or each.default_factory is not MISSING
    ]
    assert optional
    assert BuildSpec.unpack({name: value for name, value in built.pack().items() if name not in optional}) == built


def test_an_option_of_a_newer_client_is_refused_before_a_build() -> None:
    """By a hub before there is a task, by a builder whose hub is newer when the task starts: both read this schema."""
    assert option_problems({"scratch": True, "git_branch": "rawhide"}) == []
    (problem,) = option_problems({"scratch": True, "git_branch": "rawhide", "option_of_a_newer_release": True})
    assert problem.startswith("unknown option")
    assert "option_of_a_newer_release" in problem


def test_a_pod_with_another_release_is_refused() -> None:
    message = json.loads(TerminationMessage(3, "sha256:0").encode())
    assert TerminationMessage.decode(json.dumps({**message, "field_of_a_newer_release": 1})) is not None
    with pytest.raises(UsageError, match="unsupported format version '2' of the pod's result") as refused:
        TerminationMessage.decode(json.dumps({**message, "format": 2}))
    assert refused.value.solution == "use a pod image with the version of fedpkg-container on the builders"


class _Client:
    """A client with a configuration."""

    name = "fedpkg"

    def __init__(self, settings: str) -> None:
        import configparser

        self.config = configparser.ConfigParser()
        self.config.read_string(f"[fedpkg]\n[fedpkg.container-build]\n{settings}\n")


@pytest.mark.parametrize(
    ("settings", "value", "warnings"),
    [("", "none", 0), ("after_build = bell", "bell", 1), ("notify = title\nafter_build = bell", "title", 0)],
)
def test_a_renamed_setting_of_the_client_is_accepted(
    settings: str, value: str, warnings: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = Key("SITE.container-build", "notify", str, "what to do", "none", old=("after_build",))
    monkeypatch.setattr(client_config, "KEYS", (key,))
    client: Any = _Client(settings)
    assert client_config._setting(client, "notify") == value
    warning = "warning: [fedpkg.container-build] after_build is deprecated; use notify instead"
    assert [record.getMessage() for record in caplog.records] == [warning] * warnings


def test_the_changelog_states_the_format() -> None:
    """So that an administrator knows whether builders of two releases work together."""
    text = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    assert f"Format of the tasks of architectures: {FORMAT}." in text
