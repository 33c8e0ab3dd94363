# SPDX-License-Identifier: GPL-2.0-or-later
"""Credential helpers: called like docker and podman call them, without disclosing secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.credentials import find
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.repository import Repository
from tests.support.registries import PASSWORD, USER
from tests.support.registry_clients import Serve, latest

pytestmark = pytest.mark.programs

Helper = Callable[..., None]
KNOWN = {"Username": USER, "Secret": PASSWORD}


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    """Create a credential helper with a fixed output, which records its input."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    def made(name: str, answer: str, *, status: int = 0) -> None:
        path = programs / f"docker-credential-{name}"
        (tmp_path / "answer").write_text(answer)
        noting = f'echo "$@" >> {tmp_path}/requests; cat >> {tmp_path}/requests; cat {tmp_path}/answer'
        path.write_text(f"#!/bin/sh\n{noting}; exit {status}\n")
        path.chmod(0o755)

    return made


def auth_file(directory: Path, **content: object) -> Path:
    path = directory / "auth-with-helpers.json"
    path.write_text(json.dumps(content))
    return path


def test_helper_for_one_registry(serve: Serve, helper: Helper, tmp_path: Path) -> None:
    server, _ = serve()
    helper("vault", json.dumps({"ServerURL": server.address, **KNOWN}))
    path = auth_file(tmp_path, credHelpers={server.address: "vault"})
    with RegistryHTTP(server.address, certificates=tmp_path / "certs", auth_file=path) as http:
        assert Repository(http, "hello").manifest("latest").raw == latest(server)
    assert (tmp_path / "requests").read_text() == f"get\n{server.address}"


@pytest.mark.parametrize(
    ("registry", "server"),
    [("registry.example.org", "registry.example.org"), ("docker.io/library", "https://index.docker.io/v1/")],
)
def test_helper_for_all_registries(registry: str, server: str, helper: Helper, tmp_path: Path) -> None:
    helper("desktop", json.dumps(KNOWN))
    path = auth_file(tmp_path, auths={registry.partition("/")[0]: {}}, credsStore="desktop")
    found = find(f"{registry}/hello", path)
    assert found and (found.user, found.password) == (USER, PASSWORD)
    assert (tmp_path / "requests").read_text() == f"get\n{server}"


def test_helper_without_credentials(helper: Helper, tmp_path: Path) -> None:
    helper("desktop", "credentials not found in native keychain\n", status=1)
    assert find("registry.example.org/hello", auth_file(tmp_path, credsStore="desktop")) is None


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [("the store is locked\n", 1, "the store is locked"),
     ("nonsense", 0, "no user name and secret"), ("[]", 0, "no user name and secret"),
     (json.dumps({"Username": "<token>", "Secret": PASSWORD}), 0, "identity token"),
     (json.dumps({"Username": 5, "Secret": PASSWORD}), 0, "identity token")],
)  # fmt: skip
def test_failing_helpers(answer: str, status: int, said: str, helper: Helper, tmp_path: Path) -> None:
    helper("vault", answer, status=status)
    with pytest.raises(ConfigurationError, match=rf"docker-credential-vault \(configured in .*: .*{said}") as raised:
        find("registry.example.org/hello", auth_file(tmp_path, credHelpers={"registry.example.org": "vault"}))
    assert PASSWORD not in f"{raised.value!r}{raised.value.solution}"


@pytest.mark.parametrize("name", ["../../bin/sh", "a b", "", 5, None, "-x"])
def test_invalid_helper_names(name: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="invalid credential helper"):
        find("registry.example.org/hello", auth_file(tmp_path, credHelpers={"registry.example.org": name}))


def test_missing_helper(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"docker-credential-absent \(configured in .*: program not found"):
        find("registry.example.org/hello", auth_file(tmp_path, credHelpers={"registry.example.org": "absent"}))
