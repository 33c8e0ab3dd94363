# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the front end: valid values are safe in a configuration, others are refused."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.box.pki import Authority
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.redirects import FrontEnd, Kind, render
from fedpkg_container.registry.redirects.nginx import identifier
from fedpkg_container.registry.redirects.settings import Address, Listen, host_name
from tests.support.web_servers import check_httpd, check_nginx

pytestmark = pytest.mark.programs

FRONT = FrontEnd(
    names=("registry.example.org",),
    certificate=Path("/etc/pki/tls/certs/registry.pem"),
    key=Path("/etc/pki/tls/private/registry.pem"),
    registry="https://registry-1.example.org:5000",
    registry_ca=Path("/etc/pki/tls/certs/site-ca.pem"),
    mirror="https://cdn.example.org",
)


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("names", (), "names is missing"),
        ("names", ("registry example.org",), "names = registry example.org: must be a host name"),
        ("names", ("a;}",), "names = a;}: must be a host name"),
        ("names", ("*.example.org",), "must be a host name"),
        ("names", ("a" * 64,), "must be a host name"),
        ("no_cdn_names", ("Registry.example.org",), "no_cdn_names = registry.example.org: is also in names"),
        ("certificate", Path("registry.pem"), "certificate = registry.pem: must be an absolute path"),
        ("key", Path('/etc/a";'), "must be an absolute path of letters"),
        ("key", Path("/etc/a\nb"), "must be an absolute path of letters"),
        ("switch", Path("/etc/$host"), "must be an absolute path of letters"),
        ("switch", Path("/etc/%{HTTP_HOST}"), "must be an absolute path of letters"),
        ("switch", Path("/etc/a\\"), "must be an absolute path of letters"),
        ("tree", Path("/srv/../mirror"), "must be a path without '..'"),
        ("catalog", Path("/srv/$uri"), "catalog = /srv/$uri: must be an absolute path of letters"),
        ("registry", "https://registry-1.example.org/v2", "must be a URL without a path"),
        ("registry", "http://registry-1.example.org:5000", "manifests are served over TLS only"),
        ("registry", "https://192.0.2.1:5000", "must have a host name"),
        ("registry", "ftp://registry-1.example.org", "must be a URL without user"),
        ("registry_ca", None, "registry_ca is missing"),
        ("mirror", "https://user:secret@cdn.example.org", "must be a URL without user"),
        ("mirror", "https://cdn.example.org/?a=b", "must be a URL without user"),
        ("mirror", "https://cdn.example.org/a b", "must be a URL without user"),
        ("mirror", "https://cdn.example.org/$uri", "must be a URL without user"),
        ("mirror", "https://cdn.example.org/%2e%2e", "must be a URL without user"),
        ("mirror", "https://cdn.example.org:port", "must be a URL without user"),
        ("mirror", "https://registry.example.org", "would redirect in a loop"),
        ("via", ("a|b",), "must be a part of the Via header"),
        ("via", ("",), "must be a part of the Via header"),
        ("via", (".*",), "must be a part of the Via header"),
        ("networks", ("10.0.0.1/8",), "must be a network"),
        ("networks", ("builders",), "must be a network"),
        ("listen", (), "listen is missing"),
        ("listen", ("0",), "must be a port"),
        ("listen", ("registry.example.org:443",), "must be a port"),
        ("listen", ("2001:db8::1:443",), "must be a port"),
        ("plain_listen", ("65536",), "must be a port"),
    ],
)
def test_invalid_values_are_refused(setting: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        replace(FRONT, **{setting: value})
    assert "\n" not in caught.value.reason


def test_all_problems_are_reported() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)names = .*key = .*via = .*listen = "):
        replace(FRONT, names=("A B",), key=Path("x"), via=("$",), listen=("x",))


def test_passwords_in_urls_are_not_disclosed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        replace(FRONT, mirror="https://user:hunter2@cdn.example.org")
    assert "hunter2" not in caught.value.reason


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [("443", "", 443), ("192.0.2.1:8443", "192.0.2.1", 8443), ("[2001:db8::1]:443", "[2001:db8::1]", 443)],
)
def test_listen_addresses(text: str, address: str, port: int) -> None:
    assert Listen.parse(text) == Listen(address, port)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://cdn.example.org/", "https://cdn.example.org"),
        ("https://cdn.example.org:443/pub/containers/", "https://cdn.example.org/pub/containers"),
        ("http://CDN.example.org:8080", "http://cdn.example.org:8080"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
    ],
)
def test_urls(text: str, written: str) -> None:
    assert str(Address.parse(text)) == written


