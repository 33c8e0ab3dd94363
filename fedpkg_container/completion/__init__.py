"""What a TAB shows: the site's whole client as a snapshot, and values from a cache; a TAB never waits for a network.

``values`` marks arguments (:func:`complete_with`), ``snapshot`` keeps the client's arguments, ``answer`` answers a TAB
from both, ``refresh`` fills the cache in the background. What answers a TAB imports neither koji, git, requests nor
pyrpkg, and as little else as it can.
"""

from fedpkg_container.completion.values import KINDS, Completer, complete_with

__all__ = ["KINDS", "Completer", "complete_with"]
