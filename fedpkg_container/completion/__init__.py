# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell completion from a snapshot of the client's arguments and cached values, without network access.

``values`` marks arguments (:func:`complete_with`), ``snapshot`` stores the client's arguments, ``complete`` returns the
completions from both, and ``refresh`` updates the cache in the background. Except for ``refresh``, nothing here imports
koji, git, requests or pyrpkg, and imports are kept to a minimum: each delays the completion.
"""

from fedpkg_container.completion.values import KINDS, Completer, complete_with

__all__ = ["KINDS", "Completer", "complete_with"]
