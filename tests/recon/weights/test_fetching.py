"""Networks out of packages: pinned, converted, and never run; every failure is one line."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_packages import mtcnn_files, random_mtcnn, write_npm_package, write_wheel

from facebench.errors import FacebenchError
from facebench.recon.network.fetched import SeparableLandmarks
from facebench.recon.network.tensor_files import load_tensors, write_content
from facebench.recon.weights import cache, catalogue
from facebench.recon.weights import cache as fetch
from facebench.recon.weights.cache import fetch_networks, load_fetched, read_quantised
from facebench.recon.weights.catalogue import (
    PackagedNetwork,
    choice_identity,
    is_fetched,
    packaged_network,
    resolve_choice,
    weights_file,
)


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, no settings of the user, and a cache of the test's own."""
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def _known(monkeypatch: pytest.MonkeyPatch, card: PackagedNetwork) -> PackagedNetwork:
    """The catalogue with a test's card in the place of the one of its name."""
    cards = tuple(card if one.name == card.name else one for one in catalogue.CATALOGUE)
    monkeypatch.setattr(catalogue, "CATALOGUE", cards)
    return card


def _error(card: PackagedNetwork) -> FacebenchError:
    ((_, got),) = fetch_networks([card])
    assert isinstance(got, FacebenchError)
    assert not is_fetched(card)
    assert "\n" not in str(got)
    return got


def test_a_wheel_becomes_a_network_that_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = random_mtcnn()
    card = _known(monkeypatch, write_wheel(tmp_path, mtcnn_files(own)))
    assert resolve_choice("detector", "best") == "embedded"
    with pytest.raises(FacebenchError, match=r"not here.*weights get mtcnn"):
        resolve_choice("detector", "mtcnn")
    assert list(fetch_networks([card])) == [(card, weights_file(card))]
    assert resolve_choice("detector", "best") == "mtcnn"
    assert card.sha256[:12] in choice_identity("detector", "mtcnn")
    _, network = load_fetched("mtcnn")
    windows = torch.rand(4, 3, 48, 48)
    for mine, theirs in zip(network.output(windows), own.output(windows), strict=True):
        assert torch.equal(mine, theirs)
    # A file of it is as good as its name.
    assert load_fetched(weights_file(card))[0] == card


def test_a_wheel_that_the_index_lacks_is_told_in_a_line() -> None:
    error = _error(packaged_network("mtcnn"))
    assert "has no facenet-pytorch==2.6.0" in str(error)


def test_another_digest_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = write_wheel(tmp_path, mtcnn_files(random_mtcnn()))

    def copied(network: PackagedNetwork, folder: Path) -> Path:
        return next(tmp_path.glob("*.whl"))

    monkeypatch.setattr(fetch, "_download", copied)
    monkeypatch.setattr(cache, "read_members", pytest.fail)
    assert "another digest" in str(_error(replace(card, sha256="0" * 64)))


class _Calls:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["FACEBENCH_WEIGHTS"] + "-called",)


def test_a_pickle_that_calls_something_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mtcnn_files(random_mtcnn())
    files["facenet_pytorch/data/rnet.pt"] = pickle.dumps({"weight": _Calls()})
    card = write_wheel(tmp_path, files)
    monkeypatch.setattr(fetch, "_download", lambda *_: next(tmp_path.glob("*.whl")))
    assert "no weights of mtcnn" in str(_error(card))
    assert not Path(os.environ["FACEBENCH_WEIGHTS"] + "-called").exists()


