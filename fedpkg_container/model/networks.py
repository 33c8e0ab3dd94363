"""Networks that no build reaches, and that builders do not connect to for a packager or a registry."""

from __future__ import annotations

#: Networks of IPv4 that are closed on any site.
CLOSED = (
    "0.0.0.0/8",  # this host (RFC 1122)
    "169.254.0.0/16",  # link-local (RFC 3927): where most clouds answer for metadata and credentials
    "100.100.100.200/32",  # the same in Alibaba Cloud
    "168.63.129.16/32",  # the same in Azure, beside 169.254.169.254
    "192.0.0.192/32",  # the same in Oracle Cloud, its older address
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
