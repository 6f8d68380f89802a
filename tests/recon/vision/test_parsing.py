from __future__ import annotations

from pathlib import Path

import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.network import vision_weights
from facebench.recon.network.dense import BiSeNet
from facebench.recon.network.resnet import IResNet
from facebench.recon.vision.parsing import BiSeNetParser, make_parser


class Reddest(BiSeNet):
    """Scores class 1 where a picture is red and class 0 elsewhere, and keeps what it was given."""

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        self.seen = images
        scores = torch.zeros(len(images), 19, *images.shape[2:])
        scores[:, 1] = images[:, 0] - images[:, 1]
        return scores


def test_pictures_are_normalised_resampled_and_labels_come_back_at_their_size() -> None:
    network = Reddest(width=4)
    parser = BiSeNetParser(network, side=64)
    images = torch.zeros(2, 3, 40, 48)
    images[0, 0, 8:24, 12:36] = 1.0
    classes = parser(images)
    assert classes.dtype == torch.int64
    assert network.seen.shape == (2, 3, 64, 64)
    black = (torch.zeros(3) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(network.seen[1, :, 5, 5], black)
    # Black is not neutral after normalisation: it is class 0 or 1 alike over a whole picture.
    assert classes.shape == (2, 40, 48)
    assert (classes[0, 10:22, 14:34] == 1).all()


def test_public_weights_load_with_names_and_shapes_checked(tmp_path: Path) -> None:
    torch.manual_seed(0)
    public = BiSeNet().eval()
    path = tmp_path / "79999_iter.pth"
    torch.save(public.state_dict(), path)
    parser = make_parser(path)
    assert parser.side == 512
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(parser.network.scores(images), public.scores(images))


def test_other_weights_are_named(tmp_path: Path) -> None:
    path = tmp_path / "backbone.pth"
    with torch.device("cpu"):
        torch.save(IResNet("iresnet18", width=4, image_size=32).state_dict(), path)
    with pytest.raises(FacebenchError, match=r"not BiSeNet with 19 classes.*looks like IResNet-18"):
        make_parser(path)


def test_a_package_without_weights_says_how_to_make_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision_weights, "embedded_network", lambda kind: tmp_path / f"{kind}.pt")
    with pytest.raises(FacebenchError, match="train --recipe parser-embedded"):
        make_parser()
