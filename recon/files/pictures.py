"""Pictures that anybody may have made: the formats of photographs, of a size that memory holds."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ...errors import error_line

ENDINGS = frozenset(
    {
        *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"),
        *(".gif", ".avif", ".jp2", ".j2k", ".jpx", ".heic", ".heif"),
    }
)
"""Of the names of pictures that are read; HEIC needs an extra."""
UNREAD_ENDINGS = frozenset(
    {
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw", ".srw", ".pef"),
        *(".psd", ".xcf", ".svg", ".jxl", ".exr", ".hdr", ".tga", ".ico", ".pcx", ".eps"),
    }
)
"""Of pictures that are not: a folder's are told one by one and not passed over."""

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF", "AVIF", "JPEG2000", "HEIF")
"""What is decoded; Pillow knows more, among them PostScript, for which it starts a program."""

MOST_PIXELS = 110_000_000
"""As many as the largest sensors of cameras and phones have, 1.3 GB while it is decoded."""


def read_picture(source: Path | bytes, mode: str) -> Image.Image:
    """A whole picture, upright as the camera was held.

    Args:
        source: a file, or its bytes.
        mode: of the result, as Pillow names it: `RGB`, `L`; empty leaves that of the file.

    Raises:
        OSError: there is no such file.
        ValueError: it is no picture, damaged, or larger; the text is for a user.
    """
    if isinstance(source, Path) and source.exists() and not source.is_file():
        raise ValueError("not a file")
    try:
        with Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=_known_formats()
        ) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
            ImageOps.exif_transpose(picture, in_place=True)
            picture.load()
            if mode in ("RGB", "L"):
                return _eight_bits(picture).convert(mode)
            return picture.convert(mode) if mode else picture.copy()
    except FileNotFoundError:
        raise
    except UnidentifiedImageError:
        deep = _deep_tiff(source)
        if deep is not None:
            return deep.convert(mode or "RGB")
        raise ValueError(_why_unidentified(source)) from None
    except Exception as error:  # decoders raise whatever a damaged field leads to
        raise ValueError(error_line(error)) from error


NOT_A_PICTURE = "not a picture"


_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of deeper grey as one of 8 bits, by the range of its kind and not by clipping."""
    if picture.mode not in ("F", "I") and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture)
    whole = "u2" if picture.mode.startswith("I;16") else picture.mode
    return Image.fromarray(to_eight_bits(values, sixteen_bits=whole == "u2"))


def to_eight_bits(values: NDArray[np.generic], sixteen_bits: bool = False) -> NDArray[np.uint8]:
    """Grey or colour values of any kind of number as 0 to 255.

    Of 16-bit numbers 65535 is white. Other kinds do not say what is white: the smallest of 1, 255
    and 65535 that no value exceeds, or the largest value.

    Raises:
        ValueError: values that are not finite, or negative.
    """
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("it has values that are not finite")
    if numbers.size and numbers.min() < -1e-3 * max(1.0, numbers.max()):
        raise ValueError("it has negative values")
    largest = float(numbers.max(initial=0.0))
    is_float = np.asarray(values).dtype.kind == "f"
    white = 65535.0 if sixteen_bits else largest
    if not sixteen_bits:
        tops = (1.0, 255.0, 65535.0) if is_float else (255.0, 65535.0)
        # A float picture of the range 0 to 1 may overshoot by its filter.
        white = next((top for top in tops if largest <= top * 1.02), largest)
    return np.asarray(np.clip(numbers * (255.0 / white), 0, 255).round(), np.uint8)


def _deep_tiff(source: Path | bytes) -> Image.Image | None:
    """A TIFF of 16-bit or float colours, which Pillow does not know; None for anything else."""
    start = source[:4] if isinstance(source, bytes) else _start_of(source)[:4]
    if start not in (b"II*\0", b"MM\0*"):
        return None
    import tifffile

    try:
        stream = io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())
        with tifffile.TiffFile(stream) as file:
            page = file.pages.first
            if page.imagewidth * page.imagelength > MOST_PIXELS or page.ndim not in (2, 3):
                return None
            values = np.asarray(page.asarray())
    except Exception:  # a damaged file fails in as many ways as it has fields
        return None
    if values.ndim == 3:
        values = values[..., :3] if values.shape[2] >= 3 else values[..., 0]
    try:
        return Image.fromarray(to_eight_bits(values, values.dtype == np.uint16))
    except ValueError:
        return None


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _why_unidentified(source: Path | bytes) -> str:
    start = source[:16] if isinstance(source, bytes) else _start_of(source)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        return "HEIC is read with an extra: pip install 'facebench[heic]'"
    return NOT_A_PICTURE


@cache
def _known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow decodes, HEIC where the extra is installed."""
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
