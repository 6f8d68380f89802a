"""How long a training step takes, and where: `python tests/benchmarks/training.py`.

A step is taken apart: every part is run alone, forwards and backwards, and its processor seconds
are printed with their share of the sum, so that the figures hold on a busy machine too (on a GPU:
seconds between synchronisations). Then some steps are trained for real, with pictures decoded
beside them, and the share of the time spent waiting for input is printed.

    python tests/benchmarks/training.py --recipe ours-outline --vertices 35000
    python tests/benchmarks/training.py --recipe ours --vertices 35000 --recogniser iresnet50
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.losses.multilevel import Supervision
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model
from facebench.recon.network.resnet import IResNet
from facebench.recon.recipes.files import load_recipe
from facebench.recon.recipes.regressor import Recipe
from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource, prefetch
from facebench.recon.training.loop import LossMeter
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.workers import Worker
from facebench.recon.vision.recognition import Recogniser

RECOGNISERS = {"small": ("iresnet18", 128, 16, 64), "iresnet50": ("iresnet50", 512, 64, 112)}
"""Architecture, outputs, width and side: the embedded one's, and the public ArcFace network's."""


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(arguments.threads)
    recipe, device = load_recipe(arguments.recipe, arguments.set), torch.device(arguments.device)
    trainer = make_trainer(recipe, made_model(arguments), device, arguments.recogniser)
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), recipe.network.image_size)
        source = BatchSource(
            FaceShards(Path(folder)),
            recipe.training.batch_size,
            recipe.network.image_size,
            0,
            augmentation(recipe.augmentation),
        )
        clock = clock_of(device)
        data = measured(lambda: source.batch(0), time.process_time, arguments.repeat)
        truth = source.batch(0).to(device)
        times = parts(trainer, truth, clock, arguments.repeat)
        whole = measured(lambda: trainer.training_step(truth), clock, arguments.repeat)
        print(title(recipe, trainer, arguments.threads))
        print_parts(times, whole, data)
        print_waiting(trainer, source, arguments.repeat, arguments.readers)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="ours-embedded")
    parser.add_argument("--set", action="append", default=["loss.pixel_from=0"])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--vertices", type=int, help="a procedural model of this size instead")
    parser.add_argument("--recogniser", choices=(*RECOGNISERS, "none"), default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    return parser.parse_args()


def made_model(arguments: argparse.Namespace) -> MorphableModel:
    """The face model that was asked for."""
    if arguments.vertices:
        return procedural_model(0, arguments.vertices)
    return load_model(arguments.model)


def make_trainer(
    recipe: Recipe, model: MorphableModel, device: torch.device, recogniser: str
) -> Trainer:
    """A trainer with a recogniser of random weights: as fast as a trained one."""
    if recogniser == "none":
        return Trainer(recipe, model, Worker(device=device))
    features = Recogniser(IResNet(*RECOGNISERS[recogniser])).to(device)
    weights = replace(recipe.loss.weights, identity=0.24)
    weighed = replace(recipe, loss=replace(recipe.loss, weights=weights))
    return Trainer(weighed, model, Worker(device=device), features=features)


def write_photographs(folder: Path, side: int, count: int = 64) -> None:
    """A shard of blurred noise, which compresses about as photographs do."""
    random = np.random.default_rng(0)
    spread = np.stack(np.meshgrid(*[np.linspace(0.2, 0.8, 9)[:8]] * 2)).reshape(2, -1).T[:64]
    points = np.concatenate([spread, [[0.4, 0.7], [0.6, 0.7], [0.5, 0.5], [0.5, 0.6]]]) * side
    table: dict[str, list[object]] = {
        name: [] for name in ("id", "subject", "image", "landmarks", "mask")
    }
    for number in range(count):
        noise = Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8))
        table["id"].append(str(number))
        table["subject"].append(str(number))
        table["image"].append(encoded(noise.filter(ImageFilter.GaussianBlur(2)), "JPEG"))
        table["landmarks"].append(points.astype(np.float32).ravel())
        table["mask"].append(encoded(Image.fromarray(np.ones((side, side), np.uint8)), "PNG"))
    pq.write_table(pa.table(table), folder / "photographs.parquet", row_group_size=32)


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def parts(
    trainer: Trainer, truth: Supervision, clock: Callable[[], float], repeat: int
) -> dict[str, float]:
    """Seconds of each part of a step, forwards and backwards."""
    face, loss = trainer.face, trainer.loss
    with torch.no_grad():
        found = trainer.estimate(truth.images)[0]
        vertices, colours = face.shaded(found)
    coefficients = Coefficients(**{name: leaf(value) for name, value in vars(found).items()})
    corners, lit = leaf(vertices), leaf(colours)

    def network() -> Tensor:
        return trainer.estimate(truth.images)[0].vector().square().sum()

    def decode() -> Tensor:
        return sum((part.sum() for part in face.shaded(coefficients)), torch.zeros(()).to(vertices))

    def raster() -> Tensor:
        drawn = face.renderer(corners, lit, face.decoder.triangles, face.image_size)
        return drawn.image.square().sum() + drawn.silhouette.sum()

    with torch.no_grad():
        drawn = face(found)
    picture = leaf(drawn[0].image)
    rendering = replace(drawn[0], image=picture)

    def losses() -> Tensor:
        return loss.total(loss(coefficients, *trainer.landmarks(coefficients), rendering, truth))

    def recognise() -> Tensor:
        with torch.no_grad():
            photograph = trainer.recognise(truth.images, truth.landmarks)
        twice = torch.cat([picture, picture])
        features = trainer.recognise(twice, drawn[1].repeat(1, 1, 2))
        return (features * photograph.repeat(2, 1)).sum()

    draws = 2 if trainer.features else 1
    times = {
        "network": measured(backward(network), clock, repeat),
        "decode and shade": draws * measured(backward(decode), clock, repeat),
        "rasterise": draws * measured(backward(raster), clock, repeat),
        "losses": measured(backward(losses), clock, repeat),
        "optimiser": measured(lambda: trainer.descent.optimiser.step(), clock, repeat),
    }
    if trainer.features:
        times["recogniser"] = measured(backward(recognise), clock, repeat)
    return times


def leaf(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_()


def backward(compute: Callable[[], Tensor]) -> Callable[[], None]:
    """Forwards and backwards."""
    return lambda: torch.autograd.backward(compute())


def clock_of(device: torch.device) -> Callable[[], float]:
    """Processor seconds; on a GPU wall seconds, after all that was asked of it is done."""
    if device.type != "cuda":
        return time.process_time

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def measured(work: Callable[[], object], clock: Callable[[], float], repeat: int) -> float:
    """Median seconds of some calls, after one to warm up."""
    times = []
    for _ in range(repeat + 1):
        start = clock()
        work()
        times.append(clock() - start)
    return sorted(times[1:])[repeat // 2]


def title(recipe: Recipe, trainer: Trainer, threads: int) -> str:
    network, model = recipe.network, trainer.face.decoder
    return (
        f"{recipe.name}: {network.architecture}, {network.image_size} px, batch "
        f"{recipe.training.batch_size}, {len(model.mean_shape) // 3} vertices, "
        f"{recipe.renderer.kind}, {trainer.device}, {threads} threads"
    )


def print_parts(times: dict[str, float], whole: float, data: float) -> None:
    total = sum(times.values())
    for name, seconds in times.items():
        print(f"  {name:18s} {seconds:8.4f} s  {seconds / total:5.0%}")
    rendering = times["decode and shade"] + times["rasterise"]
    print(f"  {'sum of the parts':18s} {total:8.4f} s   rendering {rendering / total:.0%} of it")
    print(f"  {'whole step':18s} {whole:8.4f} s   rendering {rendering / whole:.0%} of it")
    print(f"  {'data, beside it':18s} {data:8.3f} s  {data / whole:5.0%} of a step")


def print_waiting(trainer: Trainer, source: BatchSource, steps: int, readers: int) -> None:
    """Train some steps as the loop does."""
    meter, first = LossMeter(), trainer.step
    with closing(prefetch(source, first, first + steps + 1, readers)) as batches:
        timed = meter.timed(batches)
        for truth in islice(timed, 1):
            trainer.training_step(truth)
        meter.row(trainer.step, 0, 1)  # the first batch is always waited for
        for truth in timed:
            meter.add(trainer.training_step(truth))
    row = meter.row(trainer.step, 0, 1)
    print(f"  training           {row['images_per_s']:8.2f} images/s, {row['waiting']:.1%} waiting")


if __name__ == "__main__":
    main()
