"""How far each log of a tree of tasks has been read."""

from __future__ import annotations

from fedpkg_container.text import LineSplitter, printable

#: Bytes of one log that are read in one request: at first, and when more is waiting.
CHUNK = 256 * 1024
LARGEST_CHUNK = 4 * 1024 * 1024
#: Answers without content after which a log is taken to be at its end, whatever was said of its size.
EMPTY_ANSWERS = 3


class Log:
    """One log."""

    def __init__(self) -> None:
        self.offset = 0
        self.size = 0
        #: Bytes to read next time: more while more comes than was asked for.
        self.chunk = CHUNK
        #: The last answer brought all that was asked for: there is more.
        self.is_full = False
        self._begins_anew = False
        self._empty = 0
        self._splitter = LineSplitter()

    def expect_anew(self) -> None:
        """The log's task has begun again: when the log becomes shorter, it was begun anew as well."""
        self._begins_anew = True

    def resize(self, size: int) -> None:
        """Note how long the log is.

        One that becomes shorter without reason does so on a hub with several front ends, for a moment.
        """
        if size < self.offset and self._begins_anew:
            self.offset, self.size, self._splitter = 0, 0, LineSplitter()
            self._begins_anew = False
        self.size = max(self.size, size)

    @property
    def is_behind(self) -> bool:
        """Whether more is known to be there than was read."""
        return self.offset < self.size

    def add(self, content: bytes, asked: int) -> tuple[str, ...]:
        """The lines that this part completes.

        :param asked: bytes that were asked for
        """
        self._empty = 0 if content else self._empty + 1
        if self._empty >= EMPTY_ANSWERS:
            self.size = self.offset
        self.is_full = len(content) >= asked
        self.chunk = min(self.chunk * 2, LARGEST_CHUNK) if self.is_full else CHUNK
        self.offset += len(content)
        return shown(self._splitter.add(content))

    def give_up(self) -> None:
        """Take what was read for all there is."""
        self.size = self.offset

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
