"""Labelled faces: landmarks, mask and coefficients known; covered ones, and one person's series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..face.coefficients import Coefficients, CoefficientSizes
from ..face.crop import mean_face_pose
from ..face.imaging import project, rotate, rotation_matrix, to_pixels
from ..files.pictures import encode_picture
from ..morphable.human.skin import is_human_skin
from ..morphable.model import MorphableModel
from ..render.face import FaceDecoder, VertexNormals
from .appearance import (
    CLASS,
    Points,
    ambient,
    directional_light,
    random_albedo,
    random_angles,
    random_appearance,
    random_beard,
    random_expression,
    random_framing,
    random_light,
    required_landmarks,
    standard_normal,
    strong_expression,
    without_headwear,
)
from .clothing import ClothedModel, Clothing
from .occluders import occlude, random_occluders
from .photograph import (
    FloatImage,
    cast_shadow,
    degrade,
    random_background,
    random_effects,
    random_stream,
    room,
)
from .scene import Layer, SceneRenderer

JPEG_QUALITY = 90

_SHADOWED, _HARD_LIGHT = 0.2, 0.2
"""Shares of the photographs of human people with a cast shadow, and under hard light."""

HIDDEN = 0.25
"""Share of the seen face that is covered."""

_FACING = 0.2
"""Cosine to the viewer above which a vertex counts as turned to the camera."""

VARIATIONS = ("pose", "expression", "light")

_DEGREES = ((0.0, -32.0, 4.0), (12.0, 24.0, -5.0), (-10.0, 42.0, 0.0), (-14.0, -18.0, 8.0))
"""Pitch, yaw and roll of the first poses; further ones are drawn."""


@dataclass(frozen=True, eq=False)
class LabelledFace:
    """A synthetic photograph and everything that is true of it.

    Attributes:
        id: `sNNNNNN-fNNN`, unique under one seed.
        subject: `sNNNNNN`; its faces share identity and albedo coefficients.
        image: (S, S, 3) uint8 RGB.
        landmarks: (68, 2) float32 pixels, x right and y down, integers at pixel centres.
        mask: (S, S) uint8 classes in the order of `appearance.CLASS_NAMES`.
        coefficients: (D,) float32 in the layout of `coefficients.py`.
    """

    id: str
    subject: str
    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    mask: NDArray[np.uint8]
    coefficients: NDArray[np.float32]

    def jpeg(self) -> bytes:
        """The picture as a JPEG file."""
        return encode_picture(self.image, "JPEG", quality=JPEG_QUALITY)

    def png_mask(self) -> bytes:
        """The mask as a PNG file, lossless."""
        return encode_picture(self.mask, "PNG", compress_level=4)


class Sampler:
    """What draws photographs of a model's people has.

    Args:
        model: the face model.
        seed: of everything drawn.
        image_size: side of the photographs in px.
    """

    def __init__(self, model: MorphableModel, seed: int, image_size: int) -> None:
        self.model = model
        self.seed = seed
        self.image_size = image_size
        self._renderer = SceneRenderer(ClothedModel(model))
        self._scale = float(mean_face_pose(model)[6])
        self._mean = torch.from_numpy(required_landmarks(model, model.mean_shape)).float()

    def _pose(self, stream: np.random.Generator, angles: torch.Tensor) -> torch.Tensor:
        return random_framing(stream, self._mean, angles, self._scale)

    def _neutral(self, one: Coefficients) -> NDArray[np.float32]:
        model = self.model
        return model.mean_shape + combine_modes(model.identity_basis, one.identity[0].numpy())

    def _vertices(self, one: Coefficients) -> NDArray[np.float64]:
        expression = combine_modes(self.model.expression_basis, one.expression[0].numpy())
        return (self._neutral(one) + expression).astype(np.float64)

    def _albedo(self, one: Coefficients) -> NDArray[np.float32]:
        own = combine_modes(self.model.albedo_basis, one.albedo[0].numpy())
        # Four deviations of pale skin would be brighter than white.
        albedo: NDArray[np.float32] = (self.model.mean_albedo + own).clip(0, 1)
        return albedo


class FaceSampler(Sampler):
    """Draws faces of a model; each depends on the seed, its subject and its frame alone.

    People of the human model, who stand for those on photographs, are drawn under hard light, too,
    with beards and cast shadows, and their pictures are handed on small, compressed or grey.
    """

    def __init__(self, model: MorphableModel, seed: int, image_size: int) -> None:
        super().__init__(model, seed, image_size)
        self._human = is_human_skin(model.albedo_names)

    def face(self, subject: int, frame: int) -> LabelledFace:
        """The face of one subject in one frame."""
        coefficients = self._coefficients(subject, frame)
        vector = coefficients.vector()[0].numpy()
        generator = random_stream(self.seed, "faces", subject, frame, "picture")
        albedo, clothing = self._dress(coefficients, generator)
        vertices, size = self._vertices(coefficients), (self.image_size, self.image_size)
        pose, light = coefficients.pose[0], coefficients.light[0]
        layer = self._renderer.draw(vertices, albedo, clothing, pose, light, size)
        landmarks = project_landmarks(self.model, vertices, pose, size)
        picture = layer.over(random_background(generator, size))
        if self._human and generator.random() < _SHADOWED:
            picture = cast_shadow(generator, picture)
        mask = layer.classes
        # Behind occluders and before the camera's effects: those blur and grain everything alike.
        for occluder in random_occluders(generator, landmarks, _skin_colour(layer), size):
            picture, mask = occlude(picture, mask, occluder)
        # Last, as in a camera. The stream goes on in a fixed order: it decides every byte.
        image = random_effects(generator, self.image_size).photograph(generator, picture)
        if self._human:
            image = degrade(generator, image)
        name = f"s{subject:06d}"
        return LabelledFace(f"{name}-f{frame:03d}", name, image, landmarks, mask, vector)

    def _coefficients(self, subject: int, frame: int) -> Coefficients:
        # One stream per person, one per moment: more frames of one person change no other's.
        person = random_stream(self.seed, "faces", subject)
        identity = standard_normal(person, self.model.identity_basis.shape[2])
        albedo = random_albedo(person, self.model)
        moment = random_stream(self.seed, "faces", subject, frame)
        expression = random_expression(moment, self.model)
        pose = self._pose(moment, random_angles(moment))
        light = random_light(moment, self._human and moment.random() < _HARD_LIGHT)
        return _one_face(identity, expression, albedo, pose, light)

    def _dress(
        self, coefficients: Coefficients, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], Clothing]:
        """Albedo (V, 3) with a beard where there is one, and what is worn."""
        albedo = self._albedo(coefficients)
        appearance = random_appearance(generator)
        if self._human:
            beard = random_beard(generator, self.model)[:, None]
            albedo = albedo + beard * (0.8 * appearance.hair.colour - albedo)
        neutral = self._neutral(coefficients).astype(np.float64)
        return albedo, self._renderer.clothed_model.fit_clothing(neutral, albedo, appearance)


def combine_modes(
    basis: NDArray[np.float32], coefficients: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Offsets (V, 3) of a basis (V, 3, K) under coefficients (K,), as one matrix product."""
    offsets: NDArray[np.float32] = basis.reshape(-1, basis.shape[2]) @ coefficients
    return offsets.reshape(-1, 3)


