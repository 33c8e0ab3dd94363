# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between a builder and the pod that builds for it: input files, log records and termination message."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fedpkg_container.errors import UsageError
from fedpkg_container.text import printable

#: Version of the contract.
FORMAT = 1
#: Directory with the input files, and the variable that names it in the pod.
INPUT_DIRECTORY = "/etc/fedpkg-container"
INPUT_VARIABLE = "FEDPKG_CONTAINER_INPUT"
#: Input files: the packed BuildSpec (gzip), the site file, the registry's credentials; certificates lie beside them.
SPEC_FILE, SITE_FILE, AUTH_FILE = "spec.json.gz", "builder.conf", "auth.json"
#: Seconds for which a pod waits for a new token in its auth file after the registry has rejected the one in it. The
#: builder renews tokens before they expire, unless e.g. kojid was stopped or the API server could not be reached.
RENEWAL_TIMEOUT = 900.0
#: Input file with the URL of Koji's topdir; empty if it has none.
TOPURL_FILE = "topurl"
#: Volumes of the pod: builds and base images, Koji's topdir, and blobs of base images.
STATE_DIRECTORY, TOPDIR, BLOB_CACHE = "/var/lib/fedpkg-container", "/mnt/koji", "/mnt/base-images"
#: The first of them in a Build of OpenShift, whose only writable volume is that of container stores.
BUILD_STATE_DIRECTORY = "/var/lib/containers/storage/fedpkg-container"
#: Variable that names the directory for builds in the pod.
STATE_VARIABLE = "FEDPKG_CONTAINER_STATE"
#: The termination message: where the pod writes it. Kubernetes keeps 4096 bytes.
MESSAGE_PATH = "/dev/termination-log"
MESSAGE_VARIABLE = "FEDPKG_CONTAINER_MESSAGE"
#: Variable that states, if set, that NetworkPolicies restrict the pod: then network ``isolated`` may be the pod's own.
POLICED_VARIABLE = "FEDPKG_CONTAINER_POLICED"
#: Variable that makes the pod test itself instead of building, and the artifact that it then reports.
CHECK_VARIABLE, CHECKED = "FEDPKG_CONTAINER_CHECK", "check"
#: Longest text of a record, bytes. Container runtimes split longer lines at 16 KiB, and the API shows a timestamp
#: for each part.
RECORD_SIZE = 12_000
#: Longest text of an error in a termination message, characters; JSON needs at most six bytes for each.
_ERROR_LENGTH = 280

#: Number of records in a log, which none can exceed.
MAX_RECORDS = 10**15

_RECORD = re.compile(rb"([0-9]{1,15})([+ ])(.*)", re.DOTALL)


@dataclass(frozen=True)
class Record:
    """A part of a log line.

    :param number: position in the log, from 1
    :param continued: whether the line continues in the next record
    """

    number: int
    text: bytes
    continued: bool = False

    def __bytes__(self) -> bytes:
        """The record as the pod prints it, without the newline."""
        return b"%d%s%s" % (self.number, b"+" if self.continued else b" ", self.text)

    @classmethod
    def parse(cls, line: bytes) -> Record | None:
        """Parse a line of the pod's output; None if it is not a record, e.g. a message of the interpreter."""
        match = _RECORD.fullmatch(line)
        return cls(int(match[1]), match[3], match[2] == b"+") if match else None


def records(line: bytes, number: int) -> Iterator[Record]:
    """Split a log line into records.

    :param number: number of the first record
    """
    parts = [line[at : at + RECORD_SIZE] for at in range(0, len(line), RECORD_SIZE)] or [b""]
    for offset, part in enumerate(parts):
        yield Record(number + offset, part, continued=offset < len(parts) - 1)


@dataclass(frozen=True)
class TerminationMessage:
    """How a build in a pod ended.

    :param records: number of log records
    :param artifact: digest of the artifact in staging; empty if there is none
    :param error: reason of the failure; empty if the build succeeded
    :param solution: what to do about it
    """

    records: int
    artifact: str = ""
    error: str = ""
    solution: str = ""

    def encode(self) -> bytes:
        """Serialize, within the size that Kubernetes keeps."""
        fields = {**asdict(self), "error": _shortened(self.error), "solution": _shortened(self.solution)}
        return json.dumps({"format": FORMAT, **fields}, ensure_ascii=False).encode(errors="replace")

    @classmethod
    def decode(cls, text: str) -> TerminationMessage | None:
        """Parse a message, with printable texts; None if it is invalid, e.g. empty because the program was killed.

        :raises UsageError: if it has another format version
        """
        try:
            fields: Any = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, Mapping) or "format" not in fields:
            return None
        if fields["format"] != FORMAT:
            raise UsageError(
                f"unsupported format version {str(fields['format'])[:20]!r} of the pod's result (expected {FORMAT})",
                solution="use a pod image with the version of fedpkg-container on the builders",
            )
        number = fields.get("records")
        records = number if isinstance(number, int) and 0 <= number < MAX_RECORDS else 0
        texts = (_shortened(printable(str(fields.get(name) or ""))) for name in ("artifact", "error", "solution"))
        return cls(records, *texts)


def _shortened(text: str) -> str:
    return text if len(text) <= _ERROR_LENGTH else f"{text[: _ERROR_LENGTH - 3]}..."
