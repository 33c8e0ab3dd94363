# SPDX-License-Identifier: GPL-2.0-or-later
"""Planted secrets are neither in a record of the log nor in any output, at debug level."""

from __future__ import annotations

import http.server
import json
import logging
import re
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container import logs, registry_cli
from fedpkg_container.errors import FedpkgContainerError, RegistryError
from fedpkg_container.image.resolve.repo_files import fetch_repo_file
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.image_signer import ImageSigner
from fedpkg_container.registry.signing.settings import SigningSettings
from fedpkg_container.registry.signing.signer import open_signer
from fedpkg_container.registry.skopeo import Access
from fedpkg_container.registry.workers import WorkerPool
from tests.support.memory_registry import Fault, MemoryRegistry
from tests.support.registries import PASSWORD, USER, access
from tests.support.registry_clients import Serve, latest
from tests.support.signing import cosign_pem, key_files, pem, private_key
from tests.support.web import serve as web

SECRET = "Pl4nt3d"
#: A line of base64, as of a key.
PEM_LINE = re.compile(r"[A-Za-z0-9+/]{60}")


class _Recorder(logging.Handler):
    """Collects the contents of records before a handler redacts them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.args}")


@pytest.fixture
def records(capsys: pytest.CaptureFixture[str]) -> Iterator[_Recorder]:
    """The records of our loggers. At the end it checks them, and all output."""
    recorder, logger = _Recorder(), logging.getLogger("fedpkg_container")
    before = logger.level, logger.handlers[:]
    logs.show(debug=True)
    logger.addHandler(recorder)
    yield recorder
    logger.setLevel(before[0])
    logger.handlers[:] = before[1]
    captured = capsys.readouterr()
    for text in (*recorder.texts, captured.out, captured.err):
        for secret in (SECRET, PASSWORD, "Authorization", "Bearer ", "Basic ", "service="):
            assert secret not in text
    assert recorder.texts, "nothing was logged"
    assert all("\n" not in text for text in recorder.texts)
    assert "DEBUG fedpkg_container." in captured.err


def _closed_port() -> int:
    """Return a port on which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _token(server: MemoryRegistry, given: str) -> None:
    """Let the token server issue a token that can be found in the log."""
    server._given[given] = 0
    server.faults["GET /token"] = [Fault(200, body=json.dumps({"token": given}).encode())]


def test_passwords_and_tokens(serve: Serve, records: _Recorder) -> None:
    server, repository = serve()
    _token(server, f"{SECRET}token")
    server.faults["GET /v2/hello/manifests"] = [503, 503]
    try:
        assert repository.manifest("latest").raw == latest(server)
    except RegistryError:
        assert any(f"Bearer {SECRET}token" == authorization for _, _, authorization in server.seen)
    assert any(f"GET {server.address} /v2/hello/manifests/latest: HTTP 200" in text for text in records.texts)
    assert any("attempt 1 failed, retrying in" in text for text in records.texts)
    assert any(f"{server.address} issued a token" in text for text in records.texts)


def test_challenges_of_a_malicious_registry(serve: Serve, records: _Recorder) -> None:
    server, repository = serve()
    challenge = f'Bearer realm="https://{USER}:{SECRET}@{server.address}/token?x={SECRET}",service="{SECRET}"'
    server.faults["GET /v2/hello"] = [Fault(401, {"WWW-Authenticate": challenge})] * 3
    with pytest.raises(RegistryError):
        repository.manifest("latest")
    assert any(f"GET {server.address} /token" in text for text in records.texts)


def test_presigned_urls(serve: Serve, elsewhere: MemoryRegistry, records: _Recorder) -> None:
    server, repository = serve(token=False)
    location = f"https://{elsewhere.address}/v2/x/blobs/none?X-Amz-Signature={SECRET}#{SECRET}"
    server.faults["GET /v2/hello/blobs"] = [Fault(307, {"Location": location})]
    with pytest.raises(RegistryError), repository.open_blob(f"sha256:{'0' * 64}") as stream:
        list(stream.chunks)
    assert any(text.startswith(f"redirected to https://{elsewhere.address}/v2/x/blobs/none") for text in records.texts)


