# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-status`` in this process, on a stand-in for a hub."""

from __future__ import annotations

import argparse
import configparser
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from fedpkg_container.commands import container_status
from fedpkg_container.commands.client_config import apply_defaults
from fedpkg_container.hub import session as sessions
from fedpkg_container.model.build import SiteUrls
from tests.support.status_hub import NOW, StatusHub

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "status.schema.json").read_text())


def arguments(*words: str) -> argparse.Namespace:
    """Parse a command line."""
    parser = argparse.ArgumentParser()
    container_status.add_arguments(parser)
    return parser.parse_args(
        words, argparse.Namespace(q=False, v=False, debug=False, dry_run=False, repo_name=None, repo_namespace=None)
    )


class Status:
    """Runs ``container-status`` and returns its output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hub: StatusHub) -> None:
        self.hub = hub
        self._patch = monkeypatch
        monkeypatch.setattr("time.time", lambda: NOW)
        monkeypatch.setattr(sessions, "anonymous_session", lambda *_, **__: hub)
        monkeypatch.setattr(sessions, "connect", self._connect)
        monkeypatch.setattr(sessions, "site_urls", lambda _: SiteUrls("https://koji.example/koji", ""))
        self.config = configparser.ConfigParser()
        self.config.read_string("[fedpkg]\nkojiprofile = koji\n[fedpkg.container-build]\n")

    def _connect(self, *_: Any, **__: Any) -> StatusHub:
        self.hub.requests.append(["login"])
        return self.hub

    def run(self, *words: str) -> str:
        """Run the command and return its standard output."""
        self.hub.requests.clear()
        client: Any = SimpleNamespace(name="fedpkg", args=arguments(*words), config=self.config, cmd=None)
        apply_defaults(client)
        buffer = io.BytesIO()
        stream = io.TextIOWrapper(buffer, "utf-8")
        self._patch.setattr(sys, "stdout", stream)
        self.status = container_status.run(client)
        stream.flush()
        return buffer.getvalue().decode()

    def json(self, *words: str) -> Any:
        """Run the command with ``--json`` and return its output, which matches the schema."""
        value = json.loads(self.run(*words, "--json"))
        jsonschema.validate(value, SCHEMA)
        return value
