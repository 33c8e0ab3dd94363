"""``fedpkg container-build-config``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import print_findings, print_json, print_lines, print_stderr
from fedpkg_container.completion import complete_with

if TYPE_CHECKING:
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.distgit.effective import Setting
    from fedpkg_container.model.build import Target

#: Characters of a value in the table; longer ones push the origin to the right.
WIDEST = 48


def show_table(settings: Sequence[Setting]) -> None:
    """Settings in three columns: key, value, origin."""
    rows = [
        (each.key, "-" if each.value is None else in_one_line(as_text(each.value)), each.origin) for each in settings
    ]
    keys = max(len(key) for key, _, _ in rows)
    values = min(max(len(value) for _, value, _ in rows), WIDEST)
    for key, value, origin in rows:
        print_lines(f"{in_one_line(key):{keys}}  {value:{values}}  {in_one_line(origin)}")


def as_text(value: Any) -> str:
    """A value as a person reads it: lists of words without commas, the rest as YAML."""
    from fedpkg_container.distgit.yaml_edit import render

    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(each, str) and each and not set(each) & set(" \t\n") for each in value
    ):
        return " ".join(value)
    return render(value)


def in_one_line(text: str) -> str:
    """A text without newlines and rows of spaces."""
    return " ".join(text.split())


DESCRIPTION = """Show the configuration that a container build of this checkout has, and where each value comes
from; look at one value, change container.yaml, or check the files."""
EPILOG = """exit status: 0 done, 1 no such key or not set, 2 wrong usage, 3 refused by a check,
5 the hub cannot be reached and --get needs it"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``container-build-config``."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    mode = parser.add_mutually_exclusive_group()
    get = mode.add_argument("--get", metavar="KEY", help="Show one effective value and nothing else")
    complete_with(get, "configuration-keys", _all_keys)
    mode.add_argument("--check", action="store_true", help="Check the Dockerfile, container.yaml and additional-tags")
    mode.add_argument("--get-autorebuild", action="store_true", default=None, help="Get autorebuild value")
    mode.add_argument("--set-autorebuild", choices=("true", "false"), default=None, help="Turn autorebuilds on/off")
    change = parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="Set a key of container.yaml: platforms.only=x86_64,aarch64; the value is YAML",
    )
    complete_with(change, "configuration-settings", _settings)
    unset = parser.add_argument(
        "--unset", metavar="KEY", action="append", default=[], help="Remove a key of container.yaml"
    )
    complete_with(unset, "configuration-keys", _settings)
    parser.add_argument(
        "--dry-run", action="store_true", default=argparse.SUPPRESS, help="With --set and --unset: show the difference"
    )
    parser.add_argument(
        "-q", "--quiet", dest="q", action="store_true", default=argparse.SUPPRESS, help="Show results alone"
    )
    parser.add_argument("--offline", action="store_true", help="Do not ask the hub")
    parser.add_argument("--json", action="store_true", help="Show the configuration, the value or findings as JSON")


def _settings() -> dict[str, list[str]]:
    """The keys of container.yaml, with the values that each may have as far as there are few."""
    from fedpkg_container.distgit.container_yaml_schema import keys, values

    return {key: values(key) for key in keys()}


def _all_keys() -> list[str]:
    """What ``--get`` knows."""
    from fedpkg_container.distgit.effective import SETTINGS

    return [*SETTINGS, *_settings()]


def run(client: Any) -> int:
    """Show, change or check the configuration.

    :param client: the site's client, with its arguments parsed
    :returns: exit status
    :raises FedpkgContainerError: see the exit statuses
    """
    arguments = client.args
    _check_usage(client)
    if arguments.get_autorebuild or arguments.set_autorebuild:
        return autorebuild(client)
    folder = Path(arguments.path).absolute()
    if arguments.set or arguments.unset:
        return _edit(client, folder)
    if arguments.check:
        return _check(folder, as_json=arguments.json)
    if arguments.get is not None:
        return _get(client, folder)
    return _show(client, folder)


def autorebuild(client: Any) -> int:
    """``--get-autorebuild`` and ``--set-autorebuild``, also as ``container-build-setup``: rpkg's own code and words.

    :raises RefusedError: ``.osbs-repo-config`` cannot be read
    """
    from fedpkg_container.distgit.effective import read_autorebuild

    read_autorebuild(Path(client.args.path).absolute())
    client.cmd.container_build_setup(
        get_autorebuild=client.args.get_autorebuild, set_autorebuild=client.args.set_autorebuild
    )
    return 0


def _check_usage(client: Any) -> None:
    arguments, error = client.args, client.container_build_config_parser.error
    modes = [f"--{mode.replace('_', '-')}" for mode in ("get", "check", "get_autorebuild", "set_autorebuild")]
    chosen = [mode for mode in modes if getattr(arguments, mode[2:].replace("-", "_"))]
    edits = [f"--{name}" for name in ("set", "unset") if getattr(arguments, name)]
    if edits and chosen:
        error(f"argument {edits[0]}: not allowed with argument {chosen[0]}")
    if arguments.json and (edits or arguments.get_autorebuild or arguments.set_autorebuild):
        error(f"argument --json: not allowed with argument {(edits or chosen)[0]}")


def _edit(client: Any, folder: Path) -> int:
    from fedpkg_container.distgit.container_yaml import FILE
    from fedpkg_container.distgit.container_yaml_edit import edit

    change = edit(folder, client.args.set, client.args.unset)
    quiet = client.args.q
    if change.before == change.after:
        if not quiet:
            print_lines(f"{FILE} says so already")
        return 0
    if client.args.dry_run:
        print_lines(_difference(change.before, change.after, FILE))
        return 0
    change.write()
    if not quiet:
        print_findings(change.findings)
        print_lines(f"{FILE} changed: don't forget to commit it")
    return 0


