# SPDX-License-Identifier: GPL-2.0-or-later
"""Which layers an image has according to a store: for any contents of the store, a result or an error."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.engines.inside import read_image


def _store(directory: Path, images: Any, layers: Any, volatile: Any = None) -> str:
    for kind, name, content in (
        ("images", "images", images),
        ("layers", "layers", layers),
        ("layers", "volatile-layers", volatile),
    ):
        kind_directory = directory / f"overlay-{kind}"
        kind_directory.mkdir(parents=True, exist_ok=True)
        if content is not None:
            (kind_directory / f"{name}.json").write_text(json.dumps(content))
    return str(directory)


_HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.lists(_HEX, min_size=1, max_size=20, unique=True), st.integers(0, 19), st.booleans())
def test_layers_of_several_stores_are_found_in_their_order(names: list[str], split: int, volatile: bool) -> None:
    chain = [{"id": name, **({"parent": names[at - 1]} if at else {})} for at, name in enumerate(names)]
    base, own = chain[:split], chain[split:]
    with tempfile.TemporaryDirectory() as made:
        shared = _store(Path(made, "shared"), [], base)
        store = _store(Path(made, "own"), [{"id": "image", "layer": names[-1]}], *((None, own) if volatile else (own,)))
        found = read_image.layers("image", [store, shared])
    where = {each["id"]: shared if each in base else store for each in chain}
    assert found == [f"{where[name]}/overlay/{name}/diff" for name in reversed(names)]


def test_an_image_without_layers_has_none(tmp_path: Path) -> None:
    assert read_image.layers("image", [_store(tmp_path, [{"id": "image"}], [])]) == []


_IDS = st.sampled_from(["a", "b", "c", "../../../etc", "/", "", "image"])


@given(
    st.lists(st.fixed_dictionaries({"id": _IDS}, optional={"layer": _IDS}), max_size=4),
    st.lists(st.fixed_dictionaries({"id": _IDS}, optional={"parent": _IDS}), max_size=6),
)
def test_links_in_circles_and_other_names_end(images: list[Any], layers: list[Any]) -> None:
    """What a layer is called may lead elsewhere in the worker's file system, which is all that it could."""
    with tempfile.TemporaryDirectory() as made:
        store = _store(Path(made), images, layers)
        try:
            found = read_image.layers("image", [store])
        except SystemExit:
            return
        assert all(each.startswith(f"{store}/overlay/") for each in found)


@pytest.mark.parametrize("text", ["null", "[]"])
def test_an_empty_store_has_no_image(tmp_path: Path, text: str) -> None:
    store = _store(tmp_path, json.loads(text), json.loads(text))
    with pytest.raises(SystemExit, match="no store has the image"):
        read_image.layers("image", [store])
