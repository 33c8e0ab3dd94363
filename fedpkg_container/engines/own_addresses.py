# SPDX-License-Identifier: GPL-2.0-or-later
"""The addresses of this machine, and notification of new ones."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import run

_log = logging.getLogger(__name__)

#: Timeout for listing, seconds.
TIMEOUT = 20.0
#: Groups of messages of rtnetlink(7) about IPv4 addresses and routes (linux/rtnetlink.h, RTMGRP_*).
_GROUPS = 0x10 | 0x40
#: Receive buffer, bytes; the excess is dropped, since the contents are not read.
_MESSAGE = 4096


def own_addresses() -> list[str]:
    """Return all IPv4 addresses of this machine except loopback, which each namespace has separately."""
    routes = run(["ip", "-json", "-4", "route", "show", "table", "local", "type", "local"], timeout=TIMEOUT).stdout
    addresses = [str(each["dst"]) for each in json.loads(routes or b"[]")]
    return [each for each in addresses if not ipaddress.ip_network(each, strict=False).is_loopback]


@contextlib.contextmanager
def watched(added: Callable[[list[str]], None], failed: Callable[[], None]) -> Iterator[list[str]]:
    """Monitor this machine's addresses in a thread during the block; yield the initial ones.

    :param added: called with new addresses, within milliseconds of their arrival on an idle machine
    :param failed: called once when monitoring fails, or ``added`` raised an error
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, _GROUPS))  # before the first listing, to miss none
        addresses = own_addresses()
        ending, ended = socket.socketpair()
        thread = threading.Thread(target=_watch, args=(kernel, ended, set(addresses), added, failed), daemon=True)
        with ending, ended:
            thread.start()
            try:
                yield addresses
            finally:
                ending.close()
                thread.join(2 * TIMEOUT)


def _watch(
    kernel: socket.socket,
    ended: socket.socket,
    known: set[str],
    added: Callable[[list[str]], None],
    failed: Callable[[], None],
) -> None:
    try:
        while True:
            ready, _, _ = select.select([kernel, ended], [], [])
            if ended in ready:
                return
            with contextlib.suppress(OSError):  # queue overflow (ENOBUFS): all are listed anyway
                kernel.recv(_MESSAGE)
            new = [each for each in own_addresses() if each not in known]
            if new:
                added(new)
                known.update(new)
    except (FedpkgContainerError, OSError, ValueError) as error:
        _log.error("the addresses of this machine cannot be monitored: %s", error)
        failed()
