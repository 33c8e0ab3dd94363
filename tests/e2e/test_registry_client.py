"""The registry client against a registry over TLS that pages, fails, lies, redirects, and forgets tokens."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.pki import Authority
from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.registry import http as client
from fedpkg_container.registry import patience
from fedpkg_container.registry import repository as repositories_of
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import ATTEMPTS, RegistryHTTP
from fedpkg_container.registry.manifests import LONGEST_MANIFEST, OCI_INDEX, Descriptor, Manifest
from fedpkg_container.registry.pruning.inventory import DEEPEST, take
from fedpkg_container.registry.repository import Repository, repositories
from tests.support.memory_registry import ENDLESS, RESET, SHORT, Fault, MemoryRegistry, memory_registry
from tests.support.pushing import image, tagged
from tests.support.registries import PASSWORD, access

Serve = Callable[..., "tuple[MemoryRegistry, Repository]"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.5)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a registry; with it a client of its repository ``hello``, which has an image under ``latest``."""
    with contextlib.ExitStack() as stack:

        def made(*, password: str = PASSWORD, **settings: object) -> tuple[MemoryRegistry, Repository]:
            server = stack.enter_context(memory_registry(tmp_path, **settings))
            reached = access(tmp_path, server.address, password=password)
            http = stack.enter_context(
                RegistryHTTP(server.address, certificates=reached.certificates, auth_file=reached.auth_file)
            )
            if password == PASSWORD:
                image(Repository(http, "hello"), "one", "latest")
            server.seen.clear()
            return server, Repository(http, "hello")

        yield made


def _raw(server: MemoryRegistry) -> bytes:
    return server["hello"].manifests["latest"]


# Pages


@pytest.mark.parametrize("link", ["{}", "https://HOST{}"])
def test_pages_by_relative_and_absolute_links(serve: Serve, link: str) -> None:
    server, repository = serve(page=2)
    server.link = link.replace("HOST", server.address)
    for number in range(7):
        image(repository, "one", f"tag-{number}")
    assert list(repository.tags()) == ["latest", *(f"tag-{number}" for number in range(7))]
    assert server.asked("GET /v2/hello/tags/list") == 4
    for name in "abc":
        image(Repository(repository.http, name), "one", "x")
    assert list(repositories(repository.http)) == ["a", "b", "c", "hello"]


def test_a_link_that_is_relative_to_the_page(serve: Serve) -> None:
    server, repository = serve()
    pages = [(b'{"tags": ["a"]}', '<list?last=a>; rel="next"'), (b'{"tags": ["b"]}', "")]
    server.faults["/tags/list"] = [Fault(200, {"Link": link} if link else {}, body) for body, link in pages]
    assert list(repository.tags()) == ["a", "b"]
    assert server.asked("GET /v2/hello/tags/list") == 2


def test_pages_that_go_round_or_have_no_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve()
    same = Fault(200, {"Link": '</v2/hello/tags/list?last=a>; rel="next"'}, b'{"tags": ["a"]}')
    server.faults["/tags/list"] = [same] * 10
    with pytest.raises(RegistryError, match="lists tags without end"):
        list(repository.tags())
    assert len(server.faults["/tags/list"]) == 8
    monkeypatch.setattr(repositories_of, "PAGES", 5)
    following = [f'</v2/hello/tags/list?last={number}>; rel="next"' for number in range(9)]
    server.faults["/tags/list"] = [Fault(200, {"Link": each}, b'{"tags": ["a"]}') for each in following]
    with pytest.raises(RegistryError, match="lists tags without end"):
        list(repository.tags())
    assert len(server.faults["/tags/list"]) == 4


