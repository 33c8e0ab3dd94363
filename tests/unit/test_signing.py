# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing keys and the settings of a site: what is read, and what is refused without showing a secret."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.process.run import Completed
from fedpkg_container.registry.config import read_site
from fedpkg_container.registry.signing import signer as signers
from fedpkg_container.registry.signing.formats import envelope_payload, read_bundle, statement
from fedpkg_container.registry.signing.keys import PublicKey, read_private_key, read_public_key, sign_with
from fedpkg_container.registry.signing.settings import SigningSettings, Token, public_name_problem
from fedpkg_container.registry.signing.signer import PASSWORD_VARIABLE, open_signer, site_keys
from tests.support.signing import PASSWORD, cosign_pem, key_files, pem, private_key, site_file

DIGEST = f"sha256:{'a' * 64}"
#: A key that cosign 3.1 made, with the password "of cosign".
COSIGN_KEY = Path(__file__).parents[1] / "support" / "cosign" / "cosign.key"


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("form", ["plain", "openssl", "cosign"])
def test_private_keys(form: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = private_key(kind, kind)
    content = cosign_pem(key, PASSWORD) if form == "cosign" else pem(key, PASSWORD if form == "openssl" else "")
    settings = SigningSettings(str(written(tmp_path / "own.key", content)))
    if form != "plain":
        with pytest.raises(ConfigurationError, match=r"own\.key is encrypted, and no password is configured"):
            open_signer(settings)
        wrong = written(tmp_path / "wrong", b"Pl4nt3d but wrong\n")
        with pytest.raises(ConfigurationError, match=r"own\.key cannot be decrypted with the password") as caught:
            open_signer(replace(settings, password_file=wrong))
        assert "Pl4nt3d" not in f"{caught.value.reason} {caught.value.solution}"
        named = written(tmp_path / "password", f"{PASSWORD}\r\nsecond line".encode())
        assert open_signer(replace(settings, password_file=named)).public_key.hint
        monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    signer = open_signer(settings)
    signature = signer.sign(b"payload")
    assert PublicKey("", key.public_key()).verifies(b"payload", signature)
    assert not signer.public_key.verifies(b"another payload", signature)
    assert [each.hint for each in site_keys(settings)] == [signer.public_key.hint]


def test_key_that_cosign_made(tmp_path: Path) -> None:
    path = written(tmp_path / "cosign.key", COSIGN_KEY.read_bytes())
    public = read_public_key(COSIGN_KEY.with_suffix(".pub"))
    assert public.verifies(b"x", sign_with(read_private_key(path, b"of cosign"), b"x"))
    with pytest.raises(ConfigurationError, match="cannot be decrypted"):
        read_private_key(path, b"another")


def test_bundle_that_cosign_made() -> None:
    """cosign 3.1 made it; its signature and its key are in the form that is written here."""
    found = read_bundle(COSIGN_KEY.with_name("bundle.json").read_bytes())
    assert found is not None
    public = read_public_key(COSIGN_KEY.with_suffix(".pub"))
    assert public.verifies(found.payload, found.value)
    assert found.payload == envelope_payload(statement(found.digests[0]))
    stored = json.loads(COSIGN_KEY.with_name("bundle.json").read_text())
    assert stored["verificationMaterial"] == {"publicKey": {"hint": public.hint}}


def _unusable() -> dict[str, tuple[bytes, str]]:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    marker = b"-----%s ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
    return {
        "text": (b"no key", "is not a private key in PEM format"),
        "binary": (bytes(range(256)), "is not a private key in PEM format"),
        "long": (b"x" * 70_000, "is longer than 65536 bytes"),
        "p-384": (ec.generate_private_key(ec.SECP384R1()).private_bytes(*form), "is of a kind that not all clients"),
        "ed25519": (ed25519.Ed25519PrivateKey.generate().private_bytes(*form), "is of a kind that not all clients"),
        "rsa-1024": (rsa.generate_private_key(65537, 1024).private_bytes(*form), "of a kind that not all"),  # noqa: S505
        "empty cosign": (marker % b"BEGIN" + b"e30=\n" + marker % b"END", "is not a private key in PEM format"),
        "deep cosign": (marker % b"BEGIN" + b"W1tb" * 9000 + marker % b"END", "is not a private key in PEM format"),
    }


@pytest.mark.parametrize("name", _unusable())
def test_files_that_are_no_usable_keys(name: str, tmp_path: Path) -> None:
    content, message = _unusable()[name]
    with pytest.raises(ConfigurationError, match=message):
        read_private_key(written(tmp_path / "own.key", content), b"x")


def test_scrypt_parameters_that_need_too_much_memory(tmp_path: Path) -> None:
    content = cosign_pem(private_key(), PASSWORD)
    head, text, tail = content.partition(b"-----\n")[0], b"".join(content.split(b"\n")[1:-2]), content.split(b"\n")[-2]
    stored = json.loads(base64.b64decode(text))
    stored["kdf"]["params"]["N"] = 2**30
    changed = b"\n".join([head + b"-----", base64.b64encode(json.dumps(stored).encode()), tail])
    with pytest.raises(ConfigurationError, match="is not a private key"):
        read_private_key(written(tmp_path / "own.key", changed), PASSWORD.encode())


def test_secrets_that_all_users_can_read(tmp_path: Path) -> None:
    path = written(tmp_path / "own.key", pem(private_key()), 0o644)
    with pytest.raises(ConfigurationError, match="can be read by all users") as caught:
        open_signer(SigningSettings(str(path)))
    assert caught.value.solution == f"chmod o= {path}"
    with pytest.raises(ConfigurationError, match="cannot read .*missing: No such file"):
        open_signer(SigningSettings(str(tmp_path / "missing")))
    path.chmod(0o640)
    password = written(tmp_path / "password", b"x", 0o604)
    with pytest.raises(ConfigurationError, match="password can be read by all users"):
        open_signer(SigningSettings(str(path), password_file=password))


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("form", ["der", "base64", "numbers"])
def test_output_of_a_command(form: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, files = private_key(kind, kind), key_files(tmp_path, kind, kind)
    seen: list[bytes] = []

    def fake(command: list[str], *, stdin: bytes, **_: object) -> Completed:
        seen.append(stdin)
        signature = sign_with(key, b"payload")
        if form == "numbers" and kind == "ec":
            signature = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
        if form == "base64":
            signature = base64.encodebytes(signature).replace(b"\n", b"") + b"\n"
        return Completed(0, signature, b"")

    monkeypatch.setattr(signers, "run", fake)
    signer = open_signer(SigningSettings(command=("sign",), public_key=files.public))
    assert signer.public_key.verifies(b"payload", signer.sign(b"payload"))
    assert seen == [hashlib.sha256(b"payload").digest()]
    with pytest.raises(FedpkgContainerError, match="the signature does not match the public key"):
        signer.sign(b"another payload")


def test_a_token_signs_one_payload_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = key_files(tmp_path, "own")
    key, running, most = private_key("own"), 0, 0
    assert isinstance(key, ec.EllipticCurvePrivateKey)

    def fake(*_: object, stdin: bytes, **__: object) -> Completed:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.02)
        running -= 1
        return Completed(0, key.sign(stdin, ec.ECDSA(Prehashed(hashes.SHA256()))), b"")

    monkeypatch.setattr(signers, "run", fake)
    settings = SigningSettings("pkcs11:object=own?module-path=/module.so", public_key=keys.public)
    signer = open_signer(settings)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(signer.sign, [b"%d" % number for number in range(8)]))) == 8
    assert most == 1


