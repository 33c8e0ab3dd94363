# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages about promotions: sent at least once, in order, after the change; a promotion succeeds without them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import jsonschema
import pytest

from fedpkg_container.commands.registry import promote, send_messages, unpromote
from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, LostContactError
from fedpkg_container.hub import candidates as hub_candidates
from fedpkg_container.hub import session as hub_session
from fedpkg_container.hub import untagging
from fedpkg_container.registry.config import read_site
from fedpkg_container.registry.messages.amqp import publish
from fedpkg_container.registry.messages.message import Message
from fedpkg_container.registry.messages.outbox import Outbox
from fedpkg_container.registry.messages.publishers import MessageSettings, ProgramPublisher, publisher
from fedpkg_container.registry.promotion import journal_files, locks
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, UNPROMOTE, JournalEntry, TagMove
from tests.support.hubs import Hub

DOCS = Path(__file__).parents[2] / "docs" / "reference"
SCHEMA = json.loads((DOCS / "promotion-message.schema.json").read_text())
REPORT_SCHEMA = json.loads((DOCS / "promotion.schema.json").read_text())
MakeHub = Callable[..., Hub]

pytestmark = pytest.mark.programs


def change(number: int, what: str = PROMOTE) -> JournalEntry:
    """A change that starts."""
    digest = f"sha256:{number:064x}"
    return JournalEntry.start(
        what, target="stable", repository="r.example.org/hello", nvr=f"hello-1-{number}", digest=digest,
        tags={"latest": TagMove("", digest)},
    )  # fmt: skip


@dataclass
class Receiver:
    """A publisher that records messages.

    :param fails: raise this error instead
    :param dies: raise this error after receiving a message
    """

    messages: list[Message] = field(default_factory=list)
    fails: FedpkgContainerError | None = None
    dies: BaseException | None = None

    def publish(self, message: Message) -> None:
        if self.fails:
            raise self.fails
        self.messages.append(message)
        if self.dies:
            raise self.dies

    @property
    def nvrs(self) -> list[str]:
        return [message.body["nvr"] for message in self.messages]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "record.jsonl")
    yield made
    made.close()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_each_change_is_sent_once(journal: Journal, receiver: Receiver) -> None:
    journal.append(change(0).done())
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    for number in (1, 2):
        entry = change(number)
        journal.append(entry)
        journal.append(entry.done())
    journal.append(change(3))  # not completed
    journal.append(change(2, UNPROMOTE).done())
    assert outbox.send().sent == 3
    assert receiver.nvrs == ["hello-1-1", "hello-1-2", "hello-1-2"], (
        "none about changes before messages were configured"
    )
    assert [message.topic.rpartition(".")[2] for message in receiver.messages] == [PROMOTE, PROMOTE, UNPROMOTE]
    assert outbox.send().sent == 3
    assert Outbox(journal, receiver).send().sent == 0, "by another process"


def test_the_message_is_documented_and_names_no_user(journal: Journal, receiver: Receiver) -> None:
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    entry = change(1).done()
    journal.append(entry)
    outbox.send()
    (message,) = receiver.messages
    jsonschema.validate(json.loads(message.text), SCHEMA, format_checker=jsonschema.FormatChecker())
    assert message.body["id"] == message.id
    assert message.id.replace("-", "") == entry.id
    assert not {"user", "host", "by"} & {*message.body, *message.body["tags"]}


def test_failed_messages_are_sent_later_in_order(journal: Journal, receiver: Receiver) -> None:
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    receiver.fails = FedpkgContainerError("the broker is down", solution="start it")
    for number in (1, 2):
        journal.append(change(number).done())
    delivery = outbox.send()
    assert (delivery.sent, delivery.pending) == (0, 2)
    assert delivery.problem == "2 messages are pending: the broker is down"
    receiver.fails = None
    assert outbox.send() == delivery, "a run does not wait for the deadline of each of them"
    journal.append(change(3).done())
    assert Outbox(journal, receiver).send().sent == 3
    assert receiver.nvrs == ["hello-1-1", "hello-1-2", "hello-1-3"]


