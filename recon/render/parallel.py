"""The images of a batch on several threads.

An operation on one image is too small for torch to share among threads, which then wait for each
other after every operation. A thread for each image has nobody to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def each_image(
    draw: Callable[[Item], Result], images: Iterable[Item], device: torch.device
) -> list[Result]:
    """`draw` of every image, in their order, without gradients.

    On a CPU as many images at a time as torch has threads (`torch.get_num_threads`), one thread
    each; elsewhere one after the other.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return [_without_gradients(draw, image) for image in images]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(lambda image: _without_gradients(draw, image), images))
    finally:
        # A thread's setting is also what later threads start with.
        torch.set_num_threads(threads)


def _without_gradients(draw: Callable[[Item], Result], image: Item) -> Result:
    """Gradients are switched off for one thread only, so each does it for itself."""
    with torch.no_grad():
        return draw(image)
