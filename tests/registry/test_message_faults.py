# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages through fedora-messaging to a broker that fails: delivered, or pending and sent again.

``test_message_broker.py`` does the same with a real RabbitMQ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytest.importorskip("fedora_messaging")

from fedpkg_container.registry.config import read_site
from fedpkg_container.registry.messages.amqp import publish_in_process
from fedpkg_container.registry.messages.message import message_about
from fedpkg_container.registry.messages.outbox import Delivery, Outbox
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_files import Position
from tests.registry.test_messages import change
from tests.support import amqp_broker
from tests.support.amqp_broker import Broker, running_broker
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

#: Deadline of a confirmation, seconds: for a broker that confirms, and for one that does not.
TIMEOUT, SHORT_TIMEOUT = 60, 2


@pytest.fixture
def broker() -> Iterator[Broker]:
    with running_broker() as running:
        yield running


@dataclass(frozen=True)
class Site:
    """A site that sends messages to a broker.

    :param file: its configuration
    """

    journal: Journal
    file: Path

    @classmethod
    def make(cls, directory: Path, broker: Broker) -> Site:
        record, configuration, site = (directory / name for name in ("record.jsonl", "config.toml", "registry.conf"))
        configuration.write_text(
            f'amqp_url = "{broker.url}"\ntopic_prefix = "org.example"\npublish_exchange = "amq.topic"\n'
        )
        site.write_text(
            f"[candidate]\nregistry = candidate.example.org\n[promotion]\nrecord = {record}\n"
            f"[messages]\nfedora_messaging = {configuration}\n"
        )
        (directory / "record.jsonl.sent").write_text(json.dumps({"format": 1, "position": Position().text}))
        return cls(Journal(record), site)

    def deliver(self, timeout: int = TIMEOUT) -> Delivery:
        """Send the pending messages."""
        site = read_site(self.file)
        return Outbox.of(replace(site, messages=replace(site.messages, timeout=timeout))).send()

    def send(self) -> subprocess.CompletedProcess[str]:
        """Send them by the command."""
        command = [sys.executable, "-m", "fedpkg_container.registry_cli", "--config", str(self.file), "send-messages"]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_messages_are_confirmed(broker: Broker, tmp_path: Path) -> None:
    site = Site.make(tmp_path, broker)
    for number in (1, 2):
        site.journal.append(change(number))
        site.journal.append(change(number).done())
    done = site.send()
    assert done.stdout == "2 messages sent\n", done.stderr
    assert [(each.exchange, each.topic, each.body["nvr"], each.body["id"] == each.id) for each in broker.messages] == [
        ("amq.topic", "org.example.fedpkg_container.promote", nvr, True) for nvr in ("hello-1-1", "hello-1-2")
    ]
    assert site.send().stdout == "0 messages sent\n"
    assert len(broker.messages) == 2
    site.journal.append(change(3).done())
    broker.fault = amqp_broker.FORBIDS
    failed = site.send()
    assert (failed.returncode, "Traceback" in failed.stderr, "Pl4nt3d" in failed.stderr) == (1, False, False)
    assert "1 message is pending: fedora-messaging could not publish to the exchange: (403, " in failed.stderr


TIMED_OUT = "timed out"
#: Fault → part of the message, and whether the broker got the message, unless a short time ended before that.
FAULTS = {
    amqp_broker.CLOSES: (TIMED_OUT, True),
    amqp_broker.CLOSES_EARLY: ("handshake with the broker failed", False),
    amqp_broker.DENIES: ("handshake with the broker failed", False),
    amqp_broker.FORBIDS: ("ACCESS_REFUSED", True),
    amqp_broker.HAS_NO_EXCHANGE: (TIMED_OUT, True),
    amqp_broker.IS_SILENT: (TIMED_OUT, True),
    amqp_broker.REJECTS: ("NACKed", True),
    amqp_broker.RETURNS: ("unroutable", True),
    "refuses": (TIMED_OUT, False),
}


#: One of the connection, one of the login, one of the answer, and no broker; the slow tests leave none out.
QUICK = {amqp_broker.CLOSES, amqp_broker.DENIES, amqp_broker.RETURNS, "refuses"}


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[] if fault in QUICK else pytest.mark.slow) for fault in FAULTS]
)
def test_message_is_pending_until_the_broker_confirms_it(fault: str, broker: Broker, tmp_path: Path) -> None:
    site = Site.make(tmp_path, broker)
    site.journal.append(change(1).done())
    site.journal.append(change(2).done())
    if fault == "refuses":
        broker.stop()
    broker.fault = fault
    reason, arrived = FAULTS[fault]
    failed = site.deliver(SHORT_TIMEOUT if reason == TIMED_OUT else TIMEOUT)
    assert (failed.sent, failed.pending) == (0, 2)
    assert failed.error.startswith("fedora-messaging could not publish to the exchange: ")
    assert reason in failed.error
    assert not [each for each in ("Traceback", "Pl4nt3d", "\n") if each in failed.error + failed.solution]
    arrivals = {each.body["nvr"] for each in broker.messages}
    assert arrivals <= {"hello-1-1"}, "in order"
    assert bool(arrivals) == arrived or reason == TIMED_OUT
    broker.fault = ""
    if fault == "refuses":
        broker.start()
    assert site.deliver().sent == 2
    confirmed = [(each.id, each.body["nvr"]) for each in broker.messages if each.confirmed]
    assert [nvr for _, nvr in confirmed] == ["hello-1-1", "hello-1-2"]
    assert {each.id for each in broker.messages if not each.confirmed} <= {confirmed[0][0]}, "the same ID again"


def test_modules_of_the_working_directory_are_not_imported(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Site.make(tmp_path, broker)
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "json.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path / "cwd")
    publish_in_process(tmp_path / "config.toml", message_about(change(1).done()), TIMEOUT)
    assert [each.body["nvr"] for each in broker.messages] == ["hello-1-1"]
