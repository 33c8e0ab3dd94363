# SPDX-License-Identifier: GPL-2.0-or-later
"""Koji tags of builds that are withdrawn: reading and removing them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import koji

from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.session import hub_errors
from fedpkg_container.text import printable_line

_log = logging.getLogger(__name__)


def koji_tags(session: HubSession, nvrs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the Koji tags of builds; none of builds that the hub does not know.

    :param session: session to use; need not be logged in
    :raises LostContactError: if the hub cannot be reached
    """
    with hub_errors(session.baseurl), session.multicall(strict=False) as multicall:
        calls = {nvr: multicall.listTags(nvr) for nvr in nvrs}
    tags: dict[str, tuple[str, ...]] = {}
    for nvr, call in calls.items():
        try:
            tags[nvr] = tuple(printable_line(str(tag["name"])) for tag in call.result)
        except koji.GenericError:
            tags[nvr] = ()
    return tags


def untag(session: HubSession, builds: Mapping[str, Iterable[str]]) -> None:
    """Remove Koji tags from builds; those that they do not have are ignored.

    :param session: logged in
    :param builds: NVR → Koji tags
    :raises FedpkgContainerError: if the hub refuses one, e.g. because of its policy
    """
    for nvr, tags in builds.items():
        for tag in tags:
            with hub_errors(session.baseurl):
                session.untagBuild(tag, nvr, strict=False)
            _log.info("untagged %s from %s", nvr, tag)
