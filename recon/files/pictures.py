"""Pictures that anybody may have made: the formats of photographs, of a size that memory holds."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from ...errors import error_line

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF")
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
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS
        ) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
            ImageOps.exif_transpose(picture, in_place=True)
            picture.load()
            return picture.convert(mode) if mode else picture.copy()
    except FileNotFoundError:
        raise
    except UnidentifiedImageError:
        raise ValueError(NOT_A_PICTURE) from None
    except Exception as error:  # decoders raise whatever a damaged field leads to
        raise ValueError(error_line(error)) from error


NOT_A_PICTURE = "not a picture"
