"""Learning which part of the face each pixel shows, from this package's people or CelebAMask-HQ."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import cross_entropy

from ....errors import FacebenchError
from ...export.sheet import to_pictures
from ...files.pictures import read_picture
from ...network.dense import CLASSES, BiSeNet
from ...network.resnet import ColourNormalisation
from ...recipes.vision import HardPixels, ParserRecipe
from ...vision.parsing import PART_NAMES
from ..batches import Photographs
from ..optimise import Row
from ..shards import Sample
from ..workers import SINGLE_PROCESS, ProcessGroup
from .task import MEASURED, Learner, LossTerms, in_batches, spread_rows

_COLOURS = (
    *((20, 20, 20), (236, 188, 152), (150, 75, 20), (190, 110, 40), (40, 120, 230)),
    *((90, 200, 250), (120, 120, 140), (240, 140, 120), (250, 170, 160), (250, 220, 60)),
    *((250, 150, 60), (120, 10, 40), (220, 40, 90), (180, 20, 60), (200, 150, 110)),
    *((255, 240, 150), (60, 140, 70), (90, 50, 110), (40, 80, 120)),
)
"""Skin in skin's own colour, sides of one part in two shades, in BiSeNet order."""

_HEADS = ("head8", "head16", "head32")
_SHOWN = 6

PHOTOGRAPHS = "CelebA-HQ-img"
PARTS = "CelebAMask-HQ-mask-anno"
PER_FOLDER = 2000
"""Faces whose parts share one of the numbered folders under `PARTS`."""

_WHITE = 128


def colour_classes(mask: NDArray[np.integer]) -> NDArray[np.uint8]:
    """RGB colours (..., 3) of classes (...) in BiSeNet order."""
    colours: NDArray[np.uint8] = np.array(_COLOURS, np.uint8)[mask]
    return colours