@pytest.mark.parametrize("manager", ["pip", "npm"])
def test_without_its_package_manager(manager: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    name = {"pip": "mtcnn", "npm": "face-api-68"}[manager]
    assert f"comes by {manager}, which is not installed" in str(_error(packaged_network(name)))


def _npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program called npm that does what a script says."""
    path = folder / "bin" / "npm"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(path.parent))


def _tensorflow_tensors(network: SeparableLandmarks) -> dict[str, np.ndarray]:
    """Random bytes under the package's names and axes, for every tensor of the network."""
    random = np.random.default_rng(5)
    found = {}
    for name, value in network.state_dict().items():
        shape = tuple(value.shape)
        path, _, kind = name.rpartition(".")
        if path == "fc":
            key, shape = f"fc/{'weights' if kind == 'weight' else 'bias'}", shape[::-1]
        elif kind == "bias":
            key = f"{path.removesuffix('.pointwise').replace('.', '/')}/bias"
        else:
            layer, _, part = path.rpartition(".")
            out, into, rows, columns = shape
            if part == "depthwise":
                key, shape = f"{layer}/depthwise_filter", (rows, columns, out, into)
            elif part == "pointwise":
                key, shape = f"{layer}/pointwise_filter", (rows, columns, into, out)
            else:
                key, shape = f"{path}/filters", (rows, columns, into, out)
        found[key.replace(".", "/")] = random.integers(0, 5, shape)
    return found


def test_an_npm_package_becomes_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = _tensorflow_tensors(SeparableLandmarks())
    card = write_npm_package(tmp_path, packaged_network("face-api-68"), tensors)
    _known(monkeypatch, card)
    archive = tmp_path / "package.tgz"
    _npm(
        tmp_path,
        monkeypatch,
        f"import shutil, sys\nassert sys.argv[-1] == {card.requirement!r}\n"
        f"shutil.copy({str(archive)!r}, 'vladmandic-face-api.tgz')",
    )
    assert list(fetch_networks([card])) == [(card, weights_file(card))]
    _, network = load_fetched("face-api-68")
    # Each axis where it belongs: a filter of TensorFlow is rows, columns, in, out.
    stored = tensors["dense1/conv2/pointwise_filter"] * 0.5 - 1.0
    found = network.dense1.conv2.pointwise.weight
    np.testing.assert_array_equal(found.numpy(), stored.transpose(3, 2, 0, 1))
    depthwise = tensors["dense1/conv2/depthwise_filter"] * 0.5 - 1.0
    np.testing.assert_array_equal(
        network.dense1.conv2.depthwise.weight.numpy()[7, 0], depthwise[:, :, 7, 0]
    )
    np.testing.assert_array_equal(network.fc.weight.numpy(), (tensors["fc/weights"] * 0.5 - 1.0).T)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("npm error code E404\\nnpm error 404 Not Found", "has no @vladmandic/face-api@1.7.15"),
        ("npm error code ENOTFOUND\\nnpm error network", "reaches no index"),
        ("npm error code EACCES\\nnpm error x", "could not fetch .*EACCES"),
        ("", "it says nothing"),
    ],
)
def test_what_npm_says_in_pages_is_one_line(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _npm(tmp_path, monkeypatch, f"import sys\nsys.stderr.write('{said}')\nsys.exit(1)")
    import re

    assert re.search(told, str(_error(packaged_network("face-api-68"))))


def test_quantised_bytes_must_be_as_many_as_their_list_says() -> None:
    entry = '{"name": "a", "shape": [2], "dtype": "float32"%s}'
    whole = f'[{{"weights": [{entry % ""}]}}]'.encode()
    values = np.array([1.5, -2.0], "<f4").tobytes()
    assert read_quantised(whole, values)["a"].tolist() == [1.5, -2.0]
    with pytest.raises(ValueError, match="left over"):
        read_quantised(whole, values + b"\0")
    with pytest.raises(ValueError, match="beyond the file"):
        read_quantised(whole, values[:-1])
    other = whole.replace(b"[2]", b"[2, -1]")
    with pytest.raises(ValueError, match="another type"):
        read_quantised(other, values)


def test_a_file_of_another_version_or_damaged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = _known(monkeypatch, write_wheel(tmp_path, mtcnn_files(random_mtcnn())))
    monkeypatch.setattr(fetch, "_download", lambda *_: next(tmp_path.glob("*.whl")))
    ((_, path),) = fetch_networks([card])
    assert isinstance(path, Path)
    content = load_tensors(path)
    write_content(path, {**content, "package": "facenet-pytorch==2.5.0"})
    with pytest.raises(FacebenchError, match="another version than"):
        load_fetched("mtcnn")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FacebenchError, match=r"cannot be read.*weights get"):
        load_fetched("mtcnn")


@pytest.mark.parametrize(
    ("choice", "told"),
    [("mtcn", "did you mean 'mtcnn'"), ("face-api-68", "known: best, embedded, mtcnn, sfd")],
)
def test_a_choice_that_is_none_of_its_kind(choice: str, told: str) -> None:
    with pytest.raises(FacebenchError, match="no detector") as caught:
        resolve_choice("detector", choice)
    assert told in str(caught.value)


def test_the_choice_embedded_is_always_possible() -> None:
    for kind in ("detector", "landmarks", "recogniser"):
        assert resolve_choice(kind, "embedded") == "embedded"
        assert resolve_choice(kind, "best") == "embedded"
    assert choice_identity("landmarks", "embedded").startswith("embedded ")


def test_the_identity_of_a_fetched_landmark_network_tells_of_both_by_its_file_too(
    tmp_path: Path,
) -> None:
    own = choice_identity("landmarks", "embedded")
    fetched, trained = tmp_path / "copy.pt", tmp_path / "mine.pt"
    content = {"network": "face-api-68", "weights": {"a": torch.zeros(1)}}
    write_content(fetched, content)
    write_content(trained, content | {"network": "landmarker"})
    for choice, both in (("face-api-68", True), (str(fetched), True), (str(trained), False)):
        assert choice_identity("landmarks", choice).endswith(f", framed by {own}") == both
    assert own not in choice_identity("detector", "mtcnn")


def test_listing_needs_no_torch() -> None:
    module = "facebench.recon.weights.catalogue"
    code = f"import sys, {module}; print('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "False"