def test_a_page_of_another_server_is_not_asked_for(serve: Serve) -> None:
    server, repository = serve()
    away = Fault(200, {"Link": '<https://127.0.0.1:9/v2/hello/tags/list>; rel="next"'}, b'{"tags": []}')
    server.faults["/tags/list"] = [away]
    with pytest.raises(RegistryError, match="sends on to another server: https://127.0.0.1:9/"):
        list(repository.tags())


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b'{"tags": "abc"}', b'{"tags": {"a": 1}}', b'{"tags": ["a b"]}', b'{"tags": ["-x"]}',
     b'{"tags": [null]}', b'{"tags": ["x\\ny"]}', b"<html>", b"[" * 100_000],
)  # fmt: skip
def test_lists_of_tags_that_are_none(serve: Serve, body: bytes) -> None:
    server, repository = serve()
    server.faults["/tags/list"] = [Fault(200, {}, body)]
    with pytest.raises(RegistryError):
        list(repository.tags())


@pytest.mark.parametrize("body", [b'{"tags": null}', b'{"name": "hello"}', b'{"tags": []}'])
def test_lists_of_no_tags(serve: Serve, body: bytes) -> None:
    server, repository = serve()
    server.faults["/tags/list"] = [Fault(200, {}, body)]
    assert list(repository.tags()) == []
    server.faults["/tags/list"] = [404]
    assert list(repository.tags()) == []


def test_a_catalog_with_names_that_are_none(serve: Serve) -> None:
    server, repository = serve()
    server.faults["/_catalog"] = [Fault(200, {}, b'{"repositories": ["fine", "../../etc"]}')]
    with pytest.raises(RegistryError, match="etc"):
        list(repositories(repository.http))


# Faults that pass


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, Fault(kind=RESET), Fault(200, {}, b"{", SHORT)])
def test_faults_that_pass_are_waited_for_with_longer_and_longer_pauses(serve: Serve, fault: int | Fault) -> None:
    server, repository = serve(token=False)
    server.faults["GET /v2/hello/manifests/"] = [fault] * (ATTEMPTS - 1)
    assert repository.manifest("latest").raw == _raw(server)
    assert len(server.seen) == ATTEMPTS
    times = server.times[-ATTEMPTS:]
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert all(pause >= patience.FIRST_PAUSE * 2**number for number, pause in enumerate(pauses))
    server.faults["GET /v2/hello/manifests/"] = [fault] * ATTEMPTS
    with pytest.raises(RegistryUnavailableError):
        repository.manifest("latest")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 416, 418])
def test_refusals_are_not_asked_for_again(serve: Serve, status: int) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [status] * 2
    with pytest.raises(RegistryError):
        repository.manifest("latest")
    assert len(server.seen) == 1


@pytest.mark.parametrize("date", [False, True])
def test_a_registry_that_says_when_to_come_again(serve: Serve, date: bool) -> None:
    server, repository = serve(token=False)
    after = email.utils.formatdate(time.time() + 2.9, usegmt=True) if date else "2"
    server.faults["GET"] = [Fault(429, {"Retry-After": after})]
    begun = time.monotonic()
    assert repository.manifest("latest")
    assert 1 < time.monotonic() - begun < 10
    assert len(server.seen) == 2


@pytest.mark.parametrize("after", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_registry_that_asks_for_a_day_is_given_up(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})] * 2
    with pytest.raises(RegistryUnavailableError) as raised:
        repository.manifest("latest")
    assert raised.value.retry_after > patience.LONGEST_ASKED
    assert len(server.seen) == 1


@pytest.mark.parametrize("after", ["soon", "-5", "", "1e99", "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999999999999"])
def test_times_that_are_none_are_passed_over(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})]
    begun = time.monotonic()
    try:
        assert repository.manifest("latest")
    except RegistryUnavailableError:
        assert after == "99999999999999999999"
    assert time.monotonic() - begun < 5


# What comes must be what was asked for


def test_something_else_than_the_digest_that_was_asked_for(serve: Serve) -> None:
    server, repository = serve(token=False)
    digest = digest_of(_raw(server))
    server["hello"].manifests[digest] += b" "
    with pytest.raises(RegistryError, match="something else"):
        repository.manifest(digest)
    server.faults["HEAD"] = [Fault(200, {"Docker-Content-Digest": "sha256:" + "0" * 64})]
    with pytest.raises(RegistryError, match="something else"):
        repository.head(digest)
    (config, *_) = Manifest.read(_raw(server)).blobs
    content = server["hello"].blobs[config.digest]
    server["hello"].blobs[config.digest] = b"x" * len(content)
    with pytest.raises(RegistryError, match="is something else"):
        repository.blob(config)


