"""Tags that one image alone has: they say what made it, and when."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

#: What comes before the number in tags of scratch builds, and of base images that were imported.
SCRATCH, IMPORT = "scratch", "import"

_MOMENT = "%Y%m%d%H%M%S"
#: A list in another format than the first has the format's name behind its tag.
_UNIQUE = re.compile(
    r"(?:(?P<kind>scratch|import)-)?(?P<number>\d{1,18})-(?P<moment>\d{14})(?:-(?:v2s2|oci))?", re.ASCII
)


@dataclass(frozen=True)
class UniqueTag:
    """A tag that no other image has.

    :param number: the task that built the image; of an import, the build that it became
    :param made: seconds since the epoch
    :param kind: ``SCRATCH``, ``IMPORT``, or empty for any other build
    """

    number: int
    made: float
    kind: str = ""

    @classmethod
    def read(cls, tag: str) -> UniqueTag | None:
        """Read a tag; None when it is another kind of tag. VERSION-RELEASE may look the same."""
        found = _UNIQUE.fullmatch(tag)
        if found is None:
            return None
        try:
            moment = calendar.timegm(time.strptime(found["moment"], _MOMENT))
        except ValueError:
            return None
        return cls(int(found["number"]), float(moment), found["kind"] or "")

    def __str__(self) -> str:
        moment = time.strftime(_MOMENT, time.gmtime(self.made))
        return "-".join(part for part in (self.kind, str(self.number), moment) if part)


def imported(tags: Iterable[str]) -> list[int]:
    """The builds that base images became which were imported into a repository, by its tags; the newest first."""
    return sorted({each.number for each in map(UniqueTag.read, tags) if each and each.kind == IMPORT}, reverse=True)
