"""What ``container-status`` shows of a build: what went in, and what changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import print_lines
from fedpkg_container.errors import RefusedError

if TYPE_CHECKING:
    from fedpkg_container.hub.build_contents import Contents, Difference


def show_build(client: Any, session: Any, info: Mapping[str, Any]) -> Mapping[str, Any]:
    """Show a build, unless JSON is wanted; its facts.

    :param info: as ``getBuild`` gives it
    :raises RefusedError: there is no build to compare with
    """
    from fedpkg_container.hub.build_contents import difference, read_contents

    arguments = client.args
    contents = read_contents(session, info)
    facts: dict[str, Any] = {**dataclasses.asdict(contents), "rpms": list(contents.rpms)}
    if arguments.diff:
        other = session.getBuild(arguments.diff)
        if other is None:
            raise RefusedError(f"the hub knows no build {arguments.diff}", solution="give the NVR of an earlier build")
        before = read_contents(session, other)
        changed = difference(before, contents)
        if arguments.json:
            return {"from": before.build.nvr, "to": contents.build.nvr, **dataclasses.asdict(changed)}
        lines = _difference(before, contents, changed)
    elif arguments.rpms:
        lines = iter(contents.rpms)
    else:
        lines = _build(client, contents)
    if not arguments.json:
        print_lines(*lines)
    return facts


def _build(client: Any, contents: Contents) -> Iterator[str]:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import addresses
    from fedpkg_container.progress.formatting import format_age
    from fedpkg_container.text import format_duration

    build = contents.build
    yield f"{build.nvr}  {build.state.lower()}"
    if build.completed is not None:
        took = f", in {format_duration(build.completed - build.created)}" if build.created is not None else ""
        yield f"  built    {format_age(build.completed)}{took}, by {build.owner}"
    if build.task_id:
        page = addresses(koji_profile(client)).task(build.task_id)
        yield f"  task     {build.task_id}{'  ' + page if page else ''}"
    if build.branch:
        yield f"  branch   {build.branch}"
    yield f"  source   {build.source or 'not known'}"
    yield f"  tags     {' '.join(build.tags) or 'none'}"
    for number, specification in enumerate(build.pull_specs):
        yield f"  {'pull' if number == 0 else '':<8} {specification}"
    for image in contents.images:
        exact = image.pull_specs[-1] if image.pull_specs else ""
        yield f"  {image.arch:<8} {exact}  {megabytes(image.size)}, {len(image.rpms)} RPMs known to Koji"
    for parent in contents.parents:
        newer = "" if parent.is_newest else f"; a newer one exists: {parent.newest}"
        yield f"  {'parent' if parent.is_base else 'stage':<8} {parent.nvr}{newer}"
    if not contents.parents and build.state == "COMPLETE":
        yield "  parent   none that is a build of this Koji"


def _difference(before: Contents, after: Contents, changed: Difference) -> Iterator[str]:
    yield f"from {before.build.nvr} to {after.build.nvr}"
    nothing = True
    for name, (old, new) in changed.upgraded.items():
        nothing = False
        yield f"  ~ {name} {old} → {new}"
    for mark, names in (("+", changed.added), ("-", changed.removed)):
        for each in names:
            nothing = False
            yield f"  {mark} {each}"
    for name, (old, new) in changed.labels.items():
        nothing = False
        yield f"  label {name}: {old or '(not set)'} → {new or '(not set)'}"
    if changed.parents[0] != changed.parents[1]:
        nothing = False
        yield f"  parents: {' '.join(changed.parents[0]) or 'none'} → {' '.join(changed.parents[1]) or 'none'}"
    if nothing:
        yield "  the same RPMs, labels and parents"
    for arch, (old_size, new_size) in changed.sizes.items():
        yield f"  size of {arch}: {megabytes(old_size)} → {megabytes(new_size)} ({(new_size - old_size) / 1e6:+.1f} MB)"


def megabytes(size: int) -> str:
    """A number of bytes as people read it."""
    return f"{size / 1e6:.1f} MB"
