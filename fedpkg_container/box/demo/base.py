# SPDX-License-Identifier: GPL-2.0-or-later
"""A small base image that Fedora's tools support: a shell, rpm, and optionally dnf, installed from RPMs."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import rpms
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.box.demo.site import DEST_TAG
from fedpkg_container.box.layout import CONTENT_GENERATOR
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.hub.session import log_out
from fedpkg_container.image.base.base_import import BaseImport, import_context
from fedpkg_container.image.base.identity import identify
from fedpkg_container.image.base.source import open_base_source
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run

COMPONENT = "demo-base-container"
IMAGE = "demo-base"
#: Defaults of dnf 5.
_DNF5_DATA = Path("/usr/share/dnf5")
_DATABASE = "/usr/lib/sysimage/rpm"
#: busybox commands that the image has under their own names.
_APPLETS = frozenset(
    "cat cp cut date echo env find grep gzip head hostname httpd id ln ls mkdir mktemp mv ps readlink rm rmdir sed"
    " sleep sort stat tail tar touch tr true uname vi wc wget xargs".split()
)
_OS_RELEASE = """\
NAME="Demonstration Linux"
PRETTY_NAME="Demonstration Linux 1"
ID=demo
VERSION_ID=1
PLATFORM_ID="platform:demo1"
"""


def packages(*, dnf: bool) -> list[Package]:
    """RPMs of the base image.

    :param dnf: include dnf, and for dnf 4 its Python
    """
    shell = {rpms.program("dash"), rpms.program("busybox")}
    rpm = {rpms.program("rpm"), rpms.program("rpmkeys")}
    python: set[Path] = set()
    tools: set[Path] = set()
    if dnf and rpms.is_dnf5():
        tools = {rpms.program("dnf"), *rpms.below(_DNF5_DATA)}
    elif dnf:
        python = {rpms.system_python(), *rpms.python_files()}
        tools = {rpms.program("dnf"), *rpms.modules("dnf", "hawkey", "libdnf", "libcomps", "rpm", "gpg")}
    linked = [
        path
        for path in shell | rpm | python | tools
        if path.suffix == ".so" or ".so." in path.name or path.parent.name == "bin"
    ]
    libraries = rpms.libraries(linked) - python - tools
    macros = rpms.below(_rpm_data())
    chosen = [
        Package("demo-filesystem", "The directories of a system", contents=_system_files(), links=_system_links()),
        Package("demo-libraries", "Shared libraries", copies=frozenset(libraries)),
        Package("demo-shell", "A shell and the usual commands", copies=frozenset(shell), links=_shell_links()),
        Package("demo-rpm", "The RPM package manager", copies=frozenset(rpm | macros),
                contents={"/etc/rpm/macros.demo": f"%_dbpath {_DATABASE}\n"}),
    ]  # fmt: skip
    if python:
        chosen.append(Package("demo-python", "The Python interpreter", copies=frozenset(python)))
    if dnf:
        chosen.append(Package("demo-dnf", "The package manager dnf", copies=frozenset(tools), contents=_dnf_files()))
    return chosen


def _rpm_data() -> Path:
    return Path(run(["rpm", "--eval", "%{_rpmconfigdir}"], timeout=60).text.strip())


def _system_files() -> dict[str, str]:
    directories = (
        "/tmp/",
        "/var/tmp/",
        "/var/log/",
        "/var/cache/",
        "/run/",
        "/proc/",
        "/sys/",
        "/dev/",
        "/root/",
        "/etc/yum.repos.d/",
    )
    return {
        "/etc/os-release": _OS_RELEASE,
        "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        "/etc/group": "root:x:0:\nnobody:x:65534:\n",
        **dict.fromkeys(directories, ""),
    }


def _system_links() -> dict[str, str]:
    names = ["bin", "sbin", "lib", *(["lib64"] if Path("/lib64").exists() else [])]
    return {f"/{name}": f"usr/{name}" for name in names} | {"/var/run": "../run"}


def _shell_links() -> dict[str, str]:
    busybox = rpms.program("busybox")
    return {"/usr/bin/sh": "dash", **{f"/usr/bin/{name}": str(busybox) for name in sorted(_APPLETS)}}


def _dnf_files() -> dict[str, str]:
    return {"/etc/dnf/dnf.conf": "[main]\ngpgcheck=0\ninstall_weak_deps=0\nplugins=0\n", "/etc/dnf/vars/": ""}


def install(rpms: list[Path], root: Path) -> None:
    """Install RPMs into a directory, running no scripts."""
    options = ["--root", str(root), "--dbpath", _DATABASE, "--nodeps", "--noscripts", "--nosignature"]
    (root / _DATABASE.lstrip("/")).mkdir(parents=True)
    run(["rpm", *options, "--install", *rpms], timeout=600)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)


def publish(box: Box, rpms: list[Path], *, version: str = "1", release: str = "1", archive: Path | None = None) -> str:
    """Build the base image of these RPMs, add it to Koji and the registry; return its pull spec by tag.

    :param archive: the image, if it was built before with ``make_archive``
    """
    account = read_builder_config(box.layout.builder(box.layout.builders[0]) / "builder_containerbuild.conf")
    nvr = NVR(COMPONENT, version, release)
    session = box.session(CONTENT_GENERATOR)
    with import_context(account.state, account.access) as shop:
        archive = archive or make_archive(shop.engine, rpms, nvr)
        source = open_base_source(str(archive), shop.engine.workspace, lambda _: account.access)
        importer = BaseImport(
            session=session,
            generator=account.content_generator.name,
            candidate=account.candidate,
            engine=shop.engine,
            log=shop.log,
            koji_tag=DEST_TAG,
        )
        importer.run(source, identify(source, "", ""))
    log_out(session)
    return str(ImageReference(account.candidate, IMAGE, tag=version))


def make_archive(engine: Buildah, rpms: list[Path], nvr: NVR) -> Path:
    """Build a base image of RPMs; return its archive, in the engine's directory."""
    context = engine.directory / "context"
    install(rpms, _rootfs(context))
    labels = {"com.redhat.component": nvr.name, "name": IMAGE, "version": nvr.version, "release": nvr.release,
              "maintainer": "the box", "summary": "A base image made of this machine's programs",
              "usage": f"FROM {IMAGE}"}  # fmt: skip
    dockerfile = engine.directory / "Dockerfile"
    dockerfile.write_text('FROM scratch\nCOPY rootfs /\nCMD ["/bin/sh"]\n')
    request = ImageBuild(
        context=context,
        dockerfile=dockerfile,
        labels=labels,
        mounts=[],
        timestamp=int(time.time()),
        platform=platform_of(MACHINE),
        timeout=1800,
    )
    image = engine.build(request, line=lambda _: None, tick=lambda: None)
    archive = engine.directory / f"{IMAGE}.tar.gz"
    with engine.exporting(image, [], archive=ImageReference("", IMAGE, tag=nvr.version)) as exporting:
        exporting.save(archive)
    return archive


def _rootfs(context: Path) -> Path:
    root = context / "rootfs"
    root.mkdir(parents=True)
    return root


def host_system() -> str:
    """Source of the base image, for display."""
    read: Callable[[], dict[str, str]] = getattr(platform, "freedesktop_os_release", dict)  # new in Python 3.10
    return read().get("PRETTY_NAME", "this machine")
