"""Threads that wait for registries: a bounded number of them, and what one of them meets ends the others' work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Threads of one kind; what runs on them may not wait for further ones of the same kind.

    :param limit: how many there are at the most
    """

    def __init__(self, limit: int) -> None:
        self._pool = ThreadPoolExecutor(limit)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def each(
        self, act: Callable[[Item], Result], items: Iterable[Item], *, on_error: Callable[[], None] = lambda: None
    ) -> list[Result]:
        """Do something with each item, many at the same time; the results in the order of the items.

        The first error is raised when nothing of this call runs any more; what had not begun is left.

        :param on_error: makes what still runs end soon
        """
        futures: list[Future[Result]] = [self._pool.submit(act, item) for item in items]
        try:
            return [each.result() for each in futures]
        except BaseException:
            on_error()
            for each in futures:
                each.cancel()
            wait(futures)
            raise
