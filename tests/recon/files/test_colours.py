"""What colours mean by a picture's file, against numbers of the standards."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from facebench.recon.files.pictures import read_picture

SKIN = (200, 120, 90)
P3_TO_SRGB = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]
"""Source: CSS Color 4, its sample code's product, to four digits."""
ADOBE_TO_SRGB = [[1.39836, -0.39836, 0.0], [0.0, 1.0, 0.0], [0.0, -0.04293, 1.04293]]
P3_CHROMATICITIES = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def _light(code: np.ndarray) -> np.ndarray:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def _code(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _png(colour: tuple[int, ...], **chunks: bytes) -> bytes:
    info, file = PngImagePlugin.PngInfo(), io.BytesIO()
    for name, content in chunks.items():
        info.add(name.encode(), content)
    Image.new("RGB", (8, 8), colour).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def _first(content: bytes) -> np.ndarray:
    return np.array(read_picture(content, "RGB").getpixel((0, 0)), float)


def _power(gamma: float) -> bytes:
    return struct.pack(">I", round(gamma * 1e5))


def _primaries(values: tuple[float, ...]) -> bytes:
    return struct.pack(">8I", *(round(value * 1e5) for value in values))


def test_a_png_of_light_itself_is_made_as_bright_as_it_is_meant() -> None:
    assert np.abs(_first(_png((128, 55, 0), gAMA=_power(1.0))) - (188, 128, 0)).max() <= 1
    assert (_first(_png((128, 55, 0), gAMA=_power(0.45455))) == (128, 55, 0)).all()
    # sRGB's own chunk goes before a power.
    plain = _first(_png((128, 55, 0), sRGB=b"\0", gAMA=_power(1.0)))
    assert (plain == (128, 55, 0)).all()


def test_a_power_of_old_macintoshes() -> None:
    expected = _code((np.array(SKIN) / 255) ** 1.8)
    assert np.abs(_first(_png(SKIN, gAMA=_power(1 / 1.8))) - expected).max() <= 1


@pytest.mark.parametrize(
    "chunks",
    [
        {"cICP": bytes([12, 13, 0, 1])},
        {"cHRM": _primaries(P3_CHROMATICITIES)},
        {"cHRM": _primaries(P3_CHROMATICITIES), "gAMA": _power(0.45455)},
    ],
)
def test_primaries_of_telephones_in_a_png(chunks: dict[str, bytes]) -> None:
    expected = _code(np.array(P3_TO_SRGB) @ _light(np.array(SKIN) / 255))
    assert np.abs(_first(_png(SKIN, **chunks)) - expected).max() <= 1


def test_colours_of_a_cinema_in_a_png() -> None:
    """The same light as on a screen in P3: white at 48 of 52.37 of the range, a power of 2.6."""
    light = np.array(SKIN) / 255
    code = np.round(255 * (_light(light) * 48 / 52.37) ** (1 / 2.6)).astype(int)
    shown = _first(_png(tuple(code.tolist()), cICP=bytes([11, 17, 0, 1])))
    assert np.abs(shown - _first(_png(SKIN, cICP=bytes([12, 13, 0, 1])))).max() <= 3
    assert (_first(_png((247,) * 3, cICP=bytes([11, 17, 0, 1]))) >= 254).all()
    assert np.abs(_first(_png(SKIN, cICP=bytes([22, 13, 0, 1]))) - SKIN).max() <= 8


def test_high_dynamic_range_in_a_png() -> None:
    """Paper at 203 cd/m² is white; a tenth of its light is a tenth."""

    def code(luminance: float) -> int:
        y = (luminance / 10000) ** (1305 / 8192)
        coded = ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** (2523 / 32)
        return round(255 * coded)

    numbers = bytes([9, 16, 0, 1])
    assert (_first(_png((code(203.0),) * 3, cICP=numbers)) >= 253).all()
    tenth = _first(_png((code(20.3),) * 3, cICP=numbers))
    assert np.abs(tenth - _code(np.array(0.1))).max() <= 3


def test_colours_that_nobody_reads_are_refused() -> None:
    for numbers in (bytes([10, 17, 0, 1]), bytes([1, 13, 0, 0])):
        with pytest.raises(ValueError, match="not read: save it in sRGB"):
            read_picture(_png(SKIN, cICP=numbers), "RGB")


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": _power(1e-5)},
        {"gAMA": _power(20000)},
        {"cHRM": _primaries((0.0,) * 8)},
        {"cHRM": _primaries((0.0, 0.0, *P3_CHROMATICITIES[2:]))},
        {"cHRM": _primaries((0.3127, 0.329, 0.68, 0.0, *P3_CHROMATICITIES[4:]))},
        {"cHRM": _primaries((0.3127, 0.329) * 4)},
    ],
)
def test_powers_and_primaries_that_cannot_be_are_not_applied(chunks: dict[str, bytes]) -> None:
    assert (_first(_png(SKIN, **chunks)) == SKIN).all()


def test_primaries_in_an_avif() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), SKIN).save(file, "AVIF", quality=100)
    content = file.getvalue()
    at = content.index(b"colrnclx") + 8
    plain = _first(content)
    wide = content[:at] + struct.pack(">HH", 12, 13) + content[at + 4 :]
    expected = _code(np.array(P3_TO_SRGB) @ _light(plain / 255))
    assert np.abs(_first(wide) - expected).max() <= 1
    assert np.abs(plain - SKIN).max() <= 3


def test_adobe_rgb_by_exif_alone_as_cameras_write_it() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    file, plain = io.BytesIO(), io.BytesIO()
    image = Image.new("RGB", (64, 64), SKIN)
    image.save(file, "JPEG", quality=100, exif=exif)
    image.save(plain, "JPEG", quality=100)
    light = (_first(plain.getvalue()) / 255) ** (563 / 256)
    expected = _code(np.array(ADOBE_TO_SRGB) @ light)
    assert np.abs(_first(file.getvalue()) - expected).max() <= 1


def test_a_profile_is_told_by_what_it_does() -> None:
    """One of linear light that is called by sRGB's name, and sRGB's own."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    image, file = Image.new("RGB", (8, 8), (128, 55, 0)), io.BytesIO()
    image.save(file, "PNG", icc_profile=bytes(profile))
    assert (_first(file.getvalue()) == (128, 55, 0)).all()
    for at in range(132, 132 + 12 * profile[131], 12):
        if profile[at + 1 : at + 4] == b"TRC":
            profile[at + 4 : at + 12] = struct.pack(">II", len(profile), 14)
    profile += b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 256)
    profile[:4] = struct.pack(">I", len(profile))
    assert "sRGB".encode("utf-16-be") in profile
    file = io.BytesIO()
    image.save(file, "PNG", icc_profile=bytes(profile))
    assert np.abs(_first(file.getvalue()) - (188, 128, 0)).max() <= 1
