"""The front end of a registry: GET of a blob is redirected to a mirror, everything else comes from the registry.

``render`` writes its configuration for nginx or for Apache httpd; docs/redirects.md explains each rule.
"""

from __future__ import annotations

from typing import Literal

from fedpkg_container.registry.redirects import httpd, nginx
from fedpkg_container.registry.redirects.settings import FrontEnd

Kind = Literal["nginx", "httpd"]

__all__ = ["FrontEnd", "Kind", "render"]


def render(kind: Kind, front: FrontEnd) -> str:
    """The whole configuration of a front end, with comments for its operator."""
    return nginx.render(front) if kind == "nginx" else httpd.render(front)
