"""Pictures that anybody may have made: the formats of photographs, of a size that memory holds."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ...errors import error_line
from .colours import in_srgb, stated_change
from .contents import START_BYTES, not_the_file

ENDINGS = frozenset(
    {
        *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"),
        *(".gif", ".avif", ".jp2", ".j2k", ".jpx", ".jpf", ".jpc", ".heic", ".heif", ".hif"),
        *(".jpe", ".mpo", ".jps", ".dib", ".pnm", ".pbm", ".apng"),
    }
)
"""Of the names of pictures that are read; HEIC needs an extra."""
UNREAD_ENDINGS = frozenset(
    {
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw", ".srw", ".pef"),
        *(".3fr", ".nrw", ".rwl", ".x3f", ".iiq", ".jxr"),
        *(".psd", ".xcf", ".svg", ".jxl", ".exr", ".hdr", ".tga", ".ico", ".pcx", ".eps"),
    }
)
"""Of pictures that are not: a folder's are told one by one and not passed over."""
PHOTOGRAPHS = ENDINGS | UNREAD_ENDINGS
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF", "AVIF", "JPEG2000", "HEIF")
"""What is decoded; Pillow knows more, among them PostScript, for which it starts a program."""
MOST_PIXELS = 110_000_000
"""As many as the largest sensors of cameras and phones have, 1.3 GB while it is decoded."""
NOT_A_PICTURE = "not a picture"
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_PIPES = {"PNG": "png_pipe", "TIFF": "tiff_pipe", "PPM": "ppm_pipe", "JPEG2000": "j2k_pipe"}
"""FFmpeg's names of the formats whose colours Pillow cuts to their upper 8 of 16 bits."""
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _PLANES, _SAMPLES = 258, 259, 262, 274, 284, 339
_PROFILE, _KIND = 34675, 254
"""Tags of TIFF."""
_REDUCED = 1
"""What `_KIND` says of a small copy of another picture in the file."""
_PIXELS_FOLLOW = 0xDA
"""Of JPEG: the mark before them."""
_SIGNED = 2
"""What `_SAMPLES` says of whole numbers with a sign."""
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_PACKED = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF")
"""Formats whose decoders make grey or garbage of what lacks."""
_PLAIN = ("BMP", "PPM", "TIFF")
"""Formats that keep pixels as they are, so that what lacks is black."""
_HOLE_ROWS, _HOLE_SHARE = 3, 0.02
"""Black rows behind a row that is cut off, and how much of it is at least."""
_LIGHT_ABOVE, _NOT_BLACK = 0.9, 32
"""How much of the row above is light, and what part of white: margins of JPEG are hardly black."""
_BEFORE_ENDS, _FADED = 32, 0.5
"""Pixels before the end of a row that is cut off, and how light they are by those above."""
_BLOCK, _SECTOR = 4096, 512
"""In bytes: what is copied at once, and the steps in which disks and programs count."""
_HEAD_BYTES = 2**16
"""Of a picture's file, in which it says what its colours are."""
_HALF_COPY = 64
"""Zeros in a row that no camera writes behind a picture's last bytes."""
_FILM = re.compile(rb"ftyp(?:mp4|iso|qt )")
"""Begins the film that a telephone writes behind a photograph; it may end in zeros."""
_TOPS = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""White in pictures of float, 8, 10, 12, 14 and 16 bits."""


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
        ) as opened:
            picture: Image.Image = opened
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
            change = stated_change(opened, _start_of(source, _HEAD_BYTES))
            tags = dict(getattr(opened, "tag_v2", {}))
            if int(tags.get(_KIND, 0)) & _REDUCED:
                raise ValueError("its first picture is a preview, as in raw files: save it as JPEG")
            if opened.format == "TIFF" and _is_deep(tags):
                picture = _deep_tiff(source)
            elif mode in ("RGB", "L"):
                picture = _with_all_bits(opened, source)
            if opened.format in _PLAIN and _has_hole(_with_dark_zeros(picture)):
                raise ValueError("zeros from the middle of a row on: half a copy")
            ImageOps.exif_transpose(picture, in_place=True)
            picture.load()
            if opened.format in _PACKED and _ends_in_zeros(source):
                raise ValueError("zeros at its end: half a copy")
            if opened.format in _PACKED and _lacks_blocks(source):
                raise ValueError("zeros between its pixels: a part was never copied")
            if mode in ("RGB", "L"):
                return in_srgb(_eight_bits(picture, tags), change).convert(mode)
            return picture.convert(mode) if mode else picture.copy()
    except FileNotFoundError:
        raise
    except UnidentifiedImageError:
        if _start_of(source)[:4] not in (b"II*\0", b"MM\0*"):
            raise ValueError(_why_unidentified(source)) from None
        try:
            deep = _deep_tiff(source)
            ImageOps.exif_transpose(deep, in_place=True)
            return in_srgb(deep, None).convert(mode or "RGB")
        except Exception as error:  # as below
            raise ValueError(error_line(error)) from error
    except Exception as error:  # decoders raise whatever a damaged field leads to
        raise ValueError(error_line(error)) from error


def orientation_of(content: bytes) -> int:
    """The orientation of a picture by Exif's number: 1 is upright, also where none is stated."""
    with suppress(Exception), Image.open(io.BytesIO(content), formats=_known_formats()) as picture:
        return int(picture.getexif().get(_ORIENTATION, 1))
    return 1


