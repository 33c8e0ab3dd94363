"""How far each log of a tree of tasks has been read."""

from __future__ import annotations

from fedpkg_container.text import LineSplitter, printable

#: Bytes of one log that are read in one request: at first, and when more is waiting.
CHUNK = 256 * 1024
LARGEST_CHUNK = 4 * 1024 * 1024


class Log:
    """One log."""

    def __init__(self) -> None:
        self.offset = 0
        self.size = 0
        #: Bytes to read next time: more while more comes than was asked for.
        self.chunk = CHUNK
        self._splitter = LineSplitter()

    def resize(self, size: int) -> None:
        """Note how long the log is; one that has become shorter was begun anew, by a task that began again."""
        if size < self.offset:
            self.offset, self._splitter = 0, LineSplitter()
        self.size = size

    @property
    def is_behind(self) -> bool:
        """Whether more is known to be there than was read."""
        return self.offset < self.size

    def add(self, content: bytes) -> tuple[str, ...]:
        """The lines that this part completes."""
        self.chunk = min(self.chunk * 2, LARGEST_CHUNK) if len(content) >= self.chunk else CHUNK
        self.offset += len(content)
        return shown(self._splitter.add(content))

    def rest(self) -> tuple[str, ...]:
        """What is left without a newline at the end of the log."""
        return shown(self._splitter.rest())


def shown(lines: list[bytes]) -> tuple[str, ...]:
    """Lines as they may be shown; a progress bar's carriage returns leave only what was seen last."""
    if not lines:
        return ()
    text = b"\n".join(lines).decode(errors="replace")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return tuple(printable(text).split("\n"))
