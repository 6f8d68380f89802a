"""A training stopped anywhere ends as one that was never stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_recogniser import write_recogniser
from training_faces import small_recipe

from facebench.errors import FacebenchError
from facebench.recon.network.tensor_files import read_content
from facebench.recon.recipes.regressor import Recipe
from facebench.recon.training.optimise import Row
from facebench.recon.training.run import TrainingJob, make_loop, train_worker
from facebench.recon.training.workers import Worker

ALONE = Worker()


def job(faces: Path, out: Path, recipe: Recipe | None = None, seed: int = 0) -> TrainingJob:
    model = str(faces.parent / "model.npz")
    return TrainingJob(faces, recipe or small_recipe(), model, out, seed, validation=faces)


def whole_method(folder: Path) -> Recipe:
    """The identity term with its second views, averaged weights and random changes of pictures."""
    recogniser = write_recogniser(folder / "recogniser.pt")
    return small_recipe(
        *("training.steps=4", "training.validate_every=2"),
        "loss.weights.identity=0.24",
        f"identity.weights={recogniser}",
        "optimiser.average=0.9",
        "loss.landmark.visible_contour=true",
        "loss.weights.reflectance=0.1",
        "loss.weights.light_balance=0.1",
    )


def quietly(row: Row) -> None:
    """Nobody listens."""


def losses(job: TrainingJob) -> list[Row]:
    rows = job.folder.read(job.folder.log)
    timings = ("images_per_s", "waiting")
    return [{name: row[name] for name in row if name not in timings} for row in rows]


@pytest.fixture(scope="module")
def finished(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    done = job(faces, tmp_path_factory.mktemp("finished"))
    train_worker(done, ALONE, quietly)
    return done


def test_a_training_leaves_log_checkpoint_weights_and_fits(finished: TrainingJob) -> None:
    assert [row["step"] for row in losses(finished)] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in finished.folder.read(finished.folder.validation)] == [3, 6]
    assert finished.steps_done() == 6
    assert finished.folder.weights.is_file()
    assert finished.folder.fits.is_file()


def test_a_resumed_training_equals_an_uninterrupted_one(
    faces: Path, tmp_path: Path, finished: TrainingJob
) -> None:
    class StoppedError(Exception):
        pass

    def stop_after_three(row: Row) -> None:
        if row["step"] == 3:
            raise StoppedError

    stopped = job(faces, tmp_path)
    with pytest.raises(StoppedError):
        train_worker(stopped, ALONE, stop_after_three)
    assert stopped.steps_done() == 2
    train_worker(stopped, ALONE, quietly)
    assert losses(stopped) == losses(finished)
    ours, theirs = (read_content(one.folder.checkpoint)["weights"] for one in (stopped, finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_whole_method_resumes_bit_for_bit(faces: Path, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill_after_three(row: Row) -> None:
        if row["step"] == 3:
            raise KilledError

    recipe = whole_method(tmp_path)
    whole, killed = (job(faces, tmp_path / name, recipe) for name in ("whole", "killed"))
    train_worker(whole, ALONE, quietly)
    with pytest.raises(KilledError):
        train_worker(killed, ALONE, kill_after_three)
    assert killed.steps_done() == 2
    train_worker(killed, ALONE, quietly)
    assert losses(killed) == losses(whole)
    assert {"identity", "reflectance", "light_balance"} <= set(losses(whole)[-1])
    ours, theirs = (read_content(one.folder.checkpoint) for one in (killed, whole))
    for part in ("weights", "average"):
        assert all(torch.equal(ours[part][name], theirs[part][name]) for name in theirs[part])
    for name in ("validation.csv", "fits.png"):
        assert (killed.out / name).read_bytes() == (whole.out / name).read_bytes()
    used = read_content(whole.folder.weights)["weights"]
    assert torch.equal(used["backbone.fc.bias"], theirs["average"]["backbone.fc.bias"])
    assert not torch.equal(used["backbone.fc.bias"], theirs["weights"]["backbone.fc.bias"])


def test_early_steps_are_shown(finished: TrainingJob) -> None:
    shown = sorted(path.name for path in (finished.out / "pictures").iterdir())
    assert shown == [f"step-{step:06d}.png" for step in (1, 2, 4)]


def test_an_interruption_keeps_the_step_it_came_at(faces: Path, tmp_path: Path) -> None:
    def interrupt(row: Row) -> None:
        if row["step"] == 5:
            raise KeyboardInterrupt

    interrupted = job(faces, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_worker(interrupted, ALONE, interrupt)
    assert interrupted.steps_done() == 5


def test_another_seed_is_another_training(faces: Path, finished: TrainingJob) -> None:
    other = job(faces, finished.out, seed=1)
    with pytest.raises(FacebenchError, match="another seed"):
        make_loop(other, ALONE, quietly).resume()


def test_another_recipe_is_refused_but_more_steps_are_not(
    faces: Path, finished: TrainingJob
) -> None:
    changed = job(faces, finished.out, small_recipe("loss.weights.pixel=9"))
    with pytest.raises(FacebenchError, match=r"another recipe \(loss"):
        make_loop(changed, ALONE, quietly).resume()
    longer = job(faces, finished.out, small_recipe("training.steps=8"))
    assert make_loop(longer, ALONE, quietly).resume() == 6


def test_a_job_survives_its_own_table(faces: Path, tmp_path: Path) -> None:
    asked = job(faces, tmp_path)
    assert TrainingJob.from_table(asked.as_table()) == asked


def test_weights_in_the_place_of_a_checkpoint_are_told(
    finished: TrainingJob, faces: Path, tmp_path: Path
) -> None:
    taken = job(faces, tmp_path)
    taken.folder.checkpoint.write_bytes(finished.folder.weights.read_bytes())
    with pytest.raises(FacebenchError, match="holds weights only"):
        taken.steps_done()
