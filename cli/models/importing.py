"""`facebench models import`: make our `.npz` from the files of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .making import OUT_NPZ, Command, mode_counts, save, transfer_landmarks, unit

if TYPE_CHECKING:
    from ...recon.morphable.measures import ModeCounts

_LANDMARKS = click.option(
    "--landmarks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="68 vertex numbers, or a table like eos' ibug_to_bfm2017-1_bfm_nomouth.txt.  "
    "[default: the points that the file names]",
)


@click.group(name="import")
def import_() -> None:
    """Make our .npz from other projects' files.

    \b
    Examples:
      facebench models import basel-2009 01_MorphableModel.mat --side-files BFM --out bfm.npz
      facebench models import basel-2017 model2017-1_face12_nomouth.h5 --out bfm17.npz
      facebench models import surrey eos/share/sfm_shape_3448.bin --out sfm.npz
      facebench models import flame generic_model.pkl --out flame.npz
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models import npz in_metres.npz --unit m --out face.npz
    """


@click.command(name="basel-2009")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--side-files",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of Exp_Pca.bin, std_exp.txt, BFM_exp_idx.mat, BFM_front_idx.mat and "
    "facemodel_info.mat.  [default: that of PATH]",
)
@click.option(
    "--crop",
    type=click.Choice(["front", "trimmed", "whole"]),
    default="front",
    help="front: 35,709 vertices; trimmed: 53,215, needs no BFM_front_idx.mat; "
    "whole: 53,490, needs no side files and has no expressions.",
)
@click.option(
    "--expression-mean", is_flag=True, help="Add the expressions' mean to the neutral face."
)
@click.option(
    "--unit",
    type=click.Choice(["m", "dm", "cm", "mm", "um"]),
    help="What PATH's lengths are in.  [default: um; dm for BFM_model_front.mat]",
)
@mode_counts
@OUT_NPZ
def basel_2009(
    path: Path,
    side_files: Path | None,
    crop: str,
    expression_mean: bool,
    unit: str | None,
    out: Path,
    counts: ModeCounts,
) -> None:
    """BFM 2009: PATH is 01_MorphableModel.mat, its folder, or a BFM_model_front.mat.

    The paper uses 100 identity, 80 expression and 100 albedo modes; FaceWarehouse's files hold
    79 expressions, so the 80th is zero.

    \b
    Examples:
      facebench models import basel-2009 01_MorphableModel.mat --side-files BFM \\
        --identity-modes 100 --expression-modes 80 --albedo-modes 100 --out bfm.npz
      facebench models import basel-2009 BFM/BFM_model_front.mat --out bfm_front.npz
      facebench models import basel-2009 01_MorphableModel.mat --crop whole --out bfm_whole.npz
    """
    from ...recon.morphable.basel import is_front_file, read_basel2009, read_basel_front

    # One command for both files: which one it is follows from its variables, not from its name.
    if is_front_file(path):
        # Each of the two files by default in the unit that its makers wrote it in.
        save(read_basel_front(path, unit or "dm"), out, counts)
        return
    unit = unit or "um"
    model = read_basel2009(path, side_files, crop=crop, unit=unit, expression_mean=expression_mean)
    save(model, out, counts)


def _hdf5_options(function: Command) -> Command:
    """The argument and options of every import from an .h5."""
    file = click.argument("file", type=click.Path(path_type=Path))
    # Decorators from the inside out, so that --help lists them in reading order.
    for add in (OUT_NPZ, mode_counts, unit("mm"), transfer_landmarks, _LANDMARKS, file):
        function = add(function)
    return function


@click.command(name="basel-2017")
@_hdf5_options
def basel_2017(**options: Any) -> None:
    """BFM 2017: FILE is an .h5 such as model2017-1_face12_nomouth.h5.

    \b
    Examples:
      facebench models import basel-2017 model2017-1_face12_nomouth.h5 --out bfm17.npz
      facebench models import basel-2017 model2017-1_bfm_nomouth.h5 \\
        --landmarks ibug_to_bfm2017-1_bfm_nomouth.txt --out bfm17.npz
    """
    _import_hdf5("2017", **options)


@click.command(name="basel-2019")
@_hdf5_options
def basel_2019(**options: Any) -> None:
    """BFM 2019: FILE is an .h5 such as model2019_fullHead.h5.

    \b
    Examples:
      facebench models import basel-2019 model2019_face12.h5 --out bfm19.npz
    """
    _import_hdf5("2019", **options)


# Names with a hyphen cannot be functions of the group's own decorator.
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
@transfer_landmarks
@unit("mm")
@mode_counts
@OUT_NPZ
def surrey(
    file: Path,
    expressions: Path | None,
    landmarks: Path | None,
    transfer_landmarks: bool,
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
    from ...recon.morphable.surrey import read_surrey

    model = read_surrey(file, expressions, landmarks, unit)
    save(model, out, counts, transfer_landmarks)


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--landmarks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="FLAME's embedding, or a .txt of 68 vertex numbers.  [default: landmark_embedding.npy or "
    "flame_static_embedding.pkl beside FILE]",
)
@click.option(
    "--shape-modes",
    type=click.IntRange(0),
    default=300,
    help="Modes of shapedirs that are identity; the rest are expressions.",
)
@transfer_landmarks
@unit("m")
@mode_counts
@OUT_NPZ
def flame(
    file: Path,
    landmarks: Path | None,
    shape_modes: int,
    transfer_landmarks: bool,
    unit: str,
    out: Path,
    counts: ModeCounts,
) -> None:
    """FLAME in its neutral pose: FILE is generic_model.pkl, or an .npz of its arrays.

    The pickle is read and never run: it may hold arrays, and a file that asks for anything else is
    refused. Rotations of jaw, neck and eyes are no linear modes and are left out.

    \b
    Examples:
      facebench models import flame FLAME2020/generic_model.pkl --out flame.npz
      facebench models import flame flame.npz --landmarks landmark_embedding.npy --out ours.npz
    """
    from ...recon.morphable.flame import read_flame

    model = read_flame(file, landmarks, shape_modes, unit)
    if not model.expression_basis.shape[2]:
        count = model.identity_basis.shape[2]
        click.echo(f"note: all {count} modes are taken for identity: see --shape-modes", err=True)
    save(model, out, counts, transfer_landmarks)


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

    # Without --part click gives an empty tuple, which stands for all of them.
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
    from ...recon.morphable.load import read_npz

    save(read_npz(file, unit), out)


def _import_hdf5(
    year: str,
    file: Path,
    landmarks: Path | None,
    transfer_landmarks: bool,
    unit: str,
    out: Path,
    counts: ModeCounts,
) -> None:
    from ...recon.morphable.basel import read_basel_hdf5

    model = read_basel_hdf5(file, year, landmarks, unit)
    save(model, out, counts, transfer_landmarks)
