"""Files made to hurt: bombs, loops, links to other files, programs in pictures."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping

import numpy as np

from facebench.tests.support.hostile_input.scenes import (
    doubling,
    glb,
    gltf,
    many_instances,
    png,
    with_image,
)

Crafted = Mapping[str, Callable[[], bytes]]


def _tiff(width: int, height: int) -> bytes:
    entries = ((256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1))
    entries += ((273, 4, 8), (278, 4, height), (279, 4, 2**31))
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + b"\0" * 4


_EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 64 64
(escaped) (w) file closefile
%%EOF
"""


def _npy(shape: str, kind: str = "<f8", data: bytes = b"") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _zip(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _npz_bomb(name: str) -> bytes:
    """More than a gigabyte of zeros in a file of a few megabytes."""
    buffer, zeros = io.BytesIO(), bytes(2**24)
    packed = zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed, packed.open(f"{name}.npy", "w") as member:
        member.write(_npy(f"({2**24 * 3}, 3)"))
        for _ in range(72):
            member.write(zeros)
    return buffer.getvalue()


def _npz_lies(*names: str) -> bytes:
    return _zip({f"{name}.npy": _npy("(1000000000, 1000, 3)") for name in names})


def _npz_negative(*names: str) -> bytes:
    return _zip({f"{name}.npy": _npy("(-3, 3)", data=bytes(72)) for name in names})


_TRIANGLE = b"v 0 0 0\nv 90 0 0\nv 0 90 0\nf 1 2 3\n"

_PLY = "ply\nformat {form} 1.0\nelement vertex {v}\nproperty float x\nproperty float y\n"
_PLY += "property float z\nelement face {f}\nproperty list {count} int vertex_indices\nend_header\n"


def _ply(form: str, v: int, f: int, count: str = "uchar", data: bytes = b"") -> bytes:
    return _PLY.format(form=form, v=v, f=f, count=count).encode() + data


_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{10 * ("&" + chr(97 + i) + ";")}">' for i in range(12))
    + ']><PickedPoints><point x="&m;" y="0" z="0" name="nose"/></PickedPoints>'
)
_OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    '<PickedPoints><point x="0" y="0" z="0" name="&a;"/></PickedPoints>'
)


def _zip_slip(picture: bytes) -> bytes:
    names = ("../../escaped.jpg", "/escaped.jpg", "a/../../escaped.jpg", "..\\escaped.jpg")
    return _zip(dict.fromkeys((*names, "[/bold].jpg", "<script>.jpg", "ok.jpg"), picture))


def _tar_slip(picture: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("../../escaped.jpg", "/escaped.jpg", "ok.jpg"):
            member = tarfile.TarInfo(name)
            member.size = len(picture)
            archive.addfile(member, io.BytesIO(picture))
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../../x")):
            link = tarfile.TarInfo(f"link{kind.decode()}.jpg")
            link.type, link.linkname = kind, target
            archive.addfile(link)
        device = tarfile.TarInfo("zero.jpg")
        device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 5
        archive.addfile(device)
    return buffer.getvalue()


def _tar_lies() -> bytes:
    member = tarfile.TarInfo("large.jpg")
    member.size = 2**40
    return member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024


def _zip_lies() -> bytes:
    """The table of contents says 100 bytes, the member unpacks to 300 MB."""
    content = bytearray(_zip({"a.jpg": bytes(300 * 2**20)}, zipfile.ZIP_DEFLATED))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 100)
    return bytes(content)


_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/dev/zero\n#EXT-X-ENDLIST\n"
_CONCAT = b"ffconcat version 1.0\nfile '/dev/zero'\n"
_REMOTE = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://10.255.255.1/a.ts\n"
_SDP = b"v=0\no=- 0 0 IN IP4 10.255.255.1\ns=x\nc=IN IP4 10.255.255.1\nt=0 0\n"
_SDP += b"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


def _mat_element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def _mat(name: bytes, shape: tuple[int, ...], data: bytes, packed: bool = False) -> bytes:
    """A variable of doubles that says any shape."""
    inside = _mat_element(6, struct.pack("<II", 6, 0))
    inside += _mat_element(5, struct.pack(f"<{len(shape)}i", *shape))
    inside += _mat_element(1, name) + _mat_element(9, data)
    element = _mat_element(14, inside)
    if packed:
        squeezed = zlib.compress(element, 1)
        element = struct.pack("<II", 15, len(squeezed)) + squeezed
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + element


def _hdf5_lies() -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        shape = (2**33, 3)
        file.create_dataset("shape/model/mean", shape, "f4", chunks=(2**20, 3), compression="gzip")
        file["shape/model/pcaVariance"] = np.ones(3)
    return buffer.getvalue()


