# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this pod can build: its parts one by one, and a small build whose layer is known.

The result is printed as one JSON object, which ``fedpkg-container-cluster check`` presents.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import koji

from fedpkg_container import __version__
from fedpkg_container.engines import network
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.ids import in_user_namespace
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.engines.isolation import choose, static_program
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.model.buildah import KNOWN_LAYERS
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.pod import BLOB_CACHE, CHECKED, SITE_FILE, TOPDIR, TerminationMessage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.pod.build import Inputs
from fedpkg_container.process import run
from fedpkg_container.registry.skopeo import Access, Registry
from fedpkg_container.registry.staging import STAGING
from fedpkg_container.text import pluralize, reason_text

TIMESTAMP = 1_700_000_000
#: Seconds for the build, and for each request to the registry.
BUILD_TIMEOUT, REGISTRY_TIMEOUT = 300.0, 20.0
#: Seconds for a connection that NetworkPolicies should prevent: most network plug-ins drop its packets.
POLICY_TIMEOUT = 5.0
#: Programs that a build needs.
PROGRAMS = ("buildah", "skopeo", "git", "rpm", "bwrap", "setpriv", "ip")
_DOCKERFILE = """FROM scratch AS tools
COPY tools /
RUN [{command}]
FROM scratch
COPY --from=tools /marker /a
COPY --chown=1:2 --from=tools /marker /b
"""


def check(state: Path, inputs: Path, *, policed: bool = False) -> dict[str, str]:
    """Return the outcome of each check: ``ok``, with details, or the reason of its failure.

    :param state: directory for builds
    :param inputs: directory of the input files
    :param policed: whether the site states that NetworkPolicies restrict the pod
    """
    results: dict[str, str] = {"version": f"ok {__version__}"}

    def attempt(name: str, function: Callable[[], str]) -> None:
        try:
            results[name] = f"ok {function()}".strip()
        except (FedpkgContainerError, OSError, ValueError, LookupError) as error:
            reason = error.reason if isinstance(error, FedpkgContainerError) else reason_text(error)
            results[name] = f"failed: {reason}"

    attempt("architecture", lambda: _architecture(inputs))
    attempt("user namespace", lambda: "yes" if in_user_namespace() else "no (root of the pod is root of the node)")
    attempt("capabilities", _capabilities)
    attempt("programs", _programs)
    attempt("storage", lambda: _storage(state))
    attempt("overlay", lambda: _overlay(state))
    if Path(TOPDIR).is_dir():
        attempt("topdir", lambda: _readable(Path(TOPDIR)))
    if Path(BLOB_CACHE).is_dir():
        attempt("base images", lambda: _readable(Path(BLOB_CACHE)))
    attempt("network none", lambda: _none(state))
    attempt("network isolated", _isolated)
    attempt("network policies", lambda: _policies(policed=policed))
    attempt("registry", lambda: _registry(inputs))
    attempt("build", lambda: _build(state))
    return results


def _architecture(inputs: Path) -> str:
    """Return the architecture of the node, which must be that of the pod."""
    machine: str = koji.canonArch(platform.machine())
    expected = Inputs.read(inputs).spec.arch
    if machine != expected:
        raise FedpkgContainerError(f"the node is {machine}, not {expected}")
    return machine


def _capabilities() -> str:
    status = Path("/proc/self/status").read_text()
    return next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))


def _programs() -> str:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise FedpkgContainerError(f"not installed: {' '.join(missing)}")
    return f"buildah {Buildah.version()}"


def _storage(state: Path) -> str:
    """Return file system and free space of the directory for builds, which must be on a volume.

    The container's own file system is an overlay, on which the layers of a build cannot be mounted.
    """
    state.mkdir(parents=True, exist_ok=True)
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    above = [fields for fields in mounts if state.is_relative_to(fields[4])]
    _, fields = max((len(fields[4]), fields) for fields in above)
    kind = fields[fields.index("-") + 1]
    if kind == "overlay":
        raise FedpkgContainerError(f"{state} is on the file system of the container, not on a volume")
    return f"{kind}, {shutil.disk_usage(state).free // 10**9} GB free"


