"""The front end's configuration for Apache httpd: virtual hosts, as in /etc/httpd/conf.d."""

from __future__ import annotations

import re

from fedpkg_container.registry.redirects.settings import FrontEnd, Listen
from fedpkg_container.registry.redirects.template import BLOB, Template, joined

_FILE = Template("""\
# The front end of the registry @name, for Apache httpd 2.4.
# Written by: fedpkg-container-registry redirects --httpd
# Put it into /etc/httpd/conf.d/@name.conf (Debian: /etc/apache2/sites-available, then a2ensite @name); then
#     apachectl configtest && systemctl reload httpd
# On Fedora let httpd reach the registry, once: setsebool -P httpd_can_network_connect on
#
# It needs these modules. Fedora loads them, mod_ssl being a package; Debian does with
#     a2enmod ssl rewrite proxy proxy_http headers
# LoadModule ssl_module modules/mod_ssl.so
# LoadModule rewrite_module modules/mod_rewrite.so
# LoadModule proxy_module modules/mod_proxy.so
# LoadModule proxy_http_module modules/mod_proxy_http.so
# LoadModule headers_module modules/mod_headers.so
# and somewhere one line for each port; Fedora's ssl.conf and Debian's ports.conf have that of 443:
@ports
#
# GET of a blob (a layer, or an image's configuration) is redirected to the mirror, everything else comes from the
# registry. Manifests never come from anywhere else, and over TLS alone: they name blobs by digest, clients check what
# they get against it, and so mirrors need no trust.
#
# The switch, without a reload:
#     touch '@switch'    nothing is redirected from now on
#     rm '@switch'       redirects are on again
# The folder and its parents must be open to httpd's workers (chmod o+x), or it sees no file there.

<VirtualHost @listen>
    ServerName @name
    @aliases

    SSLEngine on
    SSLCertificateFile "@certificate"
    SSLCertificateKeyFile "@key"
    SSLProtocol -all +TLSv1.2 +TLSv1.3

    # Which requests are redirected: those for which ALL of these conditions hold (httpd joins them by "and", as long as
    # none of them says [OR]). To see in a log which were, put %{Location}o into a LogFormat.
    RewriteEngine on

    # GET alone: HEAD asks whether the registry has a blob, and all other methods write.
    RewriteCond %{REQUEST_METHOD} =GET

    # The operator's switch.
    RewriteCond "@switch" !-f

    @conditions

    # Blobs alone. The pattern is that of all names and digests that are legal; httpd compares the decoded path. A blob
    # has the same path at the mirror. A query would only be another name for the same bytes (QSD).
    RewriteRule "@pattern" "@mirror$0" [R=302,L,QSD]

    # Everything else: the request as it came (nocanon), and the answer as it comes. A registry that was away is asked
    # again at once (retry=0).
    AllowEncodedSlashes NoDecode
    ProxyPass "/" "@registry/" nocanon retry=0 connectiontimeout=10 timeout=900
    @tls

    # The registry writes addresses of uploads as its clients know them, so it is told who they asked (mod_proxy adds
    # X-Forwarded-Host by itself), and nobody else can tell it otherwise. Authorization, Range and what else clients
    # send is passed on by itself. The last line is for registries that do not read these headers.
    RequestHeader set X-Forwarded-Proto https
    RequestHeader unset X-Forwarded-Host
    RequestHeader unset Forwarded
    ProxyPassReverse "/" "@registry/"

    # Layers are large, lines are slow. Nothing is kept here on its way: uploads of unknown length are passed on in
    # parts.
    LimitRequestBody 0
    SetEnv proxy-sendchunked 1
    Timeout 900
    <IfModule reqtimeout_module>
        RequestReadTimeout header=20-60,MinRate=500 body=0
    </IfModule>

    # A digest is one of bytes: they are not packed anew.
    SetEnv no-gzip 1
    SetEnv no-brotli 1
    TraceEnable off
</VirtualHost>

@plain
""")

_TLS = Template("""\
SSLProxyEngine on
SSLProxyVerify require
SSLProxyVerifyDepth 5
SSLProxyCheckPeerName on
SSLProxyCACertificateFile "@ca"
""")

_NETWORKS = Template("""\
# Not for these networks: builders, which would wait for the mirror to have what they have just pushed, and the
# CDN's own, which would be sent round in circles.
@networks
""")

_CDN = Template("""\
# Not for the CDN when it fetches what it does not have yet: it names itself in Via.
RewriteCond %{HTTP:Via} "!(?:@pseudonyms)" [NC]
""")

_NO_CDN = Template("""\
# Not under these names.
RewriteCond %{HTTP_HOST} "!^(?:@names)\\.?(?::[0-9]+)?\\z" [NC]
""")

_TREE = Template("""\
# Not what the mirror does not have yet: its files are seen here.
RewriteCond "@tree$0" -f
""")

_PLAIN = Template("""\
# Whoever comes without TLS gets nothing but the way to it.
<VirtualHost @listen>
    ServerName @name
    Redirect 308 "/" "https://@name@port/"
</VirtualHost>
""")


def render(front: FrontEnd) -> str:
    """The configuration of a front end."""
    names = front.server_names
    has_tls = front.registry_address.scheme == "https"
    return _FILE.fill(
        name=names[0],
        aliases=f"ServerAlias {' '.join(names[1:])}" if names[1:] else "",
        certificate=str(front.certificate),
        key=str(front.key),
        switch=str(front.switch),
        registry=str(front.registry_address),
        ports="\n".join(f"# Listen {_port(each)}" for each in (*front.listen_addresses, *front.plain_addresses)),
        listen=_listen(front.listen_addresses),
        pattern=BLOB,
        conditions=_conditions(front),
        mirror=str(front.mirror_address),
        tls=_TLS.fill(ca=str(front.registry_ca)) if has_tls else "",
        plain=_plain(front),
    )


def _port(listen: Listen) -> str:
    return f"{listen.address}:{listen.port}" if listen.address else str(listen.port)


def _listen(addresses: tuple[Listen, ...]) -> str:
    return " ".join(f"{each.address or '*'}:{each.port}" for each in addresses)


def _conditions(front: FrontEnd) -> str:
    """Conditions that only some sites have."""
    networks = "\n".join(f"RewriteCond expr \"! -R '{each}'\"" for each in front.networks)
    return joined(
        [
            _NETWORKS.fill(networks=networks) if networks else "",
            _CDN.fill(pseudonyms="|".join(map(re.escape, front.via))) if front.via else "",
            _NO_CDN.fill(names="|".join(map(re.escape, front.no_cdn_names))) if front.no_cdn_names else "",
            _TREE.fill(tree=str(front.tree)) if front.tree else "",
        ]
    )


def _plain(front: FrontEnd) -> str:
    if not front.plain_addresses:
        return ""
    listen, port = _listen(front.plain_addresses), front.listen_addresses[0].port
    return joined(
        _PLAIN.fill(listen=listen, name=name, port="" if port == 443 else f":{port}") for name in front.server_names
    )
