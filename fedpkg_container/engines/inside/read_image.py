# SPDX-License-Identifier: GPL-2.0-or-later
"""Copy files out of an image without executing its contents: a program in a worker.

The layers of the image are mounted as an overlay, read-only, as containers/storage keeps them: ``overlay-images`` has
an image's top layer, ``overlay-layers`` each layer's parent, and ``overlay/LAYER/diff`` its files. Then the process
changes its root directory to the image's, so that links in it cannot lead outside.

Its argument is a file with a JSON object: ``image`` (its ID), ``stores`` (directories), ``target`` (an existing empty
directory), ``directories`` (whose regular files are copied), ``files`` (copied, following links), ``present`` (created
as empty files or directories if they exist in the image), ``max_bytes`` (total size limit, bytes).
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys

from .store_index import entries

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_libc = ctypes.CDLL(None, use_errno=True)


def layers(image: str, stores: list[str]) -> list[str]:
    """Directories of an image's layers, the uppermost first.

    :raises SystemExit: if one is missing
    """
    tops: dict[str, str] = {}
    known: dict[str, tuple[str, str]] = {}
    for store in stores:
        for each in entries(store, "images", "images"):
            tops.setdefault(each["id"], each.get("layer", ""))
        for each in entries(store, "layers", "layers", "volatile-layers"):
            known.setdefault(each["id"], (each.get("parent", ""), f"{store}/overlay/{each['id']}/diff"))
    if image not in tops:
        raise SystemExit(f"no store has the image {image}")
    directories: list[str] = []
    layer = tops[image]
    while layer:
        if layer not in known or len(directories) > 500:
            raise SystemExit(f"the layer {layer} of {image} is missing")
        layer, directory = known[layer]
        directories.append(directory)
    return directories


def mount(directories: list[str], target: str, work: str) -> None:
    """Mount layers as an overlay."""
    links = []
    empty = f"{work}/empty"  # overlay requires at least two layers
    os.mkdir(empty)
    for number, directory in enumerate([*directories, empty]):
        link = f"{work}/{number}"  # short: all must fit into a page
        os.symlink(directory, link)
        links.append(link)
    options = f"lowerdir={':'.join(links)},userxattr"
    flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    result = _libc.mount(b"overlay", target.encode(), b"overlay", ctypes.c_ulong(flags), options.encode())
    if result < 0:
        error = ctypes.get_errno()
        raise SystemExit(f"the layers of the image cannot be mounted: {os.strerror(error)}")


class Copier:
    """Copies files from the root directory into a target directory, opened beforehand.

    :param target: descriptor of the directory
    :param max_bytes: total size limit, bytes
    """

    def __init__(self, target: int, max_bytes: int) -> None:
        self.target = target
        self.left = max_bytes

    def parent(self, path: str) -> int:
        """Make the parent directories of a path in the target; its descriptor."""
        current = os.dup(self.target)
        for name in path.strip("/").split("/")[:-1]:
            try:
                os.mkdir(name, 0o755, dir_fd=current)
            except FileExistsError:
                pass
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = below
        return current

    def file(self, path: str, *, follow: bool) -> None:
        """Copy a regular file, if it exists."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
        try:
            source = os.open(path, flags)
        except OSError:
            return
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                return
            self.left -= status.st_size
            if self.left < 0:
                raise SystemExit(f"{path} is too large")
            self._write(source, path, status.st_size)
        finally:
            os.close(source)

    def _write(self, source: int, path: str, size: int) -> None:
        parent = self.parent(path)
        target = os.open(os.path.basename(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=parent)
        os.close(parent)
        try:
            while size > 0 and (chunk := os.read(source, min(1 << 20, size))):
                os.write(target, chunk)
                size -= len(chunk)
        finally:
            os.close(target)

    def directory(self, path: str) -> None:
        """Copy the regular files of a directory that is not a link, nor below one."""
        if os.path.realpath(path) != path or not os.path.isdir(path):
            return
        for name in sorted(os.listdir(path)):
            self.file(f"{path}/{name}", follow=False)

    def present(self, path: str) -> None:
        """Create an empty file, or directory, if the path exists in the image; a file for a link."""
        if not os.path.lexists(path):
            return
        real = os.path.realpath(path) == path and os.path.isdir(path)
        parent = self.parent(path)
        try:
            if real:
                os.mkdir(os.path.basename(path), 0o755, dir_fd=parent)
            else:
                os.close(os.open(os.path.basename(path), os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=parent))
        except FileExistsError:
            pass
        finally:
            os.close(parent)


def main() -> None:
    """Copy the requested files."""
    with open(sys.argv[1]) as file:
        request = json.load(file)
    work, root = "/tmp/layers", "/tmp/root"
    os.mkdir(work)
    os.mkdir(root)
    mount(layers(request["image"], request["stores"]), root, work)
    copier = Copier(os.open(request["target"], os.O_RDONLY | os.O_DIRECTORY), request["max_bytes"])
    os.chroot(root)
    os.chdir("/")
    for path in request["directories"]:
        copier.directory(f"/{path}")
    for path in request["files"]:
        copier.file(f"/{path}", follow=True)
    for path in request["present"]:
        copier.present(f"/{path}")


def start() -> None:
    """Run the program with the arguments of this process, and exit."""
    try:
        main()
    except OSError as error:
        sys.exit(f"read_image: {error.strerror or error}: {error.filename or ''}")