def test_public_keys(tmp_path: Path) -> None:
    own, other = key_files(tmp_path), key_files(tmp_path, "other")
    with pytest.raises(ConfigurationError, match="no public key is configured"):
        site_keys(SigningSettings())
    with pytest.raises(ConfigurationError, match=r"own\.key is not a public key in PEM format"):
        site_keys(SigningSettings(public_key=own.private))
    with pytest.raises(ConfigurationError, match=r"own\.pub is not the public key of .*other\.key"):
        open_signer(replace(other.settings, public_key=own.public))
    settings = SigningSettings(public_key=own.public, accepted_keys=(other.public, own.public))
    assert [Path(key.name).name for key in site_keys(settings)] == ["own.pub", "other.pub"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sign = required\n", "[target stable] sign = required: [signing] has neither key nor command"),
        ("sign = yes\n", "[target stable] sign = yes: must be one of required, optional"),
        ("signature_formats = sig\n", "[target stable] signature_formats = sig: must be one or more of bundle, tag"),
        (
            "public_names = registry.example.org/Fedora\n",
            "[target stable] public_names = registry.example.org/Fedora: ",
        ),
        (
            "public_names = http://registry.example.org\n",
            "[target stable] public_names = http://registry.example.org: ",
        ),
        ("[signing]\nkey = signing.key\n", "[signing] key = signing.key: not an absolute path"),
        ("[signing]\nkey = /a\ncommand = /b\npublic_key = /c\n", "[signing] command excludes key"),
        ("[signing]\ncommand = /b\n", "[signing] public_key is missing: it is required for a token or command"),
        ("[signing]\ncommand = sign --pin 7\n", "[signing] command = …: the program must be an absolute path"),
        (
            "[signing]\ncommand = /b 'Pl4nt3d\n",
            "[signing] command = …: cannot be split into words: No closing quotation",
        ),
        (
            "[signing]\nkey = pkcs11:object=a?pin-value=Pl4nt3d&module-path=/x\n",
            "pkcs11:…: must not contain a PIN: store",
        ),
        (
            "[signing]\nkey = pkcs11:object=a;pin=Pl4nt3d?module-path=/x\n",
            "unsupported attribute 'pin'; supported: token",
        ),
        ("[signing]\nkey = pkcs11:object=a\n", "must have module-path=/PATH"),
        ("[signing]\nkey = pkcs11:token=a?module-path=/x\n", "must have object=LABEL or id=ID"),
        ("[signing]\nkey = pkcs11:object=a;type=cert?module-path=/x\n", "must have type=private"),
        ("[signing]\nkey = pkcs11:object=a?module-path=/x&pin-source=|echo\n", "must name a file in pin-source"),
    ],
)
def test_wrong_settings(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_site(site_file(tmp_path, text))
    assert message in caught.value.solution
    assert "Pl4nt3d" not in caught.value.solution


def test_settings(tmp_path: Path) -> None:
    text = "public_names = registry.example.net cdn.example.net:443/images\nsignature_formats = tag\nsign = required\n"
    text += "[signing]\nkey = /does/not/exist.key\naccepted_keys = /a.pub /b.pub\ncommand_timeout = 5\n"
    found = read_site(site_file(tmp_path, text))
    target = found.target("stable")
    assert (target.sign, target.signature_formats) == (True, ("tag",))
    names = target.signed_names(target.repository("hello/world"))
    assert names == ("registry.example.net/hello/world", "cdn.example.net:443/images/hello/world")
    assert found.signing == SigningSettings(
        "/does/not/exist.key", accepted_keys=(Path("/a.pub"), Path("/b.pub")), command_timeout=5
    )
    plain = read_site(site_file(tmp_path, "")).target("stable")
    assert (plain.sign, plain.signed_names(plain.repository("hello"))) == (
        False,
        ("registry.example.org/fedora/hello",),
    )


def test_token() -> None:
    uri = "pkcs11:token=The%20token;object=own;id=%01%ab;type=private?module-path=/m.so&pin-source=file:///etc/pin"
    assert Token.parse(uri) == Token("/m.so", "The token", "own", "01ab", Path("/etc/pin"))


@pytest.mark.parametrize("name", ["registry.example.org", "registry.example.org:5000/a/b", "localhost/fedora"])
def test_public_names(name: str) -> None:
    assert public_name_problem(name) == ""
