# SPDX-License-Identifier: GPL-2.0-or-later
"""Write docs/reference/metadata.json: the metadata that Koji stores of a real build in a box.

Run by ``make pictures``. Ports and the commit differ with every run; ports are replaced.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import koji

from benchmarks.building import furnished
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out
from tests.support.packager import Packager

TARGET = Path(__file__).parent / "reference" / "metadata.json"
STEPS = (
    "COPY note /note",
    "RUN rpm --nodeps --install /etc/yum.repos.d/build-tag/packages/hello-web-pages/*/*/*/*.rpm",
)
FILES = {
    "note": "hello\n",
    "help.md": "% hello(1)\n# NAME\nhello - an example\n",
    "container.yaml": "tags: [rawhide]\ngo: {modules: [{module: example.org/hello}]}\n",
}


def main() -> None:
    """Build an image, and write its metadata."""
    with tempfile.TemporaryDirectory() as name, furnished(Path(name)) as box:
        packager = Packager.make(box, Path(name))
        tools = f"FROM {packager.base} AS tools\nRUN echo tool > /tool\n"
        packager.commit(tools + packager.dockerfile(*STEPS, "COPY --from=tools /tool /tool"), files=FILES)
        done = packager.build()
        assert done.returncode == 0, done.stderr
        session = box.session(ADMIN)
        build = session.getBuild(f"{packager.name}-container-1.0-1", strict=True)
        log_out(session)
        koji.pathinfo.topdir = str(box.layout.topdir)
        text = (Path(koji.pathinfo.build(build)) / "metadata.json").read_text()
        text = text.replace(box.layout.registry_address, "registry.example.org").replace(packager.name, "hello")
        text = text.replace(f"127.0.0.1:{box.layout.ports.distgit_anonymous}", "src.example.org")
    metadata = json.loads(text)
    TARGET.write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n")
    print(f"{TARGET.name}: {len(metadata['output'])} outputs")


if __name__ == "__main__":
    main()
