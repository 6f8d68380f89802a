"""Pictures of any depth, kind and colour, and copies that lost a part."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from facebench.recon.files.pictures import _has_hole, count_pictures, read_picture, to_eight_bits
from facebench.recon.portraits.sources import find_sources

GREY = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
COLOUR = np.stack([GREY, GREY[:, ::-1], GREY // 2], axis=2)


@pytest.mark.parametrize(
    "values",
    [
        *(GREY.astype(np.uint16) * 257, GREY.astype(np.float32), GREY.astype(np.float32) / 255),
        *(COLOUR.astype(np.uint16) * 257, COLOUR.astype(np.float32) / 255),
    ],
    ids=["16-bit grey", "float to 255", "float to 1", "16-bit colour", "float colour"],
)
def test_a_deep_picture_reads_as_that_of_8_bits(values: np.ndarray) -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, values)
    expected = COLOUR if values.ndim == 3 else np.repeat(GREY[..., None], 3, axis=2)
    assert np.array_equal(np.asarray(read_picture(file.getvalue(), "RGB")), expected)


_DEEP = GREY.astype(np.uint16)
TIFFS = {
    "12 bits in 16": (_DEEP * 16, {}),
    "14 bits in 16": (_DEEP * 64, {}),
    "8 bits in 16": (_DEEP, {}),
    "0 is white": (65535 - _DEEP * 257, {"photometric": "miniswhite"}),
    "float, 0 is white": (np.float32(1) - GREY / np.float32(255), {"photometric": "miniswhite"}),
    "on its side": (np.rot90(_DEEP * 257), {"extratags": [(274, 3, 1, 6, True)]}),
    "signed 16 bits": (GREY.astype(np.int16) * 128, {}),
    "signed 16 bits, compressed": (GREY.astype(np.int16) * 128, {"compression": "zlib"}),
    "signed 8 bits": (GREY.astype(np.int8) // 2 & 127, {}),
    "32 bits": (GREY.astype(np.uint32) * 16843009, {}),
    "signed 32 bits": (GREY.astype(np.int32) * 8388608, {}),
    "32 bits, compressed": (GREY.astype(np.uint32) * 16843009, {"compression": "zlib"}),
    "16 bits in 32": (GREY.astype(np.int32) * 257, {}),
    "24 bits in 32": (GREY.astype(np.uint32) * 65793, {}),
    "planes": (np.stack([_DEEP * 257] * 3), {"photometric": "rgb", "planarconfig": "separate"}),
}


@pytest.mark.parametrize(("values", "options"), TIFFS.values(), ids=list(TIFFS))
def test_a_deep_tiff_says_what_is_white_and_what_is_up(
    values: np.ndarray, options: dict[str, object]
) -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    read = np.asarray(read_picture(file.getvalue(), "L"))
    assert read.shape == GREY.shape and np.abs(read.astype(int) - GREY).max() <= 1


def _png_of_16_bits(values: np.ndarray, kind: int) -> bytes:
    """A PNG of its own kind of colours, 2 RGB, 4 grey and 6 RGB with opacity."""

    def part(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", part(b"IHDR", head), part(b"IDAT", zlib.compress(rows)))
    ) + part(b"IEND", b"")


def _tiff(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", compression="zlib")
    return file.getvalue()


_OPAQUE = np.full((*GREY.shape, 1), 65535, np.uint16)
DEEP_COLOURS = {
    "PNG": lambda values: _png_of_16_bits(values, 2),
    "PNG, opacity": lambda values: _png_of_16_bits(np.concatenate([values, _OPAQUE], axis=2), 6),
    "TIFF, compressed": _tiff,
    "PPM": lambda values: b"P6 256 16 65535\n" + values.astype(">u2").tobytes(),
}


@pytest.mark.parametrize("write", DEEP_COLOURS.values(), ids=list(DEEP_COLOURS))
@pytest.mark.parametrize("step", [16, 64, 257])
def test_colours_of_12_and_14_bits_in_16_are_as_bright_as_those_of_16(
    write: Callable[[np.ndarray], bytes], step: int
) -> None:
    read = np.asarray(read_picture(write(COLOUR.astype(np.uint16) * step), "RGB"))
    assert np.abs(read.astype(int) - COLOUR).max() <= 1


def test_grey_of_12_bits_with_opacity_is_as_bright_and_dark_colours_of_8_bits_stay_dark() -> None:
    values = np.concatenate([GREY[..., None].astype(np.uint16) * 16, _OPAQUE], axis=2)
    read = np.asarray(read_picture(_png_of_16_bits(values, 4), "L"))
    assert np.abs(read.astype(int) - GREY).max() <= 1
    file = io.BytesIO()
    Image.fromarray(COLOUR // 8).save(file, "PNG")
    assert np.array_equal(np.asarray(read_picture(file.getvalue(), "RGB")), COLOUR // 8)


def test_lights_beyond_white_do_not_make_a_float_picture_black() -> None:
    values = np.full((40, 40), 0.5, np.float32)
    values[0, :10] = 3.7
    assert to_eight_bits(values)[20, 20] == 128
    assert to_eight_bits(values * 5)[20, 20] > 100


def test_a_colour_profile_is_applied() -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # One whose red is blue, and the other way round; its name is no longer that of sRGB.
    names = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * profile[131], 12)}
    red, blue = names[b"rXYZ"], names[b"bXYZ"]
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    colour = Image.new("RGB", (8, 8), (200, 90, 30))
    for own, expected in ((bytes(profile), (30, 90, 200)), (b"none" * 40, (200, 90, 30))):
        file = io.BytesIO()
        colour.save(file, "PNG", icc_profile=own)
        deep = io.BytesIO()
        tifffile.imwrite(deep, np.asarray(colour).astype(np.uint16) * 257, iccprofile=own)
        for one in (file, deep):
            first = read_picture(one.getvalue(), "RGB").getpixel((0, 0))
            assert np.abs(np.subtract(first, expected)).max() <= 3


def test_a_grey_profile_is_applied() -> None:
    """Of light itself, in grey: half of white's light is 188 of sRGB's 255."""
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 256)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = struct.pack(">I4sII4sII", 2, b"kTRC", 156, 14, b"wtpt", 172, 20) + curve + white
    head = struct.pack(
        ">I4xI4s4s4s12x4s", 128 + len(tags), 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp"
    )
    profile = head.ljust(68, b"\0") + white[8:] + bytes(48) + tags
    grey = Image.new("L", (8, 8), 128)
    for picture in (grey, grey.convert("LA"), Image.fromarray(np.full((8, 8), 128 * 257, "u2"))):
        file = io.BytesIO()
        picture.save(file, "PNG", icc_profile=profile)
        assert abs(read_picture(file.getvalue(), "RGB").getpixel((0, 0))[0] - 188) <= 1


@pytest.mark.parametrize("zeros", [0, 4096])
@pytest.mark.parametrize("kind", ["JPEG", "MPO", "WEBP", "AVIF"])
def test_half_a_copy_of_a_photograph_is_refused(zeros: int, kind: str) -> None:
    file = io.BytesIO()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    more = {"save_all": True, "append_images": [picture]} if kind == "MPO" else {"quality": 95}
    picture.save(file, kind, **more)
    content = file.getvalue()
    if kind != "JPEG":
        with pytest.raises(ValueError, match=r"half a copy|truncated|decoder|damaged AVIF"):
            read_picture(content[: len(content) // 3] + b"\0" * zeros, "RGB")
        return
    assert read_picture(content + b"\0" * zeros, "RGB").width == 64
    film = b"\0\0\0\x18ftypmp42 and its pictures"
    assert read_picture(content + film + b"\0" * zeros, "RGB").width == 64
    with pytest.raises(ValueError, match=r"half a copy|truncated"):
        read_picture(content[: len(content) // 2] + b"\0" * zeros, "RGB")


def _holed(content: bytes, start: int, length: int) -> bytes:
    return content[:start] + bytes(length) + content[start + length :]


def _light_picture(size: tuple[int, int]) -> Image.Image:
    noise = np.random.default_rng(0).integers(40, 256, (*size[::-1], 3), np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("kind", ["BMP", "PPM", "TIFF"])
@pytest.mark.parametrize("part", [(8192, 12288), (12288, 1_000_000)])
def test_pixels_that_were_never_copied_are_no_black(kind: str, part: tuple[int, int]) -> None:
    file = io.BytesIO()
    _light_picture((100, 120)).save(file, kind)
    content = file.getvalue()
    start, end = part[0], min(part[1], len(content))
    assert read_picture(content, "RGB").width == 100
    with pytest.raises(ValueError, match="half a copy"):
        read_picture(_holed(content, start, end - start), "RGB")


def test_black_margins_masks_and_night_are_read() -> None:
    rows, columns = np.mgrid[-1:1:120j, -1:1:100j]
    picture = np.asarray(_light_picture((100, 120)))
    below = np.where(rows > 0.5, 0, 1)
    beside = np.where((rows > 0.5) | (columns < -0.2), 0, 1)
    round_ = np.where(rows**2 + columns**2 < 0.8, 1, 0)
    turned = np.where(rows + 0.3 * columns > 0.5, 0, 1)
    noisy = np.where(rows > 0.5, np.random.default_rng(0).integers(0, 2, rows.shape) * 3, 255)
    noisy[-20:] = 0
    for mask in (below, beside, round_, turned, noisy / 255):
        file = io.BytesIO()
        Image.fromarray((picture * mask[..., None]).astype(np.uint8)).save(file, "BMP")
        assert read_picture(file.getvalue(), "RGB").height == 120


def _saved(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "TIFF")
    return file.getvalue()


def test_white_that_is_written_as_zeros_is_no_hole() -> None:
    """The first colour of a palette, an ink that is not used."""
    values = np.asarray(_light_picture((100, 120)))[..., 0].copy()
    values[80:] = values[79, 40:] = 0
    for first, is_read in ((255, True), (0, False)):
        picture = Image.fromarray(values)
        picture.putpalette([first] * 3 + [n for n in range(1, 256) for _ in range(3)])
        with nullcontext() if is_read else pytest.raises(ValueError, match="half a copy"):
            assert read_picture(_saved(picture), "RGB").height == 120
    inks = np.stack([values, *[np.full_like(values, 30)] * 3], axis=2)
    printed = _saved(Image.fromarray(inks, "CMYK"))
    assert read_picture(printed, "RGB").height == 120
    with pytest.raises(ValueError, match="half a copy"):
        read_picture(_holed(printed, 20_050, 30_000), "RGB")


@pytest.mark.parametrize("kind", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_black_margins_of_pictures_that_were_made_smaller_or_turned_are_read(
    kind: Image.Resampling,
) -> None:
    noise = np.random.default_rng(0)
    for _ in range(10):
        small = noise.integers(20, 256, (9, 16, 3)) * np.linspace(1, 0.05, 16)[:, None]
        film = Image.new("RGB", (640, 360))
        film.paste(Image.fromarray(small.astype(np.uint8)).resize((640, 272), kind), (0, 44))
        for size in ((500, 281), (333, 187)):
            assert not _has_hole(np.asarray(film.resize(size, kind)))
        picture = Image.new("RGB", (700, 450))
        small = noise.integers(20, 256, (9, 16, 3), np.uint8)
        picture.paste(Image.fromarray(small).resize((640, 360), kind), (30, 45))
        for degrees in (0.02, 0.05, 0.1, 0.2):
            turned = picture.rotate(degrees, Image.Resampling.BILINEAR)
            assert not _has_hole(np.asarray(turned.crop((100, 0, 600, 450))))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_download_with_gaps_is_refused(kind: str) -> None:
    file = io.BytesIO()
    _light_picture((320, 320)).save(file, kind, quality=95)
    content = file.getvalue()
    with pytest.raises(ValueError, match="a part was never copied"):
        read_picture(_holed(content, 16384, 8192), "RGB")
    # White in strips of zeros, as optimised tables write flat colours, is whole.
    flat = io.BytesIO()
    Image.new("RGB", (2000, 2000), "white").save(flat, kind, optimize=True)
    assert read_picture(flat.getvalue(), "RGB").width == 2000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\x1f\x8b\x08\0\0\0", "packed by gzip"),
        (b"II*\0" + bytes(60), "a TIFF without a picture"),
    ],
)
def test_what_is_not_the_file_is_named(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_picture(content, "RGB")


def test_links_to_folders_are_followed_once_and_rings_are_not(tmp_path: Path) -> None:
    for name in ("set/own/b.jpg", "set/.hidden/c.jpg", "album/a.JPE", "album/._a.jpg", "x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    links = {"set/again": "own", "set/ring": ".", "set/up": "..", "set/z": "../album"}
    for name, target in {**links, "album/back": "../set", "set/y": "../album"}.items():
        (tmp_path / name).symlink_to(target)
    names = [source.name for source in find_sources([tmp_path / "set"])]
    assert names == ["own/b", "y/a"]


def test_values_that_are_no_light_are_refused() -> None:
    for bad in (np.array([[np.nan]]), np.array([[-5.0, 1.0]]), np.array([[1j]])):
        with pytest.raises(ValueError, match=r"values|complex"):
            to_eight_bits(bad)


def test_the_preview_of_a_raw_file_is_no_photograph() -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 12)).save(file, "TIFF", tiffinfo={254: 1})
    with pytest.raises(ValueError, match="a preview, as in raw files"):
        read_picture(file.getvalue(), "RGB")


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "GIF", "WEBP"])
def test_kinds_of_pictures(kind: str) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), [200, 90, 30], np.uint8)).save(file, kind)
    read = np.asarray(read_picture(file.getvalue(), "RGB"))
    assert np.abs(read.astype(int) - [200, 90, 30]).max() < 12


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif", "tiff", "mpo"])
def test_the_pictures_of_an_animation_are_counted(tmp_path: Path, kind: str) -> None:
    pictures = [Image.new("RGB", (32, 24), (60 * n, 0, 0)) for n in range(4)]
    path = tmp_path / f"a.{kind}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    assert count_pictures(path) == (1 if kind in ("tiff", "mpo") else 4)
    pictures[0].save(path)
    assert count_pictures(path) == 1
    assert count_pictures(tmp_path / "none.gif") == 1


def test_pictures_that_other_readers_get_wrong(shared: Path) -> None:
    folder = shared / "real"
    deep = np.asarray(read_picture(folder / "cases" / "02_astronaut_grey16.png", "RGB"))
    plain = Image.open(folder / "photographs" / "sk_astronaut_grey.png").convert("RGB")
    assert np.array_equal(deep, np.asarray(plain))
    assert 100 < np.asarray(read_picture(shared / "cases" / "photo_grey16.png", "L")).mean() < 130
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="pip install"):
            read_picture(shared / "cases" / "photo_phone.heic", "RGB")
    else:
        assert read_picture(shared / "cases" / "photo_phone.heic", "RGB").width > 100


def test_every_picture_of_a_folder_is_a_source_and_a_long_name_is_shortened(tmp_path: Path) -> None:
    names = ["a.heic", "b.CR2", "c.jpg", "d" * 250 + ".png"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    sources = find_sources([tmp_path])
    assert [source.path.name for source in sources] == names
    assert all(len(source.name) <= 200 and source.boxes is None for source in sources)