def _hdf5_outside() -> bytes:
    """Data in another file, named by a link and by an external storage."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["shape/model/mean"] = h5py.ExternalLink("/etc/passwd", "/x")
        file["expression"] = h5py.SoftLink("/expression")
        file.create_dataset("color/model/mean", (30,), "u1", external=[("/etc/passwd", 0, 30)])
    return buffer.getvalue()


def _dense_parquet(rows: int) -> bytes:
    """So many equal rows in a few bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    names = ("id", "subject", "image", "landmarks", "mask")
    block = pa.table(
        {name: pa.array([b""], pa.binary()).take(np.zeros(2**20, int)) for name in names}
    )
    with pq.ParquetWriter(buffer, block.schema, compression="zstd") as writer:
        whole = pa.concat_tables([block] * (rows // 2**20))
        writer.write_table(whole, row_group_size=rows)
    return buffer.getvalue()


_MODEL_ARRAYS = ("mean_shape", "identity_basis")

CRAFTED: Mapping[str, Crafted] = {
    ".obj": {
        "material from a device": lambda: b"mtllib /dev/zero\nusemtl x\n" + _TRIANGLE,
        "material far away": lambda: b"mtllib ../../../../etc/passwd\n" + _TRIANGLE,
        "vertex -1": lambda: b"v 0 0 0\nv 9 0 0\nv 0 9 0\nf -1 -2 -3\nf 0 0 0\n",
        "polygon of 300,000": lambda: (
            _TRIANGLE + b"f " + b" ".join(b"%d" % (i % 3 + 1) for i in range(300_000)) + b"\n"
        ),
        "line without end": lambda: b"v " + b"1 " * 3_000_000,
        "3 million vertices": lambda: b"v 1 2 3\n" * 3_000_000,
        "many groups": lambda: (
            _TRIANGLE + b"".join(b"g %d\nusemtl m%d\nf 1 2 3\n" % (i, i) for i in range(20_000))
        ),
    },
    ".ply": {
        "2 billion vertices": lambda: _ply("binary_little_endian", 2 * 10**9, 1, data=b"\0" * 99),
        "2 billion faces": lambda: _ply("binary_little_endian", 3, 2 * 10**9, data=b"\0" * 99),
        "2 billion faces as text": lambda: _ply("ascii", 3, 2 * 10**9, data=b"0 0 0\n" * 4),
        "negative counts": lambda: _ply("binary_little_endian", -3, -1, data=b"\0" * 99),
        "list of 4 billion": lambda: _ply(
            "binary_little_endian", 3, 1, "uint", bytes(36) + b"\xff" * 64
        ),
        "no end of header": lambda: b"ply\nformat ascii 1.0\n" + b"comment x\n" * 500_000,
        "texture from a device": lambda: (
            b"ply\nformat ascii 1.0\ncomment TextureFile /dev/zero\n"
            + _ply("ascii", 3, 1, data=b"0 0 0\n9 0 0\n0 9 0\n3 0 1 2\n").partition(b"1.0\n")[2]
        ),
    },
    ".stl": {
        "4 billion triangles": lambda: b"\0" * 80 + b"\xff" * 4 + b"\0" * 500,
        "solid without end": lambda: b"solid x\n" + b"facet normal 0 0 1\n" * 300_000,
    },
    ".off": {
        "2 billion vertices": lambda: b"OFF\n2000000000 1 0\n0 0 0\n",
        "2 billion faces": lambda: b"OFF\n3 2000000000 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "polygon of 2 billion": lambda: b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n2000000000 0 1 2\n",
    },
    ".glb": {
        "accessor without data": lambda: glb(
            gltf(accessors=[{"componentType": 5126, "count": 10**9, "type": "VEC3"}] * 2)
        ),
        "accessor beyond its data": lambda: glb(
            gltf(
                accessors=[
                    {"bufferView": i, "componentType": 5126, "count": 10**9, "type": "VEC3"}
                    for i in (0, 1)
                ]
            )
        ),
        "buffer from a device": lambda: glb(
            gltf(buffers=[{"byteLength": 72}, {"byteLength": 9, "uri": "/dev/zero"}])
        ),
        "node in itself": lambda: glb(gltf(nodes=[{"mesh": 0, "children": [0]}])),
        "nodes in a ring": lambda: glb(
            gltf(nodes=[{"children": [1]}, {"mesh": 0, "children": [0]}])
        ),
        "2 to the 24 nodes": lambda: glb(doubling(24)),
        "100,000 instances": lambda: glb(many_instances(100_000)),
        "texture of 160 million pixels": lambda: glb(with_image()),
        "header of 4 GB": lambda: struct.pack(
            "<IIIII", 0x46546C67, 2, 2**32 - 1, 2**32 - 4, 0x4E4F534A
        ),
    },
    ".npz": {
        "bomb": lambda: _npz_bomb("vertices"),
        "shape that lies": lambda: _npz_lies("vertices", "triangles", *_MODEL_ARRAYS),
        "negative shape": lambda: _npz_negative("vertices", "triangles", *_MODEL_ARRAYS),
        "text of a gigabyte": lambda: _zip({"name.npy": _npy("()", "<U400000000")}),
        "many members": lambda: _zip({f"a{i}.npy": b"" for i in range(30_000)}),
    },
    ".npy": {
        "shape that lies": lambda: _npy("(1000000000000, 3)"),
        "negative shape": lambda: _npy("(-1, 3)"),
        "program in the header": lambda: _npy("__import__('os').getpid()"),
        "overflow": lambda: _npy("(4294967296, 4294967296, 4294967296)"),
    },
    ".mat": {
        "shape that lies": lambda: _mat(b"meanshape", (2**30, 2**20), bytes(80)),
        "negative shape": lambda: _mat(b"meanshape", (-1, 10), bytes(80)),
        "thousand axes": lambda: _mat(b"meanshape", (1,) * 1000, bytes(8)),
        "bomb": lambda: _mat(b"meanshape", (3 * 2**25, 1), bytes(3 * 2**28), packed=True),
        "packed garbage": lambda: (
            b"MATLAB 5.0 MAT-file".ljust(124)
            + b"\x00\x01IM"
            + struct.pack("<II", 15, 8)
            + b"garbage!"
        ),
        "packed in packed": lambda: (
            b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + _packed_in_packed(200)
        ),
    },
    ".h5": {
        "shape that lies": _hdf5_lies,
        "links to other files": _hdf5_outside,
    },
    ".pp": {
        "billion laughs": lambda: _LAUGHS.encode(),
        "billion laughs in UTF-16": lambda: _LAUGHS.encode("utf-16"),
        "outside entity": lambda: _OUTSIDE.encode(),
        "million elements deep": lambda: b"<a>" * 1_000_000,
    },
    ".json": {
        "number of 10,000 digits": lambda: b'{"format": ' + b"9" * 10_000 + b"}",
        "100 MB of brackets": lambda: b"[" * 100_000_000,
        "lone surrogate": lambda: b'{"format": "\\ud800"}',
        "key twice": lambda: b'{"format": 1, "format": 2}',
        "a list": lambda: b"[]",
        "a word": lambda: b"null",
    },
    ".toml": {
        "number of 10,000 digits": lambda: b"steps = " + b"9" * 10_000,
        "nested tables": lambda: b"[" + b".".join([b"a"] * 20_000) + b"]\n",
        "nested inline": lambda: b"a = " + b"{a = " * 20_000,
        "hostile key": lambda: b'"[/bold]" = 1\n"\\u001b[2J" = 2\n',
        "large": lambda: b"# x\n" * 5_000_000,
    },
    ".jpg": {
        "4 billion pixels": lambda: png(65_000, 65_000),
        "170 million pixels": lambda: png(17_000, 10_000, bytes(17_001 * 10_000)),
        "program in PostScript": lambda: _EPS,
        "large TIFF": lambda: _tiff(2**31, 2**31),
        "TIFF of 100 million pixels": lambda: _tiff(10_000, 10_000),
        "text that unpacks": lambda: _png_text(),
        "no rows": lambda: png(64, 64),
        "one pixel wide": lambda: png(1, 60_000_000, bytes(120_000_000)),
    },
    ".zip": {
        "names that climb": lambda: _zip_slip(png(4, 4, bytes(20))),
        "size that lies": _zip_lies,
        "zip in itself": lambda: _zip({"a.zip": _zip({"b.zip": b"PK\x03\x04"})}),
        "100,000 members": lambda: _zip({f"{i}.txt": b"" for i in range(100_000)}),
    },
    ".tar": {
        "names that climb": lambda: _tar_slip(png(4, 4, bytes(20))),
        "size that lies": _tar_lies,
    },
    ".mp4": {
        "playlist of a device": lambda: _PLAYLIST,
        "list of files": lambda: _CONCAT,
        "playlist of an address": lambda: _REMOTE,
        "session of an address": lambda: _SDP,
        "a picture": lambda: png(64, 64, bytes(65 * 64)),
        "a huge picture": lambda: png(17_000, 10_000, bytes(17_001 * 10_000)),
    },
    ".parquet": {
        "100 million rows": lambda: _dense_parquet(96 * 2**20),
    },
}
"""By the ending of the file that is attacked; the name says what is wrong with it."""


def _packed_in_packed(depth: int) -> bytes:
    element = _mat_element(1, b"x")
    for _ in range(depth):
        squeezed = zlib.compress(element)
        element = struct.pack("<II", 15, len(squeezed)) + squeezed
    return element


def _png_text() -> bytes:
    """A text chunk of 256 MB, packed."""
    packed = b"Comment\0\0" + zlib.compress(bytes(2**28), 1)
    picture = png(4, 4, bytes(20))
    chunk = struct.pack(">I", len(packed)) + b"zTXt" + packed
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + packed))
    return picture[:33] + chunk + picture[33:]
