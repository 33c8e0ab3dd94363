# SPDX-License-Identifier: GPL-2.0-or-later
"""Invalid input and unavailable servers: clear messages, documented exit status, nothing left behind."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN, Layout
from fedpkg_container.box.pki import Authority
from fedpkg_container.box.services import Service
from fedpkg_container.hub.session import log_out
from tests.support.leftovers import nothing_left
from tests.support.packager import Packager

FAILED, USAGE, REFUSED, NOT_AUTHENTICATED, LOST = 1, 2, 3, 4, 5


def _tasks(box: Box) -> int:
    session = box.session(ADMIN)
    number: int = session.listTasks(queryOpts={"countOnly": True})
    log_out(session)
    return number


@contextmanager
def _stopped(service: Service) -> Iterator[None]:
    service.stop()
    try:
        yield
    finally:
        service.start()
        service.wait_ready()


def test_no_dockerfile(packager: Packager, box: Box) -> None:
    packager.commit("x", files={"README": "nothing else"})
    packager.run("git", "rm", "--quiet", "Dockerfile")
    packager.run("git", "commit", "--quiet", "--message", "gone")
    packager.run("git", "push", "--quiet", "origin", "HEAD:rawhide")
    before = _tasks(box)
    done = packager.build()
    assert done.returncode == REFUSED
    assert "there is no Dockerfile" in done.stderr
    assert _tasks(box) == before


def test_not_a_git_repository(packager: Packager, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = packager.build(cwd=elsewhere)
    assert done.returncode == REFUSED
    assert f"{elsewhere} is not a git repository" in done.stderr


def test_repository_of_an_rpm_package(packager: Packager, box: Box, tmp_path: Path) -> None:
    box.create_repository("rpms/hello")
    packager.run("fedpkg", "clone", "rpms/hello", cwd=tmp_path)
    rpms = Packager(box, "hello", tmp_path / "hello", packager.environment)
    rpms.commit(rpms.dockerfile("RUN true"))
    done = rpms.build()
    assert done.returncode == REFUSED
    assert "rpms/hello is not a container repository" in done.stderr


def test_uncommitted_changes(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    (packager.checkout / "Dockerfile").write_text(packager.dockerfile("RUN false"))
    done = packager.build()
    assert done.returncode == REFUSED
    assert "uncommitted changes in Dockerfile" in done.stderr


def test_unpushed_commits(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    packager.commit(packager.dockerfile("RUN echo"), push=False)
    done = packager.build()
    assert done.returncode == REFUSED
    assert "1 commit is not pushed" in done.stderr


def test_branch_without_upstream(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    packager.run("git", "switch", "--quiet", "--create", "mine")
    done = packager.build()
    assert done.returncode == REFUSED
    assert "branch mine does not track a dist-git branch" in done.stderr


def test_all_errors_are_shown_at_once(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true", without="name"), push=False)
    done = packager.build()
    assert done.returncode == REFUSED
    assert "there is no label name" in done.stderr
    assert "[no-upstream]" in done.stderr
    assert "not submitted: 2 errors" in done.stderr


def test_unknown_target(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build("--target", "no-such-target")
    assert done.returncode == REFUSED
    assert "build target no-such-target does not exist" in done.stderr


def test_missing_label(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true", without="com.redhat.component"))
    done = packager.build("--scratch")
    assert done.returncode == REFUSED
    assert "Dockerfile: error: there is no label com.redhat.component" in done.stderr


def test_package_not_in_the_tag(packager: Packager) -> None:
    labels = {"com.redhat.component": "stranger-container"}
    packager.commit(packager.dockerfile("RUN true", **labels))
    done = packager.build()
    assert done.returncode == REFUSED
    assert "package stranger-container is not listed in rawhide-container-candidate" in done.stderr


def test_arches_without_scratch(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build("--arches", "x86_64")
    assert done.returncode == USAGE
    assert "Cannot override arches" in done.stderr


def test_unsupported_architecture(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build("--scratch", "--arches", "s390x")
    assert done.returncode == REFUSED
    assert "build tag rawhide-container-build does not include s390x" in done.stderr


def test_failing_run(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN echo this is why && exit 7"))
    done = packager.build()
    assert done.returncode == FAILED
    assert "\nthis is why\n" in done.stdout
    assert "createContainer (x86_64): failed on builder-" in done.stdout
    assert "exit status 7" in done.stderr
    nothing_left(box)


@pytest.mark.slow
def test_failure_with_quiet_shows_the_last_lines(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN echo this is why && exit 7"))
    done = packager.run("fedpkg", "-q", "container-build", "--scratch", check=False)
    assert done.returncode == FAILED
    assert done.stdout == ""
    assert "    this is why" in done.stderr


def test_missing_base_image(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true", base=f"{box.layout.registry_address}/no-such-image:1"))
    done = packager.build()
    assert done.returncode == FAILED
    assert "no-such-image:1 does not exist" in done.stderr
    nothing_left(box)


def test_registry_down(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    with _stopped(box.registry):
        done = packager.build()
    assert done.returncode == FAILED
    assert f"{box.layout.registry_address} cannot be reached" in done.stderr
    nothing_left(box)


def test_hub_down(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    with _stopped(box.hub):
        done = packager.build()
    assert done.returncode == LOST
    assert f"cannot reach the hub {box.layout.hub_url}" in done.stderr


def test_certificate_unknown_to_the_hub(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build(env=_home_with_certificate(packager, box.authority.issue("stranger")))
    assert done.returncode == NOT_AUTHENTICATED
    assert "Unknown user: stranger" in done.stderr


def test_certificate_of_another_authority(packager: Packager, tmp_path: Path) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    other = Authority(tmp_path / "other").issue("packager")
    done = packager.build(env=_home_with_certificate(packager, other))
    assert done.returncode == NOT_AUTHENTICATED
    assert "rejected the login" in done.stderr


def _home_with_certificate(packager: Packager, certificate: Path) -> dict[str, str]:
    """A copy of the packager's HOME with another certificate in the Koji profile."""
    home = packager.checkout.parent / "home"
    profile = configparser.ConfigParser(interpolation=None)
    profile.read(Path(packager.environment["HOME"]) / ".koji" / "config")
    profile["koji"]["cert"] = str(certificate)
    for name in (".config/rpkg/fedpkg.conf", ".gitconfig"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes((Path(packager.environment["HOME"]) / name).read_bytes())
    (home / ".koji").mkdir()
    with (home / ".koji" / "config").open("w") as file:
        profile.write(file)
    return {"HOME": str(home)}


def test_existing_nvr(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true", release="7"))
    assert packager.build().returncode == 0
    before = _tasks(box)
    done = packager.build()
    assert done.returncode == REFUSED
    assert f"{packager.name}-container-1.0-7 already exists" in done.stderr
    assert _tasks(box) == before


def test_failed_release_can_be_built_again(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN false", release="7"))
    assert packager.build().returncode == FAILED
    packager.commit(packager.dockerfile("RUN true", release="7"))
    done = packager.build()
    assert f"built {packager.name}-container-1.0-7 " in done.stdout


def test_directory_without_a_box(tmp_path: Path) -> None:
    from fedpkg_container.errors import UsageError

    (tmp_path / "something").touch()
    with pytest.raises(UsageError, match="is not empty and not a box"):
        Layout.open(tmp_path)


@pytest.mark.parametrize("name", ["hello", "../../escape", "container/a b", "container/../x", "-x/y"])
def test_invalid_repository_names(box: Box, name: str) -> None:
    from fedpkg_container.errors import UsageError

    with pytest.raises(UsageError, match="not the name of a repository"):
        box.create_repository(name)


@pytest.mark.parametrize(
    "labels", [{"name": "Mine X"}, {"version": "1-0"}, {"release": "a b"}, {"name": "staging/task-1"}]
)
def test_labels_with_invalid_nvr_or_repository(packager: Packager, labels: dict[str, str]) -> None:
    packager.commit(packager.dockerfile("RUN true", **labels))
    done = packager.build("--scratch")
    assert done.returncode == REFUSED
    assert f"label {next(iter(labels))} = " in done.stderr
    assert "[label-invalid]" in done.stderr


@pytest.mark.parametrize(
    ("step", "labels", "check", "message"),
    [
        (
            "RUN --security=insecure true",
            {},
            "run-option",
            "Dockerfile:9: RUN option --security=insecure is not",
        ),
        # tests/unit/test_steps.py has these refusals too.
        pytest.param(
            "RUN --mount=type=ssh true",
            {},
            "run-mount",
            "Dockerfile:9: RUN --mount has unsupported type ssh",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "COPY --from=oci:/var/x / /",
            {},
            "foreign-source",
            "files are copied from oci:/var/x",
            marks=pytest.mark.slow,
        ),
        (
            "RUN true",
            {"com.redhat.component": "../../../x"},
            "label-invalid",
            "component = '../../../x' must",
        ),
    ],
)
def test_builders_run_checks_that_the_client_skipped(
    packager: Packager, box: Box, step: str, labels: dict[str, str], check: str, message: str
) -> None:
    packager.commit(packager.dockerfile(step, **labels))
    done = packager.build("--scratch", "--skip-check", check)
    assert done.returncode == FAILED
    assert message in done.stderr
    nothing_left(box)


def test_invalid_release(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    for release in ("1-2", ".1"):
        done = packager.build("--build-release", release)
        assert done.returncode == USAGE
        assert f"argument --build-release: '{release}' must consist of" in done.stderr


def test_container_yaml_that_needs_a_missing_service_is_refused(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"), files={"container.yaml": "compose:\n  modules: [httpd]\n"})
    done = packager.build("--dry-run")
    assert done.returncode == REFUSED
    assert "container.yaml:2: error: key compose.modules is not supported: packages of other streams" in done.stderr


def test_global_rpkg_options_are_not_parsed_as_command_options(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.run("fedpkg", "--user", "somebody", "giturl", check=False)
    assert f"127.0.0.1:{box.layout.ports.distgit_anonymous}" in done.stdout + done.stderr