def test_head_without_a_digest_reads_the_manifest(serve: Serve) -> None:
    server, repository = serve(token=False, names_digests=False)
    assert repository.head("latest") == digest_of(_raw(server))
    assert [method for method, _, _ in server.seen] == ["HEAD", "GET"]
    assert repository.head("none") == ""


@pytest.mark.parametrize("digest", ["nonsense", "sha256:../../x", "md5:" + "0" * 32, "sha256:" + "0" * 63])
def test_a_digest_that_is_none_in_an_answer(serve: Serve, digest: str) -> None:
    server, repository = serve(token=False)
    server.faults["HEAD"] = [Fault(200, {"Docker-Content-Digest": digest})]
    with pytest.raises(RegistryError, match="not a digest"):
        repository.head("latest")


def test_a_manifest_that_is_too_long_is_not_read_to_its_end(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(200, {}, b" " * (LONGEST_MANIFEST + 1))]
    with pytest.raises(RegistryError, match=f"longer than {LONGEST_MANIFEST} bytes"):
        repository.manifest("latest")
    server.faults["GET"] = [Fault(200, {}, b" " * 1_000_000, ENDLESS)]
    with pytest.raises(RegistryError, match=f"longer than {LONGEST_MANIFEST} bytes"):
        repository.manifest("latest")


def test_an_answer_of_a_hundred_megabytes_is_refused(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["/tags/list"] = [Fault(200, {}, b" " * 1_000_000, ENDLESS)]
    begun = time.monotonic()
    with pytest.raises(RegistryError, match=f"longer than {client.LONGEST} bytes"):
        list(repository.tags())
    assert time.monotonic() - begun < 30
    large = Descriptor.of({"digest": "sha256:" + "0" * 64, "size": 10**8, "mediaType": "x"})
    with pytest.raises(RegistryError, match="is longer than"):
        repository.blob(large)


@pytest.mark.parametrize("more", [-1, 1])
def test_a_blob_that_is_shorter_or_longer_than_its_manifest_says(serve: Serve, more: int) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(_raw(server)).blobs
    wrong = Descriptor.of({**config.facts, "size": config.size + more})
    with pytest.raises(RegistryError, match="ended after|has more than"):
        repository.blob(wrong)


def test_a_blob_that_breaks_off(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(_raw(server)).blobs
    server.faults["/blobs/"] = [Fault(200, {}, b"{", SHORT)]
    with pytest.raises(RegistryError):
        repository.blob(config)
    assert repository.blob(config) == server["hello"].blobs[config.digest]


def test_manifests_that_are_packed_for_their_way(serve: Serve) -> None:
    server, repository = serve(token=False)
    packed = {"Content-Encoding": "gzip"}
    server.faults["GET"] = [Fault(200, packed, gzip.compress(_raw(server)))]
    assert repository.manifest(digest_of(_raw(server))).raw == _raw(server)
    server.faults["GET"] = [Fault(200, packed, gzip.compress(b" " * 500_000_000))]
    with pytest.raises(RegistryError, match="longer than"):
        repository.manifest("latest")
    server.faults["GET"] = [Fault(200, packed, b"not packed at all")] * ATTEMPTS
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_a_blob_is_asked_for_as_it_is_and_read_as_it_comes(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(_raw(server)).blobs
    server.faults["/blobs/"] = [Fault(200, {"Content-Encoding": "gzip"}, server["hello"].blobs[config.digest])]
    assert repository.blob(config), "a header that lies changes nothing"
    server.faults["/blobs/"] = [Fault(200, {}, gzip.compress(server["hello"].blobs[config.digest]))]
    with pytest.raises(RegistryError):
        repository.blob(config)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b"{", b'{"mediaType": "application/vnd.docker.distribution.manifest.v1+json"}',
     b"[" * 100_000, b"\xff\xfe", b'{"mediaType": "\x00"}'],
)  # fmt: skip
def test_manifests_that_are_none(serve: Serve, raw: bytes) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(200, {}, raw)]
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_lists_in_lists_are_read_to_a_depth(serve: Serve) -> None:
    _, repository = serve(token=False)
    made: Manifest = image(repository, "innermost")
    for depth in range(DEEPEST + 1):
        if depth == DEEPEST:
            assert len(take(repository).manifests) == 1 + DEEPEST, "an image under latest, and lists"
        listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [made.descriptor], "x": depth}
        made = tagged(repository, Manifest.of(listed), "nested")
    with pytest.raises(RegistryError, match=f"more than {DEEPEST} deep"):
        take(repository)


