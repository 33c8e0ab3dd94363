"""Which files of this machine a program needs: itself, its libraries, and the links that lead to them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import run

_LIBRARY = re.compile(r"(?:=>\s+)?(/\S+)\s+\(0x")


def program(name: str) -> Path:
    """Where a program is.

    :raises FedpkgContainerError: it is not installed
    """
    found = shutil.which(name)
    if found is None:
        raise FedpkgContainerError(f"program not found: {name}", solution=f"install {name}")
    return Path(found)


def libraries(files: Iterable[Path]) -> set[Path]:
    """The shared libraries that programs and libraries are linked with, as the loader names them."""
    found: set[Path] = set()
    for path in files:
        listed = run(["ldd", path], timeout=60, check=False).text
        found.update(Path(match) for match in _LIBRARY.findall(listed))
    return found


def below(folder: Path) -> set[Path]:
    """The files of a directory and of those below it."""
    return {path for path in folder.rglob("*") if path.is_file()}


def is_dnf5() -> bool:
    """Whether the system's ``dnf`` is dnf 5, which is not a Python program; on Fedora it is since version 41."""
    return program("dnf").resolve().name == "dnf5"


def system_python() -> Path:
    """The interpreter that the system's dnf 4 runs on."""
    first = program("dnf").resolve().read_text(errors="replace").splitlines()[0]
    return Path(first.removeprefix("#!").split()[0])


#: Parts of Python's library that are for people who write programs.
_LEFT_OUT = frozenset(
    "test tests idlelib lib2to3 tkinter turtledemo ensurepip pydoc_data site-packages dist-packages __pycache__".split()
)


def python_files() -> set[Path]:
    """The system Python's own modules."""
    script = "import os; print(os.path.dirname(os.__file__))"
    root = Path(run([system_python(), "-c", script], timeout=60).text.strip())
    return {path for path in root.rglob("*") if path.is_file() and not _left_out(path.relative_to(root))}


def _left_out(path: Path) -> bool:
    return bool(_LEFT_OUT & set(path.parts)) or path.suffix == ".a" or path.parts[0].startswith("config-")


def modules(*names: str) -> set[Path]:
    """The files of modules of the system's Python."""
    script = "import importlib.util as u, sys\nfor n in sys.argv[1:]: print(u.find_spec(n).origin)"
    origins = run([system_python(), "-c", script, *names], timeout=60).text.split()
    found: set[Path] = set()
    for origin in map(Path, origins):
        if origin.name == "__init__.py":
            found.update(
                path for path in origin.parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts
            )
        else:
            found.add(origin)
    return found
