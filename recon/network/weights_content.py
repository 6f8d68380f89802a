"""The content of a weights or checkpoint file, written by rename and read without running it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...errors import FacebenchError, error_line
from ..files.text import parse_json
from ..files.writing import atomic_write
from ..recipes.kinds import AnyRecipe, recipe_from_table
from .tensor_files import UnreadableTensorsError, is_table_of_tensors, load_tensors

FORMAT = 1


def write_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint by rename, so that a reader never sees half a file."""
    with atomic_write(path) as draft:
        save_tensors(draft, content)


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """`torch.save`, whose writer would hide a full disk behind an error of its own."""
    try:
        with path.open("wb") as file:
            torch.save(dict(content), file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def read_content(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file, without running anything in it."""
    if not path.is_file():
        raise FacebenchError(f"no checkpoint at {path}", "make one with 'facebench train'")
    try:
        content = load_tensors(path)
    except UnreadableTensorsError as error:
        raise FacebenchError(
            f"checkpoint {path} cannot be read ({error})", "it is truncated or not a checkpoint"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FacebenchError(
            f"{path} is not a checkpoint of facebench", f"expected format {FORMAT}"
        )
    _check_types(path, content)
    return content


def recipe_in(path: Path, content: Mapping[str, Any]) -> AnyRecipe:
    """The recipe that a checkpoint keeps.

    Raises:
        FacebenchError: it keeps none that can be read.
    """
    try:
        return recipe_from_table(parse_json(content["recipe"]))
    except (ValueError, TypeError, AttributeError, FacebenchError) as error:
        said = f"checkpoint {path}: no recipe in it ({error_line(error)})"
        raise FacebenchError(said, "train it again") from error


def _check_types(path: Path, content: Mapping[str, Any]) -> None:
    whole = isinstance(content.get("recipe"), str) and is_table_of_tensors(content.get("weights"))
    counts = [content.get("steps"), content.get("seed")]
    if not whole or not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        raise FacebenchError(
            f"checkpoint {path} is damaged", "it needs recipe, weights, steps and seed"
        )
