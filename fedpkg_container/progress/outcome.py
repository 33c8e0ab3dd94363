# SPDX-License-Identifier: GPL-2.0-or-later
"""The outcome of a build as a JSON object for other programs; docs/reference/outcome.schema.json describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fedpkg_container.errors import CanceledError, FedpkgContainerError
from fedpkg_container.hub.events import Finished
from fedpkg_container.model.build import BuildRequest
from fedpkg_container.model.findings import Finding
from fedpkg_container.progress.failure import Failure
from fedpkg_container.progress.report import result_fields

#: Version of the format, incremented when an existing field changes its meaning.
FORMAT = 1


class Outcome:
    """The outcome of one build, collected while it runs; fields whose values are not known are null."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {
            "format": FORMAT,
            "exit_status": None,
            "state": None,
            "reason": None,
            "solution": None,
            "source": None,
            "target": None,
            "options": None,
            "task_id": None,
            "url": None,
            "nvr": None,
            "build_id": None,
            "duration": None,
            "pull_specs": [],
            "digest": None,
            "images": {},
            "warnings": [],
            "findings": [],
            "failure": None,
        }

    def note_request(self, request: BuildRequest, findings: Sequence[Finding] = ()) -> None:
        """Record what is to be built, and the findings of the checks."""
        self._fields |= {"source": request.source, "target": request.target, "options": dict(request.options)}
        self._fields["findings"] = [asdict(finding) for finding in findings]

    def note_task(self, task_id: int, url: str, nvr: str) -> None:
        """Record the task.

        :param url: its page; empty if unknown, as is the NVR
        """
        self._fields |= {"task_id": task_id, "url": url or None, "nvr": nvr or None}

    def note_existing(self, build_id: int, nvr: str, pull_specs: Sequence[str]) -> None:
        """Record an existing complete build, which makes another one unnecessary."""
        digests = (digest_of(spec) for spec in pull_specs)
        digest = next((digest for digest in digests if digest), None)
        self._fields |= {"build_id": build_id, "nvr": nvr, "pull_specs": list(pull_specs), "digest": digest}

    def note_end(self, event: Finished, failure: Failure | None) -> None:
        """Record the end of the task."""
        result = result_fields(event)
        digests = (digest_of(spec) for spec in result["pull_specs"])
        build = result["builds"][0] if result["builds"] else {"id": None, "nvr": self._fields["nvr"]}
        self._fields |= {name: result[name] for name in ("task_id", "state", "duration", "pull_specs", "warnings")}
        self._fields |= {
            "build_id": build["id"],
            "nvr": build["nvr"],
            "digest": next((digest for digest in digests if digest), None),
            "images": {
                arch: {"pull_spec": spec, "digest": digest_of(spec), "sbom": event.result.sboms.get(arch)}
                for arch, spec in event.result.arches.items()
            },
            "failure": failure.fields() if failure else None,
        }

    def note_error(self, error: FedpkgContainerError) -> None:
        """Record the error that ended the command, unless the outcome is complete."""
        if self._fields["exit_status"] is not None:
            return
        findings = [asdict(finding) for finding in getattr(error, "findings", ())]
        self._fields |= {"exit_status": error.exit_code, "reason": error.reason, "solution": error.solution or None}
        self._fields["findings"] = findings or self._fields["findings"]
        if isinstance(error, CanceledError):
            self._fields["state"] = "CANCELED"

    def note_status(self, exit_status: int) -> None:
        """Record the exit status of the command."""
        self._fields["exit_status"] = exit_status

    def fields(self) -> Mapping[str, Any]:
        """Return the fields."""
        return self._fields


def digest_of(pull_spec: str) -> str | None:
    """Return the digest in a pull spec; None if it has none."""
    return pull_spec.partition("@")[2] or None
