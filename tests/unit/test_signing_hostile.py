# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing and verification with hostile contents of a registry, and with settings that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, RegistryError
from fedpkg_container.process import Completed
from fedpkg_container.process.run import environment
from fedpkg_container.registry.manifests import MAX_INDEX_DEPTH, MAX_MANIFESTS, OCI_INDEX, OCI_MANIFEST, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing import signer as signers
from fedpkg_container.registry.signing import storage
from fedpkg_container.registry.signing.formats import SIGNATURE_ANNOTATION
from fedpkg_container.registry.signing.settings import SigningSettings, Token
from fedpkg_container.registry.signing.signer import PASSWORD_VARIABLE, open_signer
from fedpkg_container.registry.signing.verification import members_of
from tests.support.signing import key_files

MANY = 100


class _Repository:
    """A repository of image indexes; it counts requests."""

    def __init__(self) -> None:
        self.reference, self.requests = "registry.example.org/hello", 0
        self._manifests: dict[str, Manifest] = {}

    def add(self, members: list[dict[str, Any]]) -> Manifest:
        index = Manifest.of({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members})
        self._manifests[index.digest] = index
        return index

    def manifest(self, digest: str) -> Manifest:
        self.requests += 1
        assert self.requests <= MAX_MANIFESTS
        return self._manifests[digest]


def image(number: int) -> dict[str, Any]:
    """Descriptor of an image."""
    return {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064x}", "size": 7}


def test_indexes_that_repeat_each_other() -> None:
    repository = _Repository()
    index = repository.add([image(1)])
    for _ in range(MAX_INDEX_DEPTH):
        index = repository.add([index.descriptor] * MANY)
    members = members_of(cast(Repository, repository), index)
    assert (len(members), repository.requests) == (MAX_INDEX_DEPTH + 2, MAX_INDEX_DEPTH)


def test_number_of_manifests() -> None:
    repository = _Repository()
    most = repository.add([image(number) for number in range(MAX_MANIFESTS - 1)])
    assert len(members_of(cast(Repository, repository), most)) == MAX_MANIFESTS
    too_many = repository.add([image(number) for number in range(MAX_MANIFESTS)])
    with pytest.raises(RegistryError, match=f"has more than {MAX_MANIFESTS} manifests"):
        members_of(cast(Repository, repository), too_many)


def test_signatures_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest can list tens of thousands."""
    original = storage._signature_of
    seen: list[Any] = []

    def counted(layer: Any) -> Any:
        seen.append(layer)
        return original(layer)

    monkeypatch.setattr(storage, "_signature_of", counted)
    layers = [{**image(number), "annotations": {SIGNATURE_ANNOTATION: "AA=="}} for number in range(2 * MANY)]
    layers.append({**image(0), "annotations": {SIGNATURE_ANNOTATION: ["not", "a", "text"]}})
    assert storage.missing_layers(layers[:MANY], layers) == layers[MANY:]
    assert len(seen) <= 3 * MANY + 1


@pytest.mark.parametrize("attributes", ["object=a%00?", "object=a%0a?", "token=%1b[m;object=a?"])
def test_control_characters_in_the_uri_of_a_token(attributes: str) -> None:
    with pytest.raises(ValueError, match="must not contain control characters"):
        Token.parse(f"pkcs11:{attributes}module-path=/m")


def test_pin_that_cannot_be_passed(tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_bytes(b"12\x0034\n")
    pin.chmod(0o600)
    settings = SigningSettings(
        key="pkcs11:object=a?module-path=/m", password_file=pin, public_key=key_files(tmp_path).public
    )
    with pytest.raises(ConfigurationError, match="the PIN of the token contains a null byte"):
        open_signer(settings)


def test_only_the_command_that_signs_gets_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "Pl4nt3d")
    assert "Pl4nt3d" not in environment(None).values()
    passed: list[Any] = []

    def fake(_: object, **options: Any) -> Completed:
        passed.append(options["env"])
        return Completed(1, b"", b"wrong password Pl4nt3d\n")

    monkeypatch.setattr(signers, "run", fake)
    signer = open_signer(SigningSettings(command=("sign",), public_key=key_files(tmp_path).public))
    with pytest.raises(FedpkgContainerError) as raised:
        signer.sign(b"payload")
    assert passed == [{PASSWORD_VARIABLE: "Pl4nt3d"}]
    assert "Pl4nt3d" not in raised.value.reason
