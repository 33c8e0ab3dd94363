"""Reading a Dockerfile, with dockerfile-parse."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser
from dockerfile_parse.parser import image_from

from fedpkg_container.errors import RefusedError

#: The longest Dockerfile that is read, bytes.
LONGEST = 1024 * 1024

SCRATCH = "scratch"
#: Where an option of COPY or RUN names an image or a stage: ``--from=x``, ``--mount=type=bind,from=x``.
_FROM_OPTION = re.compile(r"(?:^--|,|=)from=([^\s,]+)", re.MULTILINE)
#: What dockerfile-parse raises when it cannot make sense of an instruction.
_PARSER_ERRORS = (IndexError, KeyError, ValueError, AttributeError, TypeError)


@dataclass(frozen=True)
class Stage:
    """One FROM.

    :param image: what follows FROM, with arguments filled in
    :param name: what follows AS; empty when there is none
    :param line: number of the line, from 1
    :param is_earlier_stage: FROM names a stage above, not an image
    """

    image: str
    name: str
    line: int
    is_earlier_stage: bool


class Dockerfile:
    """The text of a Dockerfile, and what can be read from it.

    :param text: the whole file
    :raises RefusedError: it cannot be taken apart
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            parser = DockerfileParser(fileobj=io.BytesIO(text.encode()), env_replace=True)
            self._structure: list[dict[str, Any]] = parser.structure
            self._images: list[str] = parser.parent_images
            #: The labels of the last stage, with variables filled in.
            self.labels: dict[str, str] = dict(parser.labels)
        except _PARSER_ERRORS as error:
            raise RefusedError(
                f"the Dockerfile cannot be read{_suspect(text)}: {error}",
                solution="check quotes, backslashes and instructions without a value",
            ) from error

    @classmethod
    def read(cls, folder: Path) -> Dockerfile:
        """The Dockerfile in a folder; one that is a link out of it is not followed.

        :raises RefusedError: there is none, or it is not text
        """
        path = folder / "Dockerfile"
        if not path.is_file():
            raise RefusedError(f"there is no Dockerfile in {folder}", solution="add one, and commit and push it")
        if not path.resolve().is_relative_to(folder.resolve()):
            raise RefusedError(f"{path} is a link that leads out of the checkout", solution="make it a file")
        if path.stat().st_size > LONGEST:
            raise RefusedError(f"{path} is longer than {LONGEST} bytes")
        try:
            return cls(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise RefusedError(f"{path} is not UTF-8 text: {error}", solution="save it as UTF-8") from error

    @cached_property
    def stages(self) -> list[Stage]:
        """Every FROM, in order."""
        found: list[Stage] = []
        instructions = [each for each in self._structure if each["instruction"] == "FROM" and each["value"].strip()]
        for instruction, image in zip(instructions, self._images):
            name = image_from(instruction["value"])[1] or ""
            earlier = image in {stage.name for stage in found} or (image.isdigit() and int(image) < len(found))
            found.append(Stage(image, name, instruction["startline"] + 1, earlier))
        return found

    @property
    def parents(self) -> list[str]:
        """The images that FROM names, as written and in order, each once; without ``scratch`` and earlier stages."""
        images = [stage.image for stage in self.stages if not stage.is_earlier_stage and stage.image != SCRATCH]
        return list(dict.fromkeys(images))

    @property
    def base(self) -> str:
        """The image that the last stage begins with; empty for ``scratch``."""
        stages = {stage.name: stage for stage in self.stages if stage.name}
        current = self.stages[-1] if self.stages else None
        while current is not None and current.is_earlier_stage:
            current = self.stages[int(current.image)] if current.image.isdigit() else stages.get(current.image)
        return current.image if current is not None and current.image != SCRATCH else ""

    @property
    def foreign_sources(self) -> list[tuple[str, int]]:
        """Images that COPY, ADD or RUN --mount take files from without a FROM, and the lines where they do.

        They could be neither pinned nor recorded as parents.
        """
        known = {stage.name for stage in self.stages if stage.name} | {str(n) for n in range(len(self.stages))}
        found = []
        for instruction in self._structure:
            if instruction["instruction"] not in ("COPY", "ADD", "RUN"):
                continue
            for image in _FROM_OPTION.findall(_options(instruction["value"])):
                if image not in known:
                    found.append((image, instruction["startline"] + 1))
        return found

    def with_parents(self, pinned: Mapping[str, str]) -> str:
        """The text with the images of FROM replaced: as written → what to build on."""
        parser = DockerfileParser(fileobj=io.BytesIO(self.text.encode()), env_replace=True)
        parser.parent_images = [pinned.get(stage.image, stage.image) for stage in self.stages]
        content: str = parser.content
        return content


def _options(value: str) -> str:
    """The options at the beginning of an instruction's value, one a line; what follows is not read."""
    return "\n".join(itertools.takewhile(lambda word: word.startswith("--"), value.split()))


def _suspect(text: str) -> str:
    """Where the first instruction without a value is, as a part of a sentence."""
    for instruction in DockerfileParser(fileobj=io.BytesIO(text.encode())).structure:
        if instruction["instruction"] not in ("COMMENT",) and not instruction["value"].strip():
            return f" (line {instruction['startline'] + 1}: {instruction['instruction']} has no value)"
    return ""
