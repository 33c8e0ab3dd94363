# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell with our programs, koji, git, skopeo and podman configured for a box, and with a separate HOME."""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from pathlib import Path

from fedpkg_container.activation import client_program, create_link
from fedpkg_container.box.box import PLUGINS, Box
from fedpkg_container.box.layout import CONTENT_GENERATOR, DIRECTORY_VARIABLE, PACKAGER
from fedpkg_container.box.pki import write_trust
from fedpkg_container.process import run

#: The site whose client the shell has.
SITE = "fedpkg"


def environment(box: Box, *, user: str = PACKAGER) -> dict[str, str]:
    """Environment of the shell; writes its HOME again.

    :param user: user name for koji and fedpkg logins and git pushes
    """
    home = box.layout.home if user == PACKAGER else box.layout.directory / f"home-{user}"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_koji(box, home, user)
    _write_fedpkg(box, home)
    _write_git(box, home, user)
    _write_containers(box, home, user)
    if box.distribution:
        site = box.distribution.site(box.credentials(CONTENT_GENERATOR))
        _save(site, home / ".config" / "fedpkg-container" / "registry.conf")
    _write_startup_files(home)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_CONFIG", "XDG_CACHE", "KOJI", "GIT_", "ZDOTDIR"))
    }
    programs = Path(sys.executable).parent
    links = home / "bin"
    create_link(links, SITE, client_program(SITE))
    return {
        **inherited,
        "HOME": str(home),
        "PATH": f"{links}:{programs}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "BOX": str(box.layout.directory),
        DIRECTORY_VARIABLE: str(box.layout.directory),
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)


def _save(parser: configparser.ConfigParser, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as file:
        parser.write(file)


def _write_koji(box: Box, home: Path, user: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser["koji"] = {
        "server": box.layout.hub_url,
        "authtype": "ssl",
        "cert": str(box.credentials(user)),
        "serverca": str(box.authority.certificate_path),
        "topdir": str(box.layout.topdir),
        "topurl": box.layout.files_url,
        "weburl": "",  # the box has no web interface
        "plugin_paths": str(PLUGINS / "cli"),
        "poll_interval": "2",
    }
    _save(parser, home / ".koji" / "config")


def _write_fedpkg(box: Box, home: Path) -> None:
    ports = box.layout.ports
    parser = configparser.ConfigParser(interpolation=None)
    parser["fedpkg"] = {
        "lookaside": f"https://127.0.0.1:{ports.distgit}/lookaside",
        "lookasidehash": "sha512",
        "lookaside_cgi": f"https://127.0.0.1:{ports.distgit}/lookaside/upload.cgi",
        "gitbaseurl": f"https://127.0.0.1:{ports.distgit}/%(repo)s",
        "anongiturl": f"http://127.0.0.1:{ports.distgit_anonymous}/%(repo)s",
        "branchre": r"f\d\d$|rawhide$|main$",
        "kojiprofile": "koji",
        "build_client": "koji",
        "distgit_namespaced": "True",
        "distgit_namespaces": "rpms container",
        "kerberos_realms": "",
    }
    _save(parser, home / ".config" / "rpkg" / "fedpkg.conf")


def _write_git(box: Box, home: Path, user: str) -> None:
    """Write the user's git settings and access to the box's dist-git."""
    user_config = Path.home() / ".gitconfig"
    certificate = box.credentials(user)
    _write(
        home / ".gitconfig",
        (f"[include]\n\tpath = {user_config}\n" if user_config.exists() and user_config != home / ".gitconfig" else "")
        + f'[http "https://127.0.0.1:{box.layout.ports.distgit}/"]\n'
        f"\tsslCAInfo = {box.authority.certificate_path}\n\tsslCert = {certificate}\n\tsslKey = {certificate}\n"
        "[init]\n\tdefaultBranch = rawhide\n",
    )
    user_email = run(["git", "config", "user.email"], env={"HOME": str(home)}, timeout=30, check=False, cwd=home)
    if user_email.status != 0:
        with (home / ".gitconfig").open("a") as file:
            file.write("[user]\n\tname = Box Packager\n\temail = packager@localhost\n")


def _write_containers(box: Box, home: Path, user: str) -> None:
    """Write CA and user certificates of the registries for skopeo and podman."""
    beyond = box.layout.distribution
    addresses = [box.layout.registry_address, *((beyond.address, beyond.no_cdn_address) if beyond else ())]
    for address in addresses:
        write_trust(box.authority, home / ".config" / "containers" / "certs.d" / address, user)


#: Startup files of bash, zsh and fish: completion (the result of a command), and a prompt that names the box.
#: Without a .zshrc, zsh starts with a dialog. Like bash and fish, it accepts comments in pasted commands.
_STARTUP_FILES = {
    ("bash", ".bashrc"): """\
eval "$({command})"
PS1="(box) $PS1"
""",
    ("zsh", ".zshrc"): """\
setopt interactive_comments
autoload -Uz compinit bashcompinit && compinit -u && bashcompinit
eval "$({command})"
PS1="(box) $PS1"
""",
    ("fish", ".config/fish/config.fish"): """\
{command} | source
functions --copy fish_prompt box_fish_prompt
function fish_prompt
    echo -n '(box) '
    box_fish_prompt
end
""",
}


def _write_startup_files(home: Path) -> None:
    """Write the startup files that do not exist."""
    for (shell, name), text in _STARTUP_FILES.items():
        if not (home / name).exists():
            # Not in the shell's start directory: Python would look for modules there.
            command = f"cd / && exec {shlex.quote(sys.executable)} -m fedpkg_container.completion {shell}"
            _write(home / name, text.format(command=f"sh -c {shlex.quote(command)}"))