def count_pictures(path: Path) -> int:
    """How many pictures an animation has; 1 of every other file, also of what cannot be read.

    Further pages of a TIFF are previews as often as not, the second of MPO is the other eye's.
    """
    with suppress(Exception), Image.open(path, formats=_known_formats()) as picture:
        if picture.format in _ANIMATED:
            return int(getattr(picture, "n_frames", 1))
    return 1


def encode_picture(array: NDArray[np.uint8], kind: str, **options: int) -> bytes:
    """A picture (H, W, 3) or (H, W) as a file of one of Pillow's kinds."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def to_eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey or colour values of any kind of number as 0 to 255.

    Numbers do not say what is white: it is the smallest of `_TOPS` (1 of floats only), or the
    largest number of their kind, that all but a hundredth of the floats hold, as cameras of 12 bits
    write files of 16. Where they stay far below, as in float pictures of a lamp or counts of 32
    bits, white is what they reach.

    Raises:
        ValueError: values that are not finite, or negative.
    """
    numbers = np.asarray(np.real(values), np.float64)
    if np.iscomplexobj(values):
        raise ValueError("it holds complex numbers")
    if not np.isfinite(numbers).all():
        raise ValueError("it has values that are not finite")
    if numbers.size and numbers.min() < -1e-3 * max(1.0, numbers.max()):
        raise ValueError("it has negative values")
    kind = np.asarray(values).dtype
    # A filter may overshoot, and a highlight lie beyond white.
    share = 99.0 if kind.kind == "f" else 100.0
    largest = float(np.percentile(numbers, share)) if numbers.size else 0.0
    tops: tuple[float, ...] = _TOPS
    deepest = 1.0
    if kind.kind in "iu":
        end = float(np.iinfo(kind).max)
        tops, deepest = (*(top for top in _TOPS[1:] if top < end), end), _TOPS[-1]
    white = next((top for top in tops if largest <= top * 1.02), largest)
    if white > deepest and largest < white / 16:
        white = largest
    return np.asarray(np.clip(numbers * (255.0 / white), 0, 255).round(), np.uint8)


def _eight_bits(picture: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """A picture of deeper grey as one of 8 bits, by the range of its kind and not by clipping."""
    if picture.mode not in ("F", "I") and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture)
    if picture.mode == "I" and _BITS in tags:
        # Pillow has one mode for numbers of 16 and 32 bits, with and without a sign.
        signed = tags.get(_SAMPLES, (1,))[0] == _SIGNED
        values = values.astype(f"{'i' if signed else 'u'}{max(tags[_BITS]) // 8}")
    grey = Image.fromarray(to_eight_bits(values))
    grey.info["icc_profile"] = picture.info.get("icc_profile")
    return grey


