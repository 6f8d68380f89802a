"""A z-buffer with deferred colour and a soft outer contour.

Visibility is hard, so a covered pixel has one triangle and its colour is interpolated there; the
outer contour is soft, sigmoid(±d²/σ) in the distance d to it, so the outline has a gradient. The
probability is one half on the contour itself: nothing is widened.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import DEFAULT_SIGMA, Rendering
from .geometry import Boxes, Grid, doubled_area, edge_functions, reach
from .rasterise import draw_each_image

# Pixels beyond the contour at which coverage is looked up: more than half a pixel's diagonal, so
# that the pixel asked lies outside a straight contour.
_PROBE = 0.75

# Where the silhouette is this close to 0 or 1 it is taken as 0 or 1.
_LEAST_PROBABILITY = 1e-4


class Edges:
    """The sides of a mesh's triangles, each once; several where more than two triangles share one.

    Args:
        triangles: (F, 3).

    Attributes:
        start, end: (E,) int64 vertices, in the counter-clockwise order of `left`.
        left: (E,) int64 triangle on the left of start to end.
        right: (E,) int64 triangle on the other side; F where there is none.
    """

    def __init__(self, triangles: Tensor) -> None:
        n = len(triangles)
        start, end = triangles.T.reshape(-1), triangles.roll(-1, 1).T.reshape(-1)
        # Both directions of a side get one key; the smaller vertex leads.
        key = torch.minimum(start, end) * (triangles.max() + 1) + torch.maximum(start, end)
        key, order = key.sort(stable=True)
        first, second = _pairs(key)
        # Sides were listed corner by corner, so the place in the list modulo F is the triangle.
        owner = order % n
        # F stands for no triangle: it is looked up in a row of False behind the triangles.
        self.left = owner[first]
        self.right = torch.where(second >= 0, owner[second.clamp(min=0)], n)
        kept = order[first]
        self.start, self.end = start[kept], end[kept]


def _pairs(sorted_key: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of equal neighbours two by two; the second is -1 where one is left alone."""
    position = torch.arange(len(sorted_key), device=sorted_key.device)
    starts = torch.ones_like(sorted_key, dtype=torch.bool)
    starts[1:] = sorted_key[1:] != sorted_key[:-1]
    # Counted from the start of each run of equal keys, so that a side of three triangles makes a
    # pair and one left alone, not pairs across runs.
    run = torch.where(starts, position, 0).cummax(0).values
    first = ((position - run) % 2 == 0).nonzero()[:, 0]
    following = (first + 1).clamp(max=max(len(sorted_key) - 1, 0))
    paired = (sorted_key[following] == sorted_key[first]) & (following > first)
    return first, torch.where(paired, following, -1)


def silhouette_edges(edges: Edges, front: Tensor) -> tuple[Tensor, Tensor]:
    """Edges between a triangle that faces the viewer and one that does not, or none.

    Args:
        edges: of the mesh.
        front: (F,) bool, which triangles face the viewer.

    Returns:
        Vertices (start, end), each (S,), with the facing triangle on their left.
    """
    # The missing neighbour of a border counts as turned away: a border seen from the front is part
    # of the silhouette.
    facing = torch.cat([front, front.new_zeros(1)])
    left, right = facing.index_select(0, edges.left), facing.index_select(0, edges.right)
    chosen = (left != right).nonzero()[:, 0]
    start, end = edges.start.index_select(0, chosen), edges.end.index_select(0, chosen)
    turned = right.index_select(0, chosen)
    return torch.where(turned, end, start), torch.where(turned, start, end)


