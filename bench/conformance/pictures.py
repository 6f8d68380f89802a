"""Synthetic portraits to try a method on, the same everywhere and always."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...recon.morphable.load import EMBEDDED, load_model

SUBJECTS, FRAMES = 2, 4
SEED = 20
"""Another seed than the embedded weights were trained with."""


@lru_cache(maxsize=2)
def portraits(size: int) -> NDArray[np.uint8]:
    """Crops (8, size, size, 3) RGB: two people of the embedded model, four pictures each."""
    from ...recon.synthetic.faces import FaceSampler

    sampler = FaceSampler(load_model(EMBEDDED), SEED, size)
    faces = [sampler.face(person, frame) for person in range(SUBJECTS) for frame in range(FRAMES)]
    crops = np.stack([face.image for face in faces])
    # The pipeline hands out read-only batches, so a method that writes into them fails here too.
    crops.setflags(write=False)
    return crops