def _overlay(state: Path) -> str:
    """Mount an overlay in the directory for builds, as the layers of an image are."""
    with tempfile.TemporaryDirectory(dir=state) as name:
        lower, upper, work, merged = (Path(name) / each for each in ("lower", "upper", "work", "merged"))
        for each in (lower, upper, work, merged):
            each.mkdir()
        (lower / "file").touch()
        options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
        script = 'mount -t overlay overlay -o "$1" "$2" && test -e "$2/file"'
        run(["unshare", "--mount", "--", "sh", "-c", script, "sh", options, str(merged)], timeout=network.TIMEOUT)
    return ""


def _readable(directory: Path) -> str:
    """Read a directory of a volume."""
    count = len(os.listdir(directory))
    return f"{directory} has {pluralize(count, 'entry', 'entries')}"


def _none(state: Path) -> str:
    """Check that a program can be started with loopback as its only interface."""
    with network.attached(network.NONE, state) as attached:
        shown = run([*attached.enter, "ip", "-oneline", "link"], timeout=network.TIMEOUT).text
    names = [line.split(": ")[1] for line in shown.splitlines()]
    if names != ["lo"]:
        raise FedpkgContainerError(f"the network has other interfaces than loopback: {' '.join(names)}")
    return ""


def _isolated() -> str:
    """Return how the network is isolated; a site can use NetworkPolicies where slirp4netns does not work."""
    try:
        network.check(network.ISOLATED)
    except FedpkgContainerError as error:
        return f"only by NetworkPolicies ([kubernetes] isolated): {error.reason}"
    return "by slirp4netns"


def _policies(*, policed: bool) -> str:
    """Return whether NetworkPolicies have an effect: those of the site do not allow the API server."""
    address = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not all(address):
        return "not tested: the pod does not know the address of the API server"
    shown = ":".join(address)
    try:
        socket.create_connection((address[0], int(address[1])), timeout=POLICY_TIMEOUT).close()
    except OSError:
        return f"the pod cannot reach the API server ({shown})"
    if policed:
        raise FedpkgContainerError(f"the pod can reach the API server ({shown}), so the policies have no effect")
    return f"no effect: the pod can reach the API server ({shown}); keep isolated = refuse"


def _registry(inputs: Path) -> str:
    """Read a staging repository with the pod's credentials; it need not exist."""
    config = read_builder_config(inputs / SITE_FILE)
    access = config.access.without_retries(REGISTRY_TIMEOUT)
    Registry(access).tags(ImageReference(config.candidate, f"{STAGING}/check"))
    return config.candidate


def _build(state: Path) -> str:
    """Build the small image in a worker; its layer must be a known one."""
    workspaces = Workspaces(state)
    isolation = choose(workspaces)
    with workspaces.open("check") as workspace:
        engine = Buildah(workspaces, workspace, isolation=isolation, access=Access())
        context = workspace.new("context")
        program, arguments = static_program()
        name = Path(program).name  # busybox selects applets by name
        (context / "tools").mkdir()
        shutil.copy(program, context / "tools" / name)
        (context / "tools" / "marker").write_text("marker\n")
        dockerfile = workspace.directory / "Dockerfile"
        command = ", ".join(f'"{word}"' for word in (f"/{name}", *arguments))
        dockerfile.write_text(_DOCKERFILE.format(command=command))
        dockerfile.chmod(0o644)
        image = engine.build(
            ImageBuild(
                context=context,
                dockerfile=dockerfile,
                labels={},
                mounts=[],
                timestamp=TIMESTAMP,
                platform=platform_of(platform.machine()),
                timeout=BUILD_TIMEOUT,
            ),
            line=lambda _: None,
            tick=lambda: None,
        )
        with engine.exporting(image, ["v2s2"]):
            layer = str(engine.configuration(image)["rootfs"]["diff_ids"][-1])
    if layer not in KNOWN_LAYERS:
        known = " or ".join(KNOWN_LAYERS)
        raise FedpkgContainerError(f"layers differ from those of other builders: {layer}, not {known}")
    return f"{isolation}, layers as on other builders"


def main(state: Path, inputs: Path, message: Path, *, policed: bool = False) -> int:
    """Print the results as JSON; return the exit status.

    :param state: directory for builds
    :param inputs: directory of the input files
    :param message: file for the termination message
    :param policed: whether the site states that NetworkPolicies restrict the pod
    """
    results = check(state, inputs, policed=policed)
    os.write(1, json.dumps(results).encode() + b"\n")
    message.write_bytes(TerminationMessage(0, CHECKED).encode())
    return int(any(text.startswith("failed") for text in results.values()))
