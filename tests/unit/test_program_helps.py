"""What our programs say of themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from fedpkg_container import cluster_cli
from fedpkg_container.box.cli import _parser as box_parser
from fedpkg_container.registry_cli import make_parser


def _all(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _all(each)


@pytest.mark.parametrize(
    "parser",
    [*_all(make_parser()), *_all(box_parser()), *_all(cluster_cli.make_parser())],
    ids=lambda each: str(each.prog),
)
def test_a_help_fits_80_columns(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in parser.format_help().splitlines() if len(line) > 80] == []
