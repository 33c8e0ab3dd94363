# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the request log of one pull into docs/howto/redirects.md: ``python -m docs.make_pull_log``.

Run by ``make pictures``.

The pull is real: skopeo with an empty store, through nginx and through httpd, before docker-registry and a mirror.
Hosts get names, digests are cut.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from fedpkg_container.registry.redirects import Kind
from tests.support.access_log import AccessLog
from tests.support.clients import pull
from tests.support.front_ends import distribution, open_directory
from tests.support.layered import LayeredImage

PAGE = Path(__file__).parent / "howto" / "redirects.md"
BEGIN, END = "<!-- start of the pull log -->\n", "<!-- end of the pull log -->\n"
NAME = "f42/hello-web"


def pulled(kind: Kind) -> str:
    """Return the logs of a pull through a front end, as text."""
    with open_directory() as directory, tempfile.TemporaryDirectory() as store, distribution(kind, directory) as made:
        image = LayeredImage.make(directory / "image")
        image.push(f"{made.registry}/{NAME}:1.0-1", made.access)
        image.export(made.mirror.tree, NAME)
        seen = made.registry_log.stat().st_size
        pull(made, f"{NAME}:1.0-1", Path(store) / "image")
        blobs = [line for line in made.registry_log.read_text()[seen:].splitlines() if "/blobs/" in line]
        text = (
            f"The front end, {kind}:\n\n{_lines(made.log)}\nThe mirror:\n\n{_lines(made.mirror.log)}\n"
            f"Requests for blobs in the registry's own log: {len(blobs)}.\n"
        )
        return text.replace(made.mirror.url, "https://cdn.example.org")


def _lines(log: AccessLog) -> str:
    """Return a log as Markdown: request, status, bytes of the response body, and target of the redirect."""
    rows = []
    for each in log.requests():
        where = f"  → {each.location}" if each.location else ""
        path = re.sub(r"(sha256:[0-9a-f]{8})[0-9a-f]+", r"\1…", f"{each.path}  {each.status} {each.sent}{where}")
        rows.append(f"    {each.method} {path}\n")
    return "".join(rows)


def main() -> None:
    """Pull, and write."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    kinds: tuple[Kind, ...] = ("nginx", "httpd")
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(map(pulled, kinds)) + "\n" + END + after)
    print(f"{PAGE.name}: the log of a pull through {' and '.join(kinds)}")


if __name__ == "__main__":
    main()
