# SPDX-License-Identifier: GPL-2.0-or-later
"""Dockerfiles and images that reach the worker's root, or all that a builder has, and get no further."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fedpkg_container.engines import exported, hook
from fedpkg_container.engines.base_image import BaseImage
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.engines.isolation import Isolation, choose
from fedpkg_container.engines.workspace import WorkerLimits, Workspaces
from fedpkg_container.errors import BuildFailedError, ProgramError, ProgramTimeoutError
from fedpkg_container.image.building.limits import DiskMonitor
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import Limits
from fedpkg_container.image.resolve.checks import check_onbuild
from fedpkg_container.image.resolve.repositories import RepositoryMounts
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import is_running
from fedpkg_container.registry.skopeo import Access
from tests.security import images
from tests.support.attack import SECRET, SHELL, Victim

PROCESSES = 200
MEMORY = 300_000_000
NAME = ImageReference("registry.example.org", "tests/base", tag="1")


@dataclass(frozen=True)
class LimitedVictim(Victim):
    """A builder with limits for its workers."""

    @property
    def workspaces(self) -> Workspaces:
        return Workspaces(self.directory / "state", limits=WorkerLimits(memory=MEMORY, processes=PROCESSES))


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """A builder with the detected isolation."""
    directory = tmp_path_factory.mktemp("victim")
    directory.chmod(0o755)
    made = LimitedVictim.make(directory, choose(Workspaces(directory / "state")))
    made.secret.chmod(0o644)
    return made


@contextmanager
def _engine(victim: Victim) -> Iterator[Buildah]:
    with victim.workspaces.open("taken") as workspace:
        yield Buildah(victim.workspaces, workspace, isolation=victim.isolation, access=Access())


def _build(
    engine: Buildah,
    dockerfile: str,
    context: Path,
    *,
    tick: Callable[[], None] = lambda: None,
    timeout: float = 120,
) -> tuple[str, list[str]]:
    """Pass an unmodified Dockerfile to the engine; return the image ID and the printed lines."""
    lines: list[str] = []
    path = engine.directory / "Dockerfile"
    path.write_text(dockerfile)
    request = ImageBuild(
        context=context, dockerfile=path, labels={}, mounts=(), timestamp=0,
        platform=platform_of(os.uname().machine), timeout=timeout,
    )  # fmt: skip
    image = engine.build(request, line=lambda line: lines.append(line.decode(errors="replace")), tick=tick)
    return image, lines


# A mount of the worker's root: buildah before 1.35 follows links there (CVE-2024-1753, CVE-2024-9675, CVE-2024-9407).

LINK = f"{SHELL}RUN ln -s / /l\n{SHELL}"
UP = "../" * 20
FORMS = {
    "a link of a stage": (LINK, "type=bind,from=0,source=/l,target=/m"),
    "a link of a stage, writable": (LINK, "type=bind,from=0,source=/l,target=/m,rw"),
    "a link below a link of a stage": (LINK, "type=bind,from=0,source=/l/proc/self/root,target=/m,rw"),
    "a link of the checkout": (SHELL, "type=bind,source=link,target=/m"),
    "a link of the checkout, writable": (SHELL, "type=bind,source=link,target=/m,rw"),
    "a cache from a stage": (LINK, "type=cache,from=0,source=/l,target=/m"),
    "a cache above its directory": (SHELL, f"type=cache,id={UP},target=/m"),
    "a bind above the checkout": (SHELL, f"type=bind,source={UP},target=/m,rw"),
}
#: Forms by which buildah 1.28 mounts the worker's root.
MOUNTED = ("a link of a stage, writable", "a link of the checkout, writable", "a cache from a stage")
#: Uses of such a mount. Each line that starts with ``got`` shows something of the builder's.
USE = """
ls /m/run/fedpkg-container 2>/dev/null && echo "root: mounted"
for each in SECRET OTHER /proc/1/root/SECRET; do cat /m$each 2>/dev/null | sed 's/^/got: /'; done
for each in /run/fedpkg-container/inside/enter.py /usr/bin/python3 DIRECTORY/storage.conf DIRECTORY/Dockerfile \\
    DIRECTORY/hooks/after-run.json DIRECTORY/lock /proc/sys/kernel/core_pattern /proc/sysrq-trigger /etc/passwd; do
    test -e /m$each && (cat /m$each > /tmp/copy; cat /tmp/copy >> /m$each) 2>/dev/null && echo "got: wrote $each"
