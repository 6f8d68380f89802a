"""The networks for photographs that packages hold: what each is for, whose, and how good."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import FacebenchError, did_you_mean

Kind = Literal["detector", "landmarks", "recogniser", "parser"]
Manager = Literal["pip", "npm"]

BEST, EMBEDDED, NONE = "best", "embedded", "none"
"""Choices: what is best of those that are there, what this package holds, and, of landmarks, that
none are looked for."""

_FACE_API = {
    "licence": "MIT",
    "caution": "the pictures it was trained on are not named",
    "package": "@vladmandic/face-api",
    "version": "1.7.15",
    "sha256": "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    "package_bytes": 12_677_476,
}

EMBEDDED_QUALITY: dict[str, str] = {
    "detector": "83 of 86 faces, 2 false",
    "landmarks": "4.5 % (inner 51, median)",
    "recogniser": "AUC 0.92 (drawn people)",
}
"""Of what this package holds, measured alike."""

OTHERS: dict[Kind, tuple[str, ...]] = {
    "detector": ("sfd",),
    "landmarks": ("fan", NONE),
    "recogniser": (),
    "parser": (NONE,),
}
"""Further choices: those that face-alignment answers with weights of its own, and none at all."""


@dataclass(frozen=True)
class PackagedNetwork:
    """A network in somebody's package.

    Attributes:
        name: as options have it.
        kind: what it does.
        title: what it is, in one line.
        licence: of code and weights, as the package states it.
        caution: what the licence does not say, or empty.
        manager: which package manager has the package.
        package, version: of it; no other version is read.
        sha256: of the package's file.
        package_bytes: its size.
        members: files in it that hold the weights.
        quality: measured on real photographs, see `docs/photographs.md`.
    """

    name: str
    kind: Kind
    title: str
    licence: str
    caution: str
    manager: Manager
    package: str
    version: str
    sha256: str
    package_bytes: int
    members: tuple[str, ...]
    quality: str

    @property
    def requirement(self) -> str:
        """Package and version as its manager writes them."""
        return f"{self.package}{'==' if self.manager == 'pip' else '@'}{self.version}"

    @property
    def identity(self) -> str:
        """What a record says of it: name, package and version, and the package's digest."""
        return f"{self.name} ({self.requirement}, {self.sha256[:12]})"


CATALOGUE = (
    PackagedNetwork(
        name="mtcnn",
        kind="detector",
        title="MTCNN, three networks (Zhang et al. 2016)",
        licence="MIT",
        caution="",
        manager="pip",
        package="facenet-pytorch",
        version="2.6.0",
        sha256="ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
        package_bytes=1_881_930,
        members=tuple(f"facenet_pytorch/data/{part}.pt" for part in ("pnet", "rnet", "onet")),
        quality="86 of 86 faces, 1 false",
    ),
    PackagedNetwork(
        name="face-api-68",
        kind="landmarks",
        title="68 landmarks by separable convolutions, 357 kB",
        manager="npm",
        members=("face_landmark_68_model",),
        quality="3.0 % (inner 51, median)",
        **_FACE_API,  # type: ignore[arg-type]
    ),
    PackagedNetwork(
        name="face-api-128",
        kind="recogniser",
        title="dlib's recogniser (King 2017) in 8 bits, 128 numbers of a face",
        manager="npm",
        members=("face_recognition_model",),
        quality="AUC 0.93 (drawn people)",
        **_FACE_API,  # type: ignore[arg-type]
    ),
)
"""In the order in which `best` takes them within a kind."""


def packaged_network(name: str) -> PackagedNetwork:
    """The network of a name.

    Raises:
        FacebenchError: there is none.
    """
    known = {network.name: network for network in CATALOGUE}
    if name not in known:
        raise FacebenchError(f"no network '{name}'", did_you_mean(name, known))
    return known[name]


def weights_folder() -> Path:
    """Where fetched networks are kept: `FACEBENCH_WEIGHTS`, or in the user's cache folder."""
    own = os.environ.get("FACEBENCH_WEIGHTS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else cache / "facebench" / "weights"


def weights_file(network: PackagedNetwork) -> Path:
    """Where a network is kept; its version is in the name, so that another is another file."""
    return weights_folder() / f"{network.name}-{network.version}.pt"


def is_fetched(network: PackagedNetwork) -> bool:
    """Whether it is there; `load_fetched` says whether it is whole."""
    return weights_file(network).is_file()


def resolve_choice(kind: Kind, choice: str) -> str:
    """The network that a choice means now: a name that is not `best`, or the path of a file.

    Args:
        kind: what the network does.
        choice: of the user.

    Raises:
        FacebenchError: there is no such network or file, or its weights are not here.
    """
    known = {network.name: network for network in CATALOGUE if network.kind == kind}
    if choice == BEST:
        return next((name for name, one in known.items() if is_fetched(one)), EMBEDDED)
    if choice in known and not is_fetched(known[choice]):
        raise FacebenchError(
            f"the weights of {choice} are not here",
            f"'facebench weights get {choice}' fetches them ({known[choice].requirement})",
        )
    if choice in (EMBEDDED, *OTHERS[kind], *known):
        return choice
    if Path(choice).is_file():
        return str(Path(choice).absolute())
    names = (BEST, EMBEDDED, *known, *OTHERS[kind])
    raise FacebenchError(
        f"no {kind} '{choice}', neither a name nor a file", did_you_mean(choice, names)
    )


def portable_choice(choice: str) -> str:
    """A choice that `resolve_choice` gave, for other processes: a fetched network by its file.

    On a cluster it must lie on a disk that all machines see (`FACEBENCH_WEIGHTS`).
    """
    files = {network.name: weights_file(network) for network in CATALOGUE}
    return str(files[choice].absolute()) if choice in files else choice


def choice_identity(kind: Kind, choice: str) -> str:
    """What a record says of a choice that `resolve_choice` gave: which numbers it stands for."""
    fetched = {network.name: network.identity for network in CATALOGUE}
    # The package's own landmark network has a part in what the fetched one finds, and frames it.
    shared = kind == "landmarks" and choice != EMBEDDED
    own = f", framed by {choice_identity(kind, EMBEDDED)}" if shared else ""
    if choice in fetched:
        return fetched[choice] + own
    # The embedded detector is scikit-image's, whose version stands in records of its own.
    path = Path(choice) if choice != EMBEDDED else _embedded_file(kind)
    if choice in OTHERS[kind] or path is None or not path.is_file():
        return choice
    name, content = EMBEDDED if choice == EMBEDDED else "file", path.read_bytes()
    # A fetched network holds its name, whatever its file is called.
    own = own if any(known.encode() in content for known in fetched) else ""
    return f"{name} {hashlib.sha256(content).hexdigest()[:12]}{own}"


def _embedded_file(kind: Kind) -> Path | None:
    """The file of this package's own network of a kind."""
    names = {"landmarks": "landmarker", "recogniser": "recogniser", "parser": "parser"}
    folder = Path(__file__).parents[1] / "network" / "embedded"
    return folder / f"{names[kind]}.pt" if kind in names else None


def torch_checkpoints() -> Path:
    """The folder of downloaded weights, by torch's own rules."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub" / "checkpoints"
