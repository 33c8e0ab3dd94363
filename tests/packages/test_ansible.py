# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible role: its variables are described, its files are valid, and it uses files and units of the packages."""

from __future__ import annotations

import base64
import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import requests
from ruamel.yaml import YAML

from fedpkg_container.box.pki import Authority
from fedpkg_container.box.registry import program
from fedpkg_container.process import run_in_background
from fedpkg_container.registry.config import read_site
from tests.support.registries import PASSWORD, PASSWORD_HASH
from tests.support.waiting import PATIENCE
from tests.support.web_servers import eventually_listens, free_port, running_httpd, running_nginx

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "packaging" / "ansible"
ROLE = ANSIBLE / "roles" / "fedpkg_container"
INVENTORY = YAML(typ="safe").load(ANSIBLE / "inventory.example.yml")
SPECIFIED = YAML(typ="safe").load(ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
#: A user who may write, with the password as htpasswd stores it.
USER, WRITER = "builder", "writer secret"
WRITER_HASH = "$apr1$abcdefgh$c8u7gvkC9Y9ncT111jgtu/"
DEFAULTS = YAML(typ="safe").load(ROLE / "defaults" / "main.yml")


def _system(name: str = "Debian") -> dict[str, Any]:
    """Names of a system."""
    system: dict[str, Any] = YAML(typ="safe").load(ROLE / "vars" / f"{name}.yml")["fedpkg_container_system"]
    return system


def _render(template: str, **values: object) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"), undefined=jinja2.StrictUndefined, trim_blocks=True,
        autoescape=False,  # noqa: S701, the files are not HTML
    )  # fmt: skip
    environment.filters["comment"] = lambda text: f"# {text}"
    environment.filters["b64encode"] = lambda text: base64.b64encode(text.encode()).decode()
    return environment.get_template(template).render(ansible_managed="managed", **values)


def _variables(value: Any) -> set[str]:
    """Names of the role's variables in an inventory."""
    if isinstance(value, dict):
        names = {name for name in value if str(name).startswith("fedpkg_container_")}
        return names.union(*map(_variables, value.values()))
    return set()


def test_every_variable_is_described_and_has_a_default() -> None:
    assert set(SPECIFIED) - set(DEFAULTS) == {"fedpkg_container_parts"}
    assert set(DEFAULTS) <= set(SPECIFIED)


def test_the_example_uses_variables_of_the_role() -> None:
    used = _variables(INVENTORY)
    assert len(used) > 5
    assert used <= set(SPECIFIED)


def test_every_part_has_tasks() -> None:
    parts = SPECIFIED["fedpkg_container_parts"]["choices"]
    assert [part for part in parts if not (ROLE / "tasks" / f"{part}.yml").is_file()] == []
    played = re.findall(r"fedpkg_container_parts: \[(\w+)\]", (ANSIBLE / "site.yml").read_text())
    assert sorted(played) == sorted(parts)


def test_units_of_the_tasks_exist() -> None:
    text = "".join(path.read_text() for path in (ROLE / "tasks").glob("*.yml"))
    units = set(re.findall(r"\b(fedpkg-container-[a-z-]+@?)(?:\{\{ item \}\})?\.timer", text))
    units |= set(re.findall(r"fedpkg_container_service: (fedpkg\S+)", text))
    timers = {path.stem for path in (ROOT / "packaging" / "systemd").glob("*.timer")}
    assert units == timers


def test_the_site_file_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "registry.conf"
    settings = INVENTORY["all"]["vars"]["fedpkg_container_settings"]
    path.write_text(_render("registry.conf.j2", fedpkg_container_settings=settings))
    site = read_site(path, files=False)
    assert site.targets["stable"].registry == "registry-1.example.org:5000"
    assert site.front_end is not None
    assert site.mirroring.directory == Path(DEFAULTS["fedpkg_container_mirror_directory"])
    assert site.catalog.directory == Path(DEFAULTS["fedpkg_container_catalog_directory"])


def test_the_registry_is_configured_as_in_the_example() -> None:
    storage = "/var/lib/docker-registry"
    address = DEFAULTS["fedpkg_container_registry_address"]
    values = {
        "fedpkg_container_registry_storage": storage, "fedpkg_container_registry_address": address,
        "fedpkg_container_system": _system(),
    }  # fmt: skip
    example = YAML(typ="safe").load(ROOT / "packaging" / "examples" / "docker-registry.yml")
    assert YAML(typ="safe").load(_render("docker-registry.yml.j2", **values)) == example


def test_both_systems_have_both_web_servers() -> None:
    servers = SPECIFIED["fedpkg_container_web_server"]["choices"]
    for name in ("Debian", "RedHat"):
        system = _system(name)
        assert system.keys() == _system().keys()
        assert sorted(system["web_servers"]) == sorted(servers)
        assert {frozenset(each) for each in system["web_servers"].values()} == {
            frozenset(_system()["web_servers"]["nginx"])
        }
    for server in servers:
        for template in (f"registry-{server}.conf.j2", f"registry-password-{server}.j2"):
            assert (ROLE / "templates" / template).is_file()