def test_killed_before_sending(journal: Journal, receiver: Receiver) -> None:
    Outbox(journal, receiver).prepare()
    journal.append(change(1).done())
    assert Outbox(journal, receiver).pending() == 1
    assert Outbox(journal, receiver).send().sent == 1


def test_killed_after_sending(journal: Journal, receiver: Receiver) -> None:
    """The message is sent again, with the same ID."""
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    journal.append(change(1).done())
    receiver.dies = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        outbox.send()
    receiver.dies = None
    Outbox(journal, receiver).send()
    assert len(receiver.messages) == 2
    assert receiver.messages[0] == receiver.messages[1]


def test_state_that_cannot_be_stored(
    journal: Journal, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    journal.append(change(1).done())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fedpkg_container.registry.messages.outbox.write_atomically", full)
    delivery = outbox.send()
    assert "No space left on device" in delivery.error
    assert str(tmp_path / "record.jsonl.sent") in delivery.error
    with pytest.raises(ConfigurationError, match="No space left"):
        Outbox(Journal(tmp_path / "new.jsonl"), receiver).prepare()


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"format": 2}', '{"format": 1, "unknown": ""}'])
def test_invalid_state_is_an_error(journal: Journal, receiver: Receiver, tmp_path: Path, content: str) -> None:
    (tmp_path / "record.jsonl.sent").write_text(content)
    with pytest.raises(ConfigurationError, match="it is invalid"):
        Outbox(journal, receiver).prepare()
    assert Outbox(journal, receiver).send().problem
    assert receiver.messages == []


@pytest.mark.parametrize("position", ["[" * 100_000, '{"offset": 1%s}' % ("0" * 30), '{"offset": 9223372036854775807}'])
def test_damaged_position(journal: Journal, receiver: Receiver, tmp_path: Path, position: str) -> None:
    """It is that of an edited journal: messages about changes since the last one are sent."""
    journal.append(change(1).done())
    (tmp_path / "record.jsonl.sent").write_text(json.dumps({"format": 1, "position": position}))
    assert Outbox(journal, receiver).send().problem == ""
    assert len(receiver.messages) == 1


def test_rotated_journal(journal: Journal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_files, "ROTATE_SIZE", 1000)
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    for number in range(10):
        journal.append(change(number).done())
    outbox.send()
    for number in range(10, 20):
        journal.append(change(number).done())
    outbox.send()
    assert receiver.nvrs == [f"hello-1-{number}" for number in range(20)]


def test_edited_or_lost_journal(journal: Journal, receiver: Receiver) -> None:
    """The end of the last change with a message is used instead of its position."""
    assert journal.path
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    old = replace(change(1).done(), ended="2020-01-01T00:00:00Z")
    last = replace(change(2).done(), ended="2026-01-01T00:00:00Z")
    new = replace(change(3).done(), ended="2026-01-02T00:00:00Z")
    journal.append(old)
    journal.append(last)
    outbox.send()
    journal.path.write_bytes(last.line() + old.line() + new.line())
    outbox.send()
    assert receiver.nvrs == ["hello-1-1", "hello-1-2", "hello-1-3"]
    journal.path.write_bytes(replace(change(4).done(), ended="2026-01-03T00:00:00Z").line())
    outbox.send()
    assert receiver.nvrs[3:] == ["hello-1-4"]
    assert Outbox(journal, receiver).pending() == 0


def test_discarded_messages(journal: Journal, receiver: Receiver) -> None:
    outbox = Outbox(journal, receiver)
    outbox.prepare()
    for number in (1, 2):
        journal.append(change(number).done())
    assert outbox.discard() == 2
    assert outbox.discard() == 0
    journal.append(change(3).done())
    outbox.send()
    assert receiver.nvrs == ["hello-1-3"]


