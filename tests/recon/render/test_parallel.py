"""Several threads draw what one draws, and leave torch's own setting as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from facebench.recon.render import Renderer
from facebench.recon.render.rasterise import draw_each_image

CPU = torch.device("cpu")
Drawable = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_images_keep_their_order_and_get_a_thread_each() -> None:
    torch.set_num_threads(3)
    together = threading.Barrier(3)

    def draw(image: int) -> tuple[int, int, bool]:
        together.wait(timeout=30)  # passed only by three at a time
        return image, torch.get_num_threads(), torch.is_grad_enabled()

    assert draw_each_image(draw, range(6), CPU) == [(i, 1, False) for i in range(6)]
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fault_is_raised_and_the_setting_kept(threads: int) -> None:
    torch.set_num_threads(threads)
    with pytest.raises(ZeroDivisionError):
        draw_each_image(lambda image: 1 // image, range(3), CPU)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_two_threads_give_the_same_bits(make: Callable[..., Renderer], blob: Drawable) -> None:
    vertices, colours, triangles = blob
    scales = torch.tensor([1.0, 0.7, 1.2, 0.9], dtype=torch.float64)

    def drawn(threads: int) -> tuple[Tensor, ...]:
        torch.set_num_threads(threads)
        batch = (vertices * scales).requires_grad_()
        paint = (colours * scales / 2).requires_grad_()
        rendering = make(1e-3)(batch, paint, triangles, (24, 24))
        (rendering.image.square().sum() + rendering.silhouette.sum()).backward()
        assert batch.grad is not None and paint.grad is not None
        return rendering.image.detach(), rendering.silhouette.detach(), batch.grad, paint.grad

    for one, two in zip(drawn(1), drawn(2), strict=True):
        assert torch.equal(one, two)
