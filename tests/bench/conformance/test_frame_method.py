"""Each way in which a method can be wrong is found, and a good one passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from facebench.bench.conformance.method import check_frame_method, portraits
from facebench.bench.conformance.predictions import check_state, process_state
from facebench.bench.method.interface import MethodCard
from facebench.errors import Finding, Verdict
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.model import MorphableModel

CARD = MethodCard("good", "A colour", "", "MIT")


@dataclass(frozen=True, eq=False)
class Good:
    """The first identity modes follow the mean colour of the crop: linear and repeatable."""

    model: MorphableModel
    crop_size: int = 32
    card: MethodCard = CARD
    parts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    model_digest: str = ""
    checkpoint_digest: str = ""
    digest: str = "0" * 64

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return (crops.mean((1, 2)) / 64 - 2).astype(np.float32)

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        identity = np.zeros(self.model.identity_basis.shape[2])
        identity[:3] = vector[:3]
        return self.model.mesh(identity=identity)


def examine(method: Good, again: Good | None = None) -> dict[str, Finding]:
    """The worst finding of each check."""
    again = again or method
    findings = check_frame_method(method, lambda: again, again.describe)
    order = [Verdict.PASSED, Verdict.WARNING, Verdict.FAILED]
    return {f.check: f for f in sorted(findings, key=lambda finding: order.index(finding.verdict))}


def wrong(found: Mapping[str, Finding]) -> set[str]:
    return {check for check, finding in found.items() if finding.verdict is Verdict.FAILED}


def test_a_good_method_passes(model: MorphableModel) -> None:
    found = examine(Good(model))
    assert wrong(found) == set()
    doubtful = {check for check, finding in found.items() if finding.verdict is Verdict.WARNING}
    assert doubtful == {"parts"}
    asked = {"unit", "outside", "landmarks", "pose", "saved", "still", "average", "speed"}
    assert asked | {"repetition", "batch size", "order", "other process"} <= set(found)


class Metres(Good):
    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        mesh = super().mesh(vector)
        return replace(mesh, vertices=mesh.vertices / 1000)


class Mirrored(Good):
    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        mesh = super().mesh(vector)
        flipped = mesh.triangles[:, ::-1]
        return replace(mesh, vertices=mesh.vertices * [-1.0, 1, 1], triangles=flipped)


class InsideOut(Good):
    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        mesh = super().mesh(vector)
        return replace(mesh, triangles=mesh.triangles[:, ::-1])


class Shifted(Good):
    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        mesh = super().mesh(vector)
        return replace(mesh, landmarks=np.roll(mesh.landmarks, 1))


class NotFinite(Good):
    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = super().describe(crops)
        vectors[2] = np.nan
        return vectors


class NotFiniteMesh(Good):
    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        mesh = super().mesh(vector)
        return replace(mesh, vertices=np.where(mesh.vertices > 60, np.nan, mesh.vertices))


class Doubles(Good):
    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().describe(crops).astype(np.float64)


class OneForAll(Good):
    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().describe(crops)[:1]


class SeesItsNeighbours(Good):
    """As batch normalisation that was left in training mode."""

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = super().describe(crops)
        return vectors - vectors.mean(0)


class KnowsItsPlace(Good):
    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        places = np.arange(len(crops), dtype=np.float32)
        return super().describe(crops) * (1 + places[:, None])


class Random(Good):
    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        noise = np.random.default_rng().normal(size=(len(crops), 3))
        return super().describe(crops) + noise.astype(np.float32)


class WritesIntoItsCrops(Good):
    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        crops //= 2
        return super().describe(crops)


class WithThePose(Good):
    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        mesh = super().mesh(vector)
        turn = Rotation.from_rotvec([0, 0.3 * float(vector[0]), 0]).as_matrix()
        return replace(mesh, vertices=mesh.vertices @ turn.T)


class AnotherTopology(Good):
    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        mesh = super().mesh(vector)
        return replace(mesh, triangles=np.roll(mesh.triangles, int(vector[0] * 1000), axis=0))


class Raises(Good):
    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise RuntimeError("weights are missing")


@pytest.mark.parametrize(
    ("kind", "checks", "said"),
    [
        (Metres, {"unit"}, "looks like m, not mm"),
        (Mirrored, {"landmarks"}, "a mirrored face"),
        (InsideOut, {"outside"}, "face inwards"),
        (Shifted, {"landmarks"}, "they miss a face by"),
        (NotFinite, {"vectors"}, "1 of 8 are not finite"),
        (NotFiniteMesh, {"arrays"}, "not finite"),
        (Doubles, {"vectors"}, "float64"),
        (OneForAll, {"vectors"}, "(1, 3) for 8 crops"),
        (SeesItsNeighbours, {"batch size"}, "vertices move by"),
        (KnowsItsPlace, {"batch size", "order"}, "vertices move by"),
        (WritesIntoItsCrops, {"vectors"}, "read-only"),
        (WithThePose, {"still"}, "meshes turn by"),
        (AnotherTopology, {"topology"}, "triangles change"),
        (Raises, {"vectors"}, "RuntimeError: weights are missing"),
    ],
)
def test_a_bad_method_is_found_out(
    model: MorphableModel, kind: type[Good], checks: set[str], said: str
) -> None:
    found = examine(kind(model))
    assert wrong(found) == checks
    for check in checks:
        assert said in found[check].detail and found[check].advice


def test_what_is_random_is_random_everywhere(model: MorphableModel) -> None:
    checks = {"repetition", "batch size", "order", "built again", "other process"}
    assert wrong(examine(Random(model))) == checks


def test_a_method_must_be_its_options(model: MorphableModel) -> None:
    other = replace(Good(model), digest="1" * 64)
    assert wrong(examine(Good(model), other)) == {"digest"}
    assert wrong(examine(replace(Good(model), digest="v2"))) == {"digest"}
    assert wrong(examine(Good(model), KnowsItsPlace(model))) == {"built again", "other process"}


@pytest.mark.parametrize("size", [0, 8, 3.5, 4096])
def test_a_crop_size_that_is_none(model: MorphableModel, size: int) -> None:
    assert wrong(examine(replace(Good(model), crop_size=size))) == {"crop size"}


def test_parts_must_fit_the_meshes(model: MorphableModel) -> None:
    inside = np.zeros(len(model.mean_shape), bool)
    assert examine(replace(Good(model), parts={"nose": inside}))["parts"].verdict == "passed"
    for parts in ({"nose": inside[1:]}, {"snout": inside}, {"nose": inside.astype(int)}):
        assert wrong(examine(replace(Good(model), parts=parts))) == {"parts"}


def test_what_is_allowed_and_worth_a_thought(model: MorphableModel) -> None:
    class Turned(Good):
        def mesh(self, vector: NDArray[np.floating]) -> Mesh:
            mesh = super().mesh(vector)
            turn = Rotation.from_euler("y", 90, degrees=True).as_matrix()
            return replace(mesh, vertices=mesh.vertices @ turn.T, landmarks=mesh.landmarks)

    class Squared(Good):
        def mesh(self, vector: NDArray[np.floating]) -> Mesh:
            return super().mesh(np.square(vector))

    class Unmarked(Turned):
        def mesh(self, vector: NDArray[np.floating]) -> Mesh:
            return replace(super().mesh(vector), landmarks=None)

    class Constant(Good):
        def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.ones((len(crops), 3), np.float32)

    for kind, check, said in (
        (Turned, "pose", "turned by 90 degrees"),
        (Squared, "average", "not linear"),
        (Unmarked, "landmarks", "none: the pose is searched"),
        (Unmarked, "pose", "turned by"),
        (Constant, "pictures", "every picture gives the same"),
    ):
        finding = examine(kind(model))[check]
        assert finding.verdict is Verdict.WARNING and said in finding.detail


def test_portraits_are_the_same_always_and_cannot_be_written() -> None:
    first, second = portraits(32), portraits.__wrapped__(32)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (8, 32, 32, 3) and not first.flags.writeable
    assert len(np.unique(first.reshape(8, -1), axis=0)) == 8


def test_what_a_method_changes_of_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = process_state()
    (sound,) = check_state(before, process_state())
    assert sound.verdict is Verdict.PASSED
    monkeypatch.chdir(tmp_path)
    kind = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        with torch.no_grad():
            (finding,) = check_state(before, process_state())
    finally:
        torch.set_default_dtype(kind)
    assert finding.verdict is Verdict.FAILED
    for word in ("working folder", "default type", "gradients"):
        assert word in finding.detail
    assert "device" not in finding.detail
