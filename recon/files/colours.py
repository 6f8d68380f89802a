"""Colours of screens, cameras and films as sRGB's: by profiles, primaries and curves.

A file says what its numbers mean by a colour profile (ICC), by numbers of a table (CICP, ITU-T
H.273: films, AVIF, HEIC, PNG of the third edition), by a power and primaries (PNG), or by the
standard of its camera (Exif's Adobe RGB). What says nothing is sRGB.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Codes = TypeVar("Codes", np.uint8, np.uint16)
Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Makes sRGB (H, W, 3) of a picture's RGB."""

PQ, HLG = 16, 18
"""CICP's numbers of the curves of high dynamic range, in which telephones film."""
_WHITE = 203.0
"""Luminance of paper in such films, cd/m². Source: ITU-R BT.2408."""
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_SRGB = (0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue."""
_ADOBE = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_PRIMARIES = {
    1: _SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (0.3127, 0.329, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.329, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (0.3127, 0.329, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""By CICP's number. Source: ITU-T H.273, table 2."""
_WIDE = (9, 11, 12)
"""BT.2020's, and P3 of cinemas and of screens."""
_POWERS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_CINEMA, _CINEMA_WHITE = 17, 48 / 52.37
"""Cinemas' curve, and its light at which their screens are white. Source: SMPTE ST 428-1."""
_AS_SRGB = (1, 2, 6, 13, 14, 15)
"""Curves that screens show as sRGB's: its own, that of television, and none named."""
_UNNAMED = 2
_ADOBE_POWER = 563 / 256
_COLOUR_SPACE_IFD, _ADOBE_OF_EXIF = 0xA005, "R03"
_POWER = (0.25, 4.0)
"""Of a picture; beyond it a number is a slip, and all would be black or white."""
_SAME_POWER, _SAME_PRIMARIES = 0.05, 0.005
"""Within which a stated power and primaries are those of sRGB, rounded."""
_SAME_GREY = 3
"""By which a profile of sRGB itself moves values of 8 bits."""
_NCLX = b"colrnclx"
"""Before CICP's numbers in AVIF and HEIC."""


@cache
def _light_of_codes(curve: int) -> Floats:
    """Light (4096,) that 12 bits of a curve of high dynamic range stand for; of HLG the scene's.

    Source: ITU-R BT.2100, tables 4 and 5.
    """
    code = np.arange(4096, dtype=np.float32) / 4095
    if curve == HLG:
        bright = np.exp((code - 0.55991073) / 0.17883277) + 0.28466892
        return np.where(code <= 0.5, code**2 / 3, bright / 12)
    root = code ** (32 / 2523)
    light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
    return np.asarray(light * 10000 / _WHITE, np.float32)


def from_high_dynamic_range(
    codes: NDArray[np.uint16], curve: int, primaries: int = 9
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of 16 bits in PQ or HLG as sRGB; what is brighter than paper is white."""
    matrix = _matrix(_PRIMARIES[primaries])

    def shown(strip: NDArray[np.uint16]) -> NDArray[np.uint8]:
        light = _light_of_codes(curve)[strip >> 4]
        if curve == HLG:  # as a screen of 1,000 cd/m² shows it
            light = light * (light @ _LUMINANCE)[..., None] ** 0.2 * (1000 / _WHITE)
        return _coded(light @ matrix.T)

    return _in_strips(codes, shown)


def in_srgb(picture: Image.Image, change: Change | None) -> Image.Image:
    """A picture by its colour profile, or by what else its file says (`stated_change`)."""
    profile = picture.info.get("icc_profile")
    if picture.mode not in ("RGB", "RGBA", "RGBX", "CMYK", "L", "LA", "P"):
        return picture
    if change is not None:
        return Image.fromarray(change(np.asarray(picture.convert("RGB"))))
    return _by_profile(picture, profile) if profile else picture


def stated_change(picture: Image.Image, start: bytes) -> Change | None:
    """What makes sRGB of a picture's colours by anything but a profile; None for nothing.

    Args:
        picture: opened, as Pillow knows it.
        start: of its file.

    Raises:
        ValueError: it names colours that are not known.
    """
    if picture.format == "PNG" and start[:8] == b"\x89PNG\r\n\x1a\n":
        at = start.partition(b"IDAT")[0].find(b"cICP")
        if 0 < at < len(start) - 8:
            return _of_numbers(start[at + 4], start[at + 5], full=bool(start[at + 7]))
        if "icc_profile" in picture.info or "srgb" in picture.info:
            return None
        return _of_png(picture.info.get("gamma"), picture.info.get("chromaticity"))
    if picture.info.get("icc_profile"):
        return None
    if picture.format in ("AVIF", "HEIF") and _NCLX in start:
        at = start.find(_NCLX) + len(_NCLX)
        return _of_numbers(start[at + 1], start[at + 3])
    with suppress(Exception):  # Exif is as damaged as it likes to be
        if picture.getexif().get_ifd(_COLOUR_SPACE_IFD).get(1) == _ADOBE_OF_EXIF:
            return _of_curve(_ADOBE_POWER, _ADOBE)
    return None


def change_of_primaries(primaries: int) -> Change | None:
    """What makes sRGB of a film of standard range in wide primaries; None for those that are not.

    Television's of 1953 and 1987 are close, and players show them as they are.
    """
    return _of_curve(None, _PRIMARIES[primaries]) if primaries in _WIDE else None


def _of_numbers(primaries: int, curve: int, full: bool = True) -> Change | None:
    primaries = 1 if primaries == _UNNAMED else primaries
    is_known = curve in (PQ, HLG, *_POWERS, *_AS_SRGB)
    if primaries not in _PRIMARIES or not is_known or not full:
        raise ValueError(
            f"its colours are no. {primaries}, {curve} of H.273, not read: save it in sRGB"
        )
    if curve in (PQ, HLG):
        return lambda rgb: from_high_dynamic_range(rgb.astype(np.uint16) * 257, curve, primaries)
    if curve in _AS_SRGB and primaries == 1:
        return None
    white = _CINEMA_WHITE if curve == _CINEMA else 1.0
    return _of_curve(_POWERS.get(curve), _PRIMARIES[primaries], white)


def _of_png(gamma: float | None, chromaticities: tuple[float, ...] | None) -> Change | None:
    """Of a PNG's chunks gAMA, whose number is one over the power, and cHRM."""
    power = 1 / gamma if gamma and _POWER[0] <= 1 / gamma <= _POWER[1] else None
    if power is not None and abs(power / 2.2 - 1) <= _SAME_POWER:
        power = None
    own = tuple(chromaticities or _SRGB)
    if not _are_primaries(own) or np.abs(np.subtract(own, _SRGB)).max() <= _SAME_PRIMARIES:
        own = _SRGB
    return None if power is None and own == _SRGB else _of_curve(power, own)


def _are_primaries(own: tuple[float, ...]) -> bool:
    """Whether white lies among red, green and blue; programs write zeros, which browsers ignore."""
    if len(own) != 8 or min(own[1::2]) <= 0 or max(own) > 1:
        return False
    corners = np.column_stack([np.reshape(own, (4, 2)), np.ones(4)])
    with suppress(np.linalg.LinAlgError):
        return bool((np.linalg.solve(corners[1:].T, corners[0]) > 0).all())
    return False


def _of_curve(power: float | None, primaries: tuple[float, ...], white: float = 1.0) -> Change:
    """Of a power, None for sRGB's own curve, and the share of the range that is white."""
    code = np.arange(256, dtype=np.float64) / 255
    if power is None:
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    else:
        light = code**power / white
    table, matrix = light.astype(np.float32), _matrix(primaries)
    return lambda rgb: _in_strips(rgb, lambda strip: _coded(table[strip] @ matrix.T))


def _matrix(primaries: tuple[float, ...]) -> Floats:
    """From light (3,) of primaries to that of sRGB's, white to white."""
    to = np.linalg.inv(_to_xyz(_SRGB)) @ _to_xyz(primaries)
    return np.asarray(to / to.sum(axis=1, keepdims=True), np.float32)


def _to_xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    white, *colours = np.reshape(primaries, (4, 2)).astype(np.float64)
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in colours]).T
    x, y = white
    return np.asarray(columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y]))


