# SPDX-License-Identifier: GPL-2.0-or-later
"""Files for clients that verify signatures: policy.json and registries.d of podman and skopeo, and cosign's command.

The formats are those of containers-policy.json(5) and containers-registries.d(5).
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Sequence

from fedpkg_container.registry.config import Target

_ACCEPT = [{"type": "insecureAcceptAnything"}]


def policy_json(target: Target, keys: Sequence[bytes]) -> str:
    """Return a policy that requires a signature of a target's images, and accepts those of other registries.

    It contains the public keys. Clients before containers/image 5.33 (podman 5.3, skopeo 1.17) accept only one.

    :param keys: PEM files
    """
    data = [base64.b64encode(key).decode() for key in keys]
    requirement = {
        "type": "sigstoreSigned",
        **({"keyData": data[0]} if len(data) == 1 else {"keyDatas": data}),
        "signedIdentity": {"type": "matchRepository"},
    }
    policy = {"default": _ACCEPT, "transports": {"docker": {scope: [requirement] for scope in target.scopes}}}
    return json.dumps(policy, indent=4) + "\n"


def registries_yaml(target: Target) -> str:
    """Return a file for registries.d that makes clients look for the signatures of a target's images."""
    lines = [f"    {json.dumps(scope)}:\n        use-sigstore-attachments: true\n" for scope in target.scopes]
    return f"docker:\n{''.join(lines)}"


def cosign_command(target: Target, key: str) -> str:
    """Return the cosign command that verifies an image of a target.

    :param key: path of the public key
    """
    arguments = ["cosign", "verify", "--key", key, "--insecure-ignore-tlog=true"]
    return f"{shlex.join(arguments)} {target.scopes[0]}/IMAGE:TAG\n"