def _with_all_bits(picture: Image.Image, source: Path | bytes) -> Image.Image:
    """A picture by its range where its colours have 16 bits of which the upper ones are not used.

    Colours of 12 bits in 16, as cameras write them, are near black by their upper 8 bits.
    """
    orientation = picture.getexif().get(_ORIENTATION, 1)
    picture.load()
    if picture.format not in _PIPES or picture.mode not in ("RGB", "RGBA"):
        return picture
    if np.asarray(picture)[..., :3].max(initial=0) > _TOPS[-2] * 1.02 / 256:
        return picture
    # Here: nearly all pictures are brighter. A named format opens no other file.
    import av

    stream = io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    with suppress(av.FFmpegError, StopIteration):
        with av.open(stream, format=_PIPES[picture.format]) as file:
            frame = next(file.decode(video=0))
        depth = max(component.bits for component in frame.format.components)
        if depth > 8 and picture.size == (frame.width, frame.height):
            grey = frame.format.name.startswith("ya")
            values = frame.reformat(format="gray16le" if grey else "rgb48le").to_ndarray()
            deep = Image.fromarray(to_eight_bits(values))
            deep.getexif()[_ORIENTATION] = orientation
            deep.info["icc_profile"] = picture.info.get("icc_profile")
            return deep
    return picture


def _is_deep(tags: Mapping[int, Any]) -> bool:
    """Whether a TIFF is deeper than bytes and better read by tifffile, which lacks codecs."""
    # Pillow mistakes planes of 16 bits, white that is 0, and a sign.
    signed = tags.get(_SAMPLES, (1,))[0] == _SIGNED
    mistaken = tags.get(_PHOTOMETRIC) == 0 or tags.get(_PLANES, 1) == 2 or signed
    return (max(tags.get(_BITS, (1,))) > 8 or signed) and (
        mistaken or tags.get(_COMPRESSION, 1) == 1
    )


def _deep_tiff(source: Path | bytes) -> Image.Image:
    """A TIFF of more than 8 bits, with its orientation still to be applied.

    Raises:
        ValueError: it has too many pixels, or is neither grey nor RGB.
    """
    import tifffile

    stream = io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    with _without_log("tifffile"), tifffile.TiffFile(stream) as file:
        try:
            page: Any = file.pages.first
        except IndexError:
            raise ValueError("a TIFF without a picture") from None
        if page.imagewidth * page.imagelength > MOST_PIXELS:
            raise ValueError(f"{page.imagewidth} x {page.imagelength} pixels are too many")
        values = np.asarray(page.asarray())
        kind = getattr(page.photometric, "name", str(page.photometric))
        if kind not in ("MINISBLACK", "MINISWHITE", "RGB") or not set(page.axes) <= set("YXS"):
            raise ValueError(f"a TIFF of {kind} {values.dtype} {values.shape} is not read")
        orientation = page.tags[_ORIENTATION].value if _ORIENTATION in page.tags else 1
        profile = page.tags[_PROFILE].value if _PROFILE in page.tags else None
        if values.ndim == 3:
            values = np.moveaxis(values, page.axes.index("S"), 2)
            values = values[..., :3] if kind == "RGB" else values[..., 0]
    grey = to_eight_bits(values)
    picture = Image.fromarray(255 - grey if kind == "MINISWHITE" else grey)
    picture.getexif()[_ORIENTATION] = int(orientation)
    picture.info["icc_profile"] = profile
    return picture


