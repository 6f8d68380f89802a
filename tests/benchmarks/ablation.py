"""What each level of the loss, and the mask, is worth: the same training with and without.

Makes its faces, trains every variant with `facebench train`, and prints one table. A variant that
is finished is not trained again, so the command continues where it was stopped.

    python tests/benchmarks/ablation.py --out ablation --steps 2000
    python tests/benchmarks/ablation.py --out ablation --steps 2000 --only pixels landmarks
    python tests/benchmarks/ablation.py --out ablation --model ict.npz --recipe ours-ict \
        --start training/weights.pt --steps 600 --faces faces --held-out held-out
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mask import CoveredFace, Floats, cover, hidden_albedo_error
from PIL import Image

from facebench.recon.losses.multilevel import class_weights
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.recipes.files import load_recipe
from facebench.recon.regressors.checkpoint import load_regressor
from facebench.recon.synthetic.faces import LabelledFace
from facebench.recon.training.batches import collate, resize_sample
from facebench.recon.training.loop import TrainingFolder
from facebench.recon.training.optimise import Row
from facebench.recon.training.shards import Sample


@dataclass(frozen=True)
class Variant:
    """One training.

    Attributes:
        title: how the table calls it.
        faces: which shards it learns from.
        settings: of the recipe.
    """

    title: str
    faces: str
    settings: Mapping[str, float]


_NO_LANDMARKS = {f"loss.weights.{level}": 0.0 for level in ("landmark", "landmark_shape", "seen")}
_IDENTITY = {"loss.weights.identity": 1.0}
VARIANTS = {
    "pixels": Variant("pixels and prior", "clear", _NO_LANDMARKS),
    "landmarks": Variant("+ landmarks", "clear", {}),
    "identity": Variant("+ identity", "clear", _IDENTITY),
    "unmasked": Variant("covered faces, no mask", "unmasked", {}),
    "masked": Variant("covered faces, with mask", "masked", {}),
}


def main() -> None:
    arguments = parsed()
    out: Path = arguments.out
    make_faces(out, arguments)
    model = load_model(arguments.model)
    on = class_weights(load_recipe(arguments.recipe, []).loss.mask).numpy()
    print(f"{'':26}landmarks px   shape mm   mean face mm   subject r   hidden albedo")
    for name in arguments.only:
        folder = train(out, name, arguments)
        row = folder.read(folder.validation)[-1]
        albedo = hidden_error(folder.weights, model, out / "held-out", on)
        print(f"{VARIANTS[name].title:26}{line(row)}{albedo:16.4f}", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--recipe", default="ours-embedded")
    parser.add_argument("--subjects", type=int, default=4000, help="whose faces are made")
    parser.add_argument("--faces", type=Path, help="shards to learn from, instead of made ones")
    parser.add_argument("--held-out", type=Path, help="the same for validation")
    parser.add_argument("--start", type=Path, help="weights that every variant begins with")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    return parser.parse_args()


def line(row: Row) -> str:
    """The measures of one variant."""
    return (
        f"{row['landmark_px']:12.2f}{row['shape_mm']:11.2f}{row['mean_face_mm']:15.2f}"
        f"{row['subject_correlation']:12.2f}"
    )


def make_faces(out: Path, arguments: argparse.Namespace) -> None:
    """Training faces three times, clear and covered with and without masks, and held-out ones."""
    model = arguments.model
    out.mkdir(parents=True, exist_ok=True)
    if not linked(arguments.faces, out / "clear"):
        synthesise(out / "clear", model, arguments.subjects, 1, seed=31)
    if not linked(arguments.held_out, out / "held-out"):
        synthesise(out / "held-out", model, 60, 8, seed=32)
    for name, masked in (("masked", True), ("unmasked", False)):
        if not (out / name).is_dir():
            cover_shards(out / "clear", out / name, masked=masked)


def linked(source: Path | None, folder: Path) -> bool:
    """Whether a folder of faces was given; it is then found under the other name too."""
    if source and not folder.exists():
        folder.symlink_to(source.absolute(), target_is_directory=True)
    return source is not None


def synthesise(folder: Path, model: str, subjects: int, frames: int, seed: int) -> None:
    """Shards of `facebench synth faces`."""
    sizes = ["--subjects", subjects, "--frames", frames, "--image-size", 112, "--seed", seed]
    facebench("synth", "faces", "--model", model, "--out", folder, *sizes)


def cover_shards(source: Path, target: Path, *, masked: bool) -> None:
    """The same faces with something before a quarter of each; without masks all counts as skin."""
    draft = target.with_suffix(".part")
    draft.mkdir(parents=True, exist_ok=True)
    on = class_weights(load_recipe("ours", []).loss.mask).numpy()
    for path in sorted(source.glob("*.parquet")):
        table = pq.read_table(path)
        covered = [cover(face, on > 0, number) for number, face in enumerate(faces_of(table))]
        images = [one.as_photographed().jpeg() for one in covered]
        masks = [one.as_photographed().png_mask() for one in covered]
        columns = {"image": images, "mask": masks if masked else [None] * len(masks)}
        for name, cells in columns.items():
            index = table.column_names.index(name)
            table = table.set_column(index, name, pa.array(cells, pa.binary()))
        pq.write_table(table, draft / path.name, row_group_size=200)
    draft.rename(target)


def faces_of(table: pa.Table) -> list[LabelledFace]:
    """Rows of shards as they were drawn, the picture through JPEG."""
    return [
        LabelledFace(
            row["id"],
            row["subject"],
            np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB")),
            np.array(row["landmarks"], np.float32).reshape(68, 2),
            np.asarray(Image.open(io.BytesIO(row["mask"]))),
            np.array(row["coefficients"], np.float32),
        )
        for row in table.to_pylist()
    ]


def train(out: Path, name: str, arguments: argparse.Namespace) -> TrainingFolder:
    """Train a variant, unless it is."""
    variant = VARIANTS[name]
    folder = TrainingFolder(out / name)
    changes = [f"{key}={value}" for key, value in variant.settings.items()]
    settings = ["loss.pixel_from=0", *arguments.set, *changes]
    facebench(
        "train",
        *["--data", out / variant.faces, "--validation", out / "held-out", "--out", folder.path],
        *["--recipe", arguments.recipe, "--model", arguments.model, "--steps", arguments.steps],
        *["--seed", 1, "--threads", 1],
        *(["--start", arguments.start] if arguments.start else []),
        *[part for setting in settings for part in ("--set", setting)],
    )
    return folder


def hidden_error(weights: Path, model: MorphableModel, held_out: Path, on: Floats) -> float:
    """Mean distance from the true albedo on the hidden skin of held-out faces, covered."""
    regressor = load_regressor(weights, model).regressor
    (path,) = sorted(held_out.glob("*.parquet"))
    faces = faces_of(pq.read_table(path))[::8]
    covered = [cover(face, on > 0, 10_000 + number) for number, face in enumerate(faces)]
    images = collate([resize_sample(sample(one), regressor.image_size) for one in covered]).images
    with torch.no_grad():
        found = regressor.eval()(images).albedo.numpy()
    return float(hidden_albedo_error(model, found, covered, on).mean())


def sample(one: CoveredFace) -> Sample:
    """A covered face as training sees it."""
    return Sample(one.image, one.face.landmarks, one.mask)


def facebench(*arguments: object) -> None:
    """Run a command of facebench; its progress goes to standard error."""
    command = [sys.executable, "-m", "facebench", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
