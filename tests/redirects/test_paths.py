# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparison of hundreds of responses of the front end with those of the registry itself."""

from __future__ import annotations

import re
import urllib.parse

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fedpkg_container.errors import UsageError
from fedpkg_container.model.nvr import REPOSITORY_COMPONENT
from fedpkg_container.model.reference import ImageReference
from tests.redirects.conftest import REPOSITORY
from tests.support.front_ends import Answer, Distribution
from tests.support.layered import LayeredImage

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

NAMES = [
    "a",
    "0",
    "f42/hello-web",
    "0/1/2/3/4/5/6/7",
    "a.b",
    "a_b",
    "a__b",
    "a-b",
    "a--b---c",
    "a.b_c__d-e/0.1",
    "v2",
    "v2/v2",
    "blobs",
    "uploads",
    "manifests",
    "tags/list",
    "a/blobs/b",
    "a/blobs/uploads",
    "blobs/blobs/blobs",
    "a/manifests/blobs/uploads",
    "a" * 255,
    "/".join("a" * 128),
]
DIGESTS = [
    f"sha256:{HEX.upper()}",
    f"sha512:{HEX}{HEX}",
    "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
    "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
    f"a.b-c_d+e:{HEX}==",
    f"SHA256:{HEX}",
]
ENCODED = [
    f"sha256%3A{HEX}",
    f"sha256%3a{HEX}",
    f"%73ha256:{HEX}",
    f"{DIGEST}?ns=docker.io",
    f"{DIGEST}?",
    f"{DIGEST}?a=/b",
]
BLOBS = [f"/v2/{name}/blobs/{DIGEST}" for name in NAMES] + [f"/v2/a/b/blobs/{each}" for each in [*DIGESTS, *ENCODED]]

NO_BLOBS = [
    "/",
    "/v1/a/blobs/" + DIGEST,
    "/v2",
    "/v2/",
    "/v2/?a=/v2/a/blobs/" + DIGEST,
    "/v2/_catalog",
    "/v2/_catalog?n=1",
    "/v2/_catalog?n=1&last=a",
    "/v2/none/tags/list",
    "/v2/none/manifests/latest",
    "/v2/none/manifests/a%2Fb",
    "/v2/none%2Fwhatever/tags/list",
    f"/v2/none/manifests/{DIGEST}",
    f"/v2/none/referrers/{DIGEST}",
    f"/v2/a/blobs/manifests/{DIGEST}",
    "/v2/x/blobs/uploads/",
    "/v2/x/blobs/uploads",
    "/v2/x/blobs/uploads/5a4c5c5e-8f1c-4a52-8d2a-0f1f1ac2b1c5",
    "/v2/x/blobs/uploads/5a4c5c5e-8f1c-4a52-8d2a-0f1f1ac2b1c5?_state=abc:def",
    f"/v2/x/blobs/uploads/?mount={DIGEST}&from=a",
    "/v2/a/blobs/",
    "/v2/a/blobs/sha256",
    "/v2/a/blobs/sha256:",
    f"/v2/a/blobs/:{HEX}",
    f"/v2/a/blobs/sha256::{HEX}",
    f"/v2/a/blobs/+sha256:{HEX}",
    f"/v2/a/blobs/sha256+:{HEX}",
    f"/v2/a/blobs/{DIGEST}/",
    f"/v2/a/blobs/{DIGEST}/x",
    f"/v2/a/blobs/{DIGEST}.json",
    f"/v2/a/blobs/{DIGEST}%20",
    f"/v2/a/blobs/{DIGEST}%0a",
    f"/v2/a/blobs/{DIGEST}%0d%0aSet-Cookie:%20a=b",
    f"/v2/a%0a/blobs/{DIGEST}",
    f"/v2/a/blobs/sha256%253A{HEX}",
    f"/v2/a/blob/{DIGEST}",
    f"/v2/blobs/{DIGEST}",
    f"/v2/A/blobs/{DIGEST}",
    f"/v2/a..b/blobs/{DIGEST}",
    f"/v2/a___b/blobs/{DIGEST}",
    f"/v2/a_-b/blobs/{DIGEST}",
    f"/v2/-a/blobs/{DIGEST}",
    f"/v2/a-/blobs/{DIGEST}",
    f"/v2/a/_b/blobs/{DIGEST}",
    f"/v2/a:5000/blobs/{DIGEST}",
    f"/v2/a@b/blobs/{DIGEST}",
    f"/v2/a$b/blobs/{DIGEST}",
    f"/v2/%C3%A9/blobs/{DIGEST}",
    f"/v2/{'a' * 256}/blobs/{DIGEST}",
    f"/v2/{'a/' * 127}aa/blobs/{DIGEST}",
    f"/v2/{'a' * 4000}/blobs/{DIGEST}x!",
    f"/x/v2/a/blobs/{DIGEST}",
]
#: Headers that a registry's client goes by.
HEADERS = (
    "content-type content-length docker-distribution-api-version docker-content-digest docker-upload-uuid location "
    "link range content-range accept-ranges etag cache-control www-authenticate allow"
).split()


