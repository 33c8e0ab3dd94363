"""What all renderers are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Optional

from fedpkg_container.hub.events import Event


class Renderer(ABC):
    """Shows what happens to a build, for as long as it is entered."""

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        return None

    @abstractmethod
    def __call__(self, event: Event) -> None:
        """Show one event."""