def test_another_process_sends(journal: Journal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    Outbox(journal, receiver).prepare()
    journal.append(change(1).done())
    monkeypatch.setattr(locks, "TIMEOUT", 0.05)
    assert journal.path
    with Journal(journal.path).locks.hold("the messages"):
        assert "another process" in Outbox(journal, receiver).send().error
    assert Outbox(journal, receiver).send().sent == 1


def test_no_publisher_or_no_journal(journal: Journal, receiver: Receiver, tmp_path: Path) -> None:
    for outbox in (Outbox(journal, None), Outbox(Journal(None), receiver)):
        outbox.prepare()
        assert (outbox.is_used, outbox.pending(), outbox.discard(), outbox.send().sent) == (False, 0, 0, 0)
    assert not list(tmp_path.iterdir())
    assert publisher(MessageSettings()) is None


# Programs


def _message() -> Message:
    return Message("an ID", "a.topic", {"nvr": "hello-1-1"})


def test_program_gets_the_message(tmp_path: Path) -> None:
    output = tmp_path / "it's"
    ProgramPublisher(("/bin/sh", "-c", 'cat >"$0"', str(output)), 30).publish(_message())
    assert output.read_text() == '{"nvr": "hello-1-1"}\n'


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/bin/sh", "-c", "echo 'no such exchange' >&2; exit 3"), "exit status 3: no such exchange"),
        (("/nonexistent/send",), "program not found: /nonexistent/send"),
        (("/bin/sh", "-c", "cat /dev/zero"), "printed more than 1 MB"),
    ],
)
def test_program_that_fails(command: tuple[str, ...], reason: str) -> None:
    with pytest.raises(FedpkgContainerError) as raised:
        ProgramPublisher(command, 30).publish(_message())
    assert reason in raised.value.reason


def test_program_has_a_deadline() -> None:
    with pytest.raises(FedpkgContainerError, match="sleep"):
        ProgramPublisher(("/bin/sleep", "600"), 0.1).publish(_message())


# fedora-messaging


def test_without_fedora_messaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fedora_messaging", None)
    with pytest.raises(FedpkgContainerError, match="needs the Python module fedora_messaging") as raised:
        publish(tmp_path / "config.toml", _message(), 30)
    assert "python3-fedora-messaging" in raised.value.solution


def test_message_of_fedora_messaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fedora_messaging")
    from fedora_messaging import api, config, exceptions

    monkeypatch.setattr(config, "conf", config.LazyConfig())
    sent: list[tuple[str, str, object, int]] = []
    monkeypatch.setattr(
        api, "publish", lambda message, timeout: sent.append((message.id, message.topic, message.body, timeout))
    )
    (tmp_path / "config.toml").write_text('amqp_url = "amqp://broker.example.org"\n')
    publish(tmp_path / "config.toml", _message(), 7)
    assert sent == [("an ID", "a.topic", {"nvr": "hello-1-1"}, 7)]
    assert config.conf["amqp_url"] == "amqp://broker.example.org"

    def refuse(*_: object, **__: object) -> None:
        raise exceptions.PublishTimeout("Publishing timed out after waiting 7 seconds.")

    monkeypatch.setattr(api, "publish", refuse)
    with pytest.raises(FedpkgContainerError, match="timed out after waiting 7 seconds"):
        publish(tmp_path / "config.toml", _message(), 7)
    (tmp_path / "config.toml").write_text("no TOML")
    monkeypatch.setattr(config, "conf", config.LazyConfig())
    with pytest.raises(FedpkgContainerError, match="Failed to parse"):
        publish(tmp_path / "config.toml", _message(), 7)