# Who is asked, and with which credentials


def test_a_token_that_expires_in_the_middle_is_renewed_once(serve: Serve) -> None:
    server, repository = serve(uses=3)
    for _ in range(10):
        assert repository.manifest("latest")
    tokens = server.asked("/token")
    assert 3 <= tokens <= 5
    assert len(server.seen) == 10 + 2 * tokens, "each time one refusal, one token, and the request again"


def test_tokens_that_the_registry_takes_no_more(serve: Serve) -> None:
    server, repository = serve()
    server.faults["GET /v2/"] = [
        Fault(401, {"WWW-Authenticate": f'Bearer realm="https://{server.address}/token",service="x"'})
    ] * 5
    with pytest.raises(RegistryError, match=r"refuses GET .* \(HTTP 401\)"):
        repository.manifest("latest")
    assert len(server.faults["GET /v2/"]) == 3


def test_a_wrong_password_is_not_shown(serve: Serve) -> None:
    _, repository = serve(password="not the secret")
    with pytest.raises(RegistryError, match="gives no token") as raised:
        repository.manifest("latest")
    assert "not the secret" not in f"{raised.value!r}{raised.value.__cause__!r}{raised.value.__context__!r}"


@pytest.mark.parametrize(
    "answer",
    [Fault(200, {}, b"{}"), Fault(200, {}, b'{"token": 5}'), Fault(200, {}, b'{"token": "a\\r\\nEvil: 1"}'),
     Fault(200, {}, b"nonsense"), Fault(404), Fault(200, {}, b" " * 1_000_000, ENDLESS)],
)  # fmt: skip
def test_answers_that_are_no_tokens(serve: Serve, answer: Fault) -> None:
    server, repository = serve()
    repository.http._authorizations._headers.clear()
    server.faults["/token"] = [answer]
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_a_server_of_tokens_that_fails_for_a_moment(serve: Serve) -> None:
    server, repository = serve()
    repository.http._authorizations._headers.clear()
    server.faults["/token"] = [503, 429]
    assert repository.manifest("latest")


@pytest.mark.parametrize("realm", ["http://127.0.0.1:9/token", "file:///etc/passwd", "", "//x"])
def test_servers_of_tokens_that_cannot_be_trusted(serve: Serve, realm: str) -> None:
    server, repository = serve()
    server.faults["GET /v2/"] = [Fault(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})]
    with pytest.raises(RegistryError, match="no server for tokens that can be trusted"):
        repository.manifest("latest")


