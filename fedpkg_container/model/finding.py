"""What a check found: where, what is wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

from fedpkg_container.text import printable

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One finding.

    :param code: stable name, ``label-missing``
    :param severity: ``error`` refuses the build, ``warning`` does not
    :param message: what is wrong, one sentence
    :param solution: what to do
    :param file: where, relative to the checkout; empty when it is in no file
    :param line: from 1; 0 for the whole file
    """

    code: str
    severity: str
    message: str
    solution: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        solution = f"\n    {self.solution}" if self.solution else ""
        return printable(f"{where}{self.severity}: {self.message} [{self.code}]{solution}")
