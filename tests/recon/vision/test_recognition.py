"""Identity features: frozen, aligned, with gradients for images alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_faces import small_model

from facebench.errors import FacebenchError
from facebench.recon.losses.multilevel import IdentityFeatures
from facebench.recon.network.dense import BiSeNet
from facebench.recon.network.resnet import IResNet
from facebench.recon.vision.recognition import Recogniser, make_recogniser


def recogniser() -> Recogniser:
    torch.manual_seed(1)
    return Recogniser(IResNet("iresnet18", outputs=12, width=4, image_size=32))


def landmarks(count: int, size: int) -> torch.Tensor:
    """Landmarks (68, 2, B) of a frontal face that fills the picture, a little different each."""
    model = small_model()
    shape = torch.from_numpy(model.mean_shape[model.landmarks][:, :2].copy())
    flat = (shape - shape.mean(0)) * torch.tensor([1.0, -1.0]) * (0.6 * size / 150) + size / 2
    generator = torch.Generator().manual_seed(4)
    return torch.stack([flat + torch.randn(2, generator=generator) for _ in range(count)], dim=2)


def test_features_have_a_gradient_in_the_images_and_in_nothing_else() -> None:
    features: IdentityFeatures = recogniser().double()
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    points = landmarks(2, 64).double().requires_grad_(True)
    way = torch.rand_like(images)
    out = features(images, points)
    out.square().sum().backward()
    assert points.grad is None
    step = 1e-6
    with torch.no_grad():
        ahead = features(images + step * way, points).square().sum()
        behind = features(images - step * way, points).square().sum()
    slope = (images.grad * way).sum().item()
    assert slope == pytest.approx(((ahead - behind) / (2 * step)).item(), rel=1e-5)


def test_training_a_module_around_it_changes_nothing() -> None:
    frozen = recogniser()
    around = torch.nn.ModuleList([frozen]).train()
    assert not any(module.training for module in frozen.modules())
    assert not any(parameter.requires_grad for parameter in around.parameters())


def test_a_face_moved_turned_and_shrunk_keeps_its_features() -> None:
    """A smooth picture and a similarity of it, with its landmarks, align to the same face."""
    rows, columns = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")

    def painted(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        waves = [torch.sin(x / 19) * torch.cos(y / 14), torch.cos(x / 23), torch.sin((x + y) / 16)]
        return torch.stack(waves)[None] / 2 + 0.5

    points = landmarks(1, 100)
    first = painted(columns, rows)
    moved = painted(2 * (columns - 30), 2 * (rows - 20))
    frozen = recogniser()
    there = points / 2 + torch.tensor([30.0, 20.0])[:, None]
    a, b = frozen(first, points), frozen(moved, there)
    other = frozen(painted(rows, columns), points)
    assert (a - b).norm().item() < 0.4 * (a - other).norm().item()


def test_public_weights_are_recognised_by_their_names_and_load(tmp_path: Path) -> None:
    torch.manual_seed(0)
    public = IResNet("iresnet18").eval()
    path = tmp_path / "backbone.pth"
    torch.save(public.state_dict(), path)
    faces = torch.rand(1, 3, 112, 112)
    torch.testing.assert_close(make_recogniser(path).network(faces), public(faces))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "parser.pth"
    torch.save(BiSeNet(width=8).state_dict(), path)
    with pytest.raises(FacebenchError, match="not an ArcFace network; this looks like BiSeNet"):
        make_recogniser(path)
    with pytest.raises(FacebenchError, match="no recogniser weights at"):
        make_recogniser(tmp_path / "none.pth")
