# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m fedpkg_container.pod``: the first process of a pod that builds an image"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fedpkg_container import logs
from fedpkg_container.model.pod import (
    CHECK_VARIABLE,
    INPUT_DIRECTORY,
    INPUT_VARIABLE,
    MESSAGE_PATH,
    MESSAGE_VARIABLE,
    POLICED_VARIABLE,
    STATE_DIRECTORY,
    STATE_VARIABLE,
)
from fedpkg_container.pod import selfcheck
from fedpkg_container.pod.build import run


def main() -> int:
    """Run the build of this pod; return the exit status."""
    logs.show()
    message = Path(os.environ.get(MESSAGE_VARIABLE) or MESSAGE_PATH)
    inputs = Path(os.environ.get(INPUT_VARIABLE) or INPUT_DIRECTORY)
    state = Path(os.environ.get(STATE_VARIABLE) or STATE_DIRECTORY)
    policed = bool(os.environ.get(POLICED_VARIABLE))
    if os.environ.get(CHECK_VARIABLE):
        return selfcheck.main(state, inputs, message, policed=policed)
    return run(inputs, state, message, policed=policed)


if __name__ == "__main__":
    sys.exit(main())
