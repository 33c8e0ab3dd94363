# SPDX-License-Identifier: GPL-2.0-or-later
"""Front end of a registry: a web server that redirects GET of blobs to a mirror and proxies everything else.

``render`` returns its configuration for nginx or Apache httpd; docs/howto/redirects.md explains each rule.
"""

from __future__ import annotations

from typing import Literal

from fedpkg_container.registry.redirects import httpd, nginx
from fedpkg_container.registry.redirects.settings import FrontEnd

Kind = Literal["nginx", "httpd"]

__all__ = ["FrontEnd", "Kind", "render"]


def render(kind: Kind, front: FrontEnd) -> str:
    """Return the complete configuration of a front end, with comments for its operator."""
    return nginx.render(front) if kind == "nginx" else httpd.render(front)
