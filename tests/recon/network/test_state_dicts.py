"""Every wrong file is told in one line that says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from facebench.errors import FacebenchError
from facebench.recon.network.dense import BiSeNet
from facebench.recon.network.resnet import IResNet, ResNet
from facebench.recon.network.tensor_files import architecture_of, fit_state_dict, read_state_dict

SOURCE = "https://example.org"


def small() -> IResNet:
    return IResNet("iresnet18", outputs=8, width=4, image_size=16)


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_what_was_saved_is_read_and_fits(tmp_path: Path) -> None:
    network, other = small(), small()
    state = read_state_dict(saved(tmp_path / "w.pth", network.state_dict()), SOURCE)
    fit_state_dict(other, state, tmp_path, "it")
    faces = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(other.eval()(faces), network.eval()(faces))


@pytest.mark.parametrize("wrapper", ["state_dict", "state_dict_backbone", "model"])
def test_wrappers_and_prefixes_are_taken_off(tmp_path: Path, wrapper: str) -> None:
    state = small().state_dict()
    wrapped = {"epoch": 3, wrapper: {f"module.{name}": value for name, value in state.items()}}
    read = read_state_dict(saved(tmp_path / "w.pth", wrapped), SOURCE)
    assert list(read) == list(state)


def test_files_without_batch_counters_still_fit(tmp_path: Path) -> None:
    state = small().state_dict()
    old = {name: value for name, value in state.items() if "num_batches" not in name}
    fit_state_dict(small(), old, tmp_path, "it")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html><title>Sign in</title>", "is a web page"),
        (b"<HTML><body>quota exceeded", "is a web page"),
        (b"PK\x03\x04 and no more", "truncated"),
        (b"\x80\x02cos\nsystem\nq\x00.", "more than tensors"),
    ],
)
def test_files_that_are_not_weights(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(FacebenchError, match=message) as caught:
        read_state_dict(path, SOURCE)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_file_cut_short_is_told_as_such(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", small().state_dict())
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FacebenchError, match="truncated"):
        read_state_dict(path, SOURCE)


def test_a_missing_file_and_other_contents(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match=rf"no weights at .*{SOURCE}"):
        read_state_dict(tmp_path / "none.pth", SOURCE)
    with pytest.raises(FacebenchError, match="but one Tensor"):
        read_state_dict(saved(tmp_path / "t.pth", torch.zeros(3)), SOURCE)
    with pytest.raises(FacebenchError, match="a table with int"):
        read_state_dict(saved(tmp_path / "i.pth", {"epoch": 3}), SOURCE)


def test_a_whole_pickled_network_is_not_run(tmp_path: Path) -> None:
    path = saved(tmp_path / "network.pth", nn.Linear(2, 2))
    with pytest.raises(FacebenchError, match="more than tensors"):
        read_state_dict(path, SOURCE)


def test_wrong_names_and_shapes_are_named(tmp_path: Path) -> None:
    state = small().state_dict()
    fewer = {name: value for name, value in state.items() if name != "fc.weight"}
    with pytest.raises(FacebenchError, match=r"1 tensors missing \(fc.weight\)"):
        fit_state_dict(small(), fewer, tmp_path, "it")
    with pytest.raises(FacebenchError, match=r"1 tensors too many \(odd\)"):
        fit_state_dict(small(), state | {"odd": torch.zeros(1)}, tmp_path, "it")
    wide = state | {"fc.weight": torch.zeros(8, 5)}
    with pytest.raises(FacebenchError, match=r"fc.weight is \(8, 5\), expected \(8, 32\)"):
        fit_state_dict(small(), wide, tmp_path, "it")


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("IResNet-18", lambda: IResNet("iresnet18")),
        ("IResNet-34", lambda: IResNet("iresnet34")),
        ("IResNet-50", lambda: IResNet("iresnet50")),
        ("IResNet-100", lambda: IResNet("iresnet100")),
        ("ResNet-18", lambda: ResNet("resnet18", 1000)),
        ("ResNet-34", lambda: ResNet("resnet34", 1000)),
        ("ResNet-50", lambda: ResNet("resnet50", 1000)),
        ("BiSeNet with 19 classes", BiSeNet),
        ("BiSeNet with 11 classes", lambda: BiSeNet(classes=11)),
        ("", lambda: nn.Linear(3, 3)),
    ],
)
def test_architectures_are_recognised(name: str, network: object) -> None:
    with torch.device("meta"):
        state = network().state_dict()  # type: ignore[operator]
    assert architecture_of(state) == name


def test_another_architecture_is_named_in_the_refusal(tmp_path: Path) -> None:
    with torch.device("meta"):
        state = IResNet("iresnet100").state_dict()
    with pytest.raises(FacebenchError, match="this looks like IResNet-100"):
        fit_state_dict(small(), state, tmp_path, "IResNet-50")
