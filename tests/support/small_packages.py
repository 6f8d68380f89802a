"""Packages with networks of few or random numbers, as pip and npm would bring them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from facebench.recon.network.fetched import Mtcnn
from facebench.recon.weights.catalogue import PackagedNetwork, packaged_network

PARTS = {"pnet": "proposal", "rnet": "refinement", "onet": "output"}


def random_mtcnn() -> Mtcnn:
    """Three networks of random weights."""
    torch.manual_seed(3)
    return Mtcnn().eval()


def mtcnn_files(network: Mtcnn) -> dict[str, bytes]:
    """The files of the package, as `torch.save` writes them."""
    found = {}
    for file, part in PARTS.items():
        buffer = io.BytesIO()
        torch.save(network.get_submodule(part).state_dict(), buffer)
        found[f"facenet_pytorch/data/{file}.pt"] = buffer.getvalue()
    return found


def write_wheel(folder: Path, files: Mapping[str, bytes]) -> PackagedNetwork:
    """A wheel of these files in a folder, and the card of it."""
    card = packaged_network("mtcnn")
    name, info = f"facenet_pytorch-{card.version}", f"facenet_pytorch-{card.version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: facenet-pytorch\nVersion: {card.version}\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    return _pinned(card, path)


def write_npm_package(
    folder: Path, card: PackagedNetwork, tensors: Mapping[str, np.ndarray]
) -> PackagedNetwork:
    """An npm package of 8-bit tensors in a folder, and the card of it."""
    entries, numbers = [], b""
    for name, values in tensors.items():
        rule = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
        entries.append(
            {"name": name, "shape": values.shape, "dtype": "float32", "quantization": rule}
        )
        numbers += values.astype(np.uint8).tobytes()
    (stem,) = card.members
    manifest = json.dumps([{"weights": entries, "paths": [f"{stem}.bin"]}]).encode()
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (
            (f"{stem}-weights_manifest.json", manifest),
            (f"{stem}.bin", numbers),
        ):
            member = tarfile.TarInfo(f"package/model/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return _pinned(card, path)


def _pinned(card: PackagedNetwork, path: Path) -> PackagedNetwork:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return replace(card, sha256=digest, package_bytes=len(content))
