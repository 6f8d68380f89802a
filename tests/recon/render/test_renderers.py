"""What every renderer must do, whichever it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from facebench.errors import FacebenchError
from facebench.recon.render import RENDERERS, Renderer, Rendering, make_renderer

Make = Callable[..., Renderer]
Drawable = tuple[Tensor, Tensor, Tensor]
SIZE = (24, 24)


def _weighted_sum(drawn: Rendering) -> Tensor:
    """A scalar that every pixel of every output enters differently."""
    generator = torch.Generator().manual_seed(5)
    total = torch.zeros((), dtype=drawn.image.dtype)
    for output in (drawn.image, drawn.silhouette, drawn.background_weight):
        weight = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        total = total + (output * weight.to(output)).sum().to(total)
    return total


def _gradients(make: Make, scene: Drawable, sigma: float) -> tuple[Tensor, Tensor]:
    vertices, colours = (part.clone().requires_grad_() for part in scene[:2])
    _weighted_sum(make(sigma)(vertices, colours, scene[2], SIZE)).backward()
    assert vertices.grad is not None and colours.grad is not None
    return vertices.grad, colours.grad


def test_gradients_are_those_of_finite_differences(make: Make, blob: Drawable) -> None:
    vertices, colours, triangles = blob
    renderer, step = make(3e-3), 1e-7
    on_vertices, on_colours = _gradients(make, blob, 3e-3)
    generator = torch.Generator().manual_seed(3)
    for part, gradient in ((0, on_vertices), (1, on_colours)):
        for _ in range(6):
            direction = torch.randn(vertices.shape, generator=generator, dtype=torch.float64)
            if part == 0:
                direction[:, 2] *= 0.3
            ends = []
            for sign in (1, -1):
                moved = [vertices, colours]
                moved[part] = moved[part] + sign * step * direction
                ends.append(_weighted_sum(renderer(*moved, triangles, SIZE)))
            numeric = (ends[0] - ends[1]) / (2 * step)
            assert torch.isclose(numeric, (gradient * direction).sum(), rtol=1e-4, atol=1e-5)


def test_order_of_triangles_and_vertices_is_irrelevant(make: Make, blob: Drawable) -> None:
    vertices, colours, triangles = blob
    generator = torch.Generator().manual_seed(1)
    shuffled = torch.randperm(len(triangles), generator=generator)
    moved = torch.randperm(len(vertices), generator=generator)
    place = torch.argsort(moved)
    expected = make(1e-3)(vertices, colours, triangles, SIZE)
    actual = make(1e-3)(vertices[moved], colours[moved], place[triangles[shuffled]], SIZE)
    for name in ("image", "silhouette", "background_weight"):
        assert torch.allclose(getattr(actual, name), getattr(expected, name), atol=1e-9)


def test_a_batch_equals_its_images(make: Make, blob: Drawable) -> None:
    vertices, colours, triangles = blob
    scales = torch.tensor([1.0, 0.7, 1.2], dtype=torch.float64)
    batch, paint = vertices * scales, colours * scales / 2
    together = make(1e-3)(batch, paint, triangles, SIZE)
    for i in range(3):
        alone = make(1e-3)(batch[..., i : i + 1], paint[..., i : i + 1], triangles, SIZE)
        assert torch.allclose(together.image[i], alone.image[0], rtol=0, atol=1e-12)
        assert torch.allclose(together.silhouette[i], alone.silhouette[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(24, 40), (40, 24)])
def test_a_longer_side_only_adds_background(
    make: Make, blob: Drawable, size: tuple[int, int]
) -> None:
    square = make(1e-3)(*blob, SIZE)
    longer = make(1e-3)(*blob, size)
    rows, columns = ((n - 24) // 2 for n in size)
    middle = longer.image[:, :, rows : rows + 24, columns : columns + 24]
    assert torch.allclose(middle, square.image, atol=1e-9)
    assert torch.isclose(longer.silhouette.sum(), square.silhouette.sum())


def test_up_is_up_and_right_is_right(make: Make, disc: Drawable) -> None:
    vertices, colours, triangles = disc
    moved = vertices * 0.3 + torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64).view(3, 1)
    silhouette = make(1e-4)(moved, colours, triangles, SIZE).silhouette[0]
    assert silhouette[:12, 12:].sum() > 0.99 * silhouette.sum() > 0


def test_the_nearer_surface_is_seen(make: Make, disc: Drawable) -> None:
    vertices, colours, triangles = disc
    behind = vertices - torch.tensor([0.0, 0.0, 0.5], dtype=torch.float64).view(3, 1)
    red, blue = torch.zeros_like(colours), torch.zeros_like(colours)
    red[:, 0], blue[:, 2] = 1.0, 1.0
    both = torch.cat([triangles, triangles + len(vertices)])
    image = make(1e-4)(torch.cat([behind, vertices]), torch.cat([red, blue]), both, SIZE).image
    assert torch.allclose(image[0, :, 12, 12], torch.tensor([0, 0, 1.0]).double(), atol=1e-5)


def test_float32_agrees_with_float64(make: Make, blob: Drawable) -> None:
    exact = make(1e-3)(*blob, SIZE)
    single = make(1e-3)(blob[0].float(), blob[1].float(), blob[2], SIZE)
    assert single.image.dtype == torch.float32
    assert (single.image - exact.image).abs().max() < 1e-3
    assert (single.silhouette - exact.silhouette).abs().max() < 1e-3
    halves = (blob[0].float(), blob[1].float(), blob[2])
    for narrow, wide in zip(
        _gradients(make, halves, 1e-3), _gradients(make, blob, 1e-3), strict=True
    ):
        assert (narrow - wide).norm() < 1e-2 * wide.norm()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu(make: Make, blob: Drawable) -> None:
    there = tuple(part.cuda() for part in blob)
    assert torch.allclose(make(1e-3)(*there, SIZE).image.cpu(), make(1e-3)(*blob, SIZE).image)
    on_vertices, on_colours = _gradients(make, there, 1e-3)
    expected_vertices, expected_colours = _gradients(make, blob, 1e-3)
    assert torch.allclose(on_vertices.cpu(), expected_vertices)
    assert torch.allclose(on_colours.cpu(), expected_colours)


def test_background_weight_puts_the_face_over_another_colour(make: Make, blob: Drawable) -> None:
    drawn = make(1e-3)(*blob, SIZE)
    other = (0.9, 0.1, 0.6)
    expected = make(1e-3, background=other)(*blob, SIZE).image
    change = torch.tensor(other).double() - torch.tensor([0.2, 0.3, 0.4]).double()
    composed = drawn.image + drawn.background_weight.unsqueeze(1) * change.view(3, 1, 1)
    assert torch.allclose(composed, expected, atol=1e-7)


def test_off_screen_gives_background_and_no_gradient(make: Make, blob: Drawable) -> None:
    away = blob[0] + torch.tensor([5.0, 0.0, 0.0], dtype=torch.float64).view(3, 1)
    drawn = make(1e-3)(away, blob[1], blob[2], SIZE)
    background = torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64).view(3, 1, 1)
    assert torch.allclose(drawn.image, background.expand(1, 3, *SIZE))
    assert not drawn.silhouette.any() and (drawn.background_weight == 1).all()
    for gradient in _gradients(make, (away, *blob[1:]), 1e-3):
        assert not gradient.any()


def test_degenerate_triangles_do_no_harm(make: Make, blob: Drawable) -> None:
    vertices, colours, triangles = blob
    points = torch.tensor([[5, 5, 5], [7, 7, 8], [9, 8, 9]])
    line = torch.stack([vertices[40], vertices[41], (vertices[40] + vertices[41]) / 2])
    n = len(vertices)
    scene = (
        torch.cat([vertices, line]),
        torch.cat([colours, colours[:3]]),
        torch.cat([triangles, points, torch.tensor([[n, n + 1, n + 2]])]),
    )
    assert torch.allclose(make(1e-3)(*scene, SIZE).image, make(1e-3)(*blob, SIZE).image, atol=1e-6)
    assert all(gradient.isfinite().all() for gradient in _gradients(make, scene, 1e-3))


def test_an_outline_alone_recovers_place_and_size(make: Make, disc: Drawable) -> None:
    vertices, colours, triangles = disc
    renderer = make(1e-3)
    shift = torch.tensor([0.12, -0.08], dtype=torch.float64)

    def silhouette(pose: Tensor) -> Tensor:
        flat = vertices[:, :2] * pose[2] + pose[:2].view(1, 2, 1)
        moved = torch.cat([flat, vertices[:, 2:]], dim=1)
        return renderer(moved, colours, triangles, (32, 32)).silhouette

    truth = torch.cat([shift, torch.tensor([1.15], dtype=torch.float64)])
    target = silhouette(truth).detach()
    pose = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    for step in range(40):
        loss = (silhouette(pose) - target).square().sum()
        (slope,) = torch.autograd.grad(loss, pose)
        # A hard silhouette draws the same picture and has no gradient to follow.
        assert slope.any()
        pose = (pose - 0.04 * 0.88**step * slope / slope.norm()).detach().requires_grad_()
    assert torch.allclose(pose.detach(), truth, atol=5e-3)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(FacebenchError, match="did you mean 'outline'"):
        make_renderer("outlin")
    with pytest.raises(FacebenchError, match="softras"):
        make_renderer("zzz")
    assert {"outline", "softras"} <= set(RENDERERS)


def test_settings_reach_the_renderer(disc: Drawable) -> None:
    for name in ("outline", "softras"):
        drawn = (make_renderer(name, sigma=s)(*disc, (48, 48)).silhouette for s in (1e-5, 1e-2))
        sharp, soft = (((image > 0.01) & (image < 0.99)).sum() for image in drawn)
        assert soft > 2 * sharp