def _coded(light: Floats) -> NDArray[np.uint8]:
    light = np.clip(light, 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(255 * coded + 0.5, np.uint8)


def _in_strips(
    picture: NDArray[Codes], change: Callable[[NDArray[Codes]], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    # Of a large picture's light alone there are hundreds of megabytes.
    return np.concatenate(
        [change(strip) for strip in np.array_split(picture, math.ceil(picture.size / 2**22))]
    )


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image:
    """A picture by its profile; as it is where that cannot be used, or is sRGB's."""
    # Here: most pictures have no profile.
    from PIL import ImageCms

    flat = "L" if picture.mode == "LA" else "RGB"
    plain = picture if picture.mode in ("RGB", "CMYK", "L") else picture.convert(flat)
    with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        to = ImageCms.createProfile("sRGB")
        change = ImageCms.buildTransform(own, to, plain.mode, "RGB")
        if plain.mode != "CMYK":
            # By what it does and not by its name: that of linear light may speak of sRGB too.
            steps = np.linspace(0, 255, 6).astype(np.uint8)
            trial = Image.fromarray(
                np.stack(np.meshgrid(steps, steps, steps), -1).reshape(36, 6, 3)
            )
            trial = trial.convert(plain.mode)
            moved = np.asarray(ImageCms.applyTransform(trial, change), int)
            if np.abs(moved - np.asarray(trial.convert("RGB"))).max() <= _SAME_GREY:
                return picture
        changed = ImageCms.applyTransform(plain, change)
        return changed if changed is not None else picture
    return picture
