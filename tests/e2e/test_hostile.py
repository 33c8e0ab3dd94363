# SPDX-License-Identifier: GPL-2.0-or-later
"""Dockerfiles that attack the builder, handed to the engine as they are: no check of ours has refused them.

docs/reference/security.md lists the guard against each attack, and what happened without it.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.text import MAX_LINE_BYTES
from tests.support.attack import SECRET, SHELL, Outcome, Victim
from tests.support.waiting import PATIENCE

#: A name that a process of the builder listens on, in the abstract name space of sockets.
SOCKET = "fedpkg-container-test"
_CAP_NET_RAW, _CAP_SYS_ADMIN, _CAP_MKNOD, _CAP_NET_ADMIN = 13, 21, 27, 12

# Errors are not printed: buildah copies them beside what is printed, so that the lines of both can mix.
LOOK = r"""RUN exec 2>/dev/null; echo "variables: $(env | tr '\n' ' ')"; \
    echo "processes: $(ps -o comm | tr '\n' ' ')"; \
    echo "killed: $(kill -9 VICTIM 2>&1 && echo yes)"; \
    echo "capabilities: $(grep CapBnd /proc/self/status | cut -f 2)"; \
    echo "mount: $(mkdir -p /m && mount -t tmpfs tmpfs /m 2>&1 && echo yes)"; \
    echo "bind: $(mount -o bind /proc/1/root /m 2>&1 && echo yes)"; \
    echo "device: $(mknod /disk b 8 0 2>&1 && echo yes)"; \
    echo "devices: $(find /dev -type b | tr '\n' ' ')"; \
    echo "roots: $(cat /proc/*/rootSECRET 2>/dev/null | tr '\n' ' ')"; \
    echo "files: $(cat SECRET /../../../..SECRET 2>/dev/null)"; \
    echo "kernel: $(cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern && echo yes)"; \
    echo "sysrq: $(echo h > /proc/sysrq-trigger && echo yes)"; \
    echo "groups: $(find /sys/fs/cgroup -name cgroup.procs | wc -l)"; \
    echo "group: $(mkdir /sys/fs/cgroup/evil && echo yes)"; \
    echo "modules: $(echo 1 > /sys/module/printk/parameters/time && echo yes)"; \
    echo "sockets: $(cat /proc/net/unix | tr '\n' ' ')"; \
    echo "names: $(cat /etc/hosts /etc/resolv.conf | tr '\n' ' ')"
"""


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """A builder whose isolation is the one that was found to work."""
    directory = tmp_path_factory.mktemp("hostile")
    return Victim.make(directory, choose(Workspaces(directory / "state")))


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the builder."""
    process = subprocess.Popen(["sleep", "infinity"])
    yield process
    process.terminate()
    process.wait(timeout=PATIENCE)


@pytest.fixture(scope="module")
def seen(victim: Victim, process: subprocess.Popen[bytes]) -> dict[str, str]:
    """What RUN saw and could do."""
    script = LOOK.replace("VICTIM", str(process.pid)).replace("SECRET", str(victim.secret))
    with pytest.MonkeyPatch.context() as patch, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{SOCKET}")
        assert SOCKET in Path("/proc/net/unix").read_text()
        for name in ("http_proxy", "HTTPS_PROXY", "REGISTRY_AUTH_FILE", "KOJI_PASSWORD"):
            patch.setenv(name, f"http://user:{SECRET}@proxy.invalid")
        done = victim.build(SHELL + script)
    assert done.error == ""
    return done.values()


def test_run_has_nothing_of_the_builders_environment(seen: dict[str, str]) -> None:
    assert "PATH=/bin" in seen["variables"]
    assert SECRET not in seen["variables"]


def test_run_sees_no_process_of_the_builder(seen: dict[str, str]) -> None:
    names = seen["processes"].split()
    assert "ps" in names
    assert "sleep" not in names
    assert len(names) < 12


def test_run_kills_no_process_of_the_builder(seen: dict[str, str], process: subprocess.Popen[bytes]) -> None:
    assert "yes" not in seen["killed"]
    assert process.poll() is None


@pytest.mark.parametrize("capability", [_CAP_NET_RAW, _CAP_SYS_ADMIN, _CAP_MKNOD, _CAP_NET_ADMIN])
def test_run_lacks_capabilities(seen: dict[str, str], capability: int) -> None:
    assert not int(seen["capabilities"], 16) & 1 << capability


@pytest.mark.parametrize("attempt", ["mount", "bind", "device", "kernel", "sysrq", "group", "modules"])
def test_run_cannot(seen: dict[str, str], attempt: str) -> None:
    assert "yes" not in seen[attempt]


@pytest.mark.parametrize("door", ["roots", "files"])
def test_run_reads_no_file_of_the_builder(seen: dict[str, str], door: str) -> None:
    assert seen[door].strip() == ""


def test_run_sees_no_disk(seen: dict[str, str]) -> None:
    assert seen["devices"].strip() == ""


