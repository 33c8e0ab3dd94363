# SPDX-License-Identifier: GPL-2.0-or-later
"""Credentials and tokens: which hosts get them, and which must not."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import time
from pathlib import Path

import pytest

from fedpkg_container.box.pki import Authority
from fedpkg_container.errors import ConfigurationError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import credentials
from fedpkg_container.registry import http as client
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import ATTEMPTS, RegistryHTTP
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import ENDLESS, Fault, MemoryRegistry, memory_registry
from tests.support.registries import PASSWORD, access
from tests.support.registry_clients import Serve, latest
from tests.support.waiting import PATIENCE


def test_expired_token_is_renewed_once(serve: Serve) -> None:
    server, repository = serve(uses=3)
    for _ in range(10):
        assert repository.manifest("latest")
    tokens = server.asked("/token")
    assert 3 <= tokens <= 5
    assert len(server.seen) == 10 + 2 * tokens, "each time one refusal, one token, and the request again"


def test_rejected_new_tokens_are_an_error(serve: Serve) -> None:
    server, repository = serve()
    server.faults["GET /v2/"] = [
        Fault(401, {"WWW-Authenticate": f'Bearer realm="https://{server.address}/token",service="x"'})
    ] * 5
    with pytest.raises(RegistryError, match=r"denied GET .* \(HTTP 401\)"):
        repository.manifest("latest")
    assert len(server.faults["GET /v2/"]) == 3


def test_wrong_password_is_not_disclosed(serve: Serve) -> None:
    _, repository = serve(password="not the secret")
    with pytest.raises(RegistryError, match="issued no token") as raised:
        repository.manifest("latest")
    assert "not the secret" not in f"{raised.value!r}{raised.value.__cause__!r}{raised.value.__context__!r}"


@pytest.mark.parametrize(
    "answer",
    [Fault(200, {}, b"{}"), Fault(200, {}, b'{"token": 5}'), Fault(200, {}, b'{"token": "a\\r\\nEvil: 1"}'),
     Fault(200, {}, b"nonsense"), Fault(404), Fault(200, {}, b" " * 1_000_000, ENDLESS)],
)  # fmt: skip
def test_invalid_token_responses(serve: Serve, answer: Fault) -> None:
    server, repository = serve()
    repository.http._tokens._headers.clear()
    server.faults["/token"] = [answer]
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_temporarily_failing_token_server(serve: Serve) -> None:
    server, repository = serve()
    repository.http._tokens._headers.clear()
    server.faults["/token"] = [503, 429]
    assert repository.manifest("latest")


@pytest.mark.parametrize(
    "realm", ["http://127.0.0.1:9/token", "file:///etc/passwd", "", "//x", "https://[x", "https://", "https://a b/"]
)
def test_untrusted_token_servers(serve: Serve, realm: str) -> None:
    server, repository = serve()
    server.faults["GET /v2/"] = [Fault(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})]
    with pytest.raises(RegistryError, match="is not https"):
        repository.manifest("latest")


def test_credentials_from_other_files_are_not_used(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, repository = serve(token=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login netrc password leaked\n")
    assert repository.manifest("latest")
    assert server.seen[-1][2] == ""


def _show_certificate(tmp_path: Path, repository: Repository) -> RegistryHTTP:
    """A client that shows a certificate to its registry."""
    reached = access(tmp_path, repository.http.host, password=PASSWORD)
    assert reached.certificates
    pem = Authority(tmp_path / "pki").issue("mirror").read_text()
    cut = pem.index("-----BEGIN", 1)
    parts = {"key" if "PRIVATE" in part else "cert": part for part in (pem[:cut], pem[cut:])}
    for name, part in parts.items():
        (reached.certificates / f"client.{name}").write_text(part)
    return RegistryHTTP(repository.http.host, certificates=reached.certificates, auth_file=reached.auth_file)


def test_redirected_blob_is_fetched_without_credentials(
    serve: Serve, elsewhere: MemoryRegistry, tmp_path: Path
) -> None:
    server, repository = serve()
    (config, *_) = Manifest.read(latest(server)).blobs
    elsewhere["hello"].blobs[config.digest] = server["hello"].blobs[config.digest]
    path = f"/v2/hello/blobs/{config.digest}"
    with _show_certificate(tmp_path, repository) as http:
        server.faults["/blobs/"] = [Fault(307, {"Location": f"https://{elsewhere.address}{path}"})]
        http.request("GET", "/v2/hello/manifests/latest", repository="hello")
        assert Repository(http, "hello").blob(config) == server["hello"].blobs[config.digest]
    assert server.seen[-1][2].startswith("Bearer ")
    assert server.shown[-1] == "mirror", "its own registry is shown the certificate"
    assert elsewhere.seen == [("GET", path, "")]
    assert elsewhere.shown == [""]


def test_redirected_blob_is_verified(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve()
    (config, *_) = Manifest.read(latest(server)).blobs
    elsewhere["hello"].blobs[config.digest] = b"x" * config.size
    place = f"https://{elsewhere.address}/v2/hello/blobs/{config.digest}"
    server.faults["/blobs/"] = [Fault(302, {"Location": place})]
    with pytest.raises(RegistryError, match="digest mismatch"):
        repository.blob(config)


def test_redirects_within_the_registry_keep_credentials(serve: Serve) -> None:
    server, repository = serve()
    repository.manifest("latest")
    server.faults["GET /v2/hello/manifests/old"] = [Fault(308, {"Location": "/v2/hello/manifests/latest"})]
    assert repository.manifest("old")
    assert server.seen[-1][2].startswith("Bearer ")


def test_redirects_that_are_not_followed(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve(token=False)
    away = Fault(302, {"Location": f"https://{elsewhere.address}/v2/hello/manifests/latest"})
    server.faults["GET /v2/hello/manifests/"] = [away]
    with pytest.raises(RegistryError, match="redirected to a different host"):
        repository.manifest("latest")
    (config, *_) = Manifest.read(latest(server)).blobs
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        server.faults["/blobs/"] = [Fault(302, {"Location": place})]
        with pytest.raises(RegistryError, match="redirected to a different host"):
            repository.blob(config)
    server.faults["/blobs/"] = [Fault(302, {"Location": f"/v2/hello/blobs/{config.digest}"})] * 20
    with pytest.raises(RegistryError, match="too many redirects"):
        repository.blob(config)
    assert len(server.faults["/blobs/"]) == 20 - 1 - client.MAX_REDIRECTS
    assert elsewhere.seen == []


def test_uploads_are_not_redirected_to_other_hosts(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve(token=False)
    server.faults["POST"] = [Fault(202, {"Location": f"https://{elsewhere.address}/upload"}, b"")]
    with pytest.raises(RegistryError, match="redirected to a different host"):
        repository.push(b"content")
    server.faults["POST"] = [Fault(307, {"Location": f"https://{elsewhere.address}/upload"}, b"")]
    with pytest.raises(RegistryError):
        repository.push(b"content")
    assert elsewhere.seen == []


def test_untrusted_certificate_is_not_retried(tmp_path: Path, serve: Serve) -> None:
    server, _ = serve(token=False)
    other = tmp_path / "other"
    other.mkdir()
    (other / "ca.crt").write_bytes(Authority(tmp_path / "another pki").certificate_path.read_bytes())
    begun = time.monotonic()
    with (
        RegistryHTTP(server.address, certificates=other, auth_file=None, retry_timeout=2 * PATIENCE) as http,
        pytest.raises(RegistryError, match="certificate") as raised,
    ):
        Repository(http, "hello").manifest("latest")
    assert not isinstance(raised.value, RegistryUnavailableError), "a retry would not help"
    assert time.monotonic() - begun < PATIENCE


@pytest.mark.parametrize("challenge", ['Bearer realm="https://HOST/token",service="x"', 'Basic realm="x"', ""])
def test_redirect_target_that_requests_credentials_gets_none(
    serve: Serve, elsewhere: MemoryRegistry, challenge: str
) -> None:
    server, repository = serve()
    (config, *_) = Manifest.read(latest(server)).blobs
    repository.manifest("latest")
    asks = {"WWW-Authenticate": challenge.replace("HOST", elsewhere.address)} if challenge else {}
    elsewhere.faults["/blobs/"] = [Fault(401, asks)] * 5
    place = f"https://{elsewhere.address}/v2/hello/blobs/{config.digest}"
    server.faults["/blobs/"] = [Fault(302, {"Location": place})] * 5
    with pytest.raises(RegistryError, match="HTTP 401"):
        repository.blob(config)
    assert elsewhere.seen == [("GET", f"/v2/hello/blobs/{config.digest}", "")], "and no token was requested from it"


def test_storage_credentials_are_not_disclosed(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    for place, fault in (
        ("https://127.0.0.1:1/x?signature=hidden", None),
        (f"https://{elsewhere.address}/x?signature=hidden", Fault(403)),
        ("https://[none/x?signature=hidden", None),
        ("ftp://127.0.0.1/x?signature=hidden", None),
    ):
        elsewhere.faults["GET"] = [fault] if fault else []
        server.faults["/blobs/"] = [Fault(302, {"Location": place})] * ATTEMPTS
        with pytest.raises(RegistryError) as raised:
            repository.blob(config)
        assert "hidden" not in f"{raised.value.reason}{raised.value.solution}"


def test_version_check_requests_no_scope(serve: Serve) -> None:
    server, repository = serve()
    assert repository.http.request("GET", "/v2/").status == 200
    assert server.seen[-1][2] == "Bearer 2-for-", "a token, of no scope"


def test_deletion_uses_the_registrys_action_name(serve: Serve) -> None:
    server, repository = serve()
    told = 'Bearer realm="https://{}/token",service="x",scope="repository:hello:{} repository:other:*"'
    server.faults["DELETE"] = [Fault(401, {"WWW-Authenticate": told.format(server.address, "delete")})]
    with pytest.raises(RegistryError, match="denied DELETE"):
        repository.delete_manifest(digest_of(latest(server)))
    authorization = [shown for method, _, shown in server.seen if method == "DELETE"][-1]
    assert authorization.endswith("-for-repository:hello:delete"), "and nothing of another repository"


def test_head_of_redirected_blob(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve()
    digest = Manifest.read(latest(server)).blobs[0].digest
    elsewhere["hello"].blobs[digest] = server["hello"].blobs[digest]
    path = f"/v2/hello/blobs/{digest}"
    server.faults["HEAD"] = [Fault(307, {"Location": f"https://{elsewhere.address}{path}"}, b"")] * 2
    assert repository.has_blob(digest)
    assert repository.push(server["hello"].blobs[digest]) == digest
    assert elsewhere.seen == [("HEAD", path, "")] * 2
    assert not server.asked("PUT|POST")


def test_registry_authority_is_trusted_for_token_server_and_storage(serve: Serve, tmp_path: Path) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    with (
        memory_registry(tmp_path) as tokens,
        memory_registry(tmp_path, token=False) as storage,
        _show_certificate(tmp_path, repository) as http,
    ):
        storage["hello"].blobs[config.digest] = server["hello"].blobs[config.digest]
        server.faults["/manifests/"] = [
            Fault(401, {"WWW-Authenticate": f'Bearer realm="https://{tokens.address}/token",service="x"'})
        ]
        server.faults["/blobs/"] = [
            Fault(307, {"Location": f"https://{storage.address}/v2/hello/blobs/{config.digest}"})
        ]
        assert Repository(http, "hello").manifest("latest")
        assert Repository(http, "hello").blob(config)
        assert tokens.asked("GET /token") == storage.asked("GET /v2/hello/blobs") == 1
        assert tokens.shown == storage.shown == [""], "the certificate is the registry's alone"


def test_docker_io_uses_another_api_host(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = serve()
    server["library/fedora"].manifests["42"] = latest(server)
    monkeypatch.setattr(credentials, "_DOCKER_API", server.address)
    monkeypatch.setattr(credentials, "_DOCKER_NAMES", credentials._DOCKER_NAMES | {server.address})
    entry = json.loads((tmp_path / "auth.json").read_text())["auths"][server.address]
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"https://index.docker.io/v1/": entry}}))
    image = ImageReference.parse("docker.io/fedora:42")
    with RegistryHTTP(image.registry, certificates=tmp_path / "certs", auth_file=tmp_path / "auth.json") as http:
        assert Repository(http, image.repository).manifest(image.tag).raw == latest(server)
    assert str(image) == "docker.io/library/fedora:42"
    assert server.seen[-1][2].startswith("Bearer ")


@pytest.mark.parametrize(
    ("one", "other"),
    [("registry.example.org:443", "registry.example.org"), ("Registry.Example.org", "registry.example.org"),
     ("index.docker.io", "docker.io"), ("registry-1.docker.io:443", "docker.io")],
)  # fmt: skip
def test_host_names_are_normalized(one: str, other: str) -> None:
    assert credentials.normalize_host(one) == credentials.normalize_host(other)
    assert credentials.normalize_host(one) != credentials.normalize_host(f"{other}:5000")
    with RegistryHTTP(one, certificates=None, auth_file=None) as http:
        assert http._url(f"https://{credentials.api_host(other)}/v2/hello/blobs/uploads/1")


def test_all_authorities_in_the_directory_are_trusted(serve: Serve, tmp_path: Path) -> None:
    server, _ = serve(token=False)
    right, wrong = (Authority(tmp_path / name).certificate_path.read_bytes() for name in ("pki", "another pki"))
    for names in (("ca.crt", "site.crt"), ("site.crt", "ca.crt"), ("site.crt",)):
        directory = tmp_path / "-".join(names)
        directory.mkdir()
        for name, content in zip(names, (right, wrong)):
            (directory / name).write_bytes(content)
        with RegistryHTTP(server.address, certificates=directory, auth_file=None) as http:
            assert Repository(http, "hello").manifest("latest")


@pytest.mark.parametrize("name", ["ca.crt", "client.cert"])
def test_invalid_certificates_are_reported(serve: Serve, tmp_path: Path, name: str) -> None:
    server, _ = serve(token=False)
    directory = tmp_path / "directory"
    directory.mkdir()
    (directory / "client.key").write_text("nonsense")
    (directory / name).write_text("nonsense")
    with (
        RegistryHTTP(server.address, certificates=directory, auth_file=None) as http,
        pytest.raises(ConfigurationError, match=rf"directory/{name} cannot be used") as raised,
    ):
        Repository(http, "hello").manifest("latest")
    assert "PEM" in (raised.value.solution or "")


def test_interrupted_handshake_is_retried(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve(token=False)
    repository.http._session.close()
    shake, broken = ssl.SSLSocket.do_handshake, [True] * (ATTEMPTS - 1)

    def broken_off(self: ssl.SSLSocket, block: bool = False) -> None:
        if not self.server_side and broken and broken.pop():
            raise ssl.SSLError(1, "[SSL: SSLV3_ALERT_UNEXPECTED_MESSAGE] sslv3 alert unexpected message")
        shake(self, block)

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", broken_off)
    assert repository.manifest("latest").raw == latest(server)
    assert not broken


def test_server_without_tls_is_not_retried(tmp_path: Path) -> None:
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
    with (
        contextlib.closing(listening.socket),
        RegistryHTTP(
            f"127.0.0.1:{listening.server_port}", certificates=None, auth_file=None, retry_timeout=60
        ) as plain,
        pytest.raises(RegistryError) as raised,
    ):
        Repository(plain, "hello").manifest("latest")
    listening.shutdown()
    assert not isinstance(raised.value, RegistryUnavailableError)
