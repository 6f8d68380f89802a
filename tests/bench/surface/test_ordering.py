import numpy as np

from facebench.bench.surface.ordering import canonical_triangles, placed, weld
from facebench.bench.surface.overlap import subsample
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.surface import Surface
from facebench.recon.mesh import Mesh


def test_equal_positions_are_one_and_every_vertex_finds_its_own(person: Mesh) -> None:
    twice = np.concatenate([person.vertices, person.vertices])
    triangles = np.concatenate([person.triangles, person.triangles + len(person.vertices)])
    positions, local, vertex_of = weld(twice, triangles, Similarity.identity())
    assert len(positions) == len(person.vertices)
    np.testing.assert_array_equal(positions[vertex_of], twice)
    np.testing.assert_array_equal(local, placed(positions, Similarity.identity()))


def test_the_order_moves_with_the_surface(person: Mesh, any_pose) -> None:
    here, pose = Surface(person), any_pose(3)
    order = np.random.default_rng(0).permutation(len(person.vertices))
    moved = pose.apply(person.vertices[order])
    there = Surface(Mesh(moved, np.argsort(order)[person.triangles]))
    np.testing.assert_allclose(there.vertices, pose.apply(here.vertices), atol=1e-9)


def test_a_thinned_surface_is_as_evenly_spread_as_the_whole(person: Mesh) -> None:
    """Means of what varies over some centimetres stay, several times as near as by chance."""
    surface = Surface(person)
    vertices, areas = surface.vertices, surface.areas
    some, stands_for = subsample(areas, np.arange(len(vertices)), 500)
    assert 500 <= stands_for.sum() / stands_for.min() < 620
    rng, waves = np.random.default_rng(0), np.array([[0.03, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    values = np.sin(vertices @ waves.T)
    whole = np.average(values, axis=0, weights=areas)
    shares = areas / areas.sum()
    chances = [
        np.abs(values[rng.choice(len(values), len(some), p=shares)].mean(0) - whole)
        for _ in range(50)
    ]
    ours = np.abs(np.average(values[some], axis=0, weights=stands_for) - whole)
    assert (ours < np.mean(chances, axis=0)).all()


def test_no_choice_changes_with_a_point_elsewhere() -> None:
    index, areas = np.arange(10_000), np.random.default_rng(2).uniform(0.5, 2.0, 10_000)
    fewer = np.delete(index, [17, 4000, 9001])
    first, second = subsample(areas, fewer, 900)[0], subsample(areas, index, 900)[0]
    assert set(first) == set(second) - {17, 4000, 9001}
    everything, stands_for = subsample(areas, index, np.inf)
    np.testing.assert_array_equal(everything, index)
    np.testing.assert_array_equal(stands_for, areas)


def test_triangles_are_the_same_in_any_order_and_turn() -> None:
    triangles = np.array([[5, 4, 3], [2, 1, 0], [3, 4, 1], [0, 5, 2], [0, 2, 1]])
    expected = [[0, 2, 1], [0, 2, 1], [0, 5, 2], [1, 3, 4], [3, 5, 4]]
    assert canonical_triangles(triangles, 6).tolist() == expected
    shuffled = np.roll(triangles[[3, 0, 4, 2, 1]], 1, axis=1)
    assert canonical_triangles(shuffled, 6).tolist() == expected


def test_a_surface_has_one_order_of_triangles(person: Mesh) -> None:
    """Sums over triangles are then of the same bits, in whatever order a file has them."""
    turned = np.roll(person.triangles[::-1], 1, axis=1)
    first, second = Surface(person), Surface(Mesh(person.vertices, turned))
    np.testing.assert_array_equal(first.triangles, second.triangles)
    np.testing.assert_array_equal(first.vertices, second.vertices)
