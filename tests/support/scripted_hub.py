# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub with responses that a real one cannot give on demand: koji's XML-RPC over a socket, from a script."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import koji
import koji.xmlrpcplus


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A server that answers every request by a function of its body; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/kojihub"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class ScriptedBuild:
    """A task with one log, as a hub reports it tick by tick.

    :param sizes: reported sizes of the log, one per tick; after the last one the task has ended
    :param content: actual content of the log
    :param result: of the task
    :param refused: a call that returns a fault
    """

    sizes: list[int]
    content: bytes
    result: Any = field(default_factory=dict)
    refused: str = ""
    refusals: int = 0
    ticks: int = 0
    downloads: int = 0

    def answer(self, body: bytes) -> bytes:
        """Answer a multicall."""
        (calls,), _ = koji.xmlrpcplus.loads(body)
        self.ticks += 1
        answers = [self._one(each["methodName"], koji.decode_args(*each["params"])[0]) for each in calls]
        return bytes(koji.xmlrpcplus.dumps((answers,), methodresponse=True, allow_none=True).encode())

    def _one(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == self.refused:
            self.refusals += 1
            return {"faultCode": 1000, "faultString": "No such file or directory"}
        return [getattr(self, name)(*arguments)]

    def getTaskInfo(self, _: int) -> dict[str, Any]:
        """The task."""
        ended = self.ticks > len(self.sizes)
        return {
            "id": 1,
            "parent": None,
            "method": "buildContainer",
            "label": None,
            "arch": "noarch",
            "host_id": None,
            "state": 2 if ended else 1,
            "create_ts": 1.0,
            "start_ts": 2.0,
            "completion_ts": 3.0 if ended else None,
        }

    def getTaskDescendents(self, _: int) -> dict[str, Any]:
        """No other tasks."""
        return {}

    def listTaskOutput(self, _: int) -> dict[str, Any]:
        """The log and its size at this tick."""
        return {"a.log": {"st_size": str(self.sizes[min(self.ticks, len(self.sizes)) - 1])}}

    def downloadTaskOutput(self, _: int, __: str, offset: int, size: int) -> str:
        """A part of the log."""
        self.downloads += 1
        return base64.b64encode(self.content[offset : offset + size]).decode()

    def getTaskResult(self, _: int) -> Any:
        """The task's result."""
        return self.result

    def getBuild(self, _: int) -> None:
        """No build."""
        return