def _comparable(answer: Answer, address: str) -> tuple[int, dict[str, str], bytes]:
    """An answer without what differs from one to the next: who answered, and the names of uploads."""

    def common(text: str) -> str:
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text.replace(address, "HOST"))
        return re.sub(r"_state=[^&]*", "_state=STATE", text)

    headers = {name: common(answer.headers[name]) for name in HEADERS if name in answer.headers}
    return answer.status, headers, answer.body


def _assert_from_registry(running: Distribution, method: str, path: str, headers: dict[str, str] | None = None) -> None:
    direct = _comparable(running.ask(method, path, at=running.registry, headers=headers), running.registry)
    through = _comparable(running.ask(method, path, headers=headers), running.address)
    assert through == direct, f"{method} {path}"


@pytest.mark.parametrize("path", BLOBS)
def test_only_get_of_a_blob_is_redirected(running: Distribution, path: str) -> None:
    answer = running.ask("GET", path)
    decoded = urllib.parse.unquote(path.partition("?")[0])
    assert (answer.status, answer.headers["location"]) == (302, f"{running.mirror.url}{decoded}")
    for method in METHODS[1:]:
        _assert_from_registry(running, method, path)


@pytest.mark.parametrize("path", NO_BLOBS)
def test_other_paths_are_served_by_the_registry(running: Distribution, path: str) -> None:
    for method in METHODS:
        _assert_from_registry(running, method, path)


def test_registry_content_is_unchanged(running: Distribution, image: LayeredImage) -> None:
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json", "Accept-Encoding": "gzip"}
    for method in ("GET", "HEAD"):
        for path in ("manifests/1.0-1", f"manifests/{image.digest}", "tags/list"):
            _assert_from_registry(running, method, f"/v2/{REPOSITORY}/{path}", accept)
    for digest in image.blobs:
        _assert_from_registry(running, "HEAD", f"/v2/{REPOSITORY}/blobs/{digest}")
    answer = running.ask("GET", f"/v2/{REPOSITORY}/manifests/1.0-1", headers=accept)
    assert answer.headers["docker-content-digest"] == image.digest
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize("bytes_range", ["bytes=0-9", "bytes=100-", "bytes=-5"])
def test_blob_ranges(running: Distribution, image: LayeredImage, bytes_range: str) -> None:
    path = f"/v2/{REPOSITORY}/blobs/{image.layers[0]}"
    assert running.is_redirected(path, headers={"Range": bytes_range})
    with running.switched_off():
        _assert_from_registry(running, "GET", path, {"Range": bytes_range})


@pytest.mark.parametrize(
    "path",
    [
        "/v2/none/manifests/%6C%61test",
        f"/v2/none/manifests/sha256%3A{HEX}",
        "/v2/none/tags/list?n=%31&last=a%2Fb&x=%22+%C3%A9;y",
    ],
)
def test_paths_are_passed_on_unchanged(running: Distribution, path: str) -> None:
    said = running.registry_log.stat().st_size
    running.ask("GET", path)
    assert f'"GET {path} HTTP/1.1"' in running.registry_log.read_text()[said:]


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
_COMPONENTS = st.from_regex(REPOSITORY_COMPONENT, fullmatch=True)
_NAMES = st.lists(_COMPONENTS, min_size=1, max_size=6).map("/".join).filter(lambda name: len(name) <= 255)
_DIGESTS = st.from_regex(r"[A-Za-z][A-Za-z0-9]*([+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128}", fullmatch=True)


@SHARED
@given(name=_NAMES.filter(str.isascii), digest=_DIGESTS.filter(str.isascii))
def test_blobs_with_any_valid_name_and_digest_are_redirected(running: Distribution, name: str, digest: str) -> None:
    assert str(ImageReference.parse(f"r.example/{name}@{digest}")) == f"r.example/{name}@{digest}"
    answer = running.ask("GET", f"/v2/{name}/blobs/{digest}")
    assert (answer.status, answer.headers.get("location")) == (302, f"{running.mirror.url}/v2/{name}/blobs/{digest}")


@SHARED
@given(name=st.text(alphabet='ab0_-./ABé:%\n\\"$', min_size=1, max_size=12))
def test_blobs_are_redirected_only_if_the_name_is_valid(running: Distribution, name: str) -> None:
    parts = name.split("/")
    assume(not {"", ".", ".."} & set(parts))  # of these servers make another path before they look at it
    try:
        legal = ImageReference.parse(f"r.example/{name}").repository == name
    except UsageError:
        legal = False
    assert running.is_redirected(f"/v2/{urllib.parse.quote(name)}/blobs/{DIGEST}") == legal