def project_landmarks(
    model: MorphableModel, vertices: Points, pose: torch.Tensor, image_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Pixels (68, 2) of the landmarks on vertices (V, 3) in mm under a pose (7,)."""
    points = torch.from_numpy(vertices[model.landmarks]).float()[..., None]
    placed = project(rotate(points, rotation_matrix(pose[None, :3])), pose[None])
    return to_pixels(placed, image_size)[..., 0].numpy()


@dataclass(frozen=True, eq=False)
class CoveredFace:
    """A face and what hides a part of it.

    Attributes:
        face: as it would be without.
        image: (S, S, 3) uint8 RGB with the thing in front.
        mask: (S, S) uint8 true classes, background where covered.
        covered: (S, S) bool.
    """

    face: LabelledFace
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    covered: NDArray[np.bool_]

    def as_photographed(self) -> LabelledFace:
        """The face with the picture and the mask that it has behind the thing."""
        return replace(self.face, image=self.image, mask=self.mask)


def cover(face: LabelledFace, on: NDArray[np.bool_], number: int) -> CoveredFace:
    """Something coloured before everything beyond a random line that leaves three quarters free.

    Args:
        face: a synthetic photograph.
        on: (19,) which mask classes are the face.
        number: tells the line and the colours.
    """
    generator = random_stream(77, "cover", number)
    turn = generator.uniform(0, 2 * np.pi)
    row, column = np.mgrid[: len(face.mask), : len(face.mask)]
    along = np.cos(turn) * column + np.sin(turn) * row
    # The quantile runs over face pixels alone: hair and wall do not count as covered face.
    behind = along > np.quantile(along[on[face.mask]], 1 - HIDDEN)
    thing = random_background(generator, face.mask.shape).clip(0, 1) * 255
    image = np.where(behind[..., None], thing, face.image).astype(np.uint8)
    mask = np.where(behind, CLASS["background"], face.mask).astype(np.uint8)
    return CoveredFace(face, image, mask, behind)


def hidden_vertices(
    model: MorphableModel, one: CoveredFace, on: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Vertices (V,) of the face that look at the camera and are behind the thing."""
    return _facing_vertices_at(model, one, one.covered & on[one.face.mask])


def seen_vertices(
    model: MorphableModel, one: CoveredFace, on: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Vertices (V,) of the face that look at the camera and are in the picture."""
    return _facing_vertices_at(model, one, on[one.mask])


def true_coefficients(model: MorphableModel, face: LabelledFace) -> Coefficients:
    """What a face was drawn from, as a batch of one."""
    vector = torch.from_numpy(face.coefficients)[None]
    return Coefficients.from_vector(vector, CoefficientSizes.of(model))


@dataclass(frozen=True, eq=False)
class Person:
    """Who sits.

    Attributes:
        name: `sNNNNNN`.
        start: coefficients of a neutral face from the front under even light, a batch of one.
        albedo: (V, 3).
        clothing: without hat and glasses.
    """

    name: str
    start: Coefficients
    albedo: NDArray[np.float32]
    clothing: Clothing


class CaptureSession(Sampler):
    """Draws people of a model; each depends on the seed and its number alone."""

    def person(self, number: int) -> Person:
        """Somebody."""
        # The streams keep their first name: another one would draw other people.
        stream = random_stream(self.seed, "sittings", number)
        model = self.model
        identity = standard_normal(stream, model.identity_basis.shape[2])
        albedo = random_albedo(stream, model)
        # Even light and no expression: each variation is measured from here.
        neutral = np.zeros(model.expression_basis.shape[2], np.float32)
        pose = self._pose(stream, torch.zeros(3))
        light = directional_light(torch.tensor([0.0, 0.3, 0.954]), torch.full((3,), 0.45))
        even = light + ambient(torch.full((3,), 0.5))
        start = _one_face(identity, neutral, albedo, pose, even)
        skin, look = self._albedo(start), without_headwear(random_appearance(stream))
        # Fitted to the neutral face, as it stays on a person who smiles.
        clothing = self._renderer.clothed_model.fit_clothing(self._vertices(start), skin, look)
        return Person(f"s{number:06d}", start, skin, clothing)

    def vary(self, person: Person, variation: str, number: int) -> Coefficients:
        """The person's coefficients with one of `VARIATIONS` changed, as a batch of one."""
        stream = random_stream(self.seed, "sittings", person.name, variation, number)
        if variation == "expression":
            changed = strong_expression(stream, self.model)
            return replace(person.start, expression=torch.from_numpy(changed)[None])
        if variation == "light":
            return replace(person.start, light=random_light(stream)[None])
        pose = self._pose(stream, self._angles(stream, number))
        return replace(person.start, pose=pose[None])

    def photograph(self, person: Person, coefficients: Coefficients, frame: str) -> LabelledFace:
        """The person under some coefficients, in front of the same wall as always."""
        vertices, light = self._vertices(coefficients), coefficients.light[0]
        size, pose = (self.image_size, self.image_size), coefficients.pose[0]
        layer = self._renderer.draw(vertices, person.albedo, person.clothing, pose, light, size)
        # The wall has its own stream, so that it stays while everything else varies.
        wall = room(random_stream(self.seed, "sittings", person.name, "wall"), size)
        image = (layer.over(wall).clip(0, 1) * 255 + 0.5).astype(np.uint8)
        landmarks = project_landmarks(self.model, vertices, pose, size)
        vector = coefficients.vector()[0].numpy()
        name = f"{person.name}-{frame}"
        return LabelledFace(name, person.name, image, landmarks, layer.classes, vector)

    def _angles(self, stream: np.random.Generator, number: int) -> torch.Tensor:
        # Fixed poses first: a few photographs of each person should cover both sides.
        if number < len(_DEGREES):
            return torch.from_numpy(np.radians(_DEGREES[number])).float()
        return random_angles(stream)


def _one_face(
    identity: NDArray[np.float32],
    expression: NDArray[np.float32],
    albedo: NDArray[np.float32],
    pose: torch.Tensor,
    light: torch.Tensor,
) -> Coefficients:
    """A batch of one."""
    who, how, skin = (torch.from_numpy(part)[None] for part in (identity, expression, albedo))
    return Coefficients(who, how, skin, pose[None], light[None])


def _skin_colour(layer: Layer) -> FloatImage:
    """Median colour (3,) of the lit skin, mid-grey brown where none is seen."""
    skin = layer.colour[(layer.classes == 1) & (layer.coverage > 0.99)]
    # A covered face has no visible skin to take a hand's colour from.
    if len(skin) == 0:
        return np.array([0.6, 0.45, 0.37], np.float32)
    return np.asarray(np.median(skin, axis=0), np.float32)


def _facing_vertices_at(
    model: MorphableModel, one: CoveredFace, pixels: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    true = true_coefficients(model, one.face)
    decoder = FaceDecoder(model)
    shape = rotate(decoder.shape(true.identity, true.expression), rotation_matrix(true.pose[:, :3]))
    # Depth is not tested: a vertex that faces the camera is nearly always the front one of a face.
    facing = VertexNormals(decoder.triangles)(shape)[:, 2, 0].numpy() > _FACING
    places = to_pixels(project(shape, true.pose), pixels.shape)[..., 0].round().long().numpy()
    # A face at the edge may reach out of the picture; its last pixel stands for the rest.
    column, row = places.clip(0, np.array(pixels.shape[::-1]) - 1).T
    seen: NDArray[np.bool_] = facing & pixels[row, column]
    return seen