# The configuration


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("command = send 'it", "cannot be split into words: No closing quotation"),
        ("command = send it", "the program must be an absolute path"),
        ("command = /bin/send\nfedora_messaging = /", "fedora_messaging and command exclude each other"),
        ("command = /bin/send", "[messages] command needs the promotion journal"),
        ("fedora_messaging = /nonexistent", "no such file"),
        ("command = /bin/send\ntimeout = 0", "must be a number of seconds, at least 1"),
    ],
)
def test_invalid_settings(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "registry.conf"
    path.write_text(f"[candidate]\nregistry = r.example.org\n[messages]\n{text}\n")
    with pytest.raises(ConfigurationError) as raised:
        read_site(path)
    assert problem in raised.value.solution


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "registry.conf"
    path.write_text(
        f"[candidate]\nregistry = r.example.org\n[promotion]\nrecord = {tmp_path}/record\n"
        "[messages]\ncommand = /bin/send --to 'two words'\n"
    )
    assert read_site(path).messages == MessageSettings(("/bin/send", "--to", "two words"))


# The commands


@pytest.fixture
def hub(make_hub: MakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A site whose messages are appended to a file; sending fails while a file ``down`` exists."""
    hub = make_hub("zot")
    script = tmp_path / "send"
    script.write_text(f"#!/bin/sh\n[ ! -e {tmp_path}/down ] || exit 1\ncat >>{tmp_path}/messages\n")
    script.chmod(0o755)
    hub.bench.site = replace(hub.bench.site, messages=MessageSettings(command=(str(script),)))
    builds = {str(build.nvr): build for build in (hub.bench.build(f"hello-1.0-{number}") for number in (1, 2))}

    class Session:
        baseurl = "https://hub.example.org"

    def unreachable(*_: object) -> object:
        raise LostContactError("no contact")

    monkeypatch.setattr(hub_session, "anonymous_session", lambda _: Session())
    monkeypatch.setattr(hub_candidates, "find_candidates", lambda _, nvrs: [builds[nvr] for nvr in nvrs])
    monkeypatch.setattr(untagging, "koji_tags", unreachable)
    return hub


def _run(hub: Hub, module: object, *words: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]
    return int(module.run(parser.parse_args(words), hub.bench.site))  # type: ignore[attr-defined]


def _received(directory: Path) -> list[tuple[str, str]]:
    path = directory / "messages"
    messages = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(message["what"], message["nvr"]) for message in messages]


def test_promotion_and_reversal(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(hub, promote, "hello-1.0-1", "--dry-run") == 0
    assert not (tmp_path / "promotions.jsonl.sent").exists()
    assert _run(hub, promote, "hello-1.0-1") == 0
    assert _run(hub, promote, "hello-1.0-1") == 0, "a promotion that is repeated"
    assert _run(hub, promote, "hello-1.0-2") == 0
    capsys.readouterr()
    assert _run(hub, unpromote, "hello-1.0-2", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, REPORT_SCHEMA)
    assert report["messages"] == {"sent": 1, "pending": 0, "error": "", "solution": ""}
    assert _received(tmp_path) == [
        ("promote", "hello-1.0-1"), ("promote", "hello-1.0-2"), ("unpromote", "hello-1.0-2")
    ]  # fmt: skip


def test_failure_does_not_fail_the_promotion(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "down").touch()
    assert _run(hub, promote, "hello-1.0-1") == 0
    assert "warning: 1 message is pending" in capsys.readouterr().err
    assert _run(hub, promote, "hello-1.0-2", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, REPORT_SCHEMA)
    assert report["messages"]["pending"] == 2
    assert _run(hub, send_messages) == 1
    (tmp_path / "down").unlink()
    assert _run(hub, send_messages) == 0
    assert _received(tmp_path) == [("promote", "hello-1.0-1"), ("promote", "hello-1.0-2")]
    capsys.readouterr()
    assert _run(hub, send_messages, "--discard", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"discarded": 0}


def test_nothing_is_changed_if_messages_cannot_be_recorded(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "promotions.jsonl.sent").mkdir()
    with pytest.raises(ConfigurationError):
        _run(hub, promote, "hello-1.0-1")
    assert not (tmp_path / "promotions.jsonl").exists()


def test_command_without_configuration(hub: Hub) -> None:
    hub.bench.site = replace(hub.bench.site, messages=MessageSettings())
    with pytest.raises(ConfigurationError, match="no receiver of messages is configured"):
        _run(hub, send_messages)
