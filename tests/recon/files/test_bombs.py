"""Small files that stand for more than any memory or time holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.network.tensor_files import load_tensors, read_content


def test_lists_in_lists_are_looked_at_once(tmp_path: Path) -> None:
    nested: list[object] = []
    for _ in range(60):
        nested = [nested] * 10
    torch.save(nested, tmp_path / "laughs.pt")
    assert isinstance(load_tensors(tmp_path / "laughs.pt"), list)
    with pytest.raises(FacebenchError, match=r"laughs\.pt"):
        read_content(tmp_path / "laughs.pt")


def test_the_kept_one_is_refused_in_a_line(shared: Path) -> None:
    with pytest.raises(FacebenchError, match=r"laughs\.pt"):
        read_content(shared / "cases" / "laughs.pt")
