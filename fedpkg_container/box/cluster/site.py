# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster of a box: its objects and accounts, and the settings of the builders whose builds run in it."""

from __future__ import annotations

import secrets
from importlib.util import find_spec
from pathlib import Path

from fedpkg_container.box.cluster.contained import contained
from fedpkg_container.box.cluster.server import Cluster, write_kubeconfig
from fedpkg_container.box.layout import ClusterPlaces
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.box.pki import Authority
from fedpkg_container.cluster.config_keys import KUBERNETES, SECTION
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.cluster.site_manifests import BUILDER, SiteOptions, site_objects
from fedpkg_container.engines.sandbox import interpreter
from fedpkg_container.errors import UsageError
from fedpkg_container.files import write_atomically
from fedpkg_container.model.platforms import go_arch

#: Image of the pods: the simulated kubelet runs the programs of this machine instead.
IMAGE = "localhost/fedpkg-container-pod@sha256:" + "0" * 64
NAMESPACE = "fedpkg-container"
#: PersistentVolumeClaim with Koji's topdir.
CLAIM = "topdir"
#: Seconds for which the token of the builders is valid: longer than a box exists.
_VALID = 10.0**9


def check_usable(user: int) -> None:
    """Check that this machine can run the pods.

    :param user: effective user ID
    :raises UsageError: if it cannot
    """
    if user != 0:
        raise UsageError(
            "the pods of a box's cluster have mounts with mapped IDs, which require root",
            solution="run the command as root, or without --cluster",
        )
    if find_spec("kubernetes") is None:
        raise UsageError(
            "builds in a cluster require the Python package kubernetes",
            solution="install python3-kubernetes, or fedpkg-container[cluster]",
        )


def make_cluster(directory: Path, topdir: Path, token: str) -> Cluster:
    """Return a cluster with the objects of a site, whose pods run the programs of this machine.

    :param directory: for volumes
    :param token: of the builders
    """
    cluster = Cluster(directory, go_arch(MACHINE))
    cluster.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account)))
    cluster.access.grant(BUILDER, token, seconds=_VALID)
    cluster.kubelet.images[IMAGE] = [interpreter(), "-m", "fedpkg_container.pod"]
    cluster.kubelet.claims[CLAIM] = topdir
    cluster.kubelet.runtime = contained
    return cluster


def write_credentials(places: ClusterPlaces, authority: Authority) -> None:
    """Write the kubeconfig of the builders and, unless it exists, their token."""
    places.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not places.token.exists():
        write_atomically(places.token, secrets.token_urlsafe(32), mode=0o600)
    write_kubeconfig(places.kubeconfig, places.url, authority.certificate_path, places.token, NAMESPACE)


def builder_settings(kubeconfig: Path, certificates: Path) -> dict[str, dict[str, str]]:
    """Return the settings of builders whose builds run in the cluster: section → setting → value.

    :param certificates: directory with certificates for the registry that pods get
    """
    return {
        "engine": {"kind": KUBERNETES},
        SECTION: {
            "kubeconfig": str(kubeconfig),
            "namespace": NAMESPACE,
            "arches": MACHINE,
            "image": IMAGE,
            "topdir": f"claim:{CLAIM}",
            "certificates": str(certificates),
        },
    }
