# SPDX-License-Identifier: GPL-2.0-or-later
"""All checks, by the codes of their findings: the source of ``lint --explain`` and docs/reference/checks.md."""

from fedpkg_container.model.checks import checkout, context, dockerfile, hub, labels, yaml
from fedpkg_container.model.checks.check import Check, Example

__all__ = ["CHECKS", "FILE_CHECKS", "Check", "Example"]

#: Checks of files, which need neither git nor a hub.
FILE_CHECKS: dict[str, Check] = {**dockerfile.CHECKS, **context.CHECKS, **labels.CHECKS, **yaml.CHECKS}
#: All checks. The codes are stable: scripts use them.
CHECKS: dict[str, Check] = {**checkout.CHECKS, **FILE_CHECKS, **hub.CHECKS}
