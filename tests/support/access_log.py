# SPDX-License-Identifier: GPL-2.0-or-later
"""Access logs of web servers: requests and responses."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import slowed

#: For Apache httpd, the same as ``fedpkg_container.box.nginx.LOG_FORMAT``.
HTTPD_FORMAT = r"%h [%{%Y-%m-%dT%H:%M:%S%z}t] \"%r\" %>s %B \"%{Location}o\""

_LINE = re.compile(
    r'(?P<client>\S+) \[(?P<time>[^]]*)\] "(?P<method>\S+) (?P<path>\S+) [^"]*" (?P<status>\d+) (?P<sent>\d+|-) '
    r'"(?P<location>[^"]*)"(?P<more>.*)'
)


@dataclass(frozen=True)
class Request:
    """A logged request.

    :param sent: bytes of the response body
    :param location: redirect target; empty or - for none
    :param more: added to the format by a test
    """

    client: str
    method: str
    path: str
    status: int
    sent: int
    location: str
    more: str


@dataclass
class AccessLog:
    """The log of a server.

    :param start: start offset, bytes
    """

    path: Path
    start: int = 0

    def forget(self) -> None:
        """Skip the requests so far."""
        self.start = self._settled()

    def _settled(self) -> int:
        """Wait until the log stops growing; return its size, bytes. Servers log shortly after the last read."""
        size, before = self.path.stat().st_size, -1
        while size != before:
            time.sleep(slowed(0.1))
            size, before = self.path.stat().st_size, size
        return size

    def requests(self) -> list[Request]:
        """Return the requests so far."""
        self._settled()
        with self.path.open() as file:
            file.seek(self.start)
            found = [_LINE.fullmatch(line.rstrip("\n")) for line in file]
        return [
            Request(
                each["client"],
                each["method"],
                each["path"],
                int(each["status"]),
                int(each["sent"].replace("-", "0")),
                each["location"].replace("-", "") if len(each["location"]) < 2 else each["location"],
                each["more"].strip(),
            )
            for each in found
            if each
        ]
