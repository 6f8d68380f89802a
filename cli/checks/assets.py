"""Files under licences of their own: facebench works without them, the paper's numbers need them.

Nothing here is downloaded: most ask for a signature or a registration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ...recon.vision.landmarks import torch_checkpoints
from .finding import Finding, Verdict

GROUP = "Assets"


@dataclass(frozen=True)
class Asset:
    """Something a user fetches.

    Attributes:
        name: what people call it.
        patterns: file names, any of which shows that it is there.
        source: where to get it and under which terms.
        purpose: what it is for.
    """

    name: str
    patterns: tuple[str, ...]
    source: str
    purpose: str


ASSETS = (
    Asset(
        "Basel Face Model 2009",
        ("01_MorphableModel.mat",),
        "https://faces.dmi.unibas.ch/bfm/ (free for research, after registration)",
        "the paper's identity and albedo",
    ),
    Asset(
        "FaceWarehouse expressions",
        ("Exp_Pca.bin",),
        "https://github.com/Juyong/3DFace ('CoarseData')",
        "the paper's expressions, with std_exp.txt",
    ),
    Asset(
        "MICC Florence 2D/3D faces",
        ("subject_01/Model", "*/subject_01/Model"),
        "https://www.micc.unifi.it, resources, 'Florence 2D/3D face dataset' (signed agreement)",
        "the benchmark's data, 'facebench micc --data'",
    ),
    Asset(
        "ArcFace weights",
        ("backbone.pth", "*/backbone.pth"),
        "https://github.com/deepinsight/insightface, 'arcface_torch' model zoo (non-commercial)",
        "the identity loss",
    ),
    Asset(
        "face parsing weights",
        ("79999_iter.pth",),
        "https://github.com/zllrunning/face-parsing.PyTorch",
        "masks of real photographs",
    ),
)
FAN_WEIGHTS = (
    "2DFAN4-11f355bf06.pth.tar",
    "3DFAN4-7835d9f11d.pth.tar",
    "s3fd-619a316812.pth",
)


def check_assets(folder: Path) -> Iterator[Finding]:
    """The embedded checkpoint, the licensed files in a folder, and the landmark weights."""
    yield check_embedded()
    yield from (_check(asset, folder) for asset in ASSETS)
    yield check_landmark_weights(torch_checkpoints())


def check_embedded() -> Finding:
    """Whether the checkpoint that the package carries is there."""
    folder = files("facebench") / "recon" / "network" / "embedded"
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    weights = [name for name in names if name.endswith((".pt", ".pth", ".npz"))]
    if weights:
        return Finding(GROUP, "embedded checkpoint", Verdict.OK, ", ".join(sorted(weights)))
    hint = "reinstall facebench, or train one with 'facebench train'"
    return Finding(GROUP, "embedded checkpoint", Verdict.MISSING, "not in the package", hint)


def check_landmark_weights(folder: Path) -> Finding:
    """Whether face-alignment finds its weights where it looks for them."""
    missing = [name for name in FAN_WEIGHTS if not (folder / name).is_file()]
    if not missing:
        return Finding(GROUP, "landmark weights", Verdict.OK, str(folder))
    hint = f"https://github.com/1adrianb/face-alignment; put them in {folder}"
    detail = f"missing {', '.join(missing)} (landmarks of real photographs)"
    return Finding(GROUP, "landmark weights", Verdict.WARNING, detail, hint)


def _check(asset: Asset, folder: Path) -> Finding:
    found = next((path for pattern in asset.patterns for path in folder.glob(pattern)), None)
    if found is not None:
        return Finding(GROUP, asset.name, Verdict.OK, str(found))
    hint = f"{asset.source}; put it in {folder}"
    return Finding(GROUP, asset.name, Verdict.WARNING, f"not here ({asset.purpose})", hint)
