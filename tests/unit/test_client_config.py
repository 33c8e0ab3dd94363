# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the site and the user that are defaults of options."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.cli import make_client
from fedpkg_container.client import Client
from fedpkg_container.commands.client_config import notifications
from fedpkg_container.errors import UsageError

pytestmark = pytest.mark.programs


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that parses a command line with settings of the user."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def make(settings: str, *arguments: str) -> Client:
        path = tmp_path / ".config" / "rpkg" / "fedpkg.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[fedpkg.container-build]\n{settings}\n")
        monkeypatch.setattr("sys.argv", ["fedpkg", *arguments])
        return make_client("fedpkg", list(arguments))

    return make


SETTINGS = (
    "progress = plain\nhub_timeout = 20\ntimestamps = yes\ncancel_on_interrupt = yes\nstrict = yes\nnotify = bell"
)


def _options(made: Client) -> tuple[object, ...]:
    arguments = made.args
    return arguments.progress, arguments.hub_timeout, arguments.timestamps, arguments.cancel_on_interrupt


def test_defaults(client: object) -> None:
    made = client("", "container-build")  # type: ignore[operator]
    assert (*_options(made), made.args.strict) == ("auto", 600.0, False, False, False)
    assert notifications(made) == ()


def test_settings_are_defaults(client: object) -> None:
    made = client(SETTINGS, "container-build")  # type: ignore[operator]
    assert (*_options(made), made.args.strict) == ("plain", 20.0, True, True, True)
    assert notifications(made) == ("bell",)


def test_options_take_precedence(client: object) -> None:
    made = client(SETTINGS, "container-build", "--progress", "json", "--hub-timeout", "0")  # type: ignore[operator]
    assert _options(made)[:2] == ("json", 0.0)


def test_status_has_them_only_with_watch(client: object) -> None:
    assert _options(client(SETTINGS, "container-status", "7")) == ("auto", 600.0, False, False)  # type: ignore[operator]
    made = client(SETTINGS, "container-status", "--watch", "7")  # type: ignore[operator]
    assert _options(made) == ("plain", 20.0, True, True)


@pytest.mark.parametrize("setting", ["progress = live", "hub_timeout = soon", "strict = true", "notify = horn"])
def test_invalid_settings(client: object, setting: str) -> None:
    with pytest.raises(UsageError, match=r"\[fedpkg.container-build\] " + setting):
        client(setting, "container-build")  # type: ignore[operator]
    client(setting, "clone", "x")  # type: ignore[operator]
