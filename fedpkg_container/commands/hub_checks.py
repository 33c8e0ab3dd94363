# SPDX-License-Identifier: GPL-2.0-or-later
"""The requests to the hub for the checks of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.distgit.dockerfile import Dockerfile
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.builds import Build
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.model.build import BuildRequest, Preflight
    from fedpkg_container.model.koji_types import TargetInfo


class HubChecks:
    """The checks of a build that need the hub: two requests, of which the first also reads parent images if necessary.

    :param session: session to use; None to make one for the first request
    """

    def __init__(self, client: Client, request: BuildRequest, session: HubSession | None) -> None:
        self._client = client
        self._request = request
        self._session = session
        self._target: TargetInfo | None = None
        self._failure: FedpkgContainerError | None = None

    @property
    def session(self) -> HubSession:
        """The session, which a dry run does not log in.

        :raises FedpkgContainerError: if it cannot be made
        """
        self._session = self._session or hub_session(self._client)
        return self._session

    def read_parents(self, dockerfile: Dockerfile) -> Dockerfile:
        """Return a Dockerfile read with the ENV of its parent images, if a label of the NVR depends on it.

        An error of the hub is raised by ``preflight``, after the files have been checked.
        """
        from fedpkg_container.commands.parents import known_parents
        from fedpkg_container.distgit.label_rules import depends_on_parents
        from fedpkg_container.errors import FedpkgContainerError
        from fedpkg_container.hub.parent_records import target_and_parents
        from fedpkg_container.hub.session import hub_errors

        if not depends_on_parents(dockerfile) or not self._request.target:
            return dockerfile
        replacement = self._request.options.get("koji_parent_build") or ""
        base = dockerfile.base if replacement else ""
        try:
            with hub_errors(self.session.baseurl):
                self._target, recorded = target_and_parents(
                    self.session, self._request.target, dockerfile.parents, base=base, replacement=replacement
                )
        except FedpkgContainerError as error:
            self._failure, recorded = error, {}
        return known_parents(dockerfile, recorded, replaced=base)

    def preflight(self, checkout: Checkout, dockerfile: Dockerfile | None) -> Preflight:
        """Check the request on the hub.

        :raises FedpkgContainerError: if the hub does not respond, or refuses a request
        """
        from fedpkg_container.distgit.container_yaml import ContainerYaml
        from fedpkg_container.hub import preflight
        from fedpkg_container.hub.session import hub_errors

        if self._failure:
            raise self._failure
        labels, unknown = (dockerfile.labels, dockerfile.unknown_labels) if dockerfile else ({}, frozenset())
        platforms = ContainerYaml.read(checkout.path).platforms
        find_running = self._client.args.if_needed
        with hub_errors(self.session.baseurl):
            return preflight.preflight(
                self.session, self._request, labels, platforms, unknown, find_running=find_running, target=self._target
            )

    def existing_build(self, preflight: Preflight) -> Build | None:
        """Return the complete build of the same commit and target, with ``--if-needed`` and ``--dry-run``."""
        from fedpkg_container.hub.earlier import build_for_target, builds_of_commit
        from fedpkg_container.hub.session import hub_errors

        arguments, request = self._client.args, self._request
        if not (arguments.if_needed or arguments.dry_run) or request.scratch or request.options.get("isolated"):
            return None
        with hub_errors(self.session.baseurl):
            builds = builds_of_commit(preflight.builds, request.source)
            return build_for_target(self.session, builds, request.target)


def hub_session(client: Client) -> HubSession:
    """Return a session, which a dry run does not log in."""
    from fedpkg_container.commands.client_config import koji_profile, request_timeout
    from fedpkg_container.hub.session import anonymous_session, connect

    profile, timeout = koji_profile(client), request_timeout(client)
    if client.args.dry_run:
        return anonymous_session(profile, timeout=timeout)
    return connect(profile, client.cmd, timeout=timeout)
