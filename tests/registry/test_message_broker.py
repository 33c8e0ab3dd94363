# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages through fedora-messaging to a real RabbitMQ, which is stopped and started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fedpkg_container.registry.promotion.journal import Journal
from tests.registry.test_messages import change
from tests.support.waiting import PATIENCE, eventually
from tests.support.web_servers import free_port

SERVER = shutil.which("rabbitmq-server", path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/rabbitmq/bin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.programs,
    pytest.mark.skipif(SERVER is None, reason="needs rabbitmq-server"),
]

#: Declares a queue for all messages of the exchange, and prints topic, ID and body of those in it.
CONSUMER = """
import json, sys, pika
channel = pika.BlockingConnection(pika.URLParameters(sys.argv[1])).channel()
channel.exchange_declare("amq.topic", "topic", durable=True, passive=True)
channel.queue_declare("test", durable=True)
channel.queue_bind("test", "amq.topic", "#")
while True:
    method, properties, body = channel.basic_get("test", auto_ack=True)
    if not method:
        break
    print(json.dumps([method.routing_key, properties.message_id, json.loads(body)]))
"""


@dataclass
class Broker:
    """A RabbitMQ on a separate port.

    :param directory: of its data
    """

    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F?connection_attempts=1"

    def start(self) -> None:
        assert SERVER
        own = {
            "HOME": str(self.directory),
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.directory),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
        }
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen([SERVER], env=own, stdout=output, stderr=output, start_new_session=True)
        eventually(self.answers, (self.directory / "output").read_text)

    def answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.directory / "output").read_text()
        return self.consume(check=False) is not None

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, 15)
            self.process.wait(PATIENCE)
            self.process = None

    def consume(self, *, check: bool = True) -> list[list[object]] | None:
        """Return the messages so far; None if the broker cannot be reached."""
        done = subprocess.run(
            [sys.executable, "-c", CONSUMER, self.url], capture_output=True, text=True, timeout=PATIENCE, check=check
        )
        return None if done.returncode else [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory(prefix="rabbitmq") as directory:
        made = Broker(Path(directory), free_port())
        if os.geteuid() == 0:
            Path(directory).chmod(0o777)  # the server runs as another user
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _send(site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedpkg_container.registry_cli", "--config", str(site), "send-messages"]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_broker_that_is_stopped_and_started(broker: Broker, tmp_path: Path) -> None:
    pytest.importorskip("fedora_messaging")
    record, configuration, site = (tmp_path / name for name in ("record.jsonl", "config.toml", "registry.conf"))
    configuration.write_text(
        f'amqp_url = "{broker.url}"\ntopic_prefix = "org.example"\npublish_exchange = "amq.topic"\n'
    )
    site.write_text(
        f"[candidate]\nregistry = candidate.example.org\n[promotion]\nrecord = {record}\n"
        f"[messages]\nfedora_messaging = {configuration}\ntimeout = 20\n"
    )
    assert _send(site).stdout == "0 messages sent\n"
    journal = Journal(record)
    journal.append(change(1).done())
    done = _send(site)
    assert done.stdout == "1 message sent\n", done.stderr
    first = broker.consume()
    assert first
    assert [(topic, body["nvr"], body["id"] == message_id) for topic, message_id, body in first] == [  # type: ignore[index]
        ("org.example.fedpkg_container.promote", "hello-1-1", True)
    ]
    broker.stop()
    journal.append(change(2).done())
    failed = _send(site)
    assert failed.returncode == 1
    assert "1 message is pending: fedora-messaging could not publish" in failed.stderr
    assert "guest:guest" not in failed.stderr + failed.stdout
    broker.start()
    assert _send(site).stdout == "1 message sent\n"
    second = broker.consume()
    assert second
    assert [body["nvr"] for *_, body in second] == ["hello-1-2"]  # type: ignore[index]