def _tasks(tasks: Any) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield task
        yield from _tasks(task.get("block", ()))


def test_the_password_of_the_registry_is_secret() -> None:
    """It is only in two files, which only the registry and root can read; not in arguments and output."""
    (block,) = (each for each in YAML(typ="safe").load(ROLE / "tasks" / "registry_password.yml") if "block" in each)
    assert block["no_log"] is True
    files = {}
    for task in _tasks(block["block"]):
        command = task.get("ansible.builtin.command", "")
        assert "password" not in (command if isinstance(command, str) else command["cmd"])
        for module in ("ansible.builtin.copy", "ansible.builtin.template"):
            if module in task:
                files[task[module]["dest"]] = (task[module]["owner"], task[module]["mode"])
    assert files == {
        "{{ fedpkg_container_system.registry_htpasswd }}": ("{{ fedpkg_container_system.registry_user }}", "0600"),
        "{{ fedpkg_container_password_file }}": ("root", "0600"),
    }


@dataclass(frozen=True)
class Front:
    """A registry as the role sets it up.

    :param own: URL of docker-registry; ``url``: that of its web server
    """

    own: str
    url: str
    directory: Path

    def status(self, method: str, path: str, *, own: bool = False, password: str = "") -> int:
        """Status of a request, with the password of a writer."""
        auth = (USER, password) if password else None
        response = requests.request(
            method, f"{self.own if own else self.url}{path}", auth=auth, verify=str(self.directory / "pki" / "ca.pem"),
            timeout=PATIENCE,
        )  # fmt: skip
        return response.status_code


@contextlib.contextmanager
def _running(directory: Path, server: str, *, anonymous: bool) -> Iterator[Front]:
    directory.chmod(0o755)
    web = {**_system()["web_servers"][server], "directory": str(directory)}
    own, port = f"127.0.0.1:{free_port()}", free_port()
    password = directory / "fedpkg-container-registry-password"
    certificate = str(Authority(directory / "pki").issue("localhost", server=True))
    values: dict[str, object] = {
        "registry_storage": str(directory / "data"), "registry_address": own, "registry_name": "localhost",
        "registry_port": f"127.0.0.1:{port}" if server == "nginx" else port, "registry_certificate": certificate,
        "registry_key": certificate, "registry_anonymous_read": anonymous, "web": web, "password_file": str(password),
        "system": {**_system(), "registry_htpasswd": str(directory / "htpasswd")},
    }  # fmt: skip
    values = {f"fedpkg_container_{name}": value for name, value in values.items()}
    (directory / "htpasswd").write_text(f"web-server:{PASSWORD_HASH}\n")
    password.write_text(
        _render(f"registry-password-{server}.j2", fedpkg_container_password={"stdout": PASSWORD}) + "\n"
    )
    (directory / "fedpkg-container-writers").write_text(f"{USER}:{WRITER_HASH}\n")
    configuration = directory / "config.yml"
    configuration.write_text(_render("docker-registry.yml.j2", **values))
    site = _render(f"registry-{server}.conf.j2", **values).replace(f"\nListen {port}\n", "\n")
    with contextlib.ExitStack() as stack:
        stack.enter_context(run_in_background([program(), "serve", configuration], log=directory / "registry.log"))
        eventually_listens(int(own.rpartition(":")[2]), lambda: True, directory / "registry.log")
        if server == "nginx":
            stack.enter_context(running_nginx(directory, site, port))
        else:
            stack.enter_context(running_httpd(directory, site, [port]))
        yield Front(f"http://{own}", f"https://localhost:{port}", directory)


@pytest.mark.programs
@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize("server", ["nginx", "httpd"])
def test_only_writers_write_and_only_through_the_web_server(server: str, anonymous: bool) -> None:
    """The real registry and web server, with the files of the role; other users must be able to enter the directory."""
    with (
        tempfile.TemporaryDirectory(prefix="registry-") as name,
        _running(Path(name), server, anonymous=anonymous) as front,
    ):
        upload, tags = "/v2/hello/blobs/uploads/", "/v2/hello/tags/list"
        assert front.status("POST", upload, own=True) == 401, "another process of the machine"
        assert front.status("GET", tags, own=True) == 401
        assert front.status("POST", upload) == 401
        assert front.status("POST", upload, password="wrong") == 401
        assert front.status("POST", upload, password=WRITER) == 202
        assert front.status("DELETE", f"/v2/hello/manifests/sha256:{'0' * 64}") == 401
        assert front.status("GET", tags) == (404 if anonymous else 401)
        assert front.status("GET", tags, password=WRITER) == 404
