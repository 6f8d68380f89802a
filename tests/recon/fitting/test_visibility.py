"""What hides what: depth against planes, and the coarse head against the drawn one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from drawn_faces import Drawn
from hypothesis import given
from hypothesis import strategies as st

from facebench.recon.fitting.colours import (
    ShadedPoints,
    cross,
    look_up,
    nearest_depth,
    sum_of_products,
    turn,
)
from facebench.recon.fitting.fitter import Fitter
from facebench.recon.fitting.surface_points import cluster_vertices, collapse_triangles
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.geometry import Grid

GRID = Grid(12, 12)


def test_depth_is_that_of_the_nearest_plane() -> None:
    """Two slanted sheets a face; the second face has them the other way round, turned away."""
    x = torch.tensor([-1.0, 1.0, 1.0, -1.0]).double()
    y = torch.tensor([-1.0, -1.0, 1.0, 1.0]).double()
    near, far = 0.5 + 0.2 * x, -0.5 + 0.1 * y
    sheets = torch.stack([x.repeat(2), y.repeat(2), torch.cat([near, far])])
    turned = torch.stack([x.repeat(2), y.repeat(2), torch.cat([far, near])])
    quads = torch.tensor([[0, 1, 2], [0, 2, 3]])
    corners = torch.cat([quads, (quads + 4).flip(1)]).T.contiguous()
    found = nearest_depth(torch.stack([sheets, turned], dim=2), corners, GRID)
    centres = (2 * torch.arange(12).double() + 1 - 12) / 12
    expected = (0.5 + 0.2 * centres).expand(12, 12)
    torch.testing.assert_close(found, torch.stack([expected, expected]))


def test_nothing_is_infinitely_far() -> None:
    placed = torch.tensor([[-0.2, 0.2, 0.0], [-0.2, -0.2, 0.2], [0.1, 0.1, 0.1]]).double()
    found = nearest_depth(placed.unsqueeze(2), torch.tensor([[0], [1], [2]]), GRID)
    drawn = found.isfinite()
    assert 1 <= drawn.sum() <= 6 and (found[~drawn] == -torch.inf).all()
    torch.testing.assert_close(found[drawn], torch.full_like(found[drawn], 0.1))


def test_the_coarse_head_hides_what_the_drawn_one_hides(fitter: Fitter, drawn: Drawn) -> None:
    """Of the points turned to the camera, which are the ones that count, on heads turned away."""
    faces = replace(drawn.faces, pose=drawn.faces.pose.clone())
    faces.pose[:, 1] = torch.tensor([-0.9, -0.6, 0.9])
    vector = fitter.unknowns.pack(faces)
    points = ShadedPoints(fitter.points, fitter.unknowns, vector)
    seen = fitter.visibility.seen(points, vector[:, fitter.unknowns.shape])
    vertices = fitter.face.shaded(faces)[0]
    whole = vertices.permute(1, 0, 2).double()
    depth = nearest_depth(whole, fitter.face.decoder.triangles.T.contiguous(), Grid(192, 192))
    ahead = look_up(depth.unsqueeze(1), points.placed, mode="nearest")[0] - points.placed[2]
    front = (points.turned_normal[2] > 0.15) & (points.placed[:2].abs() < 1.0).all(0)
    hidden = (ahead > 8.0 * points.pose[:, 6]) & front
    assert hidden.sum() > 10 and (hidden & (seen > 0)).sum() <= 0.2 * hidden.sum()
    assert ((seen == 0) & front & ~hidden).sum() < 0.01 * front.sum()
    # A point seen aslant stands for less of the picture, by the cosine.
    torch.testing.assert_close(seen[seen > 0], points.turned_normal[2][seen > 0])


def test_clusters_stand_for_their_cube(model: MorphableModel) -> None:
    places = model.mean_shape
    chosen, owner = cluster_vertices(places, 6.0)
    np.testing.assert_array_equal(owner[chosen], np.arange(len(chosen)))
    cells = np.floor(places / 6.0)
    np.testing.assert_array_equal(cells[chosen[owner]], cells)
    coarse = collapse_triangles(model.triangles, owner)
    assert 0 < len(coarse) < len(model.triangles) / 2
    assert (np.diff(np.sort(coarse, axis=1), axis=1) > 0).all()


@given(st.integers(0, 2**31 - 1))
def test_sums_and_products_are_those_of_einsum(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    few, many = random(4, 1, 5, 3), random(4, 2, 5, 3)
    expected = torch.einsum("knb,kcnb->cnb", few[:, 0], many)
    torch.testing.assert_close(sum_of_products(few, many), expected)
    vectors, matrices = random(3, 5, 2), random(2, 3, 3)
    torch.testing.assert_close(
        turn(vectors, matrices), torch.einsum("bij,jnb->inb", matrices, vectors)
    )
    others = random(3, 5, 2)
    torch.testing.assert_close(cross(vectors, others), torch.linalg.cross(vectors, others, dim=0))
