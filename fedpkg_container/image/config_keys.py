# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of ``builder_containerbuild.conf``."""

from __future__ import annotations

import re

from fedpkg_container.cluster import config_keys as cluster
from fedpkg_container.engines.ids import ACCOUNT
from fedpkg_container.model.nvr import package_problem
from fedpkg_container.registry.config_keys import CONTENT_GENERATOR_KEYS, access_keys
from fedpkg_container.registry.manifests import FORMATS
from fedpkg_container.settings import (
    ANY,
    Key,
    choice,
    flag,
    networks,
    number,
    optional,
    path,
    registry,
    size,
    subset,
    url,
    words,
)

#: Sources of floating tags.
FLOATING_TAG_SOURCES = ("version", "latest", "container-yaml", "additional-tags")
#: Network of RUN: ``auto`` depends on the build's repositories, the others are fixed.
NETWORK_MODES = ("auto", "none", "isolated", "host")


def _host_problem(word: str) -> str:
    is_valid = re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?", word)
    return "" if is_valid else "must be hosts, e.g. auth.example.org or host:5000"


def _isolation(text: str) -> str:
    if text == "chroot":
        raise ValueError("not supported: remove the option")
    if text not in ("auto", "oci"):
        raise ValueError("must be auto or oci")
    return text


KEYS = (
    Key("registry", "candidate", registry, "registry to which images are pushed, host and port", None),
    *access_keys(
        "registry",
        timeout="seconds for the transfer of one image, after which the registry counts as hung",
        retry_timeout="seconds for which requests to an unreachable registry, or one that returns 5xx, are retried "
        "while a build pushes; `0`: no retries",
    ),
    Key(
        "registry", "sources", words(),
        "registries and repositories that FROM may name, a list: `registry.example.org quay.io/fedora`",
        default_text="all",
    ),
    Key(
        "registry", "allowed_hosts", words(_host_problem),
        "hosts (with their port if it is not 443) that a registry may refer a builder to although their address is "
        "blocked: token servers, storage. The candidate registry and those of `sources` need not be listed, unless "
        "another port of them is used",
    ),
    Key(
        "registry", "blob_cache", path,
        "directory in OCI image layout, e.g. on a shared volume; layers of base images that it contains are read "
        "from it instead of from the registry. Builders never write to it: fill it with "
        "`skopeo copy docker://IMAGE oci:DIRECTORY:NAME`",
        default_text="none",
    ),
    Key(
        "registry", "formats", subset(*FORMATS),
        "formats of images and image indexes, a list: `v2s2` (Docker's), `oci`. All tags refer to the first. The "
        "second is pushed too, under the build's unique tag with the suffix `-oci` or `-v2s2`, and recorded in "
        "`extra.image.index.digests`. OCI has no HEALTHCHECK: a build that loses it logs a warning",
        FORMATS[0],
    ),
    Key(
        "engine", "kind", choice(*cluster.KINDS),
        "where architectures are built: `local`, on the builder; `kubernetes`, in a Job; `openshift-build`, in a Build "
        "of OpenShift with the custom strategy. See [cluster.md](cluster.md)",
        cluster.LOCAL,
    ),
    Key("engine", "state", path, "directory for container stores", "/var/lib/fedpkg-container"),
    Key("engine", "account", str, "account whose subordinate IDs workers use", ACCOUNT),
    Key(
        "engine", "isolation", _isolation, "`auto`: the first OCI runtime that works; `oci` with `runtime`", "auto"
    ),
    Key("engine", "runtime", str, "`runc` or `crun`"),
    Key(
        "engine", "network", choice(*NETWORK_MODES),
        "network access of a Dockerfile: `none`; `isolated`, outbound only; `host`, everything that the builder "
        "reaches; `auto`: none, or isolated if `--repo-url` names repositories outside this Koji, or the build tag has "
        "external repositories, whose packages have their own URLs",
        "auto",
    ),
    Key(
        "engine", "denied_networks", networks,
        "networks that isolated builds cannot reach, and that a builder does not connect to for FROM and `--repo-url`, "
        "in addition to its own addresses, loopback, link-local and cloud metadata addresses: `10.0.0.0/8 192.0.2.7`",
    ),
    Key(
        "engine", "base_images_keep", number("days", minimum=0),
        "days that a builder keeps a base image after its last use; `0`: forever", "30",
    ),
    Key(
        "limits", "prepare_timeout", number("seconds"),
        "seconds for everything that a task fetches before RUN: one deadline for git, all parents and all `.repo` "
        "files of a build, and one in the task of each architecture for git, all lookaside files and all base images",
        "3600",
    ),
    Key(
        "limits", "build_timeout", number("seconds"),
        "seconds for one architecture, unless container.yaml sets a limit", "14400",
    ),
    Key(
        "limits", "build_timeout_max", optional(number("seconds")),
        "maximum of `buildtime_limit` in container.yaml, in seconds", default_text="`14400`, or `build_timeout`",
    ),
    Key(
        "limits", "build_size", size,
        "bytes that one architecture may write into layers and temporary files. Measured while the build runs: a fast "
        "build can exceed it for some seconds",
        "10G",
    ),
    Key("limits", "log_size", size, "bytes that one architecture may print", "1G"),
    Key(
        "limits", "free_space", size,
        "bytes that must stay free in the file systems of `state`, while base images are pulled and a Dockerfile is "
        "executed, and of kojid's `workdir`, while sources and lookaside files are fetched; a build that would use "
        "them is ended",
        "1G",
    ),
    Key(
        "limits", "memory", optional(size),
        "bytes of memory for all processes of a worker together (control group); `0`: no limit",
        default_text="half of the machine's memory",
    ),
    Key(
        "limits", "processes", number("processes", minimum=0), "processes and threads of a worker; `0`: no limit",
        "4096",
    ),
    Key(
        "limits", "build_files", number("files"),
        "files and directories that one architecture may create in layers and temporary files", "1000000",
    ),
    Key(
        "limits", "free_files", number("inodes", minimum=0),
        "inodes that must stay free in the file systems to which `free_space` applies", "10000",
    ),
    Key(
        "limits", "base_image_size", size, "maximum size of a base image, in bytes, compressed and unpacked", "10G"
    ),
    *CONTENT_GENERATOR_KEYS,
    Key(
        "tags", "floating", subset(*FLOATING_TAG_SOURCES, none=True),
        "sources of floating tags, a list: `version`, `latest`, `container-yaml`, `additional-tags`; or `none`",
        " ".join(FLOATING_TAG_SOURCES), default_text="all",
    ),
    Key(
        "lookaside", "url", url,
        "URL of the lookaside cache from which the files listed in `sources` are fetched, without the path of a file",
        default_text="no lookaside cache",
    ),
    Key(
        "lookaside", "namespaced", flag(),
        "whether paths in it start with the namespace: `yes` for `container/NAME`, `no` for `NAME`", "yes",
    ),
    Key(
        "lookaside", "hash", choice("sha512", "sha256", "md5"),
        "hash type of entries that specify none: `sha512`, `sha256`, `md5`", "sha512",
    ),
    Key(
        "build_arguments", ANY, str, "values of ARG for every build; they override the defaults of Dockerfiles"
    ),
    Key("labels", ANY, str, "labels added to every image that does not set them"),
    Key(
        "components", ANY, words(package_problem),
        "name or path of a source repository: packages that it may build and record in addition to its own, a list",
        default_text="none",
    ),
    Key(
        "repositories", ANY, words(package_problem),
        "repository in the candidate registry: packages for whose images it is reserved, a list", default_text="none",
    ),
    *cluster.KEYS,
)  # fmt: skip
