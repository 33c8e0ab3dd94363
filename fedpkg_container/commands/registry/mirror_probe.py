# SPDX-License-Identifier: GPL-2.0-or-later
"""``mirror --probe``: compare mirrors with the mirror tree, instead of updating the tree."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import duration, mirror_url, size, whole_number
from fedpkg_container.text import pluralize, printable_line

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite
    from fedpkg_container.registry.mirror.options import Options
    from fedpkg_container.registry.probing.run import ProbeReport
    from fedpkg_container.registry.redirects.settings import Address

#: Options of a mirror run that have no meaning for a probe, and of a probe that have none without ``--probe``.
_OF_RUNS = ("grace", "rate", "archives", "full", "verify", "dry_run")
_OF_PROBES = ("probe_all", "probe_sample", "probe_size", "probe_timeout")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a probe."""
    group = parser.add_argument_group("probing mirrors", "fetch blobs of DIR from mirrors and compare their digests")
    group.add_argument(
        "--probe",
        action="append",
        nargs="?",
        type=mirror_url,
        metavar="URL",
        help="probe the mirror or CDN with this base URL (repeatable; without URL: those of the configuration), instead"
        " of updating DIR",
    )
    group.add_argument(
        "--probe-sample",
        type=whole_number("blobs", 7),
        metavar="N",
        help="number of blobs to probe: half of them the newest, the others at random (default: 20)",
    )
    group.add_argument("--probe-all", action="store_true", help="probe all blobs")
    group.add_argument(
        "--probe-size",
        type=size,
        metavar="SIZE",
        help="do not download larger blobs; compare only their size (default: 100M)",
    )
    group.add_argument(
        "--probe-timeout", type=duration, metavar="TIME", help="end after this time, e.g. 90 or 30m (default: 10m)"
    )


def is_requested(arguments: argparse.Namespace) -> bool:
    """Return whether mirrors are to be probed.

    :raises UsageError: if options contradict each other
    """
    from fedpkg_container.errors import UsageError

    is_probe = arguments.probe is not None
    wrong = [name for name in (_OF_RUNS if is_probe else _OF_PROBES) if _is_given(getattr(arguments, name))]
    if wrong and is_probe:
        raise UsageError(
            f"{_option(wrong[0])} cannot be used with --probe, which only checks mirrors",
            solution="run mirror once to update the tree, and once to probe mirrors",
        )
    if wrong:
        raise UsageError(f"{_option(wrong[0])} requires --probe", solution="add --probe URL")
    if arguments.probe_all and arguments.probe_sample:
        raise UsageError("--probe-all and --probe-sample exclude each other", solution="omit one of them")
    return is_probe


def _is_given(value: object) -> bool:
    return value is not None and value is not False


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def probed_urls(urls: Sequence[Address | None] | None, site: DistributionSite) -> tuple[Address, ...]:
    """Return the mirrors to probe: the given URLs, and for an option without a URL those of the configuration.

    :param urls: None: the option was not given, so that those of the configuration are used
    """
    from fedpkg_container.registry.redirects.settings import Address

    configured = [Address.parse(url) for url in site.mirroring.probe]
    given = [None] if urls is None else urls
    return tuple(dict.fromkeys(address for url in given for address in ([url] if url else configured)))


def run(arguments: argparse.Namespace, site: DistributionSite, mirroring: Options) -> int:
    """Probe mirrors and return the exit status.

    :param mirroring: options of a mirror run
    """
    from dataclasses import replace

    from fedpkg_container.commands.registry.progress_bar import shown
    from fedpkg_container.commands.terminal import print_error, print_json, print_lines
    from fedpkg_container.errors import NotMirroredError, UsageError
    from fedpkg_container.registry.probing.http import FAILED, MISSING, WRONG
    from fedpkg_container.registry.probing.run import ProbeOptions, probe

    mirrors = probed_urls(arguments.probe, site)
    if not mirrors:
        raise UsageError("no mirror to probe", solution=f"name one: --probe URL, or set [mirror] probe in {site.path}")
    options = ProbeOptions(mirroring.directory, mirrors, parallel=mirroring.parallel, wants=mirroring.wants)
    if arguments.probe_all or arguments.probe_sample:
        options = replace(options, sample=arguments.probe_sample or 0)
    if arguments.probe_size is not None:
        options = replace(options, max_download=arguments.probe_size)
    if arguments.probe_timeout is not None:
        options = replace(options, timeout=float(arguments.probe_timeout))
    with shown() as progress:
        report = probe(options, progress)
    if arguments.json:
        print_json(report.report())
    else:
        print_lines(*_lines(report))
        for mirror in report.mirrors:
            for kind, problems in mirror.problems.items():
                for path, reason in sorted(problems.items()):
                    print_error(f"{mirror.url}/{path}: {kind}: {reason}")
    if report.count(WRONG) or report.count(FAILED):
        return 1
    return NotMirroredError.exit_code if report.count(MISSING) else 0


def _lines(report: ProbeReport) -> Iterator[str]:
    """Yield the results in a line per mirror, and one for all."""
    from rich.filesize import decimal

    for mirror in report.mirrors:
        counts = {"verified": mirror.verified, "with the right size": mirror.present}
        counts.update({kind: len(problems) for kind, problems in mirror.problems.items()})
        yield f"{mirror.url}: {', '.join(f'{number} {what}' for what, number in counts.items() if number)}"
    yield (
        f"{printable_line(str(report.directory))}: {report.sampled} of {pluralize(report.blobs, 'blob')} probed, "
        f"{decimal(report.received)} read, {report.seconds:.1f} s"
    )
