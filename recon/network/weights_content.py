"""The content of a weights or checkpoint file, written by rename and read without running it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from ...errors import FacebenchError
from ..files import replacing

FORMAT = 1


def write_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint by rename, so that a reader never sees half a file."""
    with replacing(path) as draft:
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
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, BadZipFile, pickle.UnpicklingError) as e:
        raise FacebenchError(
            f"checkpoint {path} cannot be read", "it is truncated or not a checkpoint"
        ) from e
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FacebenchError(
            f"{path} is not a checkpoint of facebench", f"expected format {FORMAT}"
        )
    return content