@contextmanager
def _without_log(library: str) -> Iterator[None]:
    """What a library logs of a damaged file would stand beside the one line that says so."""
    logger = logging.getLogger(library)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _ends_in_zeros(source: Path | bytes) -> bool:
    """Whether a file of `_PACKED` ends in zeros where a copy was broken off."""
    content = source if isinstance(source, bytes) else source.read_bytes()
    whole = content.rstrip(b"\0")
    # A JPEG has an end mark; behind other formats' pictures stand notes, which may end in zeros.
    least = _HALF_COPY if content.startswith(b"\xff\xd8") else max(_HALF_COPY, len(content) // 8)
    lost = len(content) - len(whole) >= least and not whole.endswith(b"\xff\xd9")
    return lost and not _FILM.search(whole)


def _with_dark_zeros(picture: Image.Image) -> NDArray[np.generic]:
    """A picture's numbers, of which zeros are black: by its palette; of inks all must be 0."""
    if picture.mode == "P":
        return np.asarray(picture.convert("RGB"))
    values = np.asarray(picture)
    return values.max(axis=2) if picture.mode == "CMYK" else values


def _has_hole(picture: NDArray[np.generic]) -> bool:
    """Whether rows of zeros begin within a row, below one that is light there.

    Black margins and night begin elsewhere: with a row, or where it was dark already.
    """
    planes = np.moveaxis(np.atleast_3d(picture), 2, 0)[:3]
    # Windows' bitmaps are written from below.
    return any(_is_cut_short(rows) for plane in planes for rows in (plane, plane[::-1]))


def _is_cut_short(plane: NDArray[np.generic]) -> bool:
    filled = np.asarray(plane.any(axis=1))
    # The rows after which there are so many without anything.
    last = filled[1:-_HOLE_ROWS].copy()
    for step in range(1, _HOLE_ROWS + 1):
        last &= ~filled[1 + step : len(filled) - _HOLE_ROWS + step]
    for row in np.flatnonzero(last) + 1:
        ends = int(np.flatnonzero(plane[row])[-1]) + 1
        above = plane[row - 1, ends:]
        if len(above) <= _HOLE_SHARE * plane.shape[1]:
            continue
        # The edge of what was made smaller or turned fades out; a copy breaks off.
        last_ones = slice(max(0, ends - _BEFORE_ENDS), ends)
        if plane[row, last_ones].sum() < _FADED * plane[row - 1, last_ones].sum():
            continue
        if (above > plane.max() / _NOT_BLACK).mean() > _LIGHT_ABOVE:
            return True
    return False


def _lacks_blocks(source: Path | bytes) -> bool:
    """Whether whole sectors of zeros stand among packed pixels, as in a download with gaps."""
    content = source if isinstance(source, bytes) else source.read_bytes()
    at, end = 0, len(content)
    if content.startswith(b"\xff\xd8"):
        # Before and behind a JPEG's pixels cameras keep notes and leave room.
        at = 2
        while content[at : at + 1] == b"\xff" and content[at + 1] != _PIXELS_FOLLOW:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        end = max(content.find(b"\xff\xd9", at), 0) or end
    start = content.find(b"\0" * _BLOCK, at, end)
    behind = content[start:].lstrip(b"\0")
    # Flat colour may be zeros too, of any place and length.
    return start > 0 and start % _SECTOR == 0 and (len(content) - len(behind)) % _SECTOR == 0


def _start_of(source: Path | bytes, length: int = START_BYTES) -> bytes:
    if isinstance(source, bytes):
        return source[:length]
    with source.open("rb") as file:
        return file.read(length)


def _why_unidentified(source: Path | bytes) -> str:
    start = _start_of(source)
    if not start:
        return "the file is empty"
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        return "HEIC is read with an extra: pip install 'facebench[heic]'"
    if start[4:12] in (b"ftypavif", b"ftypavis"):
        return "a damaged AVIF picture: copy it again"
    instead = not_the_file(start)
    return f"{instead[0]}: {instead[1]}" if instead else NOT_A_PICTURE


@cache
def _known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow decodes, HEIC where the extra is installed."""
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
