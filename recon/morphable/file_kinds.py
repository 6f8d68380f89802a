"""What a file is by its first bytes, so that a wrong one is named instead of misread."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from ...errors import FacebenchError


class FileKind(Enum):
    """Kinds of file met where a face model is expected; the value completes "this is …"."""

    EMPTY = "an empty file"
    LFS_POINTER = "a Git LFS pointer, not the file itself"
    GZIP = "a gzip archive"
    ZIP = "a zip archive"
    MAT5 = "a MATLAB v5 file"
    MAT73 = "a MATLAB v7.3 file"
    HDF5 = "an HDF5 file"
    PICKLE = "a pickle"
    WEB_PAGE = "a web page"
    OTHER = "a file of another kind"


_SIGNATURES = (
    (b"version https://git-lfs", FileKind.LFS_POINTER),
    (b"\x1f\x8b", FileKind.GZIP),
    (b"PK\x03\x04", FileKind.ZIP),
    (b"MATLAB 5.0 MAT-file", FileKind.MAT5),
    (b"MATLAB 7.3 MAT-file", FileKind.MAT73),
    (b"\x89HDF\r\n\x1a\n", FileKind.HDF5),
    (b"\x80\x02", FileKind.PICKLE),
    (b"\x80\x03", FileKind.PICKLE),
    (b"\x80\x04", FileKind.PICKLE),
    (b"\x80\x05", FileKind.PICKLE),
    (b"<!doctype html", FileKind.WEB_PAGE),
    (b"<!DOCTYPE html", FileKind.WEB_PAGE),
    (b"<html", FileKind.WEB_PAGE),
)

_ADVICE = {
    FileKind.LFS_POINTER: "fetch the file itself: 'git lfs pull' in the repository it came from",
    FileKind.GZIP: "unpack it (tar xzf NAME.tgz) and give the file from inside",
    FileKind.ZIP: "unpack it; an .npz goes through 'facebench models import npz'",
    FileKind.MAT5: "if it is BFM 2009: 'facebench models import basel-2009'",
    FileKind.MAT73: "open it in MATLAB and store it again with save(…, '-v7')",
    FileKind.HDF5: "if it is BFM 2017 or 2019: 'facebench models import basel-2017' or basel-2019",
    FileKind.PICKLE: "pickles are never loaded; export its arrays to an .npz",
    FileKind.WEB_PAGE: "the download asked for a log-in: fetch it again in a browser",
}


def kind_of(path: Path) -> FileKind:
    """The kind of an existing file.

    Raises:
        FacebenchError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(32).lstrip()
    except OSError as error:
        raise FacebenchError(f"{path}: unreadable ({error.strerror})") from error
    if not start:
        return FileKind.EMPTY
    kinds = (kind for signature, kind in _SIGNATURES if start.startswith(signature))
    return next(kinds, FileKind.OTHER)


def expect_kind(path: Path, wanted: FileKind, fetch: str) -> None:
    """Refuse anything but an existing file of the wanted kind.

    Args:
        path: the file.
        wanted: what it must be.
        fetch: where the right file comes from, for the error.

    Raises:
        FacebenchError: nothing is there, or something else, which is named.
    """
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", fetch)
    kind = kind_of(path)
    if kind is not wanted:
        advice = _ADVICE.get(kind, fetch)
        raise FacebenchError(f"{path}: this is {kind.value}; expected {_name(wanted)}", advice)


def _name(kind: FileKind) -> str:
    return "a binary archive" if kind is FileKind.OTHER else kind.value