def _difference(before: str, after: str, file: str) -> str:
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{file}", f"b/{file}", lineterm="")
    return "\n".join(["dry run: would write", *lines])


def _check(folder: Path, *, as_json: bool) -> int:
    from fedpkg_container.distgit.rules import check_files
    from fedpkg_container.model.findings import ERROR

    findings = check_files(folder)
    errors = sum(finding.severity == ERROR for finding in findings)
    warnings = len(findings) - errors
    if as_json:
        import dataclasses

        print_json(
            {"findings": [dataclasses.asdict(each) for each in findings], "errors": errors, "warnings": warnings}
        )
    else:
        for finding in findings:
            print_lines(str(finding))
        counts = [_count(errors, "error"), _count(warnings, "warning")]
        print_lines(", ".join(each for each in counts if each) or "no findings")
    return 3 if errors else 0


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number > 1 else ''}" if number else ""


def _get(client: Any, folder: Path) -> int:
    from fedpkg_container.commands.findings import raise_on_errors
    from fedpkg_container.distgit import effective
    from fedpkg_container.distgit.container_yaml_schema import keys
    from fedpkg_container.distgit.yaml_document import plain
    from fedpkg_container.errors import FedpkgContainerError, UsageError

    key = client.args.get
    known = [*effective.SETTINGS, *(each for each in keys() if each not in effective.SETTINGS)]
    if key not in known and not key.startswith("flatpak."):
        from fedpkg_container.model.findings import nearest

        like = nearest(key, known)
        raise FedpkgContainerError(
            f"there is no key {key}", solution=f"did you mean {like}?" if like else f"known are {', '.join(known)}"
        )
    if key in effective.OF_HUB and client.args.offline:
        raise UsageError(f"only the hub knows {key}", solution="leave out --offline")
    values = effective.Effective(folder)
    checkout = _checkout(client) if key in (*effective.OF_CHECKOUT, *effective.OF_HUB) else None
    site = _site(client, checkout) if checkout or key in effective.OF_SITE else []
    target = _target(site) if key in effective.OF_HUB else None
    if key not in effective.SETTINGS:
        raise_on_errors(values.container_yaml.findings, "not shown")
    found = {setting.key: setting.value for setting in values.settings(checkout, site, target)}
    value = found[key] if key in found else plain(values.container_yaml.get(*key.split(".")))
    if client.args.json:
        print_json(value)
    elif value is not None:
        print_lines(as_text(value))
    return 1 if value is None else 0


def _show(client: Any, folder: Path) -> int:
    from fedpkg_container.distgit.effective import Effective
    from fedpkg_container.errors import CheckoutError, FedpkgContainerError

    values = Effective(folder)
    notes = values.notes
    checkout = target = None
    try:
        checkout = _checkout(client)
    except CheckoutError as error:
        notes.append(error.reason)
    site = _site(client, checkout)
    if client.args.offline:
        notes.append("the hub was not asked (--offline)")
    elif checkout:
        try:
            target = _target(site)
        except FedpkgContainerError as error:
            notes.append(f"{error.reason}; what only the hub knows is left out")
    settings = values.settings(checkout, site, target)
    if client.args.json:
        import dataclasses

        print_json({"settings": [dataclasses.asdict(each) for each in settings], "notes": notes})
        return 0
    show_table(settings)
    for note in [] if client.args.q else notes:
        print_stderr(f"note: {in_one_line(note)}")
    return 0


def _checkout(client: Any) -> Checkout:
    from fedpkg_container.distgit.checkout import Checkout

    return Checkout.read(client.cmd)


def _site(client: Any, checkout: Checkout | None) -> list[Setting]:
    """What the site's configuration says: target, koji profile, hub."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.distgit.effective import DEFAULT, Setting
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.session import profile_options

    profile = koji_profile(client)
    section = f"{client.name}.container-build"
    section = section if client.config.has_option(section, "kojiprofile") else client.name
    try:
        hub = profile_options(profile).get("server")
    except FedpkgContainerError:
        hub = None
    target = client.cmd.container_build_target if checkout and checkout.branch else None
    return [
        Setting("target", target, f"{DEFAULT}: BRANCH-NAMESPACE-candidate"),
        Setting("profile", profile, f"site: [{section}] in {_defining_file(client, section)}"),
        Setting("hub", hub, f"koji profile {profile}"),
    ]


def _defining_file(client: Any, section: str) -> str:
    """The file that says last which koji profile it is; the user's comes after the site's."""
    import configparser

    own = getattr(client.args, "user_config", None) or Path.home() / ".config" / "rpkg" / f"{client.name}.conf"
    for path in (own, client.args.config or f"/etc/rpkg/{client.name}.conf"):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path)
        if parser.has_option(section, "kojiprofile"):
            return str(path)
    return "the bundled configuration"


def _target(site: Sequence[Setting]) -> Target:
    from fedpkg_container.errors import CheckoutError
    from fedpkg_container.hub.preflight import read_target
    from fedpkg_container.hub.session import anonymous

    values = {setting.key: setting.value for setting in site}
    if values["target"] is None:
        raise CheckoutError("the checkout is on no branch, so there is no target", solution="switch to a branch")
    return read_target(anonymous(values["profile"]), values["target"])
