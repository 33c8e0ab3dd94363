# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for the yum repository of a build tag, as ``koji wait-repo`` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import koji

from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.session import CONNECTION_ERRORS
from fedpkg_container.model.koji_types import RepoInfo
from fedpkg_container.text import format_duration, printable_line

#: Seconds to wait, as in ``koji wait-repo``, and between two requests.
TIMEOUT = 120 * 60.0
INTERVAL = 10.0


class RepositoryWait:
    """Waits for a repository that contains builds.

    :param session: logged in: the hub creates the repository on request
    :param report: called with each new state, a sentence
    :param timeout: seconds
    """

    def __init__(
        self,
        session: HubSession,
        report: Callable[[str], None],
        *,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._report = report
        self._timeout = timeout
        self._sleep = sleep
        self._clock = clock
        self._reported = ""

    def wait(self, tag: str, nvrs: Sequence[str] = ()) -> RepoInfo:
        """Wait until the builds are in a tag, and its repository contains the tag's latest change.

        :param tag: name of the build tag
        :returns: the repository
        :raises RefusedError: if there is no such build
        :raises FedpkgContainerError: if the timeout has passed
        """
        deadline = self._clock() + self._timeout
        names = self.packages(nvrs)
        event: int | None = None
        while True:
            try:
                state, event, repository = self._check(tag, names, event)
            except (koji.ServerOffline, *CONNECTION_ERRORS):
                state, repository = "waiting for the hub to respond", None
            if repository is not None:
                return repository
            if state != self._reported:
                self._reported = state
                self._report(state)
            if self._clock() >= deadline:
                raise FedpkgContainerError(
                    f"{state}: exceeded the time limit of {format_duration(self._timeout)}",
                    solution=f"check the tag: koji taginfo {tag}",
                )
            self._sleep(INTERVAL)

    def packages(self, nvrs: Sequence[str]) -> dict[str, str]:
        """Return the packages of builds by NVR.

        :raises RefusedError: if there is no such build
        """
        return {nvr: self._package(nvr) for nvr in nvrs}

    def _package(self, nvr: str) -> str:
        build = self._session.getBuild(nvr)
        if build is None:
            raise RefusedError(
                f"--wait-repo: build {printable_line(nvr)} does not exist", solution="pass the NVR of a build"
            )
        return build["package_name"]

    def _check(self, tag: str, names: dict[str, str], event: int | None) -> tuple[str, int | None, RepoInfo | None]:
        """Return the state, the event that the repository must contain, and the repository if it does."""
        if event is None:
            for nvr, name in names.items():
                tagged = self._session.listTagged(tag, inherit=True, package=name)
                if nvr not in [build["nvr"] for build in tagged]:
                    return f"waiting for {nvr} to be tagged into {tag}", None, None
            event = self._session.tagLastChangeEvent(tag)
        return f"waiting for the repository of {tag}", event, self._repository(tag, event)

    def _repository(self, tag: str, event: int) -> RepoInfo | None:
        """Return the repository of a tag if it contains an event, and request it otherwise."""
        try:
            return self._session.repo.request(tag, min_event=event)["repo"]
        except koji.GenericError as error:
            if "invalid method" not in str(error).lower():
                raise  # hubs before 1.35 do not have the call: they create repositories by themselves
        repository = self._session.getRepo(tag)
        return repository if repository and repository["create_event"] >= event else None
