# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of ``[signing]``, and how their texts are parsed."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.model.nvr import repository_problem
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.settings import InvalidWordsError, path, registry

#: Formats of a signature: a sigstore bundle that refers to the image, and cosign's tag ``sha256-HEX.sig``.
BUNDLE, TAG = "bundle", "tag"
FORMATS = (BUNDLE, TAG)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: Scheme of a key in a token (RFC 7512).
PKCS11 = "pkcs11:"


@dataclass(frozen=True)
class SigningSettings:
    """How images are signed.

    :param key: path of a PEM file, or a PKCS#11 URI; empty for none
    :param password_file: password of the key, or PIN of the token; None: in the environment, or none
    :param command: program with arguments that signs a digest; empty for none
    :param public_key: PEM file; None: derived from the private key
    :param accepted_keys: PEM files of further public keys whose signatures are valid
    :param command_timeout: maximum duration of one signature by a token or command, seconds
    """

    key: str = ""
    password_file: Path | None = None
    command: tuple[str, ...] = ()
    public_key: Path | None = None
    accepted_keys: tuple[Path, ...] = ()
    command_timeout: int = 60

    @property
    def can_sign(self) -> bool:
        """Whether a private key is configured."""
        return bool(self.key or self.command)

    @property
    def needs_public_key(self) -> bool:
        """Whether the public key cannot be derived from the private one."""
        return bool(self.command) or self.key.startswith(PKCS11)


#: A site that does not sign.
NO_SIGNING = SigningSettings()


def key_location(text: str) -> str:
    """Return the location of a private key: an absolute path or a PKCS#11 URI; may be empty.

    The file need not exist: the site's configuration is used on machines without the key, too.
    """
    if text.startswith(PKCS11):
        try:
            Token.parse(text)
        except ValueError as error:  # the text is not shown, because it may contain a PIN
            raise InvalidWordsError([(f"{PKCS11}…", str(error))]) from None
        return text
    return text if path(text) else ""


def paths(text: str) -> tuple[Path, ...]:
    """Return absolute paths separated by whitespace."""
    return tuple(parsed for word in text.split() if (parsed := path(word)))


def public_name_problem(name: str) -> str:
    """Return why a text is not a registry with an optional prefix of repository names; empty if it is."""
    host, _, prefix = name.partition("/")
    try:
        registry(host)
        ImageReference.parse(f"{host}/image")
    except ValueError as error:
        return str(error)
    return repository_problem(prefix) if prefix else ""


@dataclass(frozen=True)
class Token:
    """A private key in a PKCS#11 token.

    :param module: path of the token's library
    :param label: of the token; empty for the first token with the key
    :param object: label of the key; ``id``: its identifier, hexadecimal; one may be empty
    :param pin_file: file with the PIN; None if the URI has none
    """

    module: str
    label: str
    object: str
    id: str
    pin_file: Path | None

    @classmethod
    def parse(cls, uri: str) -> Token:
        """Parse a PKCS#11 URI (RFC 7512) with the attributes token, object, id, type, module-path and pin-source.

        :raises ValueError: with what is allowed, without the values, of which one may be a PIN
        """
        path_part, _, query = uri.removeprefix(PKCS11).partition("?")
        attributes: dict[str, bytes] = {}
        for part in filter(None, [*path_part.split(";"), *query.split("&")]):
            name, _, value = part.partition("=")
            attributes[name] = urllib.parse.unquote_to_bytes(value)
        if "pin-value" in attributes:
            raise ValueError("must not contain a PIN: store it in a file, and name that in pin-source or password_file")
        known = ("token", "object", "id", "type", "module-path", "pin-source")
        if unknown := sorted(attributes.keys() - set(known)):
            raise ValueError(f"has the unsupported attribute {unknown[0][:50]!r}; supported: {', '.join(known)}")
        if not attributes.get("module-path", b"").startswith(b"/"):
            raise ValueError("must have module-path=/PATH, the PKCS#11 library of the token")
        if not attributes.get("object") and not attributes.get("id"):
            raise ValueError("must have object=LABEL or id=ID, the private key in the token")
        if attributes.get("type", b"private") != b"private":
            raise ValueError("must have type=private, or no type")
        texts = {name: value.decode(errors="surrogateescape") for name, value in attributes.items() if name != "id"}
        if any(map(_CONTROL.search, texts.values())):
            raise ValueError("must not contain control characters")
        pin_source = texts.get("pin-source", "").removeprefix("file:")
        if pin_source.startswith("|"):
            raise ValueError("must name a file in pin-source, not a program")
        return cls(
            texts["module-path"],
            texts.get("token", ""),
            texts.get("object", ""),
            attributes.get("id", b"").hex(),
            path(f"/{pin_source.lstrip('/')}" if pin_source.startswith("//") else pin_source),
        )
