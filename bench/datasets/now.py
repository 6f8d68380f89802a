"""The folder layout of the NoW benchmark (Sanyal et al. 2019): scans, seven landmarks, predictions.

The set: `scans/SUBJECT/*.obj`, `scans_lmks_onlypp/SUBJECT/*.pp`, `imagepathsvalidation.txt` with a
line `SUBJECT/CHALLENGE/IMAGE.jpg` each. The predictions: `SUBJECT/CHALLENGE/IMAGE.obj` or `.ply`
with the seven landmarks in `IMAGE.npy` or `IMAGE.txt`.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ...errors import FacebenchError
from ...recon.files.text import read_text
from ..landmarks.files import landmarks_beside
from ..pairs.sets import Pair, PairSet, meshes_below

SCANS, LANDMARKS = "scans", "scans_lmks_onlypp"
_PREDICTIONS = "expected SUBJECT/CHALLENGE/IMAGE.obj with IMAGE.txt or IMAGE.npy"
IMAGE_LISTS = ("imagepathsvalidation.txt", "imagepathstest.txt")


def is_now_folder(folder: Path) -> bool:
    """Whether a folder holds NoW's scans and their landmarks."""
    return (folder / SCANS).is_dir() and (folder / LANDMARKS).is_dir()


def find_now_pairs(predictions: Path, dataset: Path) -> PairSet:
    """One pair an image of the set's list; without a list, one a prediction.

    The challenge is the group. An image without a prediction becomes a pair with a reason: NoW
    compares only methods that answer every image.

    Raises:
        FacebenchError: a folder is not of this layout, or no prediction answers an image.
    """
    if not is_now_folder(dataset):
        raise FacebenchError(f"{dataset}: not NoW's layout", f"expected {SCANS}/ and {LANDMARKS}/")
    if not predictions.is_dir():
        raise FacebenchError(
            f"{predictions}: no such folder", "expected SUBJECT/CHALLENGE/IMAGE.obj"
        )
    meshes = meshes_below(predictions)
    images = _images(dataset) or tuple(name for name in meshes if name.count("/") == 2)
    if not any(image in meshes for image in images):
        raise FacebenchError(
            f"{predictions}: no prediction of any of {len(images)} images",
            _PREDICTIONS,
        )
    return PairSet("now", tuple(_pair(image, meshes, dataset) for image in sorted(images)))


def _images(dataset: Path) -> tuple[str, ...]:
    """`SUBJECT/CHALLENGE/IMAGE` of every line of the list, empty without a list."""
    path = next((dataset / name for name in IMAGE_LISTS if (dataset / name).is_file()), None)
    if path is None:
        return ()
    try:
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as a list of images ({error})") from error
    images = tuple(_image(path, line) for line in lines)
    return tuple(dict.fromkeys(images))


def _image(path: Path, line: str) -> str:
    parts = PurePosixPath(line).parts[-3:]
    image = "/".join((*parts[:-1], PurePosixPath(line).stem))
    # What is called like this is written below the results: no name may lead out of there.
    if len(parts) != 3 or parts[0] == "/" or ".." in parts or "\0" in line or not image:
        raise FacebenchError(f"{path}: '{line}'", "expected SUBJECT/CHALLENGE/IMAGE.jpg")
    return image


def _pair(image: str, meshes: dict[str, list[Path]], dataset: Path) -> Pair:
    subject, challenge, _ = image.split("/")
    scans = sorted((dataset / SCANS / subject).glob("*.obj"))
    labels = sorted((dataset / LANDMARKS / subject).glob("*.pp"))
    predictions = meshes.get(image, [])
    reason = _fault(len(predictions), "prediction") or _fault(len(scans), "scan")
    reason = reason or _fault(len(labels), "landmarks of the scan")
    if reason:
        return Pair(image, challenge, reason=reason)
    prediction = predictions[0]
    return Pair(image, challenge, prediction, scans[0], landmarks_beside(prediction), labels[0])


def _fault(count: int, kind: str) -> str:
    """Why so many files of a kind are not one; empty for one."""
    if count == 1:
        return ""
    return f"{count} candidates for the {kind}" if count else f"no {kind}"
