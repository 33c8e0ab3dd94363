# SPDX-License-Identifier: GPL-2.0-or-later
"""Print what clients need to verify the signatures of a target's images.

Without FILE, prints all files, each after its path. policy.json requires a signature of the target's images and accepts
those of other registries; merge it with the client's own.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "print what clients need to verify signatures"

#: File → where clients of podman and skopeo have it, or what it is.
FILES = {
    "policy.json": "/etc/containers/policy.json",
    "registries.yaml": "/etc/containers/registries.d/TARGET.yaml",
    "key.pub": "the public key, and those accepted too",
    "cosign": "command that verifies an image with cosign",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.set_defaults(files=False)  # files of other sections may be on another machine
    parser.add_argument(
        "file", nargs="?", metavar="FILE", choices=tuple(FILES), help=f"print only one of {', '.join(FILES)}"
    )
    add_target(parser)


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status.

    :raises ConfigurationError: if no public key is configured
    """
    from fedpkg_container.commands.terminal import print_lines, print_stderr
    from fedpkg_container.registry.signing.client_policy import cosign_command, policy_json, registries_yaml
    from fedpkg_container.registry.signing.settings import TAG
    from fedpkg_container.registry.signing.signer import site_keys

    target = site.target(arguments.to)
    keys = site_keys(site.signing)
    texts = {
        "policy.json": policy_json(target, [key.pem for key in keys]),
        "registries.yaml": registries_yaml(target),
        "key.pub": "".join(key.pem.decode() for key in keys),
        "cosign": cosign_command(target, "key.pub"),
    }
    if TAG not in target.signature_formats:
        print_stderr(
            f"warning: podman and skopeo cannot verify images of {target.name}: its signature_formats does not"
            f" contain {TAG}"
        )
    if arguments.file:
        print_lines(texts[arguments.file].rstrip("\n"))
        return 0
    for name, text in texts.items():
        print_lines(f"# {FILES[name].replace('TARGET', target.name)}", text)
    return 0
