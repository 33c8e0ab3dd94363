# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of steps: one record for each completed step of a build, an import or a prune."""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)
# Always enabled, so that a subscriber only adds a handler. What is shown is decided by the levels of the handlers.
_log.setLevel(logging.INFO)


def reached(name: str, **details: object) -> None:
    """Log a completed step at INFO.

    The record has the attributes ``step``, the name, and ``details``, a dict. A handler of this logger that raises an
    error ends the command at this step.

    :param name: what has been done, e.g. ``reserved``
    :param details: what it was done to, e.g. ``nvr="hello-web-1-1"``; shown as ``name=value``
    """
    shown = "".join(f" {key}={value}" for key, value in details.items() if value not in (None, ""))
    _log.info("step %s%s", name, shown, extra={"step": name, "details": details})
