"""Hashes of files that are remembered."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from facebench.recon.files import contents


@pytest.mark.parametrize("name", [b"plain.jpg", b"caf\xe9.jpg", b"tab\t and\nline.jpg"])
def test_a_hash_is_remembered_whatever_the_file_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # A file of this moment is not remembered, so that tests of new ones alone see nothing of it.
    monkeypatch.setattr(contents, "_SETTLED_SECONDS", -60.0)
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"one")
    expected = {path: hashlib.sha256(b"one").hexdigest()}
    assert contents.content_hashes([path]) == expected
    monkeypatch.setattr(contents, "_hash", lambda path: "read again")
    assert contents.content_hashes([path]) == expected
    path.write_bytes(b"other")
    assert contents.content_hashes([path]) == {path: "read again"}