def test_credentials_of_other_files_are_not_used(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve(token=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login netrc password leaked\n")
    assert repository.manifest("latest")
    assert server.seen[-1][2] == ""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryRegistry]:
    """Another server, trusted as podman trusts servers; it asks for client certificates."""
    monkeypatch.setattr(client, "_CERTIFICATES", (tmp_path / "certs.d",))
    with memory_registry(tmp_path, token=False) as server:
        folder = tmp_path / "certs.d" / server.address
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(Authority(tmp_path / "pki").certificate_path.read_bytes())
        yield server


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


def test_a_blob_that_lies_elsewhere_is_got_there_without_credentials(
    serve: Serve, elsewhere: MemoryRegistry, tmp_path: Path
) -> None:
    server, repository = serve()
    (config, *_) = Manifest.read(_raw(server)).blobs
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


def test_a_blob_that_lies_elsewhere_is_checked_all_the_same(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve()
    (config, *_) = Manifest.read(_raw(server)).blobs
    elsewhere["hello"].blobs[config.digest] = b"x" * config.size
    place = f"https://{elsewhere.address}/v2/hello/blobs/{config.digest}"
    server.faults["/blobs/"] = [Fault(302, {"Location": place})]
    with pytest.raises(RegistryError, match="is something else"):
        repository.blob(config)


def test_redirections_within_the_registry_keep_the_credentials(serve: Serve) -> None:
    server, repository = serve()
    repository.manifest("latest")
    server.faults["GET /v2/hello/manifests/old"] = [Fault(308, {"Location": "/v2/hello/manifests/latest"})]
    assert repository.manifest("old")
    assert server.seen[-1][2].startswith("Bearer ")


def test_redirections_that_are_not_followed(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve(token=False)
    away = Fault(302, {"Location": f"https://{elsewhere.address}/v2/hello/manifests/latest"})
    server.faults["GET /v2/hello/manifests/"] = [away]
    with pytest.raises(RegistryError, match="sends on to another server"):
        repository.manifest("latest")
    (config, *_) = Manifest.read(_raw(server)).blobs
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        server.faults["/blobs/"] = [Fault(302, {"Location": place})]
        with pytest.raises(RegistryError, match="sends on to another server"):
            repository.blob(config)
    server.faults["/blobs/"] = [Fault(302, {"Location": f"/v2/hello/blobs/{config.digest}"})] * 20
    with pytest.raises(RegistryError, match="without end"):
        repository.blob(config)
    assert len(server.faults["/blobs/"]) == 20 - 1 - client.REDIRECTIONS
    assert elsewhere.seen == []


def test_uploads_go_to_the_registry_alone(serve: Serve, elsewhere: MemoryRegistry) -> None:
    server, repository = serve(token=False)
    server.faults["POST"] = [Fault(202, {"Location": f"https://{elsewhere.address}/upload"}, b"")]
    with pytest.raises(RegistryError, match="sends on to another server"):
        repository.push(b"content")
    server.faults["POST"] = [Fault(307, {"Location": f"https://{elsewhere.address}/upload"}, b"")]
    with pytest.raises(RegistryError):
        repository.push(b"content")
    assert elsewhere.seen == []


def test_an_authority_that_is_not_trusted(tmp_path: Path, serve: Serve) -> None:
    server, _ = serve(token=False)
    other = tmp_path / "other"
    other.mkdir()
    (other / "ca.crt").write_bytes(Authority(tmp_path / "another pki").certificate_path.read_bytes())
    begun = time.monotonic()
    with (
        RegistryHTTP(server.address, certificates=other, auth_file=None, patience=60) as http,
        pytest.raises(RegistryError, match="certificate") as raised,
    ):
        Repository(http, "hello").manifest("latest")
    assert not isinstance(raised.value, RegistryUnavailableError), "asking again would not help"
    assert time.monotonic() - begun < 10


def test_errors_of_the_registry_are_shown_without_what_moves_a_terminal(serve: Serve) -> None:
    server, repository = serve(token=False)
    body = json.dumps({"errors": [{"code": "DENIED\x1b[2J", "message": "no\nway " + "x" * 1000}]}).encode()
    server.faults["GET"] = [Fault(400, {}, body)]
    with pytest.raises(RegistryError) as raised:
        repository.manifest("latest")
    assert "\x1b" not in raised.value.reason
    assert "\n" not in raised.value.reason
    assert len(raised.value.reason) < 600


def test_what_is_not_there(serve: Serve) -> None:
    _, repository = serve()
    with pytest.raises(NoSuchImageError):
        repository.manifest("none")
    assert repository.head("sha256:" + "0" * 64) == ""
    assert not repository.has_blob("sha256:" + "0" * 64)
    assert not repository.delete_manifest("sha256:" + "0" * 64)
