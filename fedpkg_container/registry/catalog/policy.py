# SPDX-License-Identifier: GPL-2.0-or-later
"""The Content Security Policy of all pages of the catalog."""

from __future__ import annotations

#: Only files of the site itself, none of them inline. The configuration of the front end sends it as a header too.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
