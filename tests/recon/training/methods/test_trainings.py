"""Every method of the family trains, learns, and resumes bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_recogniser import write_recogniser
from training_faces import SETTINGS, random_faces, small_model

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import Coefficients, CoefficientSizes
from facebench.recon.network.tensor_files import read_content
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.recipes.regressor import RegressorRecipe
from facebench.recon.regressors.regressor import People
from facebench.recon.training.methods.baselines import (
    GenovaTrainer,
    LabelledFaces,
    RichardsonTrainer,
    TranTrainer,
    random_views,
    view_streams,
)
from facebench.recon.training.methods.labels import Labelling, fit_piece
from facebench.recon.training.optimise import Row
from facebench.recon.training.run import TrainingJob, make_loop, train_worker
from facebench.recon.training.workers import ProcessGroup, Worker

ALONE = Worker()
LEARNS = ("richardson", "tran", "genova")


def settings(kind: str, folder: Path) -> list[str]:
    common = [one for one in SETTINGS if not one.startswith("loss.")]
    if kind == "genova":
        recogniser = write_recogniser(folder / "recogniser.pt")
        return [*common, f"network.recogniser={recogniser}", "optimiser.warmup_steps=0"]
    return [*common, "optimiser.warmup_steps=0"]


def recipe(kind: str, folder: Path, *changes: str) -> RegressorRecipe:
    made = load_any_recipe(f"{kind}-ict", [*settings(kind, folder), *changes])
    assert isinstance(made, RegressorRecipe)
    return made


def job(kind: str, faces: Path, out: Path, *changes: str) -> TrainingJob:
    out.mkdir(parents=True, exist_ok=True)
    model = str(faces.parent / "model.npz")
    made = TrainingJob(faces, recipe(kind, out.parent, *changes), model, out, validation=faces)
    if kind == "tran":
        labelling = Labelling.claim(faces, model, made.folder.labels, None)
        for first in labelling.missing():
            fit_piece(labelling, first)
    return made


def truth(people: Coefficients) -> LabelledFaces:
    return LabelledFaces(torch.rand(len(people.pose), 3, 48, 48), people.vector())


@pytest.mark.parametrize("kind", LEARNS)
def test_steps_on_one_batch_bring_the_loss_down(kind: str, faces: Path, tmp_path: Path) -> None:
    # A recogniser of random weights sees everybody alike: there is nothing to decode.
    real = ["network.recogniser=embedded"] if kind == "genova" else []
    loop = make_loop(job(kind, faces, tmp_path / kind, "training.steps=25", *real), ALONE, quietly)
    batch = loop.source.batch(0)
    reports = [loop.trainer.training_step(batch) for _ in range(12)]
    assert all(report.applied for report in reports)
    assert reports[-1].total < 0.8 * reports[0].total
    weights = loop.trainer.recipe.weights  # type: ignore[union-attr]
    expected = sum(getattr(weights, name) * v for name, v in reports[0].terms.items())
    assert reports[0].total == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", LEARNS)
def test_a_killed_training_goes_on_bit_for_bit(kind: str, faces: Path, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill_after_three(row: Row) -> None:
        if row["step"] == 3:
            raise KilledError

    short = ("training.steps=4", "training.validate_every=2")
    whole, killed = (job(kind, faces, tmp_path / name, *short) for name in ("whole", "killed"))
    train_worker(whole, ALONE, quietly)
    with pytest.raises(KilledError):
        train_worker(killed, ALONE, kill_after_three)
    assert killed.steps_done() == 2
    train_worker(killed, ALONE, quietly)
    ours, theirs = (read_content(one.folder.checkpoint)["weights"] for one in (killed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for name in ("validation.csv", "fits.png"):
        assert (killed.out / name).read_bytes() == (whole.out / name).read_bytes()


def test_photographs_of_unknown_coefficients_are_refused(faces: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    bare = tmp_path / "bare"
    bare.mkdir()
    table = pq.read_table(next(faces.glob("*.parquet"))).drop_columns("coefficients")
    pq.write_table(table, bare / "faces.parquet")
    asked = TrainingJob(
        bare, recipe("richardson", tmp_path), str(faces.parent / "model.npz"), tmp_path / "out"
    )
    with pytest.raises(FacebenchError, match="no coefficients to learn from"):
        make_loop(asked, ALONE, quietly)


@pytest.mark.parametrize("change", ["flip=0.5", "augmentation.shift=0.1"])
def test_what_moves_a_photograph_from_its_label_is_refused(change: str, tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="moves the photograph from its label"):
        recipe("tran", tmp_path, change)


def test_labels_met_exactly_cost_nothing(tmp_path: Path) -> None:
    people = random_faces(small_model(), 3, 1)
    for kind, trainer in (("tran", TranTrainer), ("richardson", RichardsonTrainer)):
        made = trainer(recipe(kind, tmp_path), small_model(), Worker())  # type: ignore[arg-type]
        terms = made.terms(people, people)
        assert all(float(level) == pytest.approx(0.0, abs=1e-6) for level in terms.values()), kind


def test_a_second_pass_brings_a_trained_network_nearer() -> None:
    """Trained on a few faces and their own renders, each pass lowers the error on them."""
    made = load_any_recipe(
        "richardson-ict",
        [*settings("richardson", Path()), "training.steps=100", "training.batch_size=4"],
    )
    trainer = RichardsonTrainer(made, small_model(), Worker(seed=1))  # type: ignore[arg-type]
    people = random_faces(small_model(), 4, 1)
    with torch.no_grad():
        images = trainer.face(people)[0].image
    batch = LabelledFaces(images, people.vector())
    for _ in range(100):
        trainer.training_step(batch)
    trainer.regressor.eval()
    errors = []
    with torch.no_grad():
        for passes in (0, 1, 2):
            found = trainer.regressor.refine(images, passes)
            whole = Coefficients(
                *(part.expand(4, *part.shape[1:]) for part in vars(found).values())
            )
            terms = trainer.terms(whole, people)
            errors.append(float(terms["identity"] + 0.02 * terms["pose"]))
    assert errors[2] < 0.9 * errors[1] < 0.5 * errors[0]


def test_passes_are_drawn_alike_for_any_number_of_workers(tmp_path: Path) -> None:
    made = RichardsonTrainer(recipe("richardson", tmp_path), small_model(), Worker())  # type: ignore[arg-type]
    drawn = made._random_passes(400)
    assert set(drawn.tolist()) == {0, 1}
    assert 150 < int(drawn.sum()) < 250
    made.step = 1
    assert not np.array_equal(made._random_passes(400), drawn)


def genova(folder: Path) -> GenovaTrainer:
    return GenovaTrainer(recipe("genova", folder), small_model(), Worker())  # type: ignore[arg-type]


def test_levels_of_genova_at_their_ends(tmp_path: Path) -> None:
    trainer = genova(tmp_path)
    generator = torch.Generator().manual_seed(0)
    photographs = torch.randn(4, 16, generator=generator)
    person: People = trainer.regressor.decoder(photographs)
    alike = photographs.repeat_interleave(trainer.recipe.views.count, 0)
    terms = trainer.terms(photographs, person, 3.0 * alike)
    assert float(terms["identity"].detach()) == pytest.approx(0.0, abs=1e-5)
    assert float(terms["loopback"].detach()) == pytest.approx(0.0, abs=1e-9)
    assert float(trainer.terms(photographs, person, -alike)["identity"].detach()) == pytest.approx(
        2.0
    )


def test_the_loop_back_teaches_the_decoder_and_not_the_face(tmp_path: Path) -> None:
    trainer = genova(tmp_path)
    identity, albedo = (torch.randn(2, n, requires_grad=True) for n in _sizes())
    renders = torch.randn(4, 16, requires_grad=True)
    loop = trainer.terms(torch.randn(2, 16), (identity, albedo), renders)["loopback"]
    parts = [identity, albedo, renders, *trainer.regressor.decoder.parameters()]
    found = torch.autograd.grad(loop, parts, allow_unused=True)
    assert found[:3] == (None, None, None)
    assert all(gradient is not None for gradient in found[3:])


def test_views_show_the_face_and_follow_from_the_place() -> None:
    views = load_any_recipe("genova-ict").views  # type: ignore[union-attr]
    model = small_model()
    identity, albedo = (torch.randn(4, n) for n in _sizes())
    from facebench.recon.render.face import FaceDecoder

    decoder = FaceDecoder(model)
    count = views.count
    streams = view_streams(3, 7, ProcessGroup(), 4, count)
    whole = random_views(views, model, decoder, (identity, albedo), streams)
    streams = view_streams(3, 7, ProcessGroup(1, 2), 2, count)
    share = random_views(views, model, decoder, (identity[1::2], albedo[1::2]), streams)
    mine = torch.arange(4 * count).view(4, count)[1::2].flatten()
    torch.testing.assert_close(share.vector(), whole.vector()[mine])
    assert whole.pose[:, 1].abs().max() <= np.radians(views.yaw)
    assert whole.pose[:, 1].std() > 0.1
    assert len(torch.unique(whole.pose[:, 1])) == 4 * count


def _sizes() -> tuple[int, int]:
    sizes = CoefficientSizes.of(small_model())
    return sizes.identity, sizes.albedo


def quietly(row: Row) -> None:
    """Nobody listens."""
