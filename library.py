"""The stable interface of `import facebench`: reconstruct, evaluate, run and compare.

These names are stable: within a major version they keep their arguments and what they return.
Errors speak of arguments here, and of options in the command. The signature is what is imported
early; PyTorch, pandas and the rest come with the first call that needs them.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .door import MeshLike, checked_argument, checks_arguments
from .errors import FacebenchError, error_line

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from .bench.dataset.interface import DatasetCard
    from .bench.landmarks import Landmarks
    from .bench.method.interface import MethodCard
    from .bench.protocol.record import Protocol
    from .bench.scoring.evaluate import Evaluation
    from .recon.mesh import Mesh
    from .recon.morphable.model import MorphableModel
    from .results.compare.comparison import Comparison
    from .results.run.folder import RunFolder


@checks_arguments
def evaluate(
    prediction: Mesh | MeshLike | Path | str,
    scan: Mesh | MeshLike | Path | str,
    protocol: Protocol | Path | str = "micc",
    *,
    prediction_landmarks: Landmarks | NDArray[np.float64] | Path | str | None = None,
    scan_landmarks: Landmarks | NDArray[np.float64] | Path | str | None = None,
    nose_tip: Path | str | None = None,
    prediction_unit: str | None = None,
    scan_unit: str | None = None,
) -> Evaluation:
    """Measure a predicted face against a scan of the same person, whatever their topologies.

    Example:
        >>> import facebench
        >>> model = facebench.load_model()
        >>> someone = model.mesh(identity=[0.5] * model.identity_basis.shape[2])
        >>> result = facebench.evaluate(model.mesh(), someone)
        >>> result.score.status, 0.3 < result.score.mean_mm < 3.0
        ('ok', True)

    Args:
        prediction: or its file: OBJ, PLY, STL, OFF, GLB, or NPZ with `vertices` and `triangles`;
            or a mesh of trimesh or Open3D.
        scan: the same.
        protocol: or the name of a preset, or the path of a `.toml` file.
        prediction_landmarks: (68, 3) or (7, 3), or their file; without them the mesh's own, or a
            search.
        scan_landmarks: the same for the scan.
        nose_tip: file with a label of the scan's nose tip; without it the tip is found.
        prediction_unit: `mm`, `cm`, `m`, the millimetres in one of its units (`"25.4"`), or `any`
            (landmarks tell the size); None stands for `mm`, or for `any` where the protocol asks
            for no unit.
        scan_unit: the same, of one side at most `any`; None stands for `mm`.

    Returns:
        `score` with every number in mm, `diagnosis` in sentences, and the aligned surfaces.

    Raises:
        FacebenchError: a file, a unit, landmarks or the protocol cannot be used, or the pair
            cannot be measured (`facebench.bench.EvaluationError`).
    """
    from .bench.scoring import evaluate as module

    # The door has made our meshes of others.
    sides = cast("tuple[Mesh | Path | str, Mesh | Path | str]", (prediction, scan))
    return module.evaluate(
        *sides,
        protocol,
        prediction_landmarks=prediction_landmarks,
        scan_landmarks=scan_landmarks,
        nose_tip=nose_tip,
        prediction_unit=prediction_unit,
        scan_unit=scan_unit,
    )


@checks_arguments
def run(
    dataset: str,
    data: Path | str,
    out: Path | str,
    *,
    method: str = "ours",
    protocol: Path | str = "micc",
    cluster: bool = False,
    **options: Any,
) -> RunFolder:
    """Measure a method on a dataset and keep everything in a folder; the same call continues it.

    Example:
        >>> import facebench
        >>> run = facebench.run("micc", "MICC", "runs/mean", method="mean-face")  # doctest: +SKIP
        >>> run.summary()["indoor"].mean_mm  # doctest: +SKIP
        1.53

    Args:
        dataset: one of `datasets()`.
        data: its folder, or an address such as `s3://bucket/MICC`.
        out: the run folder, new or begun by the same call; or an address.
        method: one of `methods()`, or `meshes:DIR` for faces that are files already.
        protocol: a preset's name or a `.toml` file.
        cluster: use a running Ray cluster instead of this machine alone.
        **options: fields of `facebench.distributed.plan.RunRequest`: `checkpoint`, `model`,
            `scenes`, `subjects`, `exclude`, `limit`, `workers`, `settings`, `unit`,
            `prediction_unit`, `seed`, `detector`.

    Returns:
        The run folder: `items()` (a data frame), `results`, `summary()`, `record()`.

    Raises:
        FacebenchError: something that was asked for is unknown or cannot be used, or the folder
            holds another run.
    """
    from .distributed.benchmark import run_benchmark
    from .distributed.cluster import ray_connection
    from .distributed.plan import RunRequest, describe_run, prepare
    from .recon.files.mirror import local_path
    from .recon.files.stores import is_address, mirror_path
    from .results.report import write_report
    from .results.run.folder import RunFolder

    request = RunRequest(
        data=local_path(data),
        dataset=dataset,
        method=method,
        protocol=str(protocol),
        **_request(options),
    )
    place = mirror_path(str(out), writing=True) if is_address(out) else Path(out)
    folder, benchmark = RunFolder(place), prepare(request)
    values: dict[str, Any] = {"dataset": dataset, "data": data, "out": out, "method": method}
    values |= {"protocol": protocol, "cluster": cluster, **options}
    # A record is JSON, which knows no paths.
    given = {name: str(one) if isinstance(one, Path) else one for name, one in values.items()}
    # Every argument by its name: who continues the run must not measure another.
    call = f"facebench.run({', '.join(f'{name}={value!r}' for name, value in given.items())})"
    with folder.locked():
        folder.begin(describe_run(benchmark, request, call, given, given))
        # Ray takes seconds to start, which a handful of faces is not worth.
        worth = cluster or benchmark.needs_workers
        with ray_connection(cluster) if worth else nullcontext():
            run_benchmark(benchmark, folder, _Quiet())
        write_report(folder)
    return folder


@checks_arguments
def compare(*runs: RunFolder | Path | str, all_pairs: bool = False) -> Comparison:
    """Put runs side by side: means with intervals, paired differences with corrected p.

    Example:
        >>> import facebench
        >>> both = facebench.compare("runs/ours", "runs/mean")  # doctest: +SKIP
        >>> both.groups[0].pairs[0].difference.mean_mm  # doctest: +SKIP
        -0.31

    Args:
        *runs: run folders or their paths, the one first that the others are compared with.
        all_pairs: compare every two runs, not each with the first.

    Returns:
        A group for each protocol and dataset; `facebench.results.compare.written` makes tables.

    Raises:
        FacebenchError: no runs, an unfinished one, or the same run twice.
    """
    from .results.compare import compare as compare_folders
    from .results.run.folder import RunFolder

    folders = [one if isinstance(one, RunFolder) else load_run(one) for one in runs]
    return compare_folders(folders, all_pairs=all_pairs)


@checks_arguments
def reconstruct(
    photograph: Path | str | NDArray[np.uint8],
    *,
    model: MorphableModel | Path | str | None = None,
    method: str | None = None,
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
    neutral: bool = False,
    detector: str = "best",
    landmarks: str = "best",
) -> list[Mesh]:
    """Reconstruct the faces in a photograph, the largest first.

    Example:
        >>> import facebench
        >>> from skimage.data import astronaut
        >>> face, = facebench.reconstruct(astronaut())
        >>> face.vertices.shape[1], face.colours is not None
        (3, True)

    Args:
        photograph: its file, or its pixels (H, W, 3) in uint8 RGB.
        model: the face model, or its name or file; None stands for `human`, for weights of `ours`
            that are given for `embedded`.
        method: `fitting`, any model fitted to landmarks and pixels; or `ours`, by a network. None
            stands for `ours` with a checkpoint, else for `fitting`.
        checkpoint: weights of `facebench train`, of a landmarker for `fitting`; None stands for
            those in the package.
        device: as PyTorch names it.
        neutral: without the photograph's expression.
        detector: what finds the faces, as `facebench reconstruct` has it.
        landmarks: what finds the landmarks that a fit starts from and that faces of `ours` are
            brought to; `none` leaves these.

    Returns:
        Meshes in mm that look along +z, y up, x to the subject's left, coloured by their albedo;
        none where no face was found.

    Raises:
        FacebenchError: the photograph, the model or the weights cannot be read or do not fit.
    """
    import numpy as np
    import torch

    from .recon.portraits.reconstructor import FaceCrop, choose_method, make_reconstructor
    from .recon.portraits.sources import read_photograph
    from .recon.vision.detect import make_detector
    from .recon.weights.catalogue import resolve_choice

    if isinstance(photograph, (str, Path)):
        frame = read_photograph(Path(photograph))
    else:
        frame = np.asarray(photograph)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        shape = f"{frame.dtype} of shape {frame.shape}"
        raise FacebenchError(f"photograph is {shape}", "give uint8 RGB of shape (H, W, 3)")
    device = str(device)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise FacebenchError(f"device '{device}' cannot be used", error_line(error)) from error
    named = str(model) if isinstance(model, (str, Path)) else None
    weights = Path(checkpoint) if checkpoint else None
    choice = choose_method(method, named, weights, landmarks)
    if model is None or isinstance(model, (str, Path)):
        face_model = load_model(choice.model)
    else:
        face_model = model
    finder = make_detector(resolve_choice("detector", detector), device, tilted=True)
    network, _, _ = make_reconstructor(face_model, choice, device)
    boxes = network.frame_faces(frame, finder.detect_all(frame))
    if not boxes:
        return []
    crops = np.stack([FaceCrop(frame, box, network.crop_size).crop for box in boxes])
    faces = network.regress(crops)
    make = network.neutral_mesh if neutral else network.mesh
    return [make(faces[number]) for number in range(len(faces))]


@checks_arguments
def write_mesh(mesh: Mesh, path: Path | str) -> Path:
    """Write a mesh in mm as the OBJ, PLY or GLB (in metres, as glTF demands) that its name says.

    Raises:
        FacebenchError: the name ends otherwise, or the mesh has no vertices or invalid ones.
    """
    from .recon.export.mesh_files import write_mesh as write

    return write(mesh, Path(path))[0]


@checks_arguments
def load_model(name: Path | str = "embedded") -> MorphableModel:
    """Load a face model: its mean, modes, triangles, landmarks and regions.

    Example:
        >>> import facebench
        >>> facebench.load_model().name
        'embedded'

    Args:
        name: `embedded`, `human`, an `.npz` of `facebench models import`, or ICT-FaceKit's folder.

    Raises:
        FacebenchError: there is no such model, or the file must be imported first.
    """
    from .recon.files.mirror import local_path
    from .recon.files.stores import is_address
    from .recon.morphable.load import load_model as load

    return load(str(local_path(name, whole=True) if is_address(name) else name))


@checks_arguments
def load_run(path: Path | str) -> RunFolder:
    """Open a run folder, of this or an earlier version; from an object store as a copy.

    Raises:
        FacebenchError: it holds no run.
    """
    from .recon.files.mirror import local_path
    from .results.run.folder import RunFolder

    return RunFolder.existing(local_path(path, whole=True))


def datasets() -> dict[str, DatasetCard]:
    """The cards of the datasets there are, by name; packages add theirs by an entry point.

    Example:
        >>> import facebench
        >>> {"micc", "now", "pairs", "synthetic"} <= facebench.datasets().keys()
        True
    """
    from .bench.dataset.registry import dataset_card, dataset_names

    return {name: dataset_card(name) for name in dataset_names()}


def methods() -> dict[str, MethodCard]:
    """The cards of the methods there are, by name; packages add theirs by an entry point.

    Example:
        >>> import facebench
        >>> facebench.methods()["mean-face"].kind
        'frames'
    """
    from .bench.method.registry import method_card, method_names

    return {name: method_card(name) for name in method_names()}


_COUNTS = ("limit", "first", "workers")


class _Quiet:
    """A listener of a run that shows nothing."""

    def frames(self, row: object) -> None:
        """Nothing."""

    def subject(self, name: str) -> None:
        """Nothing."""


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """Options as `RunRequest` has them: paths as paths, lists as tuples."""
    from dataclasses import fields

    from .distributed.plan import RunRequest
    from .errors import did_you_mean
    from .recon.files.mirror import local_path
    from .recon.files.stores import is_address

    types = {field.name: str(field.type) for field in fields(RunRequest)}
    values: dict[str, Any] = {}
    for name, given in options.items():
        if name not in types:
            raise FacebenchError(f"run has no argument '{name}'", did_you_mean(name, sorted(types)))
        value: Any = tuple(given) if isinstance(given, list) else given
        if name == "checkpoint" and isinstance(value, str):
            value = local_path(value)
        if name == "model" and is_address(value):
            value = str(local_path(str(value), whole=True))
        values[name] = checked_argument(name, value, types[name])
        if name in _COUNTS and value is not None and value < 1:
            raise FacebenchError(f"{name} is {value}", "give 1 or more, or None for all")
    return values
