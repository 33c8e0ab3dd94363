# SPDX-License-Identifier: GPL-2.0-or-later
"""The OCI hook of a build, which runs ``inside/after_run.py`` after each RUN."""

from __future__ import annotations

import json
import time

from fedpkg_container.engines.inside.after_run import LOG
from fedpkg_container.engines.opening import open_plain
from fedpkg_container.engines.sandbox import INSIDE, interpreter
from fedpkg_container.engines.workspace import Workspace

#: Timeout of the hook, seconds.
TIMEOUT = 60
#: Maximum log excerpt, bytes.
LONGEST_LOG = 4000
#: Directories of its description (in the build's) and its files (in the worker's).
HOOKS, _OWN = "hooks", "after-run"


def options(workspace: Workspace, epoch: int) -> list[str]:
    """Return the arguments of ``buildah build`` that enable the hook.

    :param epoch: commit time, seconds since the epoch
    """
    hooks, worker_directory = workspace.directory / HOOKS, workspace.work / _OWN
    hooks.mkdir(exist_ok=True)
    if not worker_directory.exists():
        workspace.new(_OWN)
    command = [interpreter(), "-I", "-S", str(INSIDE / "after_run.py")]
    command += [str(epoch), str(int(time.time()) - 1), str(worker_directory)]
    hook = {"path": command[0], "args": command, "timeout": TIMEOUT}
    described = {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": ["poststop"]}
    (hooks / "after-run.json").write_text(json.dumps(described))
    return ["--hooks-dir", str(hooks)]


def complaints(workspace: Workspace) -> list[str]:
    """Return the failures of a build's hooks, as lines."""
    try:
        with open_plain(workspace.work / _OWN / LOG, workspace.work) as file:
            return file.read(LONGEST_LOG).decode(errors="replace").splitlines()
    except OSError:
        return []
