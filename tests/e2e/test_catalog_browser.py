# SPDX-License-Identifier: GPL-2.0-or-later
"""The catalog in a real browser: complete without scripts, searchable with them, without violations of its policy."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.registry.redirects.template import CATALOG_HEADERS
from tests.support.browser import PROGRAM, Browser, browser
from tests.support.cataloged import Cataloged, cataloged, labels_of, spdx
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.programs,
    pytest.mark.skipif(PROGRAM is None, reason="needs Chromium"),
]

ROWS = "Array.from(document.querySelectorAll('tbody tr')).filter((row) => !row.hidden).length"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
HOSTILE = "<img src=x onerror=\"document.title='attacked'\"><script>document.title='attacked'</script>"


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a directory with the headers of the front end."""

    def end_headers(self) -> None:
        for name, value in CATALOG_HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002, the name is the base class's
        """Log nothing."""


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Cataloged]:
    with cataloged(tmp_path) as made:
        yield made


@pytest.fixture
def url(it: Cataloged) -> Iterator[str]:
    """URL of a catalog of two repositories."""
    packages = [("bash", "5.2-1"), ("zlib", "1.3-1")]
    labels = labels_of("web-container", "1.0", summary=HOSTILE, description=HOSTILE)
    digest = it.push("web", "1.0-1", "latest", labels=labels, sbom=spdx(packages), signed=True)
    it.promoted("web", "web-container-1.0-1", digest, "1.0-1")
    it.push("database", "2.0-1", labels=labels_of("database-container", "2.0"), sbom=spdx(packages[:1]))
    assert it.update(journal=True).errors == []
    handler = functools.partial(_Handler, directory=str(it.site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "profile") as opened:
        yield opened


def test_catalog_in_a_browser(url: str, tab: Browser, it: Cataloged, tmp_path: Path) -> None:
    tab.open(f"{url}/index.html")
    assert tab.value(ROWS) == 2
    assert tab.value("document.querySelectorAll('.age').length") > 0, "the script runs"
    tab.type("#filter", "zlib")
    eventually(lambda: bool(tab.value(ROWS) == 1), lambda: tab.value(ROWS))
    assert tab.value("document.querySelector('[role=status]').textContent") == "1 of 2 shown"
    light = tab.value(BACKGROUND)
    tab.open(f"{url}/index.html", dark=True)
    assert tab.value(BACKGROUND) != light
    for path in sorted(it.files()):
        if path.endswith(".html"):
            tab.open(f"{url}/{path}", dark=True)
            assert tab.value("document.title") != "attacked"
            assert tab.value("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide"
    tab.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert [each for each in tab.messages if "favicon" not in each] == []


def test_catalog_without_scripts(url: str, tab: Browser) -> None:
    tab.open(f"{url}/index.html", scripts=False)
    assert tab.value(ROWS) == 2
    assert tab.value("getComputedStyle(document.querySelector('[data-filter]')).display") == "none"
    assert tab.value("document.querySelectorAll('.age').length") == 0
