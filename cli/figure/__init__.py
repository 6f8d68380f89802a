"""`facebench figure`: the figures of the paper, one subcommand each."""

from __future__ import annotations

import click

from . import photographs, runs


@click.group()
def command() -> None:
    """Draw the paper's figures, and those of measured runs, as PNG and PDF.

    'curves' and 'heat-maps' show runs. Each of the others works without a folder, on photographs
    made from the face model, and on your own: files, any folder, MoFA-test (a flat folder), LFW
    (NAME/NAME_0001.jpg). Where NAME.boxes.csv or landmarks (NAME.pts, NAME.txt, 68 or 5 points in
    px) lie beside NAME.jpg they say where the face is, else it is detected.

    \b
    Examples:
      facebench figure quality --out figures/quality
      facebench figure quality lfw/ --out figures/lfw --method ours --method fitting
      facebench figure occlusion --out figures/occlusion
      facebench figure consistency --out figures/consistency
      facebench figure parsing photographs/ --parser 79999_iter.pth --out figures/parsing
      facebench figure curves runs/ours runs/mean-face --out figures/curves
      facebench figure heat-maps runs/ours runs/mean-face --out figures/faces
    """


command.add_command(photographs.quality)
command.add_command(photographs.occlusion)
command.add_command(photographs.consistency)
command.add_command(photographs.parsing)
command.add_command(runs.curves)
command.add_command(runs.heat_maps)
