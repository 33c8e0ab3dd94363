# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys in PEM files: ECDSA on P-256 and RSA, which cosign, podman and skopeo verify in the same way.

Private keys may be encrypted: by openssl (PKCS#8), or by cosign (scrypt, and NaCl's secretbox).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.text import reason_text

#: Maximum length of a key file or password file, bytes.
MAX_FILE_SIZE = 64 * 1024
#: Maximum memory for deriving the key of an encrypted private key, bytes; cosign needs 64 MiB.
MAX_SCRYPT_MEMORY = 512 * 1024 * 1024
#: Sizes of RSA keys that cosign accepts, bits.
RSA_SIZES = (2048, 3072, 4096)
_COSIGN_KEY = re.compile(
    rb"-----BEGIN ENCRYPTED (?P<kind>SIGSTORE|COSIGN) PRIVATE KEY-----(?P<content>[A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED (?P=kind) PRIVATE KEY-----"
)
_SUPPORTED = f"use ECDSA on P-256, or RSA of {', '.join(map(str, RSA_SIZES))} bits"

Public = Union[ec.EllipticCurvePublicKey, rsa.RSAPublicKey]
Private = Union[ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey]


@dataclass(frozen=True)
class PublicKey:
    """A public key.

    :param name: path of its file, for reports
    """

    name: str
    key: Public = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The key as a PEM file."""
        return self.key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def hint(self) -> str:
        """Identifier of the key in sigstore bundles: the SHA-256 of its DER form, in base64."""
        der = self.key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def verifies(self, payload: bytes, signature: bytes) -> bool:
        """Return whether a signature of a payload was made by this key."""
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, payload, padding.PKCS1v15(), hashes.SHA256())
            else:
                self.key.verify(signature, payload, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def sign_with(key: Private, payload: bytes) -> bytes:
    """Return the signature of a payload."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(payload, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(payload, ec.ECDSA(hashes.SHA256()))


def read_public_key(path: Path) -> PublicKey:
    """Read a public key.

    :raises ConfigurationError: if the file cannot be read, or has no supported public key
    """
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{path} is not a public key in PEM format", solution=f"store the public key there; {_SUPPORTED}"
        ) from error
    return PublicKey(str(path), _supported_public(key, path))


def read_private_key(path: Path, password: bytes | None) -> Private:
    """Read a private key.

    :param password: None if there is none
    :raises ConfigurationError: if the file cannot be read, has no supported private key, or the password is wrong
    """
    content = read_secret(path)
    if match := _COSIGN_KEY.search(content):
        key: object = _decrypt_cosign_key(match["content"], password, path)
    else:
        key = _load_pem(content, password, path)
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise _unsupported(path)
    _supported_public(key.public_key(), path)
    return key


def read_secret(path: Path) -> bytes:
    """Return the content of a file with a secret.

    :raises ConfigurationError: if it cannot be read, or every user of the machine can read it
    """
    content = _read(path)
    status = path.stat()
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigurationError(f"{path} can be read by all users", solution=f"chmod o= {path}")
    return content


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {reason_text(error)}", solution="check [signing] in the site's configuration"
        ) from error
    if len(content) > MAX_FILE_SIZE:
        raise ConfigurationError(f"{path} is longer than {MAX_FILE_SIZE} bytes")
    return content


def _supported_public(key: object, path: Path) -> Public:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_SIZES:
        return key
    raise _unsupported(path)


def _unsupported(path: Path) -> ConfigurationError:
    return ConfigurationError(f"the key in {path} is of a kind that not all clients can verify", solution=_SUPPORTED)


def _load_pem(content: bytes, password: bytes | None, path: Path) -> object:
    """Load a private key in a format of openssl. Errors of the library are not shown."""
    try:
        return serialization.load_pem_private_key(content, None)
    except TypeError:  # it is encrypted
        if password is None:
            raise _no_password(path) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _no_private_key(path) from None
    try:
        return serialization.load_pem_private_key(content, password)
    except (ValueError, UnsupportedAlgorithm):
        raise _wrong_password(path) from None


def _decrypt_cosign_key(text: bytes, password: bytes | None, path: Path) -> object:
    """Decrypt a private key of cosign: JSON with the parameters of scrypt, a nonce, and the ciphertext."""
    if password is None:
        raise _no_password(path)
    try:
        stored = json.loads(base64.b64decode(text))
        kdf, parameters = stored["kdf"], stored["kdf"]["params"]
        if (kdf["name"], stored["cipher"]["name"]) != ("scrypt", "nacl/secretbox"):
            raise ConfigurationError(
                f"{path} is encrypted in a way that is not supported", solution="create it with a current cosign"
            )
        derived = hashlib.scrypt(
            password, salt=base64.b64decode(kdf["salt"]), n=parameters["N"], r=parameters["r"], p=parameters["p"],
            maxmem=MAX_SCRYPT_MEMORY, dklen=SecretBox.KEY_SIZE,
        )  # fmt: skip
        box, nonce = SecretBox(derived), base64.b64decode(stored["cipher"]["nonce"])
        der = box.decrypt(base64.b64decode(stored["ciphertext"]), nonce)
        return serialization.load_der_private_key(der, None)
    except CryptoError:
        raise _wrong_password(path) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, binascii.Error, UnsupportedAlgorithm):
        raise _no_private_key(path) from None


def _no_private_key(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} is not a private key in PEM format", solution=_SUPPORTED)


def _no_password(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is encrypted, and no password is configured",
        solution="set [signing] password_file, or the variable FEDPKG_CONTAINER_SIGNING_PASSWORD",
    )


def _wrong_password(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be decrypted with the password",
        solution="check [signing] password_file, or the variable FEDPKG_CONTAINER_SIGNING_PASSWORD",
    )
