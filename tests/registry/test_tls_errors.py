# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that cannot be trusted, or do not use TLS, are named as that."""

from __future__ import annotations

import datetime
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.tls_errors import tls_error

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc)


def certificate(directory: Path, name: str, start: datetime.datetime, end: datetime.datetime) -> Path:
    """Write a self-signed certificate with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    alternative = x509.DNSName(name) if name.isalpha() else x509.IPAddress(__import__("ipaddress").ip_address(name))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = directory / "server.pem"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(made.public_bytes(encoding) + pem)
    (directory / "certs").mkdir()
    (directory / "certs" / "ca.crt").write_bytes(made.public_bytes(encoding))
    return path


class _Server:
    def __init__(self, pem: Path | None) -> None:
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if pem:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def serve() -> Iterator[type[_Server]]:
    made: list[_Server] = []

    class Server(_Server):
        def __init__(self, pem: Path | None) -> None:
            super().__init__(pem)
            made.append(self)

    yield Server
    for server in made:
        server.server.shutdown()
        server.server.server_close()


def failure(address: str, certificates: Path | None) -> RegistryError:
    with RegistryHTTP(address, certificates=certificates, auth_file=None) as client:
        with pytest.raises(RegistryError) as raised:
            client.request("GET", "/v2/")
    assert not isinstance(raised.value, RegistryUnavailableError)
    assert raised.value.solution != "try again later"
    return raised.value


def test_expired_certificate(serve: type[_Server], tmp_path: Path) -> None:
    server = serve(certificate(tmp_path, "127.0.0.1", NOW - 2 * DAY, NOW - DAY))
    error = failure(server.address, tmp_path / "certs")
    assert f"the certificate of {server.address} has expired (certificate has expired)" in error.reason
    assert error.solution == "renew it"


def test_certificate_of_the_future(serve: type[_Server], tmp_path: Path) -> None:
    server = serve(certificate(tmp_path, "127.0.0.1", NOW + DAY, NOW + 2 * DAY))
    error = failure(server.address, tmp_path / "certs")
    assert "is not yet valid" in error.reason and "clocks" in error.solution


def test_unknown_authority(serve: type[_Server], tmp_path: Path) -> None:
    server = serve(certificate(tmp_path, "127.0.0.1", NOW - DAY, NOW + DAY))
    (tmp_path / "none").mkdir()
    error = failure(server.address, tmp_path / "none")
    assert "is self-signed, or its CA is unknown" in error.reason
    assert f"/etc/containers/certs.d/{server.address}" in error.solution


def test_certificate_for_another_name(serve: type[_Server], tmp_path: Path) -> None:
    server = serve(certificate(tmp_path, "elsewhere", NOW - DAY, NOW + DAY))
    error = failure(server.address, tmp_path / "certs")
    assert "is for another name" in error.reason and "use the name in the certificate" in error.solution


def test_plain_http(serve: type[_Server]) -> None:
    server = serve(None)
    error = failure(server.address, None)
    assert f"{server.address} does not use TLS on this port; it may expect plain HTTP" in error.reason
    assert "over TLS only" in error.solution


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("certificate verify failed: unable to get local issuer certificate (_ssl.c:1)", "from an unknown CA (unable"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:1)", "client certificate"),
        ("[SSL: RECORD_LAYER_FAILURE] record layer failure (_ssl.c:1)", "does not use TLS"),
        ("certificate verify failed: something new (_ssl.c:1)", "is not trusted (something new)"),
        ("EOF occurred in violation of protocol (_ssl.c:1)", ""),
    ],
)
def test_classification(text: str, reason: str) -> None:
    error = tls_error("GET https://r/v2/", "r", text)
    assert (error is None) == (not reason)
    assert error is None or reason in error.reason
