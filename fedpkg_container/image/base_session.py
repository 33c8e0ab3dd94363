"""One import of a base image on this machine: its folder, its engine and its log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.engines import rootless
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import RUNTIMES, Isolation
from fedpkg_container.engines.workspace import Workspaces, locked
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.image.log import BuildLog
from fedpkg_container.registry.skopeo import Access


@dataclass(frozen=True)
class Workshop:
    """What an import works with."""

    engine: Buildah
    log: BuildLog


class _ShownLog(BuildLog):
    """A log whose lines somebody sees."""

    show: Callable[[str], None]

    def line(self, text: bytes | str) -> None:
        """Add a line."""
        super().line(text)
        self.show(text if isinstance(text, str) else text.decode(errors="replace"))


@contextlib.contextmanager
def workshop(state: Path, access: Access, show: Callable[[str], None] = lambda _: None) -> Iterator[Workshop]:
    """A place to import in; nothing stays there.

    :param state: folder of builds; a builder may share it
    :param access: how the candidate registry is reached
    :param show: gets each line of the log
    :raises FedpkgContainerError: another import runs on this machine
    """
    rootless.enter()
    workspaces = Workspaces(state)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(state / "import.lock", wait=False))
        except BlockingIOError:
            raise FedpkgContainerError(
                f"another import runs on this machine, in {state}", solution="wait for it to end"
            ) from None
        workspace = stack.enter_context(workspaces.open("import"))
        log = _ShownLog(workspace.folder / "import-base.log")
        log.show = show
        stack.enter_context(log)
        # Nothing is executed: no runtime is needed.
        yield Workshop(Buildah(workspaces, workspace, isolation=Isolation(RUNTIMES[0]), access=access), log)
