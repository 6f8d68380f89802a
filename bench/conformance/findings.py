"""The checks of a method's card, digest and parts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ...errors import Finding, failure, success, warning
from ...recon.mesh import Mesh
from ..datasets.micc import VIDEO_OF_SCENE
from ..landmarks.regions import FACE_PARTS
from ..method.interface import Described, MethodCard

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_card(name: str, card: MethodCard) -> Iterator[Finding]:
    """Name, title, licence, paper and published numbers."""
    if card.name.partition(":")[0] != name:
        yield failure("card", f"its name is '{card.name}'", f"give CARD the name '{name}'")
    empty = [item for item in ("title", "licence") if not getattr(card, item).strip()]
    if empty:
        yield failure(
            "card", f"no {' and no '.join(empty)}", "every table shows them: fill them in"
        )
    unknown = [scene for scene, _, _ in card.published if scene not in VIDEO_OF_SCENE]
    if unknown:
        known = ", ".join(VIDEO_OF_SCENE)
        yield warning("card", f"published results of '{unknown[0]}'", f"the scenes are {known}")
    nameless = not card.paper and card.kind == "frames"
    if nameless:
        yield warning("card", "no paper", "name it, so that readers can look the method up")
    if not (empty or unknown or nameless):
        yield success("card", f"{card.title} · {card.licence}")


def check_digests(method: Described, again: Described) -> Iterator[Finding]:
    """A digest that is one, and the same of two methods built alike."""
    advice = "make it the SHA-256 of all that decides the numbers: weights, model, settings"
    if not _SHA256.fullmatch(method.digest):
        yield failure("digest", f"'{method.digest[:20]}' is no SHA-256", advice)
    elif method.digest != again.digest:
        yield failure("digest", "built twice, it has two digests", advice)
    else:
        yield success("digest", f"{method.digest[:12]}, the same when built again")


def check_parts(method: Described, mesh: Mesh) -> Iterator[Finding]:
    """The vertices of each part of the face."""
    n_vertices, parts = len(mesh.vertices), method.parts
    wrong = [
        name
        for name, inside in parts.items()
        if np.shape(inside) != (n_vertices,) or np.asarray(inside).dtype != bool
    ]
    unknown = [name for name in parts if name not in FACE_PARTS]
    if wrong:
        advice = f"give one bool for each of the {n_vertices} vertices"
        yield failure("parts", f"'{wrong[0]}' does not fit the meshes", advice)
    elif unknown:
        yield failure("parts", f"'{unknown[0]}' is no part", f"known: {', '.join(FACE_PARTS)}")
    elif not parts:
        advice = (
            "name the vertices of nose, mouth … (bench.landmarks.regions) to see them in the tables"
        )
        yield warning("parts", "none: no error by part of the face", advice)
    else:
        yield success("parts", ", ".join(parts))
