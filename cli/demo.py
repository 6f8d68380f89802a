"""`facebench demo`: the whole path on embedded data, each step as the command a user would type."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path

import click

from .main import run_step


@click.command(name="demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--subjects", default=12, show_default=True, help="Subjects to measure.")
@click.option("--frames", default=12, show_default=True, help="Frames of each video.")
@click.option("--faces", default=1200, show_default=True, help="Training photographs.")
@click.option("--steps", default=150, show_default=True, help="Training steps from scratch.")
@click.option("--seed", default=7, show_default=True)
@click.option("--open", "opened", is_flag=True, help="Show the report in a browser at the end.")
def command(
    out: Path, subjects: int, frames: int, faces: int, steps: int, seed: int, opened: bool
) -> None:
    """Synthesise, train, measure, compare and report, on this machine and without any download.

    Trains `ours` from scratch for a short while, then measures three methods on subjects that no
    network has seen: the mean face, the network of those few steps, and the embedded checkpoint.

    \b
    Examples:
      facebench demo --open
      facebench demo --out /tmp/demo --subjects 4 --frames 8 --steps 50
    """
    from ..recon.files.writing import lock_folder

    start = time.monotonic()
    # Two demos in one folder would train into each other's files.
    with lock_folder(out, "demo", ("micc-truth/plan.json",)):
        for arguments in demo_commands(out, subjects, frames, faces, steps, seed):
            run_step(arguments)
    _show(out)
    click.echo(f"\nDone in {(time.monotonic() - start) / 60:.1f} minutes.")
    report = out / "ours" / "report.html"
    click.echo(f"Look at {report} and {out / 'training' / 'fits.png'}.")
    if opened:
        show_page(report)


def show_page(page: Path) -> None:
    """Open a page in the user's browser; say so where there is none."""
    if not webbrowser.open(page.resolve().as_uri()):
        click.echo(f"No browser was found: open {page} yourself.", err=True)


def demo_commands(
    out: Path, subjects: int, frames: int, faces: int, steps: int, seed: int
) -> list[list[str]]:
    """The commands of the demo, in order, without the leading `facebench`."""
    data, shards, training = str(out / "micc"), str(out / "faces"), str(out / "training")
    # Of the training below; the embedded weights are what "ours" has without a checkpoint.
    short = str(out / "training" / "weights.pt")

    def micc(name: str, *method: str) -> list[str]:
        # Not the best that is here: the table is to be the same on every machine.
        finder = ["--detector", "embedded"]
        return ["micc", "--data", data, *method, *finder, "--out", str(out / name)]

    seeded = ["--seed", str(seed)]
    people = ["--subjects", str(subjects), "--frames", str(frames)]
    photographs = ["--subjects", str(faces), "--frames", "1", "--image-size", "112"]
    # The recipe adds the pixels after most of its steps; in so few they must act at once.
    recipe = ["--recipe", "ours-embedded", "--set", "loss.pixel_from=0.0", "--steps", str(steps)]
    # Another number of threads adds up in another order: numbers would depend on the machine.
    threads = ["--threads", "2"]
    short_run = ["--checkpoint", short, "--name", f"ours, {steps} steps"]
    return [
        ["synth", "micc", "--out", data, *people, *seeded],
        ["synth", "faces", "--out", shards, *photographs, *seeded],
        ["train", "--data", shards, *recipe, "--out", training, *seeded, *threads],
        micc("mean-face", "--method", "mean-face"),
        micc("ours-short", "--method", "ours", *short_run),
        micc("ours", "--method", "ours"),
        # The first run's page; the others stand beside it.
        ["report", *(str(out / name) for name in ("ours", "ours-short", "mean-face"))],
    ]


def _show(out: Path) -> None:
    from ..results.compare import compare, comparison_text
    from ..results.run.folder import RunFolder

    runs = [RunFolder(out / name) for name in ("mean-face", "ours-short", "ours")]
    click.echo(comparison_text(compare(runs), "table"), nl=False)