done
for each in /usr/bin /usr/lib /run/fedpkg-container /run/fedpkg-container/inside /sys/fs/cgroup \\
    DIRECTORY DIRECTORY/hooks DIRECTORY/..; do
    test -d /m$each && (echo evil > /m$each/evil) 2>/dev/null && echo "got: made $each/evil"
    test -d /m$each && mkdir /m$each/evil 2>/dev/null && echo "got: made $each/evil"
done
for each in /m/sys/fs/cgroup /m/sys/fs/cgroup/pids /m/sys/fs/cgroup/memory; do
    (echo $$ > $each/cgroup.procs) 2>/dev/null && echo "got: left the control group"
done
for each in /m/proc/[0-9]*; do cat $each/environ 2>/dev/null | grep -q KOJI_PASSWORD && echo "got: $each/environ"; done
true
"""


def _state(victim: Victim) -> dict[str, str]:
    """The invariant state."""
    import fedpkg_container.engines.inside

    programs = sorted(Path(fedpkg_container.engines.inside.__file__).parent.glob("*.py"))
    files = [victim.secret, Path("/usr/bin/python3"), Path("/proc/sys/kernel/core_pattern"), *programs]
    names = {str(directory): sorted(os.listdir(directory)) for directory in (Path("/usr/bin"), programs[0].parent)}
    return {
        **{str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        **{directory: " ".join(name for name in listed if "evil" in name) for directory, listed in names.items()},
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_mount_of_the_workers_root_gets_nothing_of_the_builder(
    victim: Victim, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOJI_PASSWORD", SECRET)
    before = _state(victim)
    with victim.workspaces.open("other") as other, _engine(victim) as engine:
        secret = other.work / "result"
        secret.write_text(f"{SECRET}\n")
        stages, mount = FORMS[form]
        script = USE.replace("SECRET", str(victim.secret)).replace("OTHER", str(secret))
        context = victim.context()
        (context / "link").symlink_to("/")
        (context / "use").write_text(script.replace("DIRECTORY", str(engine.directory)))
        text = stages + f"COPY use /use\nRUN --mount={mount} mkdir -p /tmp; sh /use\n"
        try:
            _, lines = _build(engine, text, context)
        except ProgramError as error:  # newer versions of buildah reject some of them
            lines = error.output.splitlines()
        if form in MOUNTED and engine.version() < "1.33":
            assert "root: mounted" in lines  # the attack itself works
        assert [line for line in lines if line.startswith("got: ")] == []
        assert SECRET not in "\n".join(lines)
        assert os.listdir(engine.directory / hook.HOOKS) == ["after-run.json"]
        assert (engine.directory / "Dockerfile").read_text() == text
        assert secret.read_text() == f"{SECRET}\n"
    assert _state(victim) == before


# ONBUILD.


@contextmanager
def _base(victim: Victim, triggers: list[str]) -> Iterator[tuple[Buildah, BaseImage]]:
    """A base image with triggers, as in a registry."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    programs = images.layer({f"bin/{name}": busybox for name in ("busybox", "sh", "cat", "id")})
    settings = {"OnBuild": triggers, "Env": ["PATH=/bin"], "Labels": {"of": "base"}}
    with _engine(victim) as engine:
        content = images.write(engine.directory / "image", [programs], settings=settings)
        yield engine, engine.bases.load(NAME, content)


