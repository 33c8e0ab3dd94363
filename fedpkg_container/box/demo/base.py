"""A small base image that Fedora's tools understand: a shell, rpm, and where wanted dnf, installed from RPMs."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import time
import uuid
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import hostfiles
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.box.layout import CONTENT_GENERATOR
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.image import publishing
from fedpkg_container.image.arch_build import ArchBuild
from fedpkg_container.image.archive import described_file
from fedpkg_container.image.koji_files import KojiFiles
from fedpkg_container.image.log import BuildLog
from fedpkg_container.image.metadata import Provenance, metadata
from fedpkg_container.image.naming import Tags
from fedpkg_container.image.site import Site, read_site
from fedpkg_container.model.build import NVR, BuildSpec
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.registry import Registry

COMPONENT = "demo-base-container"
IMAGE = "demo-base"
_DATABASE = "/usr/lib/sysimage/rpm"
#: Commands of busybox that the image has under their own names.
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
    """The RPMs of the base image.

    :param dnf: with dnf and the Python that it runs on
    """
    shell = {hostfiles.program("dash"), hostfiles.program("busybox")}
    rpm = {hostfiles.program("rpm"), hostfiles.program("rpmkeys")}
    python: set[Path] = set()
    tools: set[Path] = set()
    if dnf:
        python = {hostfiles.system_python(), *hostfiles.python_files()}
        tools = {hostfiles.program("dnf"), *hostfiles.modules("dnf", "hawkey", "libdnf", "libcomps", "rpm", "gpg")}
    linked = [
        path
        for path in shell | rpm | python | tools
        if path.suffix == ".so" or ".so." in path.name or path.parent.name == "bin"
    ]
    libraries = hostfiles.libraries(linked) - python - tools
    macros = {path for path in _rpm_data().rglob("*") if path.is_file()}
    made = [
        Package("demo-filesystem", "The folders of a system", contents=_system_files(), links=_system_links()),
        Package("demo-libraries", "Shared libraries", copies=frozenset(libraries)),
        Package("demo-shell", "A shell and the usual commands", copies=frozenset(shell), links=_shell_links()),
        Package("demo-rpm", "The RPM package manager", copies=frozenset(rpm | macros),
                contents={"/etc/rpm/macros.demo": f"%_dbpath {_DATABASE}\n"}),
    ]  # fmt: skip
    if dnf:
        made += [
            Package("demo-python", "The Python interpreter", copies=frozenset(python)),
            Package("demo-dnf", "The package manager dnf", copies=frozenset(tools), contents=_dnf_files()),
        ]
    return made


def _rpm_data() -> Path:
    return Path(run(["rpm", "--eval", "%{_rpmconfigdir}"], timeout=60).text.strip())


def _system_files() -> dict[str, str]:
    folders = (
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
        **dict.fromkeys(folders, ""),
    }


def _system_links() -> dict[str, str]:
    names = ["bin", "sbin", "lib", *(["lib64"] if Path("/lib64").exists() else [])]
    return {f"/{name}": f"usr/{name}" for name in names} | {"/var/run": "../run"}


def _shell_links() -> dict[str, str]:
    busybox = hostfiles.program("busybox")
    return {"/usr/bin/sh": "dash", **{f"/usr/bin/{name}": str(busybox) for name in sorted(_APPLETS)}}


def _dnf_files() -> dict[str, str]:
    return {"/etc/dnf/dnf.conf": "[main]\ngpgcheck=0\ninstall_weak_deps=0\nplugins=0\n", "/etc/dnf/vars/": ""}


def install(rpms: list[Path], root: Path) -> None:
    """Install RPMs into a folder; nothing of them is run."""
    options = ["--root", str(root), "--dbpath", _DATABASE, "--nodeps", "--noscripts", "--nosignature"]
    if Path("/etc/debian_version").exists():
        options.append("--force-debian")
    (root / _DATABASE.lstrip("/")).mkdir(parents=True)
    run(["rpm", *options, "--install", *rpms], timeout=600)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)


def publish(box: Box, rpms: list[Path], *, version: str = "1", release: str = "1") -> str:
    """Make the base image of these RPMs, push it, and record it as a Koji build; its pull spec by tag.

    It goes the way of every build, but for the hub's task.
    """
    checkout = _sources(box)
    site = read_site(box.layout.builder(box.layout.builders[0]) / "builder_containerbuild.conf")
    workspaces = Workspaces(site.state)
    install(rpms, _rootfs(checkout))
    commit = run(["git", "-C", checkout, "rev-parse", "HEAD"], timeout=60).text.strip()
    source = f"git+http://127.0.0.1:{box.layout.ports.distgit_anonymous}/container/{IMAGE}#{commit}"
    nvr = NVR(COMPONENT, version, release)
    with workspaces.open("base") as folder, BuildLog(folder / "container-build.log") as log:
        engine = Buildah(workspaces, folder, isolation=choose(site.state), access=site.access)
        _record(box, site, engine, log, nvr, source, checkout)
    shutil.rmtree(checkout.parent)
    return str(ImageReference(site.candidate, IMAGE, tag=version))


def _rootfs(checkout: Path) -> Path:
    root = checkout / "rootfs"
    root.mkdir()
    return root


def _sources(box: Box) -> Path:
    """The base image's dist-git repository, checked out."""
    bare = box.create_repository(f"container/{IMAGE}")
    checkout = Path(tempfile.mkdtemp(prefix="demo-base-", dir=box.layout.folder)) / IMAGE
    git = ["git", "-c", "user.name=box", "-c", "user.email=box@localhost", "-C", str(checkout)]
    run(["git", "clone", "--quiet", bare, checkout], timeout=60)
    labels = {"com.redhat.component": COMPONENT, "name": IMAGE, "version": "1", "maintainer": "the box",
              "summary": "A base image made of this machine's programs", "usage": f"FROM {IMAGE}"}  # fmt: skip
    lines = [
        "FROM scratch",
        "COPY rootfs /",
        *(f'LABEL {key}="{value}"' for key, value in labels.items()),
        'CMD ["/bin/sh"]',
        "",
    ]
    (checkout / "Dockerfile").write_text("\n".join(lines))
    run([*git, "add", "Dockerfile"], timeout=60)
    if run([*git, "status", "--porcelain"], timeout=60).stdout:
        run([*git, "commit", "--quiet", "--message", "A base image made of this machine's programs"], timeout=60)
        run([*git, "push", "--quiet", "origin", "HEAD:rawhide"], timeout=60)
    return checkout


