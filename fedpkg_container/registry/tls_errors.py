# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS errors that a retry does not fix: what is wrong with the certificate, and what to do."""

from __future__ import annotations

import re

from fedpkg_container.errors import RegistryError

_ADD_CA = (
    "put the certificate of its CA (*.crt) into the directory that the setting certificates names, or into"
    " /etc/containers/certs.d/{host}"
)
#: OpenSSL's messages → what they mean, and what to do; the first match counts.
_KINDS = (
    (r"certificate has expired", "the certificate of {host} has expired", "renew it"),
    (
        r"not yet valid",
        "the certificate of {host} is not yet valid",
        "check the clocks of this machine and of the machine that issued it",
    ),
    (r"self[- ]signed", "the certificate of {host} is self-signed, or its CA is unknown", _ADD_CA),
    (r"unable to get (local )?issuer|unknown ca", "the certificate of {host} is from an unknown CA", _ADD_CA),
    (
        r"hostname mismatch|ip address mismatch|doesn't match|not valid for",
        "the certificate of {host} is for another name",
        "use the name in the certificate, or add {host} to it",
    ),
    (
        r"wrong version number|record layer failure|http request|unknown protocol|packet length too long",
        "{host} does not use TLS on this port; it may expect plain HTTP",
        "registries are contacted over TLS only: configure TLS for the registry, or use a port or proxy that has it",
    ),
    (
        r"certificate required|bad certificate|handshake failure",
        "{host} requires a client certificate, or rejected it",
        "put it into the directory that the setting certificates names, as *.cert with *.key",
    ),
    (r"certificate verify failed|certificate", "the certificate of {host} is not trusted", _ADD_CA),
)
#: Where the cause is in OpenSSL's message.
_CAUSES = (re.compile(r"certificate verify failed: (.+?) \(_ssl"), re.compile(r"\] ([^(\]]+?) \(_ssl"))


def tls_error(request: str, host: str, text: str) -> RegistryError | None:
    """Return the error for a failed TLS connection; None if a retry may help.

    :param request: method and URL, without secrets
    :param host: host and port
    :param text: OpenSSL's message
    """
    for pattern, reason, solution in _KINDS:
        if re.search(pattern, text, re.IGNORECASE):
            cause = next(filter(None, (expression.search(text) for expression in _CAUSES)), None)
            detail = f" ({cause[1].strip()[:200]})" if cause else ""
            return RegistryError(f"{request}: {reason.format(host=host)}{detail}", solution=solution.format(host=host))
    return None
