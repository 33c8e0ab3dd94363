"""The cache of values is filled from a hub, by a process that nobody waits for."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.completion import cache, refresh
from fedpkg_container.completion.values import Completer, Place
from fedpkg_container.errors import FedpkgContainerError, LostContactError
from tests.support.box_hub import RunningHub, running_hub
from tests.support.checkouts import make_checkout
from tests.support.leftovers import eventually
from tests.support.tabs import clean_environment, tab

pytestmark = pytest.mark.programs

#: Seconds for a refresh in the background.
TIMEOUT = 240
SOURCE = "git+https://pkgs.example.org/container/hello#0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub with targets, builds of hello-container, and two tasks of the packager of which one is canceled."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        admin, packager = _session(running, running.admin), _session(running, running.packager)
        for name in ("f43-container-candidate", "rawhide-container-candidate"):
            admin.createTag(f"{name}-build", arches="x86_64")
            admin.createTag(name)
            admin.createBuildTarget(name, f"{name}-build", name)
        for release in ("1", "2"):
            admin.createEmptyBuild("hello-container", "1.0", release, None)
        admin.createEmptyBuild("other-container", "1.0", "1", None)
        packager.buildContainer(SOURCE, "f43-container-candidate", {"git_branch": "f43"})
        packager.cancelTask(packager.buildContainer(SOURCE, "rawhide-container-candidate", {"git_branch": "main"}))
        for session in (admin, packager):
            session.logout()
        yield running


def _session(hub: RunningHub, credential: str) -> Any:
    session = koji.ClientSession(hub.url, {"serverca": hub.ca})
    session.ssl_login(cert=credential, serverca=hub.ca)
    return session


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Somebody new, whose HOME and cache are those of the test as well."""
    made = clean_environment(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, made[name])
    return made


def _profile(environment: dict[str, str], server: str, **options: str) -> None:
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    (Path(environment["HOME"]) / ".koji" / "config").write_text(f"[koji]\nserver = {server}\n{lines}")


@pytest.fixture
def place(environment: dict[str, str], hub: RunningHub, tmp_path: Path) -> Place:
    """A checkout of container/hello; the profile is the packager's."""
    _profile(environment, hub.url, serverca=hub.ca, cert=hub.packager, authtype="ssl")
    return Place("fedpkg", "koji", path=str(make_checkout(tmp_path / "hello")))


def _offered(kind: str, place: Place) -> list[str]:
    return list(Completer(kind, place=place)())


def test_what_the_hub_has(place: Place) -> None:
    refresh.refresh(place, "hello-container")
    assert _offered("targets", place) == ["f43-container-candidate", "rawhide-container-candidate"]
    assert _offered("arches", place) == ["x86_64"]
    assert _offered("nvrs", place) == ["hello-container-1.0-2", "hello-container-1.0-1"]
    ((task, description),) = Completer("tasks", place=place)().items()
    assert task.isdigit()
    assert description == "hello for f43-container-candidate"


