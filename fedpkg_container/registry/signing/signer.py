# SPDX-License-Identifier: GPL-2.0-or-later
"""Signers: a private key in a file, a key in a PKCS#11 token, or a site's command.

A token is used through pkcs11-tool of OpenSC. Like a command, it reads the SHA-256 digest of the data to sign from its
standard input, and prints the signature. Secrets are passed in the environment, never as arguments.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.process import run
from fedpkg_container.redaction import HIDDEN, SIGNING_PASSWORD, redact_message
from fedpkg_container.registry.signing.keys import (
    PublicKey,
    read_private_key,
    read_public_key,
    read_secret,
    sign_with,
)
from fedpkg_container.registry.signing.settings import PKCS11, SigningSettings, Token

#: Environment variable with the password of the key, or the PIN of the token.
PASSWORD_VARIABLE = SIGNING_PASSWORD
#: Environment variable that passes the PIN to pkcs11-tool.
_PIN_VARIABLE = "SIGNING_PIN"
#: Maximum length of a program's output, bytes.
MAX_OUTPUT = 64 * 1024
#: Prefix of a SHA-256 digest in a PKCS#1 signature: DER of ``DigestInfo`` without the digest (RFC 8017, 9.2).
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class SigningError(FedpkgContainerError):
    """A signature could not be made."""


@dataclass(frozen=True)
class Signer:
    """Makes signatures; thread-safe.

    The first signature is made alone, and if it fails, no more are attempted: a token locks itself after a few wrong
    PINs.

    :param make: returns the signature of a payload
    """

    public_key: PublicKey
    make: Callable[[bytes], bytes]
    _first: threading.Lock = field(default_factory=threading.Lock)
    _state: dict[str, FedpkgContainerError | None] = field(default_factory=dict)

    def sign(self, payload: bytes) -> bytes:
        """Return the signature of a payload, after verifying it.

        :raises FedpkgContainerError: if it cannot be made, or the public key belongs to another key
        """
        if "first" in self._state:
            return self._sign(payload)
        with self._first:
            if "first" in self._state:
                return self._sign(payload)
            try:
                signature = self._sign(payload)
            except FedpkgContainerError as error:
                self._state["first"] = error
                raise
            self._state["first"] = None
            return signature

    def _sign(self, payload: bytes) -> bytes:
        if error := self._state.get("first"):
            raise error
        signature = self.make(payload)
        if not self.public_key.verifies(payload, signature):
            raise SigningError(
                f"the signature does not match the public key {self.public_key.name}",
                solution="check [signing] public_key; a command must sign the SHA-256 digest on its standard input",
            )
        return signature


def open_signer(settings: SigningSettings) -> Signer:
    """Return the signer of a site.

    :raises ConfigurationError: if none is configured, or a key or password cannot be read
    """
    if not settings.can_sign:
        raise ConfigurationError(
            "no signing key is configured", solution="set [signing] key or command: fedpkg-container-registry(1)"
        )
    configured = read_public_key(settings.public_key) if settings.public_key else None
    if settings.command:
        password = os.environ.get(PASSWORD_VARIABLE)
        environment = {} if password is None else {PASSWORD_VARIABLE: password}
        return _program_signer(
            _require(configured), settings.command, settings.command_timeout, environment=environment
        )
    if settings.key.startswith(PKCS11):
        return _token_signer(_require(configured), settings)
    private_key = read_private_key(Path(settings.key), read_password(settings.password_file))
    derived = PublicKey(settings.key, private_key.public_key())
    if configured and configured.hint != derived.hint:
        raise ConfigurationError(
            f"{configured.name} is not the public key of {settings.key}", solution="check [signing] key and public_key"
        )
    return Signer(configured or derived, lambda payload: sign_with(private_key, payload))


def site_keys(settings: SigningSettings) -> tuple[PublicKey, ...]:
    """Return the public keys whose signatures are valid, the current one first.

    :raises ConfigurationError: if there is none, or one cannot be read
    """
    if settings.public_key or not settings.can_sign or settings.needs_public_key:
        files = [settings.public_key, *settings.accepted_keys]
        keys = [read_public_key(path) for path in files if path]
    else:
        keys = [open_signer(settings).public_key, *map(read_public_key, settings.accepted_keys)]
    if not keys:
        raise ConfigurationError(
            "no public key is configured", solution="set [signing] public_key: fedpkg-container-registry(1)"
        )
    return tuple({key.hint: key for key in keys}.values())


def read_password(path: Path | None) -> bytes | None:
    """Return the password of a key: the first line of a file, or the environment's; None if there is none.

    :raises ConfigurationError: if the file cannot be read
    """
    if path:
        return read_secret(path).split(b"\n", 1)[0].removesuffix(b"\r")
    password = os.environ.get(PASSWORD_VARIABLE)
    return None if password is None else os.fsencode(password)


def _require(key: PublicKey | None) -> PublicKey:
    if key is None:
        raise ConfigurationError(
            "[signing] public_key is missing: it cannot be derived from a token or command",
            solution="export the public key as a PEM file",
        )
    return key


def _token_signer(public_key: PublicKey, settings: SigningSettings) -> Signer:
    token = Token.parse(settings.key)
    pin = read_password(settings.password_file or token.pin_file)
    if pin is not None and b"\0" in pin:
        raise ConfigurationError(
            "the PIN of the token contains a null byte", solution="check [signing] password_file, or pin-source in key"
        )
    is_ec = isinstance(public_key.key, ec.EllipticCurvePublicKey)
    command = ["pkcs11-tool", "--module", token.module, "--sign"]
    command += ["--mechanism", "ECDSA" if is_ec else "RSA-PKCS"]
    command += ["--token-label", token.label] if token.label else []
    command += ["--label", token.object] if token.object else []
    command += ["--id", token.id] if token.id else []
    command += ["--login", "--pin", f"env:{_PIN_VARIABLE}"] if pin is not None else []
    environment = {_PIN_VARIABLE: os.fsdecode(pin)} if pin is not None else {}
    prefix = b"" if is_ec else _DIGEST_INFO
    signer = _program_signer(public_key, command, settings.command_timeout, environment=environment, prefix=prefix)
    lock = (
        threading.Lock()
    )  # tokens often allow one session; SoftHSM does not find its own while another program writes

    def make(payload: bytes) -> bytes:
        with lock:
            return signer.make(payload)

    return Signer(public_key, make)


def _program_signer(
    public_key: PublicKey,
    command: Sequence[str],
    timeout: float,
    *,
    environment: Mapping[str, str],
    prefix: bytes = b"",
) -> Signer:
    """Return a signer that runs a program.

    :param environment: further variables, whose values are secrets
    :param prefix: of the digest on its standard input
    """
    secrets = list(environment.values())

    def make(payload: bytes) -> bytes:
        stdin = prefix + hashlib.sha256(payload).digest()
        done = run(command, timeout=timeout, env=environment, stdin=stdin, check=False, limit=MAX_OUTPUT)
        if done.status:
            what = f"exit status {done.status}" if done.status > 0 else f"signal {-done.status}"
            raise SigningError(
                f"{command[0]} failed ({what}): {_message(done.stderr, secrets)}",
                solution="check [signing] in the site's configuration, and run it again",
            )
        forms = list(_forms(done.stdout, public_key))
        return next((form for form in forms if public_key.verifies(payload, form)), forms[0])

    return Signer(public_key, make)


def _forms(output: bytes, public_key: PublicKey) -> Iterator[bytes]:
    """Yield possible readings of a program's output: binary or base64; DER, or for ECDSA two numbers of 32 bytes."""
    binaries = [output]
    with contextlib.suppress(binascii.Error, ValueError):
        binaries.append(base64.b64decode(output.strip(), validate=True))
    for binary in binaries:
        yield binary
        if len(binary) == 64 and isinstance(public_key.key, ec.EllipticCurvePublicKey):
            yield encode_dss_signature(int.from_bytes(binary[:32], "big"), int.from_bytes(binary[32:], "big"))


def _message(stderr: bytes, secrets: Sequence[str]) -> str:
    """Return the last line of a program's messages, without secrets."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    line = lines[-1] if lines else "no message"
    for secret in filter(None, secrets):
        line = line.replace(secret, HIDDEN)
    return redact_message(line)
