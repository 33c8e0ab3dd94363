# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command ``trust`` prints for clients."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from fedpkg_container import registry_cli
from tests.support.signing import key_files, site_file


def test_trust(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, other = key_files(tmp_path), key_files(tmp_path, "other")
    path = site_file(tmp_path, f"[signing]\npublic_key = {own.public}\n")

    def printed(*arguments: str) -> str:
        parsed = registry_cli.make_parser().parse_args(["--config", str(path), "trust", *arguments])
        assert registry_cli.run(parsed) == 0
        return capsys.readouterr().out

    policy = json.loads(printed("policy.json"))
    scopes = policy["transports"]["docker"]
    assert (list(scopes), policy["default"]) == (["registry.example.org/fedora"], [{"type": "insecureAcceptAnything"}])
    (requirement,) = scopes["registry.example.org/fedora"]
    assert base64.b64decode(requirement.pop("keyData")) == own.public.read_bytes()
    assert requirement == {"type": "sigstoreSigned", "signedIdentity": {"type": "matchRepository"}}
    assert printed("registries.yaml") == (
        'docker:\n    "registry.example.org/fedora":\n        use-sigstore-attachments: true\n'
    )
    assert printed("key.pub") == own.public.read_text()
    assert printed("cosign").split()[-1] == "registry.example.org/fedora/IMAGE:TAG"
    everything = printed()
    for file in ("policy.json", "registries.yaml", "key.pub", "cosign"):
        assert printed(file) in everything
    assert "# /etc/containers/registries.d/stable.yaml\n" in everything
    path = site_file(tmp_path, f"[signing]\npublic_key = {own.public}\naccepted_keys = {other.public}\n")
    (requirement,) = json.loads(printed("policy.json"))["transports"]["docker"]["registry.example.org/fedora"]
    assert [base64.b64decode(key) for key in requirement["keyDatas"]] == [
        own.public.read_bytes(), other.public.read_bytes()
    ]  # fmt: skip


def test_trust_of_bundles_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = site_file(tmp_path, f"signature_formats = bundle\n[signing]\npublic_key = {key_files(tmp_path).public}\n")
    parsed = registry_cli.make_parser().parse_args(["--config", str(path), "trust", "policy.json"])
    assert registry_cli.run(parsed) == 0
    captured = capsys.readouterr()
    assert "warning: podman and skopeo cannot verify images of stable" in captured.err
    assert json.loads(captured.out)["default"]