@given(text=st.text(max_size=30), setting=st.sampled_from(["names", "via", "networks", "listen", "mirror", "switch"]))
def test_values_cannot_inject_configuration(text: str, setting: str) -> None:
    """Whatever is accepted changes no line but those that name it, and adds no quotes."""
    value: Any = {"mirror": f"https://cdn.example.org/{text}", "switch": Path(f"/etc/{text}")}.get(setting, (text,))
    try:
        front = replace(FRONT, **{setting: value})
    except ConfigurationError:
        return
    assert not set(text) & set("\"\\$%{};'\n\r\t\0`#")
    kinds: tuple[Kind, ...] = ("nginx", "httpd")
    for kind in kinds:
        with_value, without = render(kind, front), render(kind, FRONT)
        if setting in ("mirror", "switch"):
            assert with_value.count("\n") == without.count("\n")
            assert with_value.count('"') == without.count('"')


FULL: dict[str, Any] = {
    "no_cdn_names": ("no-cdn.example.org", "origin.example.org"),
    "tree": Path("/srv/mirror of blobs/a+b,c=d@e~f"),
    "catalog": Path("/srv/catalog of images/a+b,c=d@e~f"),
    "via": ("cdn77", "edge.example.org:443"),
    "networks": ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"),
    "listen": ("127.0.0.1:8443", "[::1]:8443"),
    "plain_listen": ("127.0.0.1:8080",),
}
LOCAL = {"registry": "http://127.0.0.1:5000", "registry_ca": None}


@pytest.mark.parametrize("settings", [{}, FULL, LOCAL, *({name: each} for name, each in FULL.items())])
def test_servers_accept_the_configuration(settings: dict[str, Any], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    certificate = authority.issue("front", server=True)
    front = replace(FRONT, certificate=certificate, key=certificate, registry="https://localhost:5000",
                    registry_ca=authority.certificate_path)  # fmt: skip
    front = replace(front, **settings)
    check_nginx(tmp_path / "nginx", render("nginx", front))
    check_httpd(tmp_path / "httpd", render("httpd", front))


_LABELS = st.from_regex(r"[a-z0-9](-{0,3}[a-z0-9]){0,3}", fullmatch=True)
_HOSTS = st.lists(_LABELS, min_size=1, max_size=3).map(".".join)


@given(_HOSTS)
def test_nginx_identifiers_are_unique(name: str) -> None:
    made = identifier(host_name(name))
    assert re.fullmatch("[a-z0-9_]{1,40}", made)
    cut, *digest = re.split("(?<!_)___(?!_)", made)
    if not digest:  # it can be read back
        assert re.sub("_+", lambda run: "." if len(run[0]) == 1 else "-" * (len(run[0]) // 2), made) == name
    else:
        assert len(name) > 20
        assert name.replace("-", "__").replace(".", "_").startswith(cut)
        assert digest == [hashlib.sha256(name.encode()).hexdigest()[:12]]


@pytest.mark.parametrize("kind", ["nginx", "httpd"])
@pytest.mark.parametrize(
    "names",
    [
        ("registry.example.org", "candidates.example.org"),
        ("f42-registry.example.org", "f42.registry.example.org"),
        ("xn--f42.example.org", "xn-f42.example.org"),
        (f"{'r' * 31}.example.org", f"{'r' * 31}.example.com"),
    ],
)
def test_two_front_ends_on_one_server(kind: Kind, names: tuple[str, str], tmp_path: Path) -> None:
    """Nothing that one declares for all of a server is declared by the other."""
    authority = Authority(tmp_path / "pki")
    certificate = authority.issue("front", server=True)
    front = replace(FRONT, certificate=certificate, key=certificate, registry="https://localhost:5000",
                    registry_ca=authority.certificate_path, **FULL)  # fmt: skip
    front, other = (replace(front, names=(name,)) for name in names)
    other = replace(other, no_cdn_names=(), networks=("192.0.2.0/24",))
    check = check_nginx if kind == "nginx" else check_httpd
    check(tmp_path / kind, render(kind, front) + render(kind, other))
