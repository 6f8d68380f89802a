"""`facebench models import`: make our `.npz` from the files of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .basel import basel_2009, basel_2017, basel_2019
from .saving import OUT_NPZ, laid, lay_landmarks, mode_counts, save, unit

if TYPE_CHECKING:
    from ...recon.morphable.mode_counts import ModeCounts


@click.group(name="import")
def import_() -> None:
    """Make our .npz from other projects' files.

    \b
    Examples:
      facebench models import basel-2009 01_MorphableModel.mat --side-files BFM --out bfm.npz
      facebench models import basel-2017 model2017-1_face12_nomouth.h5 --out bfm17.npz
      facebench models import surrey eos/share/sfm_shape_3448.bin --out sfm.npz
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models import npz in_metres.npz --unit m --out face.npz
    """


for _command in (basel_2009, basel_2017, basel_2019):
    import_.add_command(_command)


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--expressions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="eos' blend shapes.  [default: expression_blendshapes_3448.bin beside FILE, if there]",
)
@click.option(
    "--landmarks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="eos' table of landmarks, or 68 vertex numbers.  [default: ibug_to_sfm.txt beside FILE]",
)
@lay_landmarks
@unit("mm")
@mode_counts
@OUT_NPZ
def surrey(
    file: Path,
    expressions: Path | None,
    landmarks: Path | None,
    lay_landmarks: bool,
    unit: str,
    out: Path,
    counts: ModeCounts,
) -> None:
    """The Surrey Face Model as eos distributes it: FILE is sfm_shape_3448.bin.

    eos' table names 50 of the 68 landmarks: no jaw line but the chin, no inner mouth corners.

    \b
    Examples:
      facebench models import surrey eos/share/sfm_shape_3448.bin --out sfm.npz
    """
    from ...recon.morphable.surrey import SurreyFiles, read_surrey

    beside = SurreyFiles.beside(file)
    files = SurreyFiles(expressions or beside.expressions, landmarks or beside.landmarks)
    model = read_surrey(file, files, unit)
    save(laid(model) if lay_landmarks else model, out, counts)


@import_.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--part",
    "parts",
    multiple=True,
    help="Keep this part, may be repeated.  [default: face, head_neck, mouth_socket, "
    "eye_sockets, eyeballs]",
)
@OUT_NPZ
def ict(folder: Path, parts: tuple[str, ...], out: Path) -> None:
    """ICT-FaceKit's FaceXModel FOLDER, with as many of its modes as are there.

    \b
    Examples:
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models import ict FaceXModel --part face --part eyeballs --out face.npz
    """
    from ...recon.morphable.ict import PARTS, read_ict

    save(read_ict(folder, parts or tuple(PARTS)), out)


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@unit("mm")
@OUT_NPZ
def npz(file: Path, unit: str, out: Path) -> None:
    """Complete an .npz FILE: lengths to mm, regions and albedo derived where absent.

    \b
    Examples:
      facebench models import npz in_metres.npz --unit m --out face.npz
    """
    from ...recon.morphable.npz import read_npz

    save(read_npz(file, unit), out)
