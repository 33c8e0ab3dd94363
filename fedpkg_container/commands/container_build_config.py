# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg container-build-config``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.commands.terminal import format_table, print_findings, print_json, print_lines, print_stderr
from fedpkg_container.completion import complete_with

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.distgit.effective import Setting
    from fedpkg_container.model.build import Target


def show_table(settings: Sequence[Setting]) -> None:
    """Print settings in three columns: key, value, origin."""
    rows = [
        (setting.key, "-" if setting.value is None else as_text(setting.value), setting.origin) for setting in settings
    ]
    print_lines(*format_table([tuple(map(in_one_line, row)) for row in rows]))


def as_text(value: object) -> str:
    """Format a value: strings verbatim, lists of words separated by spaces, anything else as YAML."""
    from fedpkg_container.distgit.yaml_edit import dump_flow

    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(word, str) and word and not set(word) & set(" \t\n") for word in value
    ):
        return " ".join(value)
    return dump_flow(value)


def in_one_line(text: str) -> str:
    """Replace runs of whitespace and newlines by one space."""
    return " ".join(text.split())


DESCRIPTION = """Show the effective configuration of container builds of this checkout and the origin of each value;
show one value, change container.yaml, or check the files."""
EPILOG = """exit status: 0 success, 1 unknown key or not set, 2 usage error, 3 refused by a check,
5 the hub cannot be reached and --get needs it"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``container-build-config``."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    mode = parser.add_mutually_exclusive_group()
    get = mode.add_argument("--get", metavar="KEY", help="Show the effective value of KEY only")
    complete_with(get, "configuration-keys", _all_keys)
    mode.add_argument("--check", action="store_true", help="Check the Dockerfile, container.yaml and additional-tags")
    mode.add_argument("--get-autorebuild", action="store_true", default=None, help="Get autorebuild value")
    mode.add_argument("--set-autorebuild", choices=("true", "false"), default=None, help="Turn autorebuilds on/off")
    change = parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="Set a key of container.yaml to a YAML value, e.g. platforms.only=x86_64,aarch64",
    )
    complete_with(change, "configuration-settings", _settings)
    unset = parser.add_argument(
        "--unset", metavar="KEY", action="append", default=[], help="Remove a key of container.yaml"
    )
    complete_with(unset, "configuration-keys", _settings)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        default=argparse.SUPPRESS,
        help="With --set and --unset: show the changes only",
    )
    parser.add_argument(
        "-q", "--quiet", dest="q", action="store_true", default=argparse.SUPPRESS, help="Print results only"
    )
    parser.add_argument("--offline", action="store_true", help="Skip all requests to the hub")
    parser.add_argument(
        "--json", action="store_true", help="Print the configuration, the value or the findings as JSON"
    )


def _settings() -> dict[str, list[str]]:
    """Return the keys of container.yaml with their allowed values, if these can be listed."""
    from fedpkg_container.distgit.container_yaml_schema import keys, values

    return {key: values(key) for key in keys()}


def _all_keys() -> list[str]:
    """Return the keys for ``--get``."""
    from fedpkg_container.distgit.effective import SETTINGS

    return [*SETTINGS, *_settings()]


def run(client: Client) -> int:
    """Show, change or check the configuration.

    :param client: client with its arguments parsed
    :returns: exit status
    :raises FedpkgContainerError: each subclass has its own exit status
    """
    arguments = client.args
    _check_usage(client)
    if arguments.get_autorebuild or arguments.set_autorebuild:
        return autorebuild(client)
    directory = Path(arguments.path).absolute()
    if arguments.set or arguments.unset:
        return _edit(client, directory)
    if arguments.check:
        return _check(directory, as_json=arguments.json)
    if arguments.get is not None:
        return _get(client, directory)
    return _show(client, directory)


def autorebuild(client: Client) -> int:
    """Run ``--get-autorebuild`` and ``--set-autorebuild`` (also ``container-build-setup``) with rpkg's own code.

    :raises RefusedError: if ``.osbs-repo-config`` cannot be read
    """
    from fedpkg_container.distgit.effective import read_autorebuild

    read_autorebuild(Path(client.args.path).absolute())
    client.cmd.container_build_setup(
        get_autorebuild=client.args.get_autorebuild, set_autorebuild=client.args.set_autorebuild
    )
    return 0


def _check_usage(client: Client) -> None:
    arguments, error = client.args, client.container_build_config_parser.error
    modes = [f"--{mode.replace('_', '-')}" for mode in ("get", "check", "get_autorebuild", "set_autorebuild")]
    chosen = [mode for mode in modes if getattr(arguments, mode[2:].replace("-", "_"))]
    edits = [f"--{name}" for name in ("set", "unset") if getattr(arguments, name)]
    if edits and chosen:
        error(f"argument {edits[0]}: not allowed with argument {chosen[0]}")
    if arguments.json and (edits or arguments.get_autorebuild or arguments.set_autorebuild):
        error(f"argument --json: not allowed with argument {(edits or chosen)[0]}")


def _edit(client: Client, directory: Path) -> int:
    from fedpkg_container.distgit.container_yaml import FILE
    from fedpkg_container.distgit.container_yaml_edit import edit

    change = edit(directory, client.args.set, client.args.unset)
    quiet = client.args.q
    if change.before == change.after:
        if not quiet:
            print_lines(f"{FILE} is already up to date")
        return 0
    if client.args.dry_run:
        print_lines(_difference(change.before, change.after, FILE))
        return 0
    change.write()
    if not quiet:
        print_findings(change.findings)
        print_lines(f"{FILE} changed: remember to commit it")
    return 0


def _difference(before: str, after: str, file: str) -> str:
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{file}", f"b/{file}", lineterm="")
    return "\n".join(["dry run: would write", *lines])


def _check(directory: Path, *, as_json: bool) -> int:
    from fedpkg_container.commands.finding_formats import findings_json
    from fedpkg_container.commands.findings import count_findings
    from fedpkg_container.distgit.file_rules import check_files
    from fedpkg_container.model.findings import ERROR, in_order

    findings = in_order(check_files(directory, is_fetched=True))
    if as_json:
        print_lines(findings_json(findings))
    else:
        print_lines(*map(str, findings), count_findings(findings))
    return 3 if any(finding.severity == ERROR for finding in findings) else 0


def _get(client: Client, directory: Path) -> int:
    from fedpkg_container.commands.findings import raise_on_errors
    from fedpkg_container.commands.parents import known_parents
    from fedpkg_container.distgit import effective
    from fedpkg_container.distgit.container_yaml_schema import keys
    from fedpkg_container.distgit.yaml_document import to_plain
    from fedpkg_container.errors import FedpkgContainerError, UsageError

    key = client.args.get
    known = [*effective.SETTINGS, *(name for name in keys() if name not in effective.SETTINGS)]
    if key not in known and not key.startswith("flatpak."):
        from fedpkg_container.model.findings import closest_match

        similar = closest_match(key, known)
        raise FedpkgContainerError(
            f"unknown key {key}", solution=f"did you mean {similar}?" if similar else f"known keys: {', '.join(known)}"
        )
    if key in effective.OF_HUB and client.args.offline:
        raise UsageError(f"{key} is only known to the hub", solution="omit --offline")
    values = effective.EffectiveConfig(directory)
    if key in effective.OF_LABELS and not client.args.offline:
        values.resolve(known_parents)
    checkout = _checkout(client) if key in (*effective.OF_CHECKOUT, *effective.OF_HUB) else None
    site = _site(client, checkout) if checkout or key in effective.OF_SITE else []
    target = _target(site) if key in effective.OF_HUB else None
    if key not in effective.SETTINGS:
        raise_on_errors(values.container_yaml.findings, "not shown")
    settings = {setting.key: setting.value for setting in values.settings(checkout, site, target)}
    value = settings[key] if key in settings else to_plain(values.container_yaml.get(*key.split(".")))
    if client.args.json:
        print_json(value)
    elif value is not None:
        print_lines(as_text(value))
    return 1 if value is None else 0


def _show(client: Client, directory: Path) -> int:
    from fedpkg_container.commands.parents import known_parents
    from fedpkg_container.distgit.effective import EffectiveConfig
    from fedpkg_container.errors import CheckoutError, FedpkgContainerError

    values = EffectiveConfig(directory)
    if not client.args.offline:
        values.resolve(known_parents)
    notes = values.notes
    checkout = target = None
    try:
        checkout = _checkout(client)
    except CheckoutError as error:
        notes.append(error.reason)
    site = _site(client, checkout)
    if client.args.offline:
        notes.append("values from the hub omitted (--offline)")
    elif checkout:
        try:
            target = _target(site)
        except FedpkgContainerError as error:
            notes.append(f"{error.reason}; values from the hub omitted")
    settings = values.settings(checkout, site, target)
    if client.args.json:
        import dataclasses

        print_json({"settings": [dataclasses.asdict(setting) for setting in settings], "notes": notes})
        return 0
    show_table(settings)
    for note in [] if client.args.q else notes:
        print_stderr(f"note: {in_one_line(note)}")
    return 0


def _checkout(client: Client) -> Checkout:
    from fedpkg_container.distgit.checkout import Checkout

    return Checkout.read(client.cmd)


def _site(client: Client, checkout: Checkout | None) -> list[Setting]:
    """Return the settings from the site's configuration: target, Koji profile, hub."""
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
        Setting("hub", hub, f"Koji profile {profile}"),
    ]


def _defining_file(client: Client, section: str) -> str:
    """Return the file that sets the Koji profile; the user's file has precedence over the site's."""
    import configparser

    user_file = getattr(client.args, "user_config", None) or Path.home() / ".config" / "rpkg" / f"{client.name}.conf"
    for path in (user_file, client.args.config or f"/etc/rpkg/{client.name}.conf"):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path)
        if parser.has_option(section, "kojiprofile"):
            return str(path)
    return "the bundled configuration"


def _target(site: Sequence[Setting]) -> Target:
    from fedpkg_container.errors import CheckoutError
    from fedpkg_container.hub.preflight import read_target
    from fedpkg_container.hub.session import CLIENT_TIMEOUT, anonymous_session

    values = {setting.key: setting.value for setting in site}
    if values["target"] is None:
        raise CheckoutError("unknown target: the checkout is not on a branch", solution="switch to a branch")
    return read_target(anonymous_session(values["profile"], timeout=CLIENT_TIMEOUT), values["target"])