def nearest_point(
    x: Tensor, y: Tensor, column: Tensor, up: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest point of segments to points.

    Args:
        x, y: (2, M) ends of the segments.
        column, up: (M,) the points.

    Returns:
        share (M,) of the way from start to end, and the vector (M,), (M,) from the point there.
    """
    along_x, along_y = x[1] - x[0], y[1] - y[0]
    to_x, to_y = column - x[0], up - y[0]
    # An edge seen end on has no length; its share is then 0.
    length = (along_x * along_x + along_y * along_y).clamp(min=1e-12)
    share = ((to_x * along_x + to_y * along_y) / length).clamp(0.0, 1.0)
    # `share` is constant where it is clamped, and elsewhere moves the point at a right angle to the
    # distance: its derivative may run through autograd without harm.
    return share, share * along_x - to_x, share * along_y - to_y


def near_contour(
    x: Tensor, y: Tensor, covered: Tensor, radius: float, grid: Grid
) -> tuple[Tensor, Tensor]:
    """Pixels within `radius` of the outer contour, and the edge nearest to each.

    Seen from an uncovered pixel the nearest silhouette edge lies on the outer contour. Seen from
    a covered one it may be an inner contour (a nose before a cheek), which is told by the pixel
    just beyond it being covered too.

    Args:
        x, y: (2, S) ends of the silhouette edges, in pixels.
        covered: (H * W,) bool, pixels whose centre lies in the face.
        radius: pixels.
        grid: the image.

    Returns:
        pixel (M,), each at most once, and edge (M,), an index into the S edges.
    """
    boxes = Boxes.around(x, y, radius, grid)
    filled = boxes.filled().nonzero()[:, 0]
    owner, column, up = boxes.select(filled).pixels()
    edge, pixel = filled.index_select(0, owner), grid.pixel(column, up)
    ends_x, ends_y = x.index_select(1, edge), y.index_select(1, edge)
    _, to_x, to_y = nearest_point(ends_x, ends_y, column, up)
    distance = to_x * to_x + to_y * to_y
    inside = covered.index_select(0, pixel)
    # On the contour itself the way out is the edge's own normal.
    out_x = to_x + 1e-3 * (ends_y[1] - ends_y[0])
    out_y = to_y - 1e-3 * (ends_x[1] - ends_x[0])
    step = _PROBE / torch.hypot(out_x, out_y).clamp(min=1e-12)
    # From inside the face, the pixel beyond an inner contour is covered too.
    beyond = _is_covered(column + to_x + out_x * step, up + to_y + out_y * step, covered, grid)
    # By the distance again: boxes have corners that lie farther away than the radius.
    kept = ((distance <= radius * radius) & ~(inside & beyond)).nonzero()[:, 0]
    pixel, edge = pixel.index_select(0, kept), edge.index_select(0, kept)
    return closest(pixel, edge, distance.index_select(0, kept), grid.n_pixels)


def _is_covered(column: Tensor, up: Tensor, covered: Tensor, grid: Grid) -> Tensor:
    """Whether the pixel that holds a point is covered; nothing is outside the image."""
    column, up = column.round().long(), up.round().long()
    on_image = (column >= 0) & (column < grid.width) & (up >= 0) & (up < grid.height)
    # Any valid index will do off the image: the answer is discarded below.
    pixel = torch.where(on_image, grid.pixel(column, up), 0)
    return covered.index_select(0, pixel) & on_image


def closest(pixel: Tensor, item: Tensor, distance: Tensor, n_pixels: int) -> tuple[Tensor, Tensor]:
    """For every pixel that occurs its item of least distance; ties go to the lower item."""
    # Two reductions, first of the distance and then of the item among equals: the result does not
    # depend on the order of the items, as it would with one indexed assignment.
    least = distance.new_full((n_pixels,), torch.inf)
    least = least.scatter_reduce(0, pixel, distance, "amin")
    best = (distance == least.index_select(0, pixel)).nonzero()[:, 0]
    none = torch.iinfo(item.dtype).max
    winner = item.new_full((n_pixels,), none)
    winner = winner.scatter_reduce(
        0, pixel.index_select(0, best), item.index_select(0, best), "amin"
    )
    reached = (winner != none).nonzero()[:, 0]
    return reached, winner.index_select(0, reached)


@dataclass(frozen=True)
class Visible:
    """What the renderer found, without gradients; indices run over the flattened batch.

    Attributes:
        pixel: (P,) int64 covered pixels of the (B * H * W) ones, each once.
        corner: (3, P) int64 vertices of the triangle seen there, of the (B * V) ones.
        contour_pixel: (M,) int64 pixels near the outer contour, each once.
        contour_end: (2, M) int64 ends of the contour's nearest edge.
        contour_inside: (M,) bool, whether the face covers the pixel's centre.
    """

    pixel: Tensor
    corner: Tensor
    contour_pixel: Tensor
    contour_end: Tensor
    contour_inside: Tensor


class OutlineRenderer:
    """Differentiable in the vertices' x and y and in the colours; depth only decides visibility.

    Triangles that turn their back to the viewer are not drawn.

    Args:
        sigma: σ of the silhouette, in squared normalised units.
        background: RGB behind the face.
    """

    def __init__(
        self,
        sigma: float = DEFAULT_SIGMA,
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.sigma = sigma
        self.background = background
        self._edges: tuple[Tensor, int, Edges] | None = None
        self._seen: tuple[Tensor, Tensor, tuple[int, int, Grid], Visible] | None = None

    def __call__(
        self, vertices: Tensor, colours: Tensor, triangles: Tensor, image_size: tuple[int, int]
    ) -> Rendering:
        """Render a batch; see `Renderer`."""
        grid = Grid(*image_size)
        x, y = grid.columns(vertices[:, 0]).T, grid.ups(vertices[:, 1]).T
        # What was found serves another colouring of the same tensor; in training it would only take
        # memory, and tensors of inference mode do not tell whether they were changed in place.
        keeps = not (torch.is_grad_enabled() or vertices.is_inference())
        state = (vertices._version, triangles._version, grid) if keeps else None
        kept, self._seen = self._seen, None
        if kept and kept[0] is vertices and kept[1] is triangles and kept[2] == state:
            visible = kept[3]
        else:
            # What is found is discrete; gradients run through what is drawn from it alone.
            with torch.no_grad():
                visible = self._find(x, y, vertices[:, 2].T, triangles, grid)
        if state:
            self._seen = vertices, triangles, state, visible
        flat_colours = colours.permute(2, 0, 1).reshape(-1, 3)
        return self._draw(x, y, flat_colours, visible, grid)

    def _find(self, x: Tensor, y: Tensor, depth: Tensor, triangles: Tensor, grid: Grid) -> Visible:
        edges = self._edges_of(triangles)
        radius = reach(self.sigma, _LEAST_PROBABILITY, grid)
        corners = triangles.T.contiguous()

        def find(i: int) -> Visible:
            return _find_one(x[i], y[i], depth[i], corners, edges, radius, grid)

        images = draw_each_image(find, range(len(x)), x.device)
        return _join(images, n_vertices=x.shape[1], n_pixels=grid.n_pixels)

    def _edges_of(self, triangles: Tensor) -> Edges:
        """Edges of the mesh; kept, because training draws one mesh for ever."""
        kept = self._edges
        # The version too: the tensor may have been changed in place.
        if kept is None or kept[0] is not triangles or kept[1] != triangles._version:
            kept = (triangles, triangles._version, Edges(triangles))
            self._edges = kept
        return kept[2]

    def _draw(self, x: Tensor, y: Tensor, colours: Tensor, seen: Visible, grid: Grid) -> Rendering:
        """Colours and silhouette of what was found, from x, y (B, V) and colours (B * V, 3)."""
        batch = len(x)
        x, y = x.reshape(-1), y.reshape(-1)
        contour_colour, coverage, outside = self._contour(x, y, colours, seen, grid)
        # Covered pixels show their triangle; those outside show the colour of the contour, which is
        # all that the soft edge may reveal of the face.
        pixel = torch.cat([seen.pixel, seen.contour_pixel[outside]])
        colour = torch.cat([_seen_colour(x, y, colours, seen, grid), contour_colour[outside]])
        background = colours.new_tensor(self.background)
        silhouette = x.new_zeros(batch * grid.n_pixels).index_fill(0, seen.pixel, 1.0)
        # After the ones: the contour's pixels inside take their soft value as well.
        silhouette = silhouette.index_copy(0, seen.contour_pixel, coverage)
        share = silhouette.index_select(0, pixel).unsqueeze(1)
        drawn = background.expand(batch * grid.n_pixels, 3)
        # Written as background plus a difference, so that a gradient of `share` sees both.
        drawn = drawn.index_copy(0, pixel, background + share * (colour - background))
        silhouette = silhouette.view(batch, grid.height, grid.width)
        image = drawn.view(batch, grid.height, grid.width, 3).permute(0, 3, 1, 2)
        # Here the background's share is the silhouette's complement; in SoftRas it is not.
        return Rendering(image.contiguous(), silhouette, 1.0 - silhouette)

    def _contour(
        self, x: Tensor, y: Tensor, colours: Tensor, seen: Visible, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """At the contour's pixels: its colour (M, 3), the coverage (M,), which are outside.

        The last are indices into the M: pixels whose centre the face does not cover.
        """
        column, up = grid.position(seen.contour_pixel % grid.n_pixels)
        share, to_x, to_y = nearest_point(
            _take(x, seen.contour_end), _take(y, seen.contour_end), column, up
        )
        start, end = _take_rows(colours, seen.contour_end)
        scale = self.sigma * grid.pixels_per_unit**2
        exponent = (to_x * to_x + to_y * to_y) / scale
        # The sign by coverage, not by the edge's side: at a corner a pixel may lie left of one edge
        # and right of the other.
        coverage = torch.where(seen.contour_inside, exponent, -exponent).sigmoid()
        outside = (~seen.contour_inside).nonzero()[:, 0]
        return start + share.unsqueeze(1) * (end - start), coverage, outside


def _join(images: list[Visible], n_vertices: int, n_pixels: int) -> Visible:
    """One record of the whole batch; indices move on by an image's vertices and pixels."""
    numbered = list(enumerate(images))
    return Visible(
        torch.cat([image.pixel + i * n_pixels for i, image in numbered]),
        torch.cat([image.corner + i * n_vertices for i, image in numbered], dim=1),
        torch.cat([image.contour_pixel + i * n_pixels for i, image in numbered]),
        torch.cat([image.contour_end + i * n_vertices for i, image in numbered], dim=1),
        torch.cat([image.contour_inside for image in images]),
    )


def _find_one(
    x: Tensor, y: Tensor, depth: Tensor, corners: Tensor, edges: Edges, radius: float, grid: Grid
) -> Visible:
    """Visibility of one image, x, y and depth (V,)."""
    corner_x, corner_y = _take(x, corners), _take(y, corners)
    # Counter-clockwise on the image is towards the viewer: the grid's `up` keeps the sense.
    front = doubled_area(corner_x, corner_y) > 0
    pixel, triangle = _z_buffer(corner_x, corner_y, depth, corners, front, grid)
    covered = front.new_zeros(grid.n_pixels).index_fill(0, pixel, True)
    ends = torch.stack(silhouette_edges(edges, front))
    contour_pixel, edge = near_contour(_take(x, ends), _take(y, ends), covered, radius, grid)
    return Visible(
        pixel,
        corners.index_select(1, triangle),
        contour_pixel,
        ends.index_select(1, edge),
        covered.index_select(0, contour_pixel),
    )


def _z_buffer(
    x: Tensor, y: Tensor, depth: Tensor, corners: Tensor, front: Tensor, grid: Grid
) -> tuple[Tensor, Tensor]:
    """Covered pixels and the triangle nearest to the viewer in each.

    Args:
        x, y: (3, F) corners in pixels.
        depth: (V,) towards the viewer.
        corners: (3, F) vertices.
        front: (F,) bool, the triangles to draw.
        grid: the image.
    """
    boxes = Boxes.around(x, y, 0.0, grid)
    drawn = (boxes.filled() & front).nonzero()[:, 0]
    owner, column, up = boxes.select(drawn).pixels()
    triangle = drawn.index_select(0, owner)
    weights = edge_functions(x.index_select(1, triangle), y.index_select(1, triangle), column, up)
    # ≥, so that no pixel centre on a shared side is missed by both triangles; the one hit twice
    # goes to the nearer, or the lower.
    hit = ((weights.amin(0) >= 0) & (weights.sum(0) > 0)).nonzero()[:, 0]
    triangle, weights = triangle.index_select(0, hit), weights.index_select(1, hit)
    pixel = grid.pixel(column, up).index_select(0, hit)
    corner_depth = _take(depth, corners.index_select(1, triangle))
    return closest(
        # Minus: `closest` keeps the least, and depth grows towards the viewer.
        pixel,
        triangle,
        -(weights * corner_depth).sum(0) / weights.sum(0),
        grid.n_pixels,
    )


def _seen_colour(x: Tensor, y: Tensor, colours: Tensor, seen: Visible, grid: Grid) -> Tensor:
    """Colour (P, 3) interpolated in the visible triangles."""
    column, up = grid.position(seen.pixel % grid.n_pixels)
    # Computed again, with gradients this time, for the visible triangles alone.
    weights = edge_functions(_take(x, seen.corner), _take(y, seen.corner), column, up)
    barycentric = weights / weights.sum(0)
    return (_take_rows(colours, seen.corner) * barycentric.unsqueeze(2)).sum(0)


def _take(values: Tensor, index: Tensor) -> Tensor:
    """`values[index]` of (N,) values; several times faster than advanced indexing."""
    return values.index_select(0, index.reshape(-1)).view(index.shape)


def _take_rows(rows: Tensor, index: Tensor) -> Tensor:
    """`rows[index]` of (N, 3) rows."""
    return rows.index_select(0, index.reshape(-1)).view(*index.shape, 3)