def test_two_requests_without_a_login(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    send = koji.ClientSession._sendCall

    def counted(self: Any, handler: str, headers: Any, request: Any) -> Any:
        sent.append(request.decode() if isinstance(request, bytes) else request)
        return send(self, handler, headers, request)

    monkeypatch.setattr(koji.ClientSession, "_sendCall", counted)
    refresh.refresh(place, "hello-container")
    assert len(sent) == 2
    assert all("multiCall" in each and "ogin" not in each for each in sent)


def test_a_stranger_has_no_tasks(place: Place, environment: dict[str, str], hub: RunningHub) -> None:
    _profile(environment, hub.url, serverca=hub.ca)
    refresh.refresh(place, "")
    assert _offered("tasks", place) == []
    assert _offered("targets", place) == ["f43-container-candidate", "rawhide-container-candidate"]


def test_a_user_who_is_named_and_one_whom_the_hub_does_not_know(
    place: Place, environment: dict[str, str], hub: RunningHub
) -> None:
    _profile(environment, hub.url, serverca=hub.ca, authtype="kerberos")
    refresh.refresh(place, "", "nobody-of-that-name")
    assert _offered("tasks", place) == []
    refresh.refresh(place, "", "packager")
    assert len(_offered("tasks", place)) == 1
    refresh.refresh(place, "")
    assert len(_offered("tasks", place)) == 1


def test_a_hub_that_is_not_there_leaves_the_cache_alone(place: Place, environment: dict[str, str]) -> None:
    refresh.refresh(place, "hello-container")
    before = Path(place.hub_file).read_text()
    _profile(environment, "http://127.0.0.1:9/kojihub")
    with pytest.raises(LostContactError):
        refresh.refresh(place, "hello-container")
    assert Path(place.hub_file).read_text() == before
    with pytest.raises(FedpkgContainerError, match="koji profile nonsense"):
        refresh.refresh(Place("fedpkg", "nonsense"), "")


def test_hostile_answers_are_not_offered(place: Place) -> None:
    session = _Hostile()
    found = refresh._ask(session, "hello-container", "me")
    cache.write(place.hub_file, found)
    cache.write(place.package_file("hello-container"), {"nvrs": found["nvrs"]})
    for kind in ("targets", "nvrs", "tasks", "arches"):
        for value, description in Completer(kind, place=place)().items():
            assert value.isprintable()
            assert description.isprintable()
    assert _offered("targets", place) == ["good target"]


class _Hostile:
    """A hub whose answers have escape sequences in them."""

    def multicall(self, **_: bool) -> _Hostile:
        return self

    def __enter__(self) -> _Hostile:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        bad = "\x1b]0;owned\x07\n\u202e"
        tags = {"build_tag_name": bad, "dest_tag_name": bad}
        rows = {
            "getBuildTargets": [{"name": bad, **tags}, {"name": "good target", **tags}],
            "listHosts": [{"arches": f"x86_64 {bad}"}, {"arches": None}],
            "listBuilds": [{"nvr": bad, "completion_time": bad}, {"nvr": "a-1-1", "completion_time": None}],
            "getUser": {"id": 1},
            "listTasks": [{"id": 1, "request": [bad, bad]}, {"id": bad, "request": None}, {"id": 3, "request": [1]}],
        }
        return lambda **_: type("Call", (), {"result": rows[name]})() if name != "getUser" else None

    def getUser(self, _name: str) -> Any:
        return type("Call", (), {"result": {"id": 1}})()


def test_a_tab_fills_the_cache_for_the_next(place: Place, environment: dict[str, str]) -> None:
    folder = Path(place.path)
    assert tab("fedpkg container-build --target ", environment, folder)[0] == ["rawhide-container-candidate"]
    eventually(lambda: Path(place.package_file("hello-container")).exists(), lambda: "no refresh", TIMEOUT)
    offered, loaded = tab("fedpkg container-build --target ", environment, folder)
    assert offered == ["f43-container-candidate", "rawhide-container-candidate"]
    assert not loaded & {"koji", "requests", "git", "socket", "pyrpkg"}


def test_a_tab_does_not_wait_for_the_hub(environment: dict[str, str], tmp_path: Path) -> None:
    """The hub takes connections and never answers, longer than a TAB may take here."""
    folder = make_checkout(tmp_path / "hello")
    asked = threading.Event()
    release = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            release.wait(TIMEOUT)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _profile(environment, f"http://127.0.0.1:{server.server_address[1]}/kojihub")
        for _ in range(2):
            assert tab("fedpkg container-build --target ", environment, folder)[0] == ["rawhide-container-candidate"]
        assert asked.wait(TIMEOUT), "the background process did not ask"
        assert tab("fedpkg container-build --target ", environment, folder)[0] == ["rawhide-container-candidate"]
    finally:
        release.set()
        server.shutdown()


def test_when_a_refresh_is_due(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("fedpkg_container.process.start", lambda command, **_: started.append(command))
    assert refresh.start_when_stale(place)
    assert not refresh.start_when_stale(place), "a moment after another"
    assert refresh.start_when_stale(place, user="me", now=True)
    assert started[1][-4:] == ["fedpkg", "koji", "hello-container", "me"]
    attempt = Path(refresh._attempt(place, "hello-container"))
    os.utime(attempt, (time.time() - refresh.PAUSE - 1,) * 2)
    for file in (place.hub_file, place.package_file("hello-container")):
        cache.write(file, {})
    assert not refresh.start_when_stale(place), "the cache is new"
    os.utime(place.hub_file, (time.time() - refresh.OLD - 1,) * 2)
    assert refresh.start_when_stale(place)
    assert not refresh.start_when_stale(Place("fedpkg", "")), "a site without a hub"


def test_one_at_a_time(place: Place) -> None:
    with refresh._alone(place) as first, refresh._alone(place) as second:
        assert (first, second) == (True, False)
        refresh.main(["fedpkg", "koji", "hello-container", ""])
        assert not Path(place.hub_file).exists()
    refresh.main(["fedpkg", "koji", "hello-container", ""])
    assert json.loads(Path(place.hub_file).read_text())["targets"]


def test_the_process_says_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fedpkg_container.completion.refresh", "fedpkg", "nonsense", "", ""],
        cwd="/", capture_output=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_nothing_of_the_checkout_runs(place: Place, environment: dict[str, str]) -> None:
    """A module of the checkout must not be taken for one of Python's."""
    folder = Path(place.path)
    tab("fedpkg container-build --target ", environment, folder)
    eventually(lambda: Path(place.package_file("hello-container")).exists(), lambda: "no refresh", TIMEOUT)
    for made in (*Path(place.hub_file).parent.glob("attempts/*"), Path(place.hub_file)):
        made.unlink()
    for name in ("json", "koji", "argparse"):
        (folder / f"{name}.py").write_text("open(__file__ + '.ran', 'w')\nraise SystemExit\n")
    assert tab("fedpkg container-build --target ", environment, folder)[0] == ["rawhide-container-candidate"]
    eventually(lambda: Path(place.hub_file).exists(), lambda: "no refresh", TIMEOUT)
    assert not list(folder.glob("*.ran"))
