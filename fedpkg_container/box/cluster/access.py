# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens, and RBAC by the roles that the site installs: a request that no rule allows is refused (a3: 403)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.box.cluster.store import ApiError


@dataclass
class Access:
    """The access rules.

    :param rules: account → namespaces and rules of its Roles; None: everything
    """

    rules: dict[str, list[tuple[str, Mapping[str, Any]]] | None] = field(default_factory=dict)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    #: Requests that were allowed: verb, resource with subresource.
    used: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def install(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Install Roles and RoleBindings."""
        roles_and_bindings = list(documents)
        roles = {each["metadata"]["name"]: each["rules"] for each in roles_and_bindings if each["kind"] == "Role"}
        for binding in roles_and_bindings:
            if binding["kind"] == "RoleBinding" and binding["roleRef"]["name"] in roles:
                for subject in binding["subjects"]:
                    rules = self.rules.setdefault(subject["name"], [])
                    assert rules is not None
                    namespace = binding["metadata"]["namespace"]
                    rules.extend((namespace, rule) for rule in roles[binding["roleRef"]["name"]])

    def grant(self, account: str, token: str, *, seconds: float = 3600.0) -> None:
        """Issue a token (a3: TokenRequest, expires)."""
        self.tokens[token] = (account, time.monotonic() + seconds)

    def authenticate(self, header: str) -> str:
        """Return the account of a request."""
        account, expiry = self.tokens.get(header.removeprefix("Bearer "), ("", 0.0))
        if not account or time.monotonic() > expiry:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return account

    def check(self, account: str, verb: str, group: str, resource: str, namespace: str) -> None:
        """Check that a rule allows a request."""
        with self._lock:
            self.used.add((verb, resource))
        rules = self.rules.get(account, [])
        if rules is None:
            return
        for where, rule in rules:
            if (
                where == namespace
                and group in rule["apiGroups"]
                and resource in rule["resources"]
                and verb in rule["verbs"]
            ):
                return
        raise ApiError(
            403,
            "Forbidden",
            f'{resource} is forbidden: User "system:serviceaccount:{account}" cannot {verb} resource "{resource}"',
        )