def test_reading_an_image_executes_nothing_of_it(victim: Victim) -> None:
    marker = victim.directory / "executed"
    triggers = [f"RUN echo executed > {marker}", "RUN rm -rf /bin", "COPY . /context"]
    with _base(victim, triggers) as (engine, base):
        files = engine.files(base.image_id, directories=["bin"], present=["context"])
        assert sorted(path.name for path in (files / "bin").iterdir()) == ["busybox", "cat", "id", "sh"]
        assert not (files / "context").exists()
        assert engine.configuration(base.name)["config"]["Labels"] == {"of": "base"}
        assert base.triggers == triggers
    assert not marker.exists()


def test_what_a_worker_left_in_its_store_is_not_taken_for_a_base_image(victim: Victim) -> None:
    """Findings in a base image are cached for all builds: RUN of others would get no repositories."""
    with _engine(victim) as engine:
        content = images.write(engine.directory / "image", [images.layer({"etc/yum.repos.d/own.repo": b""})])
        base = engine.bases.load(NAME, content)
        graph = engine.workspace.work / "graph"
        for kind, listed in (("images", {"id": base.image_id, "layer": "evil"}), ("layers", {"id": "evil"})):
            (graph / f"overlay-{kind}").mkdir()
            (graph / f"overlay-{kind}" / f"{kind}.json").write_text(json.dumps([listed]))
        (graph / "overlay" / "evil" / "diff").mkdir(parents=True)
        engine.workspace.give(graph)
        with BuildLog(engine.directory / "build.log") as log:
            assert RepositoryMounts(engine, engine.directory, log)._base_properties(base.image_id).repositories
    (remembered,) = (victim.workspaces.shared / "looks").iterdir()
    assert json.loads(remembered.read_text())["repositories"] is True


def test_triggers_are_executed_in_the_sandbox(victim: Victim) -> None:
    look = f"RUN echo user: $(id -u); echo secret: $(cat {victim.secret} 2>/dev/null) end"
    with _base(victim, ["COPY . /app", look]) as (engine, base):
        context = engine.directory / "context"
        context.mkdir()
        (context / "file").write_text("of the checkout\n")
        image, lines = _build(engine, f"FROM {base.name}\nRUN cat /app/file\n", context)
        assert "of the checkout" in lines
        assert "user: 0" in lines
        assert "secret: end" in lines
        assert (engine.files(image, files=["app/file"]) / "app/file").read_text() == "of the checkout\n"


@pytest.mark.parametrize(
    "trigger",
    [
        "RUN --mount=type=bind,from=docker-archive:/x,target=/m true",
        "RUN --mount=type=secret,id=x true",
        "RUN --network=host true",
        "RUN --security=insecure true",
        "COPY --from=registry.example.org/other /x /y",
        "COPY . /app\nRUN --network=host true",
    ],
)
def test_triggers_are_checked_as_the_dockerfile_is(victim: Victim, trigger: str) -> None:
    with (
        _base(victim, [trigger]) as (_, base),
        pytest.raises(BuildFailedError, match="ONBUILD of this image is not allowed"),
    ):
        check_onbuild("registry.example.org/tests/base:1", base.triggers)


def test_plain_triggers_are_allowed(victim: Victim) -> None:
    with _base(victim, ["COPY . /app", "RUN make", "ENV A=b"]) as (_, base):
        check_onbuild("registry.example.org/tests/base:1", base.triggers)


# Access to all that a builder has.


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the builder."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.terminate()
    process.wait(timeout=10)


FORK = f"i=0; while [ $i -lt {2 * PROCESSES} ]; do sleep 1000 & i=$((i+1)); echo $i > /started; done; echo all: $i"


@pytest.mark.root
def test_run_has_no_more_processes_than_allowed(victim: Victim, process: subprocess.Popen[bytes]) -> None:
    with _engine(victim) as engine:
        with pytest.raises(ProgramError) as raised:
            _build(engine, f"{SHELL}RUN {FORK}\n", victim.context())
        assert f"all: {2 * PROCESSES}" not in raised.value.output
        assert subprocess.run(["true"], check=False).returncode == 0
    assert is_running(process.pid)
    assert "end: 1" in victim.build(f"{SHELL}RUN echo end: 1\n").log


