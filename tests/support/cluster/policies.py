# SPDX-License-Identifier: GPL-2.0-or-later
"""Evaluation of NetworkPolicies: what a pod with some labels may reach (networking.k8s.io/v1, egress)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

Policy = Mapping[str, Any]


def may_reach(policies: Iterable[Policy], labels: Mapping[str, str], address: str, port: int = 443) -> bool:
    """Whether a pod may open a TCP connection.

    A pod that no policy selects may reach everything; otherwise what any of those that select it allows.
    """
    own = [each["spec"] for each in policies if _selects(each["spec"]["podSelector"], labels)]
    own = [spec for spec in own if "Egress" in spec["policyTypes"]]
    return not own or any(_allows(rule, address, port) for spec in own for rule in spec.get("egress") or [])


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for expression in selector.get("matchExpressions") or []:
        assert expression["operator"] == "Exists", "no other operator is used"
        if expression["key"] not in labels:
            return False
    return all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items())


def _allows(rule: Mapping[str, Any], address: str, port: int) -> bool:
    ports, peers = rule.get("ports"), rule.get("to")
    if ports and not any(each["port"] == port and each["protocol"] == "TCP" for each in ports):
        return False
    return not peers or any(_within(peer["ipBlock"], address) for peer in peers)


def _within(block: Mapping[str, Any], address: str) -> bool:
    ip = ipaddress.ip_address(address)
    excepted = any(ip in ipaddress.ip_network(network) for network in block.get("except") or [])
    return ip in ipaddress.ip_network(block["cidr"]) and not excepted
