"""The front end's configuration for nginx: a file for the context ``http``, as in /etc/nginx/conf.d."""

from __future__ import annotations

import hashlib
import re

from fedpkg_container.registry.redirects.settings import FrontEnd, Listen
from fedpkg_container.registry.redirects.template import BLOB, Template, joined

#: The longest name made of a host's: nginx takes variables of 46 characters, where nobody has set more.
_LONGEST = 40

_FILE = Template("""\
# The front end of the registry @name, for nginx 1.18 and newer.
# Written by: fedpkg-container-registry redirects --nginx
# Put it where nginx.conf includes files inside of http { }, as /etc/nginx/conf.d/@name.conf; then
#     nginx -t && systemctl reload nginx
# On Fedora let nginx reach the registry, once: setsebool -P httpd_can_network_connect on
#
# GET of a blob (a layer, or an image's configuration) is redirected to the mirror, everything else comes from the
# registry. Manifests never come from anywhere else, and over TLS alone: they name blobs by digest, clients check what
# they get against it, and so mirrors need no trust.
#
# The switch, without a reload:
#     touch '@switch'    nothing is redirected from now on
#     rm '@switch'       redirects are on again
# The folder and its parents must be open to nginx's workers (chmod o+x), or it sees no file there.

@networks

upstream @slug {
    server @registry;
    keepalive 32;
}

server {
    @listen
    server_name @names;

    ssl_certificate "@certificate";
    ssl_certificate_key "@key";
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:@slug:10m;

    # nginx may be told elsewhere to remember for a while which files are there: the switch is to work at once.
    open_file_cache off;

    # Which requests are redirected. Each rule names one reason for which the registry answers itself; a request is
    # redirected when none of them holds. (To see the reason in a log, put $from_registry and $sent_http_location
    # into a log_format.)

    # Blobs alone. The pattern is that of all names and digests that are legal; $uri is decoded, without a query.
    set $from_registry "no blob";
    if ($uri ~ "@pattern") {
        set $from_registry "";
    }

    # GET alone: HEAD asks whether the registry has a blob, and all other methods write.
    if ($request_method != GET) {
        set $from_registry "$request_method";
    }

    # The operator's switch.
    if (-f "@switch") {
        set $from_registry "switched off";
    }

    @rules

    # What is left: a blob has the same path at the mirror. A query would only be another name for the same bytes.
    if ($from_registry = "") {
        return 302 "@mirror$uri";
    }

    # Everything else: the request as it came, and the answer as it comes.
    location / {
        proxy_pass @scheme://@slug;
        @tls
        proxy_http_version 1.1;
        proxy_set_header Connection "";

        # The registry writes addresses of uploads as its clients know them, so it is told who they asked, and nobody
        # else can tell it otherwise. Authorization, Range and what else clients send is passed on by itself.
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Host "";
        proxy_set_header Forwarded "";
        proxy_redirect off;

        # Layers are large, lines are slow. Nothing is kept in files here on its way, in neither direction.
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        client_body_timeout 900s;
        proxy_connect_timeout 10s;
        proxy_send_timeout 900s;
        proxy_read_timeout 900s;
        send_timeout 900s;

        # A digest is one of bytes: they are not packed anew.
        gzip off;
    }
}

@plain
""")

_NETWORKS = Template("""\
# Networks whose requests are not redirected: builders, which would wait for the mirror to have what they have just
# pushed, and the CDN's own, which would be sent round in circles.
geo $@{slug}_near {
    default 0;
    @networks
}
""")

_TLS = Template("""\
proxy_ssl_verify on;
proxy_ssl_trusted_certificate "@ca";
proxy_ssl_name @host;
proxy_ssl_server_name on;
""")

_NEAR = Template("""\
# Not for these networks (above).
if ($@{slug}_near) {
    set $from_registry "near";
}
""")

_CDN = Template("""\
# Not for the CDN when it fetches what it does not have yet: it names itself in Via. (nginx before 1.23 reads the first
# line of Via alone: let such a CDN fetch under a name without redirects.)
if ($http_via ~* "@pseudonyms") {
    set $from_registry "the CDN";
}
""")

_NO_CDN = Template("""\
# Not under these names.
if ($host ~ "^(?:@names)\\z") {
    set $from_registry "no CDN";
}
""")

_TREE = Template("""\
# Not what the mirror does not have yet: its files are seen here.
if (!-f "@tree$uri") {
    set $from_registry "not exported";
}
""")

_PLAIN = Template("""\
# Whoever comes without TLS gets nothing but the way to it.
server {
    @listen
    server_name @name;
    return 308 https://@name@port$request_uri;
}
""")


def render(front: FrontEnd) -> str:
    """The configuration of a front end."""
    registry, slug = front.registry_address, identifier(front.server_names[0])
    tls = _TLS.fill(ca=str(front.registry_ca), host=registry.host) if registry.scheme == "https" else ""
    return _FILE.fill(
        name=front.server_names[0],
        names=" ".join(front.server_names),
        slug=slug,
        certificate=str(front.certificate),
        key=str(front.key),
        switch=str(front.switch),
        networks=_networks(front, slug),
        registry=f"{registry.host}:{registry.port}",
        scheme=registry.scheme,
        listen=_listen(front.listen_addresses, " ssl"),
        pattern=BLOB,
        rules=_rules(front, slug),
        mirror=str(front.mirror_address),
        tls=tls,
        plain=_plain(front),
    )


def identifier(name: str) -> str:
    """The name of a host as a name of nginx's, another one for each host.

    A label neither begins nor ends with a dash, so one ``_`` alone is a dot, and two are a dash. A long one is cut, and
    has a digest behind three.
    """
    made = name.replace("-", "__").replace(".", "_")
    if len(made) <= _LONGEST:
        return made
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{made[: _LONGEST - 3 - len(digest)].rstrip('_')}___{digest}"


def _networks(front: FrontEnd, slug: str) -> str:
    return (
        _NETWORKS.fill(slug=slug, networks="\n".join(f"{each} 1;" for each in front.networks)) if front.networks else ""
    )


def _listen(addresses: tuple[Listen, ...], options: str) -> str:
    lines = []
    for each in addresses:
        names = [f"{each.address}:{each.port}"] if each.address else [str(each.port), f"[::]:{each.port}"]
        lines += [f"listen {name}{options};" for name in names]
    return "\n".join(lines)


def _rules(front: FrontEnd, slug: str) -> str:
    """Reasons that only some sites have."""
    return joined(
        [
            _NEAR.fill(slug=slug) if front.networks else "",
            _CDN.fill(pseudonyms="|".join(map(re.escape, front.via))) if front.via else "",
            _NO_CDN.fill(names="|".join(map(re.escape, front.no_cdn_names))) if front.no_cdn_names else "",
            _TREE.fill(tree=str(front.tree)) if front.tree else "",
        ]
    )


def _plain(front: FrontEnd) -> str:
    if not front.plain_addresses:
        return ""
    listen, port = _listen(front.plain_addresses, ""), front.listen_addresses[0].port
    return joined(
        _PLAIN.fill(listen=listen, name=name, port="" if port == 443 else f":{port}") for name in front.server_names
    )