@pytest.mark.root
def test_run_has_no_more_memory_than_allowed(victim: Victim, process: subprocess.Popen[bytes]) -> None:
    use = "dd if=/dev/zero of=/dev/null count=1 bs="
    script = f"{use}{MEMORY // 10} && echo less: used && {use}{2 * MEMORY} && echo more: used"
    done = victim.build(f"{SHELL}RUN {script}\n")
    assert done.error != ""
    assert done.values()["less"] == "used"
    assert "more" not in done.values()
    assert is_running(process.pid)


def test_a_build_with_too_many_files_is_ended(victim: Victim) -> None:
    make = "i=0; while [ $i -lt 5000 ]; do : > /many/$i; i=$((i+1)); done; echo made: all; while :; do sleep 1; done"
    with _engine(victim) as engine:
        watch = DiskMonitor(engine.directory, replace(Limits(), build_files=1500, free_space=0, free_files=0))
        with pytest.raises(BuildFailedError, match="the build created more than 1500 files") as raised:
            _build(engine, f"{SHELL}RUN mkdir /many; {make}\n", victim.context(), tick=watch.check, timeout=250)
        assert "build_files" in raised.value.solution
    assert list(victim.workspaces.builds.iterdir()) == []


@contextmanager
def _saved(
    victim: Victim, script: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Buildah, Path, Callable[[], None]]]:
    """Save an archive from a compromised worker.

    :param script: code to run in the archive's directory
    """
    with _engine(victim) as engine:
        directory = engine.workspace.new("exported-0")
        program = engine._worker(["sh", "-c", f"cd {directory}; {script}"])
        monkeypatch.setattr(engine, "_new", lambda _: directory)
        monkeypatch.setattr(engine, "_program", lambda *_, **__: program)
        target = engine.directory / "image.tar"
        with engine.exporting("image", [], archive=NAME) as exporting:
            yield engine, target, lambda: exporting.save(target)


def test_the_log_of_a_worker_is_not_read_whole(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may exceed the machine's memory, and be sparse on disk."""
    script = "python3 -c 'import os; os.ftruncate(1, 1 << 40)'; echo end; exit 1"
    with _saved(victim, script, monkeypatch) as (_, _, wait):
        with pytest.raises(ProgramError) as raised:
            wait()
    assert len(raised.value.output) <= 4000
    assert raised.value.output.endswith("end\n")


def test_an_archive_that_fills_the_disk_is_not_copied(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file in the worker's directory would use disk space in the task's."""
    with _saved(victim, "truncate -s 300M archive", monkeypatch) as (engine, target, wait):

        def tick() -> None:
            if target.exists() and target.stat().st_size > 50_000_000:
                raise BuildFailedError("the builder is full")

        engine.tick = tick
        with pytest.raises(BuildFailedError, match="full"):
            wait()
        assert target.stat().st_size < 100_000_000


def test_a_worker_that_saves_an_image_is_watched(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    with _saved(victim, "sleep 1000", monkeypatch) as (engine, _, wait):

        def tick() -> None:
            raise BuildFailedError("the builder is full")

        engine.tick = tick
        with pytest.raises(BuildFailedError, match="full"):
            wait()


def test_a_worker_that_saves_no_image_in_time_is_ended(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output until then is not an archive."""
    monkeypatch.setattr(exported, "EXPORT_TIMEOUT", 1.5)
    with _saved(victim, "echo part > archive; sleep 1000", monkeypatch) as (_, target, wait):
        with pytest.raises(ProgramTimeoutError):
            wait()
        assert not target.exists()


def test_isolation_is_that_of_a_runtime(victim: Victim) -> None:
    assert victim.isolation == Isolation(victim.isolation.runtime)
    assert "--isolation" in victim.isolation.options()
    assert "oci" in victim.isolation.options()
