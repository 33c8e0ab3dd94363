"""Where in a Dockerfile its labels are set."""

from __future__ import annotations

import io

from dockerfile_parse import DockerfileParser

from fedpkg_container.distgit.dockerfile import Dockerfile


def label_lines(dockerfile: Dockerfile) -> dict[str, int]:
    """The labels that the last stage sets, and the line of the instruction that sets each, from 1."""
    lines: dict[str, int] = {}
    for instruction in DockerfileParser(fileobj=io.BytesIO(dockerfile.text.encode())).structure:
        if instruction["instruction"] == "FROM":
            lines.clear()
        elif instruction["instruction"] == "LABEL":
            alone = io.BytesIO(f"FROM scratch\n{instruction['content']}".encode())
            for name in DockerfileParser(fileobj=alone, env_replace=False).labels:
                lines[name] = instruction["startline"] + 1
    return lines