def test_run_sees_no_control_groups(seen: dict[str, str]) -> None:
    assert seen["groups"] == "0"


def test_run_sees_no_socket_of_the_builder(seen: dict[str, str]) -> None:
    assert seen["sockets"].startswith("Num")
    assert SOCKET not in seen["sockets"]


_SUBSCRIBED = """
import sys
from pathlib import Path
from fedpkg_container.engines.isolation import Isolation
from tests.support.attack import SHELL, Victim
directory, runtime = sys.argv[1:]
steps = "RUN echo found: $(cat /run/secrets/key) end"
print(Victim(Path(directory), Isolation(runtime)).build(SHELL + steps).all)
"""


def test_run_is_given_no_subscriptions_of_the_builder(victim: Victim) -> None:
    settings, keys = victim.directory / "containers", victim.directory / "keys"
    shutil.copytree("/etc/containers", settings)
    keys.mkdir()
    (keys / "key").write_text(f"{SECRET}\n")
    (settings / "mounts.conf").write_text(f"{keys}:/run/secrets\n")  # as RHEL has it for its own keys
    build = [sys.executable, "-c", _SUBSCRIBED, str(victim.directory), victim.isolation.runtime]
    there = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/containers && exec "$@"', str(settings)]
    done = subprocess.run([*there, *build], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "found: end" in done.stdout
    assert SECRET not in done.stdout


def test_run_knows_no_names_of_the_builders_network(seen: dict[str, str]) -> None:
    builders = Path("/etc/resolv.conf").read_text().split()
    assert "127.0.0.1" in seen["names"]
    assert not {each for each in builders if each[0].isdigit()} & set(seen["names"].split())


# What buildah does in its own name.


@pytest.fixture(scope="module")
def archive(victim: Victim) -> Path:
    """An image of another build on the builder: in an archive, and in a directory."""
    context = victim.context()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (context / "secret").write_text(f"{SECRET}\n")
    target = victim.directory / "other"
    target.mkdir()
    store = ["--root", f"{target}/graph", "--runroot", f"{target}/run"]
    for command in (
        ["build", "--quiet", "--tag", "localhost/private:1", context],
        ["push", "--quiet", "localhost/private:1", f"docker-archive:{target}/image.tar"],
        ["push", "--quiet", "localhost/private:1", f"oci:{target}/oci"],
        ["push", "--quiet", "localhost/private:1", f"dir:{target}/dir"],
    ):
        subprocess.run(["buildah", *store, *command], check=True, capture_output=True, timeout=PATIENCE)
    return target


SHOW = '\nRUN ["/bin/cat", "/secret"]\n'
ABOVE = "../" * 20
DOORS: dict[str, str] = {
    "FROM docker-archive": "FROM docker-archive:ARCHIVE/image.tar" + SHOW,
    "FROM oci": "FROM oci:ARCHIVE/oci" + SHOW,
    "FROM dir": "FROM dir:ARCHIVE/dir" + SHOW,
    "FROM another store": "FROM containers-storage:[overlay@ARCHIVE/graph+ARCHIVE/run]localhost/private:1" + SHOW,
    "COPY --from archive": f"{SHELL}COPY --from=docker-archive:ARCHIVE/image.tar /secret /\nRUN cat /secret\n",
    "COPY --from path": f"{SHELL}COPY --from=DIRECTORY /secret /\nRUN cat /secret\n",
    "COPY above": f"{SHELL}COPY ../secret /\nRUN cat /secret\n",
    "COPY absolute": f"{SHELL}COPY DIRECTORY/secret /\nRUN cat /secret\n",
    "COPY link": f"{SHELL}COPY link /\nRUN cat /link\n",
    "COPY through a link": f"{SHELL}COPY directory/secret /\nRUN cat /secret\n",
    "ADD file address": f"{SHELL}ADD file://DIRECTORY/secret /\nRUN cat /secret\n",
    "RUN bind from archive": f"{SHELL}RUN --mount=type=bind,from=docker-archive:ARCHIVE/image.tar,target=/m "
    "cat /m/secret\n",
    "RUN bind above": f"{SHELL}RUN --mount=type=bind,source=..,target=/m cat /m/secret\n",
    "RUN bind link": f"{SHELL}RUN --mount=type=bind,source=directory,target=/m cat /m/secret\n",
    "RUN bind link of a stage": f"{SHELL}RUN ln -s / /root\n{SHELL}"
    "RUN --mount=type=bind,from=0,source=/root,target=/m,rw cat /mDIRECTORY/secret\n",
    "RUN cache above": f"{SHELL}RUN --mount=type=cache,id={'../' * 20}DIRECTORY,target=/m cat /m/secret\n",
    "RUN cache link of a stage": f"{SHELL}RUN ln -s / /root\n{SHELL}"
    "RUN --mount=type=cache,from=0,source=/root,target=/m cat /mDIRECTORY/secret\n",
    "RUN secret": f"{SHELL}RUN --mount=type=secret,id=DIRECTORY/secret,target=/m cat /m\n",
    "ignore file": f"{SHELL}COPY . /all\nRUN cat /all/.dockerignore\n",
}


@pytest.mark.parametrize("door", DOORS)
def test_buildah_opens_no_file_of_the_builder(victim: Victim, archive: Path, door: str) -> None:
    context = victim.context()
    (context / "link").symlink_to(victim.secret)
    (context / ".dockerignore").symlink_to(victim.secret)
    (context / "directory").symlink_to(victim.directory)
    text = DOORS[door].replace("ARCHIVE", str(archive)).replace("DIRECTORY", str(victim.directory))
    assert SECRET not in victim.build(text, context=context).all


def _entry(name: str, **settings: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for key, value in settings.items():
        setattr(entry, key, value)
    return entry


ENTRIES: dict[str, Callable[[Path], list[tarfile.TarInfo]]] = {
    "above": lambda directory: [_entry("../" * 12 + f"{directory}/escaped".lstrip("/"))],
    "absolute": lambda directory: [_entry(f"{directory}/escaped")],
    "through a link": lambda directory: [
        _entry("out", type=tarfile.SYMTYPE, linkname=str(directory)),
        _entry("out/escaped"),
    ],
    "hard link": lambda directory: [
        _entry("escaped", type=tarfile.LNKTYPE, linkname="../" * 12 + f"{directory}/secret"[1:])
    ],
    "device": lambda _: [_entry("escaped", type=tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666)],
}


READ = "RUN cat /in/here/escaped; test -b /in/here/escaped && head -c 1 /in/here/escaped && echo disk: read"


@pytest.mark.parametrize("kind", ENTRIES)
def test_archives_stay_where_they_are_unpacked(victim: Victim, kind: str) -> None:
    context = victim.context()
    with tarfile.open(context / "evil.tar", "w") as made:
        for entry in ENTRIES[kind](victim.directory):
            made.addfile(entry, io.BytesIO(b""))
    done = victim.build(f"{SHELL}ADD evil.tar /in/here/\n{READ}\n", context=context)
    assert SECRET not in done.all
    assert "disk" not in done.values()
    assert not (victim.directory / "escaped").exists()


def test_a_cache_is_that_of_one_build(victim: Victim) -> None:
    poison = "RUN --mount=type=cache,target=/c "
    first = victim.build(f"{SHELL}{poison}echo poisoned > /c/library\n{poison}echo own: $(cat /c/library)\n")
    assert first.values()["own"] == "poisoned"
    second = victim.build(f"{SHELL}{poison}echo found: $(ls /c) nothing else\n")
    assert second.values()["found"] == "nothing else"


def test_what_looks_like_options_is_none(victim: Victim) -> None:
    context = victim.context()
    for name in ("--help", "-rf", "a\nRUN b", "$(id)"):
        (context / name).write_text("plain\n")
    labels = {"--tls-verify": "false", "a": "b\nRUN echo injected: yes", "c": "--privileged", "d": "x" * 100_000}
    text = f'{SHELL}COPY ["--help", "-rf", "/files/"]\nCOPY . /all/\nRUN ls /files /all\nLABEL own="--x"\n'
    done = victim.build(text, context=context, labels=labels)
    assert done.error == ""
    # From 1.39 on buildah keeps the newline of a label given by --label as a backslash and an n.
    kept = {name: done.labels[name].replace("\\n", "\n") for name in labels}
    assert kept == labels
    assert done.labels["own"] == "--x"
    assert "injected" not in done.values()


def test_arguments_do_not_steer_buildah(victim: Victim) -> None:
    # Before FROM only ARG may stand.
    arguments = "ARG BUILDAH_ISOLATION=chroot\nARG HTTP_PROXY=http://x\nARG BUILDAH_RUNTIME=/bin/false\n"
    variables = "ENV BUILDAH_RUNTIME=/bin/false TMPDIR=/nowhere\n"
    done = victim.build(f"{arguments}{SHELL}{arguments}{variables}RUN echo id: $(id -u)\n")
    assert done.error == ""
    assert done.values()["id"] == "0"


def test_lines_without_end_are_cut(victim: Victim) -> None:
    done = victim.build(f"{SHELL}RUN head -c 3000000 /dev/zero | tr '\\0' x\n")
    assert done.error == ""
    longest = max(len(line) for line in done.log.splitlines())
    assert MAX_LINE_BYTES - 4 <= longest <= MAX_LINE_BYTES
    assert done.log.count("x") >= 3_000_000


def test_the_builder_is_as_it_was(victim: Victim, process: subprocess.Popen[bytes]) -> None:
    assert victim.secret.read_text() == f"{SECRET}\n"
    assert process.poll() is None
    assert list(victim.workspaces.builds.iterdir()) == []
    assert os.listdir("/sys/fs/cgroup") == [each for each in os.listdir("/sys/fs/cgroup") if "attack" not in each]


def test_outcomes_are_read_as_they_are_meant() -> None:
    assert Outcome("a: b\na: c\nd", "").values() == {"a": "b\nc"}
