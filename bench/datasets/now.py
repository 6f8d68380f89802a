"""The folder layout of the NoW benchmark (Sanyal et al. 2019): scans, seven landmarks, predictions.

The set: `scans/SUBJECT/*.obj`, `scans_lmks_onlypp/SUBJECT/*.pp`, `imagepathsvalidation.txt` with a
line `SUBJECT/CHALLENGE/IMAGE.jpg` each. The predictions: `SUBJECT/CHALLENGE/IMAGE.obj` or `.ply`
with the seven landmarks in `IMAGE.npy` or `IMAGE.txt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ...errors import FacebenchError
from ...recon.files.contents import visible_in
from ...recon.files.text import read_text
from ..dataset.interface import DatasetCard, Item, Listing, Scan, id_fault

SCANS, LANDMARKS = "scans", "scans_lmks_onlypp"
IMAGE_LISTS = ("imagepathsvalidation.txt", "imagepathstest.txt")
_LAYOUT = f"expected {SCANS}/ and {LANDMARKS}/"

CARD = DatasetCard(
    name="now",
    title="NoW: photographs of 100 people in four challenges, a scan of each",
    paper="Sanyal et al., CVPR 2019",
    licence="for research, from its authors; nothing of it comes with facebench",
    layout=f"{SCANS}/SUBJECT/*.obj, {LANDMARKS}/SUBJECT/*.pp, {IMAGE_LISTS[0]}; predictions are "
    "SUBJECT/CHALLENGE/IMAGE.obj with IMAGE.txt or IMAGE.npy",
    scenes=("multiview_neutral", "multiview_expressions", "multiview_occlusions", "selfie"),
    overall=True,
)


def read(root: Path) -> Listing:
    """An item per image of the set's list: NoW compares only methods that answer every image.

    Raises:
        FacebenchError: the folder is not of this layout, or its list cannot be read.
    """
    if not is_now_folder(root):
        raise FacebenchError(f"{root}: not NoW's layout", _LAYOUT)
    return Listing(tuple(_item(image, root) for image in _images(root)))


def with_predictions(listing: Listing, root: Path, names: Sequence[str]) -> Listing:
    """Without a list of images, the predictions say which there are."""
    if listing.items:
        return listing
    return Listing(tuple(_item(name, root) for name in names if name.count("/") == 2))


def is_now_folder(folder: Path) -> bool:
    """Whether a folder holds NoW's scans and their landmarks."""
    return (folder / SCANS).is_dir() and (folder / LANDMARKS).is_dir()


def _images(dataset: Path) -> tuple[str, ...]:
    """`SUBJECT/CHALLENGE/IMAGE` of every line of the list, empty without a list."""
    # The validation list first: only its scans are public, the test set's are not.
    path = next((dataset / name for name in IMAGE_LISTS if (dataset / name).is_file()), None)
    if path is None:
        return ()
    try:
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as a list of images ({error})") from error
    # A line that stands twice would be two items of one id; of two photographs a file could not
    # say whose prediction it is.
    images: dict[str, str] = {}
    for line in dict.fromkeys(lines):
        image = _image(path, line)
        name = PurePosixPath(line.strip("\"'").replace("\\", "/")).name
        if images.setdefault(image, name) != name:
            hint = "predictions are called without the ending: rename one"
            raise FacebenchError(f"{path}: {images[image]} and {name} have one name", hint)
    return tuple(images)


def _image(path: Path, line: str) -> str:
    # Folders in front of the subject are no part of an image's id; Windows parts them its own way.
    whole = PurePosixPath(line.strip("\"'").replace("\\", "/"))
    parts = whole.parts[-3:]
    image = "/".join((*parts[:-1], whole.stem))
    if len(parts) != 3 or id_fault(image):
        raise FacebenchError(f"{path}: '{line}'", "expected SUBJECT/CHALLENGE/IMAGE.jpg")
    return image


def _item(image: str, dataset: Path) -> Item:
    subject, challenge, _ = image.split("/")
    scans = _files(dataset / SCANS / subject, ".obj")
    labels = _files(dataset / LANDMARKS / subject, ".pp")
    # NoW's alignment starts from the landmarks: a scan without them cannot be measured as NoW does.
    reason = _fault(len(scans), "scan") or _fault(len(labels), "landmarks of the scan")
    scan = () if reason else (Scan(subject, scans[0].stem, scans[0], landmarks=labels[0]),)
    return Item(image, subject, challenge, scans=scan, scan_reason=reason, names=(image,))


def _files(folder: Path, ending: str) -> list[Path]:
    """Those of a folder with an ending, but what systems lay beside them (`._scan.obj`)."""
    return [path for path in visible_in(folder) if path.suffix.lower() == ending]


def _fault(count: int, kind: str) -> str:
    """Why so many files of a kind are not one; empty for one."""
    if count == 1:
        return ""
    return f"{count} candidates for the {kind}" if count else f"no {kind}"
