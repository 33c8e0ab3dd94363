# SPDX-License-Identifier: GPL-2.0-or-later
"""A program of the tests: run a module of this project, and stop at a step.

Usage: stop_at_step.py STEP MARK MODULE ARGUMENT…

At the step it creates the file MARK and waits until the file is deleted; without MARK (an empty string) it ends at once
with status 9, as if it had been killed. Processes that it forks do the same.
"""

from __future__ import annotations

import logging
import os
import runpy
import sys
import time
from pathlib import Path


class _Stop(logging.Handler):
    def __init__(self, step: str, mark: str) -> None:
        super().__init__()
        self._step = step
        self._mark = mark

    def emit(self, record: logging.LogRecord) -> None:
        if record.__dict__["step"] != self._step:
            return
        if not self._mark:
            os._exit(9)
        mark = Path(self._mark)
        mark.touch()
        while mark.exists():
            time.sleep(0.1)


def main() -> None:
    """Subscribe to the log of steps, and run the module as its own program does."""
    step, mark, module, *arguments = sys.argv[1:]
    logging.getLogger("fedpkg_container.steps").addHandler(_Stop(step, mark))
    sys.path.pop(0)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main()