class ParserLearner(Learner):
    """BiSeNet and the cross entropy of its three heads."""

    def __init__(
        self, recipe: ParserRecipe, people: int = 0, group: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        super().__init__()
        self.hard = recipe.hard_pixels
        self.image_size = recipe.network.image_size
        self.group = group
        self.normalise = ColourNormalisation()
        self.network = BiSeNet(width=recipe.network.width)

    def forward(
        self, images: Tensor, landmarks: Tensor, masks: Tensor, people: Tensor, noise: Tensor
    ) -> LossTerms:
        """Cross entropy of each head."""
        outputs = self.network(self.normalise(images))
        # All three heads count alike, as the published training weighs them.
        losses = [hard_cross_entropy(scores, masks, self.hard, self.group) for scores in outputs]
        return dict(zip(_HEADS, losses, strict=True))

    @torch.no_grad()
    def classes(self, images: Tensor) -> Tensor:
        """Classes (B, S, S) of images (B, 3, S, S)."""
        self.eval()
        return self.network.scores(self.normalise(images)).argmax(dim=1)

    def measure(self, held_out: Photographs, device: torch.device) -> Row:
        """`mean_iou` over the classes that occur, and `pixel_accuracy`, over all photographs.

        `unreadable` counts those that are left out of both.
        """
        table = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
        rows = range(min(MEASURED, len(held_out)))
        unreadable = len(rows)
        for read, truth in in_batches(held_out, rows, self.image_size, device):
            unreadable -= len(read)
            table += confusion(self.classes(truth.images), truth.masks).cpu()
        accuracy = float(table.diagonal().sum() / table.sum())
        return {
            "mean_iou": float(class_overlaps(table).nanmean()),
            "pixel_accuracy": accuracy,
            "unreadable": float(unreadable),
        }

    def picture(self, photographs: Photographs, device: torch.device) -> NDArray[np.uint8]:
        """Photograph, classes found, true classes; one row each."""
        lines: list[NDArray[np.uint8]] = []
        rows = spread_rows(photographs, _SHOWN)
        for _, truth in in_batches(photographs, rows, self.image_size, device):
            found = colour_classes(self.classes(truth.images).cpu().numpy())
            true = colour_classes(truth.masks.cpu().numpy())
            pictures = to_pictures(truth.images)
            triples = zip(pictures, found, true, strict=True)
            lines += [np.concatenate(one, axis=1) for one in triples]
        return np.concatenate(lines)


def hard_cross_entropy(
    scores: Tensor, masks: Tensor, hard: HardPixels, group: ProcessGroup = SINGLE_PROCESS
) -> Tensor:
    """Mean cross entropy over the pixels whose own class got too little probability.

    Online hard example mining as BiSeNet is trained: pixels of a probability below
    `hard.probability` count, and at least the worst `hard.share` of all.

    Args:
        scores: (B, C, H, W), before softmax.
        masks: (B, H, W) int64.
        hard: which pixels count.
        group: the workers whose pixels are compared and counted together.
    """
    losses = cross_entropy(scores, masks, reduction="none").flatten()
    if hard.probability < 1.0:
        # A skin of easy pixels would else drown brows and lips, which are few.
        losses = losses[losses >= _least_loss(losses, hard, group)]
    # Over the pixels chosen, of all workers: one may have none of the hard ones.
    return losses.sum() / group.mean(losses.new_tensor(losses.numel()))


def _least_loss(losses: Tensor, hard: HardPixels, group: ProcessGroup) -> Tensor:
    """From which loss on a pixel counts."""
    # In double: float32 counts pixels exactly only up to 16.8 million.
    each = group.mean(torch.tensor(losses.numel(), dtype=torch.float64, device=losses.device))
    least = max(1, int(hard.share * float(each * group.count)))
    # The smaller of both limits: whichever lets more pixels count.
    return torch.minimum(
        group.largest(losses, least)[-1], losses.new_tensor(-np.log(hard.probability))
    )


def confusion(found: Tensor, truth: Tensor) -> Tensor:
    """Counts (C, C) of pixels by true class and found class, from two masks of any one shape."""
    # One number a pair, so that one count over all pixels fills the table.
    pairs = truth.flatten() * CLASSES + found.flatten()
    return torch.bincount(pairs, minlength=CLASSES**2).view(CLASSES, CLASSES)


def class_overlaps(table: Tensor) -> Tensor:
    """Intersection over union (C,) of each class; NaN where a class neither is nor was found."""
    both = table.diagonal().double()
    return both / (table.sum(0) + table.sum(1) - table.diagonal())


class CelebAMaskFaces:
    """The photographs with their parts joined to one mask in BiSeNet order; no landmarks.

    A part lies on top of those before it in that order: hair over skin, a hat over hair. Sides are
    taken as the files name them.

    Args:
        folder: holds `CelebA-HQ-img` and `CelebAMask-HQ-mask-anno`.
        limit: how many photographs to use at most, None for all.

    Raises:
        FacebenchError: one of the two folders is missing or empty.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        if not (folder / PARTS).is_dir():
            raise FacebenchError(
                f"{folder} holds no {PARTS}", "give the folder that CelebAMask-HQ unpacks to"
            )
        found = (path for path in (folder / PHOTOGRAPHS).glob("*.jpg") if path.stem.isdigit())
        self._photographs = sorted(found, key=lambda path: int(path.stem))[:limit]
        if not self._photographs:
            raise FacebenchError(
                f"{folder / PHOTOGRAPHS} holds no photographs (0.jpg, 1.jpg, ...)",
                "give the folder that CelebAMask-HQ unpacks to",
            )

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Whether a folder looks like the data set."""
        return (folder / PARTS).is_dir()

    @property
    def model_digest(self) -> str:
        """Empty: there is no face model behind photographs."""
        return ""

    def __len__(self) -> int:
        return len(self._photographs)

    @property
    def groups(self) -> tuple[int, ...]:
        """All photographs as one piece: each is a file of its own, in any order."""
        return (len(self),)

    def ids_digest(self) -> str:
        """Digest of the photographs' names in their order: which ones these are."""
        return hashlib.sha256("\n".join(p.name for p in self._photographs).encode()).hexdigest()

    def sample(self, row: int) -> Sample:
        """One photograph at the size of its parts, with its mask.

        Raises:
            FacebenchError: the photograph or a part cannot be read, or no part is there.
        """
        path = self._photographs[row]
        try:
            # Parts first: their size, half the photograph's, decides the sample's.
            mask = self._mask(int(path.stem))
            photograph = read_picture(path, "RGB")
            # BOX averages whole pixels at a whole factor, as here 1024 to 512.
            image = photograph.resize(mask.shape[::-1], Image.Resampling.BOX)
        except (OSError, ValueError, IndexError) as error:
            raise FacebenchError(f"{path} or its parts cannot be read: {error}") from error
        # Unknown, not (0, 0): a loss leaves NaN out.
        landmarks = np.full((68, 2), np.nan, dtype=np.float32)
        return Sample(np.asarray(image), landmarks, mask)

    def _mask(self, number: int) -> NDArray[np.uint8]:
        folder = self.folder / PARTS / str(number // PER_FOLDER)
        paths = [
            (label, folder / f"{number:05d}_{part}.png") for label, part in enumerate(PART_NAMES)
        ]
        # Background, the first, has no picture of its own.
        found = [(label, path) for label, path in paths[1:] if path.is_file()]
        if not found:
            raise FacebenchError(f"{folder} holds no parts of face {number:05d}")
        mask = np.zeros(_part(found[0][1]).shape, dtype=np.uint8)
        # In BiSeNet order: a later part lies on top of an earlier one.
        for label, path in found:
            mask[_part(path)] = label
        return mask


def _part(path: Path) -> NDArray[np.bool_]:
    part = read_picture(path, "L")
    if part.width != part.height:  # the photograph is brought to this size, whatever it is
        raise ValueError(f"{path.name} is {part.width} x {part.height} pixels, not square")
    return np.asarray(part) >= _WHITE
