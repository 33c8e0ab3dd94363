"""What a buildContainer task says of what it built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.text import printable_line


@dataclass(frozen=True)
class BuildResult:
    """The result of a task, safe to show.

    :param pull_specs: by tag, by digest
    :param builds: ids of the Koji builds that were made
    :param arches: arch → pull spec of its image alone; our builders say it, upstream's do not
    """

    pull_specs: tuple[str, ...] = ()
    builds: tuple[int, ...] = ()
    arches: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, result: Any) -> BuildResult:
        """What a task returned; what is not as it should be is passed over."""
        if not isinstance(result, Mapping):
            return cls()
        arches = result.get("arches")
        return cls(
            pull_specs=_texts(result.get("repositories")),
            builds=tuple(int(each) for each in _texts(result.get("koji_builds")) if each.isascii() and each.isdigit()),
            arches={
                printable_line(str(arch)): printable_line(str(image))
                for arch, image in (arches.items() if isinstance(arches, Mapping) else ())
            },
            warnings=_texts(result.get("user_warnings")),
        )


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, (list, tuple)) else [value] if isinstance(value, str) else []
    return tuple(printable_line(str(each)) for each in items if isinstance(each, (str, int)))