def _record(box: Box, site: Site, engine: Buildah, log: BuildLog, nvr: NVR, source: str, checkout: Path) -> None:
    session = box.session(CONTENT_GENERATOR)
    upload = f"container-build/base-{uuid.uuid4().hex}"
    started = time.time()
    repository = ImageReference(site.candidate, IMAGE)
    spec = BuildSpec(
        task_id=0,
        arch=MACHINE,
        source=source,
        component=nvr.name,
        version=nvr.version,
        release=nvr.release,
        image=IMAGE,
        scratch=False,
        parents={},
        labels={"release": nvr.release, "version": nvr.version},
        repository="",
        staging=f"staging/base-{nvr.version}-{nvr.release}",
        upload=upload,
        timeout=1800,
    )

    def send(path: Path, folder: str) -> None:
        session.uploadWrapper(str(path), f"{upload}/{folder}")

    built = ArchBuild(spec, site, engine, checkout, KojiFiles(box.layout.topdir), engine.folder, log, send).run()
    tags = Tags(f"base-{int(started)}", f"{nvr.version}-{nvr.release}", (nvr.version, "latest"))
    published = publishing.publish(repository, [built], tags, site.formats, engine, log)
    provenance = Provenance(
        nvr=nvr,
        source=source,
        task_id=0,
        owner=CONTENT_GENERATOR,
        generator=site.generator.name,
        started=started,
        ended=time.time(),
        parents=[],
        base="",
        isolated=False,
        repository_urls=[],
        help_file="",
    )
    session.uploadWrapper(str(log.path), upload)
    described = metadata(provenance, published, [built], [described_file(log.path, "log", relpath="")], None)
    del described["build"]["extra"]["container_koji_task_id"]
    path = engine.folder / "metadata.json"
    path.write_text(json.dumps(described))
    session.uploadWrapper(str(path), upload)
    session.CGImport("metadata.json", upload)
    session.logout()
    Registry(site.access).set_tags(repository.at(published.digest), (tags.primary, *tags.floating))


def host_system() -> str:
    """What the base image was made of, for people."""
    return f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'this machine')}"