def test_proxy_with_a_password(serve: Serve, records: _Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    _, repository = serve(token=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{USER}:{SECRET}@127.0.0.1:{_closed_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RegistryError):
        repository.manifest("latest")
    assert any("/v2/hello/manifests/latest: ProxyError" in text for text in records.texts)


@pytest.mark.programs
def test_credential_helper(serve: Serve, records: _Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = serve()
    program = tmp_path / "docker-credential-vault"
    program.write_text(f"#!/bin/sh\necho {SECRET} >&2\necho '{json.dumps({'Username': USER, 'Secret': PASSWORD})}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    auth_file = tmp_path / "auth.json"
    auth_file.write_text(json.dumps({"auths": {"x": {"auth": SECRET}}, "credHelpers": {server.address: "vault"}}))
    with RegistryHTTP(server.address, certificates=tmp_path / "certs", auth_file=auth_file) as http:
        assert Repository(http, "hello").manifest("latest").raw == latest(server)
    assert any("docker-credential-vault get" in text for text in records.texts)
    assert any(f"configured in {auth_file}" in text for text in records.texts)


def test_query_of_a_repo_file(records: _Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    (tmp_path / "x.repo").write_text("[one]\nbaseurl=http://localhost/\n")
    with web(tmp_path) as url:
        fetch_repo_file(f"{url}/x.repo?token={SECRET}")
    with pytest.raises(FedpkgContainerError):
        fetch_repo_file(f"http://127.0.0.1:{_closed_port()}/x.repo?token={SECRET}")
    assert any("/x.repo with 1 repositories" in text for text in records.texts)
    assert any("/x.repo: ConnectionError" in text for text in records.texts)


@pytest.mark.programs
@pytest.mark.parametrize("kind", ["rejected", "failing"])
def test_pin_of_a_token(kind: str, records: _Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PIN is neither an argument nor in what the program reports about it."""
    program, pin = tmp_path / "pkcs11-tool", tmp_path / "pin"
    outcome = "echo no signature" if kind == "rejected" else 'echo "wrong PIN $SIGNING_PIN" >&2; exit 1'
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\n{outcome}\n')
    program.chmod(0o755)
    pin.write_text(f"{SECRET}\n")
    pin.chmod(0o600)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    key = f"pkcs11:token=a;object=own?module-path=/m.so&pin-source={pin}"
    signer = open_signer(SigningSettings(key, public_key=key_files(tmp_path).public))
    for _ in range(2):
        with pytest.raises(FedpkgContainerError) as caught:
            signer.sign(SECRET.encode())
        expected = {"rejected": "does not match", "failing": "pkcs11-tool failed (exit status 1): wrong PIN ***"}[kind]
        assert expected in caught.value.reason
        assert SECRET not in f"{caught.value.reason} {caught.value.solution} {caught.value.__context__}"
    arguments = (tmp_path / "arguments").read_text()
    assert SECRET not in arguments
    assert "--pin env:SIGNING_PIN" in arguments
    assert sum("--module /m.so" in text for text in records.texts) == 1, "a second attempt could lock the token"


@pytest.mark.parametrize("form", ["openssl", "cosign"])
def test_keys_and_their_passwords(form: str, records: _Recorder, tmp_path: Path, serve: Serve) -> None:
    _, repository = serve(token=False)
    secret, path, password = f"{SECRET} password", tmp_path / "own.key", tmp_path / "password"
    path.write_bytes((pem if form == "openssl" else cosign_pem)(private_key(), secret))
    password.write_text(secret)
    for file in (path, password):
        file.chmod(0o600)
    target = Target("stable", repository.http.host, Access())
    signer = ImageSigner(target, open_signer(SigningSettings(str(path), password)))
    digest = repository.head("latest")
    with WorkerPool(1) as requests:
        missing = signer.missing(repository, [digest], ("bundle", "tag"), requests)
        signer.sign(repository, missing, requests)
        assert list(missing) == [digest]
    assert any(f"signed {repository.reference}@{digest} with the key" in text for text in records.texts)
    password.write_text(f"wrong {secret}")
    with pytest.raises(FedpkgContainerError) as caught:
        open_signer(SigningSettings(str(path), password))
    shown = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert SECRET not in shown
    assert PEM_LINE.search(shown) is None


@pytest.mark.parametrize("password", [PASSWORD, f"{SECRET} wrong"])
def test_a_command_of_the_registry_program(
    serve: Serve, records: _Recorder, tmp_path: Path, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = serve()
    reached = access(tmp_path, server.address, password=password)
    site = tmp_path / "registry.conf"
    site.write_text(
        f"[candidate]\nregistry = {server.address}\n[target stable]\nregistry = {server.address}\nkoji_tags = *\n"
        f"certificates = {reached.certificates}\nauth_file = {reached.auth_file}\n"
        f"[mirror]\ndirectory = {tmp_path / 'tree'}\n"
    )
    show = logs.show

    def show_and_record(**options: bool) -> None:
        show(**options)
        logging.getLogger("fedpkg_container").addHandler(records)

    monkeypatch.setattr(logs, "show", show_and_record)
    arguments = ["--config", str(site), "mirror", "--debug"]
    status = registry_cli.run(registry_cli.make_parser().parse_args(arguments))
    assert status == (0 if password == PASSWORD else 1)
    assert any("command mirror, configuration" in text for text in records.texts)
