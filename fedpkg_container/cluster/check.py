# SPDX-License-Identifier: GPL-2.0-or-later
"""A pod that tests itself: whether builds work in a cluster, with the settings that builds have."""

from __future__ import annotations

import contextlib
import json
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedpkg_container.cluster.client import ClusterClient
from fedpkg_container.cluster.job import ClusterBuild
from fedpkg_container.cluster.manifests import PodBuild
from fedpkg_container.cluster.renewal import RenewedFile
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.build import BuildSpec
from fedpkg_container.text import printable_line

#: Seconds that the pod may run, and to wait for an API server that cannot be reached.
TIMEOUT, API_TIMEOUT = 900, 30


@dataclass
class _Output:
    """The log of the pod.

    :param show: called with each line of the engine, and of the pod
    """

    show: Callable[[str], None]
    results: dict[str, str] = field(default_factory=dict)

    def report(self, text: str) -> None:
        self.show(text)

    def append_output(self, text: bytes) -> None:
        """Keep the results, which are one JSON object; show any other output, e.g. an error of the interpreter."""
        with contextlib.suppress(ValueError, RecursionError):
            results = json.loads(text)
            if isinstance(results, dict):
                self.results = {printable_line(name): printable_line(str(outcome)) for name, outcome in results.items()}
                return
        self.show(printable_line(text.decode(errors="replace")))

    def flush(self) -> None:
        pass


def check_cluster(
    config: ClusterConfig, arch: str, site: str, files: Mapping[str, bytes], renewed: RenewedFile | None,
    show: Callable[[str], None],
) -> dict[str, str]:  # fmt: skip
    """Run a pod that tests itself; return the outcome of each test: ``ok``, or ``failed``, and details.

    :param arch: Koji architecture of the pod
    :param site: the pod's site file
    :param files: further input files, as of a build
    :param renewed: the file that is renewed while the pod runs; it is renewed at once
    :param show: called with each line about the pod
    :raises ClusterError: if the API server refuses a request or cannot be reached
    :raises BuildFailedError: if the pod does not start, or ends without a result
    """
    spec = BuildSpec(
        task_id=0, arch=arch, source_url="", component="check", version="0", release="0", repository_path="check",
        scratch=True, parents={}, labels={}, yum_repository="", staging_repository="", upload_directory="",
        timeout=TIMEOUT,
    )  # fmt: skip
    config = replace(config, timeouts=replace(config.timeouts, api=API_TIMEOUT))
    build = PodBuild(
        task_id=0, hub=f"check-{uuid.uuid4()}", spec=spec, site=site, files=files, timeout=TIMEOUT, config=config,
        checks=True, renewed=renewed,
    )  # fmt: skip
    output = _Output(show)
    client = ClusterClient(config.kubeconfig, config.context)
    with tempfile.TemporaryDirectory(prefix="fedpkg-container-") as directory:
        run = ClusterBuild(client, build, output, Path(directory), lambda _: ())
        run.run()
        run.delete()
    if not output.results:
        raise BuildFailedError("the pod printed no results", solution="check that its image has the builders' version")
    return output.results
