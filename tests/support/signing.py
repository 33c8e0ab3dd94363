# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys and sites that sign."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from nacl.secret import SecretBox

from fedpkg_container.registry.config import Target
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.keys import Private
from fedpkg_container.registry.signing.settings import SigningSettings
from fedpkg_container.registry.signing.signer import site_keys
from fedpkg_container.registry.signing.verification import ImageVerifier, Verification
from tests.support.promoting import Bench

PASSWORD = "Pl4nt3d of the key"


def site_file(directory: Path, text: str) -> Path:
    """A site configuration with the target ``stable``.

    :param text: more settings of the target, and further sections
    """
    path = directory / "registry.conf"
    path.write_text(
        "[candidate]\nregistry = candidates.example.org\n[target stable]\nregistry = registry.example.org\n"
        f"koji_tags = *\nprefix = fedora\n{text}"
    )
    return path


def private_key(name: str = "own", kind: str = "ec") -> Private:
    """A private key, one for each name and kind."""
    return _generate(name, kind)


@cache
def _generate(name: str, kind: str) -> Private:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Private, password: str = "") -> bytes:
    """A private key as written by openssl."""
    form = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)


def cosign_pem(key: Private, password: str) -> bytes:
    """A private key as written by cosign, but with parameters that cost little time."""
    parameters = {"N": 1024, "r": 8, "p": 1}
    salt, nonce = os.urandom(32), os.urandom(SecretBox.NONCE_SIZE)
    derived = hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1, dklen=32)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    stored = {
        "kdf": {"name": "scrypt", "params": parameters, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(SecretBox(derived).encrypt(der, nonce).ciphertext).decode(),
    }
    text = base64.encodebytes(json.dumps(stored).encode())
    kind = b"ENCRYPTED SIGSTORE PRIVATE KEY"
    return b"-----BEGIN " + kind + b"-----\n" + text + b"-----END " + kind + b"-----\n"


@dataclass(frozen=True)
class KeyFiles:
    """A key pair in files.

    :param private: the private key; ``public``: the public key
    """

    private: Path
    public: Path

    @property
    def settings(self) -> SigningSettings:
        return SigningSettings(key=str(self.private), public_key=self.public)


def key_files(directory: Path, name: str = "own", kind: str = "ec") -> KeyFiles:
    """Write a key pair."""
    key = private_key(name, kind)
    files = KeyFiles(directory / f"{name}.key", directory / f"{name}.pub")
    files.private.write_bytes(pem(key))
    files.private.chmod(0o600)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    files.public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return files


def signing_bench(bench: Bench, settings: SigningSettings, **changes: object) -> Bench:
    """The same site with signing keys.

    :param changes: to the target stable
    """
    stable = replace(bench.site.target("stable"), **changes)  # type: ignore[arg-type]
    targets = {**bench.site.targets, "stable": stable}
    return Bench(bench.directory, replace(bench.site, signing=settings, targets=targets))


def verified(bench: Bench, repository: Repository, digest: str, *, target: Target | None = None) -> Verification:
    """Verify an image with the keys of the site."""
    verifier = ImageVerifier(target or bench.site.target("stable"), site_keys(bench.site.signing))
    return verifier.verify(repository, repository.manifest(digest))
