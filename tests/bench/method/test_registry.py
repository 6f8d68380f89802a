"""Methods by name: listing is free, an unknown name is answered, what is built describes faces."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from small_micc import SMALL_NETWORK, write_random_weights

from facebench.bench import plugins
from facebench.bench.method import registry
from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.registry import build_method, method_card, method_names, method_origin
from facebench.errors import FacebenchError
from facebench.recon.morphable.load import load_model

CHECK = """
import sys
from facebench.bench.method.registry import method_card, method_names
assert all(method_card(name).name == name for name in method_names())
assert not {"torch", "ray", "open3d"} & set(sys.modules), sorted(sys.modules)
"""


def test_listing_methods_imports_no_network() -> None:
    subprocess.run([sys.executable, "-c", CHECK], check=True)
    assert {"mean-face", "ours"} <= set(method_names())


def test_an_unknown_method() -> None:
    with pytest.raises(FacebenchError, match="did you mean 'mean-face'"):
        method_card("meanface")
    with pytest.raises(FacebenchError, match="known: "):
        build_method("xyz", MethodOptions())


@pytest.mark.parametrize("at", ["mean_face", "trained:tran"])
def test_other_packages_add_methods(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    point = EntryPoint("theirs", f"facebench.bench.methods.{at}", registry.GROUP)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [point] * (group == point.group)
    )
    assert "theirs" in method_names()
    assert method_card("theirs").name in (at.replace("_", "-"), at.partition(":")[2])


@pytest.mark.parametrize(
    ("module", "said"),
    [("facebench.errors", "has no CARD and no build"), ("no_such_module", "ModuleNotFoundError")],
)
def test_a_module_that_is_no_method(
    monkeypatch: pytest.MonkeyPatch, module: str, said: str
) -> None:
    point = EntryPoint("theirs", module, registry.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    assert method_origin("theirs") == module and method_origin("ours") == plugins.BUILT_IN
    with pytest.raises(FacebenchError, match=f"'theirs' of {module} cannot be loaded: .*{said}"):
        method_card("theirs")


def test_nobody_takes_the_name_of_a_built_in_method(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("ours", "no_such_module", registry.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    assert method_card("ours").name == "ours"


def test_the_mean_face_is_the_models() -> None:
    model = load_model("embedded")
    method = build_method("mean-face", MethodOptions())
    vectors = method.describe(np.zeros((5, method.crop_size, method.crop_size, 3), np.uint8))
    assert vectors.shape == (5, 1)
    np.testing.assert_array_equal(method.mesh(vectors.mean(0)).vertices, model.mesh().vertices)
    assert set(method.parts) == {"nose", "mouth", "eyes", "cheeks", "forehead", "jaw"}


def test_ours_answers_each_crop_on_its_own(tmp_path: Path) -> None:
    model = load_model("embedded")
    weights = write_random_weights(tmp_path / "w.pt", model)
    method = build_method("ours", MethodOptions(weights))
    crops = np.random.default_rng(0).integers(0, 255, (6, method.crop_size, method.crop_size, 3))
    vectors = method.describe(crops.astype(np.uint8))
    assert vectors.shape == (6, model.identity_basis.shape[2]) and vectors.dtype == np.float32
    assert vectors.std(axis=0).min() > 0
    alone = np.concatenate([method.describe(crop[None].astype(np.uint8)) for crop in crops])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)


def test_the_mean_of_vectors_decodes_to_the_mean_of_meshes(tmp_path: Path) -> None:
    weights = write_random_weights(tmp_path / "w.pt", load_model("embedded"))
    method = build_method("ours", MethodOptions(weights))
    vectors = np.random.default_rng(1).normal(
        size=(4, method.mesh.__self__.loaded.regressor.sizes.identity)
    )
    mean = np.mean([method.mesh(vector).vertices for vector in vectors], axis=0)
    np.testing.assert_allclose(method.mesh(vectors.mean(axis=0)).vertices, mean, atol=1e-9)


def test_digests_tell_weights_apart(tmp_path: Path) -> None:
    model = load_model("embedded")
    first = build_method("ours", MethodOptions(write_random_weights(tmp_path / "a.pt", model)))
    wider = replace(SMALL_NETWORK, image_size=48)
    weights = write_random_weights(tmp_path / "b.pt", model, wider)
    second = build_method("ours", MethodOptions(weights))
    assert first.digest != second.digest and first.model_digest == second.model_digest
    assert len(first.checkpoint_digest) == 64
