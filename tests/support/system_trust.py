# SPDX-License-Identifier: GPL-2.0-or-later
"""A store of one certificate authority instead of the machine's.

A TLS context for a registry trusts the system's authorities too. Loading them takes as long as fifty requests, and the
contexts of most tests have separate certificates, so that none is reused.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedpkg_container.box.pki import Authority


@pytest.fixture(scope="package", autouse=True)
def system_trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let OpenSSL find a separate authority where the system's are."""
    certificate = Authority(tmp_path_factory.mktemp("system-trust")).certificate_path
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificate))
        patch.setenv("SSL_CERT_DIR", str(certificate.with_name("none")))
        yield
