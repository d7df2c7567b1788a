"""Pictures of matrices: what is drawn where, in which colours; checked on the artists and on rendered pixels."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage

from neurocircuits.errors import ValidationError
from neurocircuits.plotting import (
    EXCITATORY_MAP,
    FAINT,
    INHIBITORY_MAP,
    SIGNED_MAP,
    cosine_matrix,
    mosaic,
    weights,
)


def rendered(image: AxesImage, row: int, column: int) -> np.ndarray:
    """Return the colour on the canvas where the value at (row, column) should be seen from above, left to right.

    The place is computed from the box of the axes alone, not from the data's own transform, so a flip shows.
    """
    ax = image.axes
    canvas = ax.figure.canvas
    canvas.draw()
    n_rows, n_columns = image.get_array().shape
    box = ax.get_window_extent()
    x = box.x0 + (column + 0.5) / n_columns * box.width
    y = box.y1 - (row + 0.5) / n_rows * box.height
    pixels = np.asarray(canvas.buffer_rgba())
    return pixels[int(pixels.shape[0] - y), int(x), :3] / 255


def test_mosaic_reads_like_a_page_and_flips_nothing(ax) -> None:
    """Rejects tiles down columns, transposed or mirrored images and a vertical flip."""
    images = np.arange(7 * 4 * 3, dtype=float).reshape(7, 4, 3)
    drawn = mosaic(ax, images.reshape(7, 12), (4, 3), n_columns=3)
    sheet = drawn.get_array()
    assert sheet.shape == (3 * 4, 3 * 3)
    for k, image in enumerate(images):
        row, column = divmod(k, 3)
        np.testing.assert_array_equal(sheet[4 * row : 4 * row + 4, 3 * column : 3 * column + 3], image)
    assert np.ma.getmaskarray(sheet)[8:, 3:].all()
    assert drawn.origin == "upper"


@pytest.mark.parametrize("k", range(6))
def test_a_bright_pixel_of_image_k_is_seen_at_its_place(ax, k: int) -> None:
    images = np.zeros((6, 8, 8))
    images[k, 2, 6] = 1
    drawn = mosaic(ax, images.reshape(6, 64), (8, 8), n_columns=3)
    row, column = divmod(k, 3)
    np.testing.assert_allclose(rendered(drawn, 8 * row + 2, 8 * column + 6), EXCITATORY_MAP(1.0)[:3], atol=0.02)
    np.testing.assert_allclose(rendered(drawn, 8 * row + 5, 8 * column + 6), 1, atol=0.02)
    np.testing.assert_allclose(rendered(drawn, 8 * row + 2, 8 * column + 1), 1, atol=0.02)


def test_each_tile_has_a_frame_of_its_own(ax) -> None:
    mosaic(ax, np.ones((5, 6)), (2, 3), n_columns=2)
    (frames,) = [collection for collection in ax.collections if collection.get_paths()]
    corners = [tuple(path.vertices.min(axis=0)) for path in frames.get_paths()]
    assert corners == [(-0.5, -0.5), (2.5, -0.5), (-0.5, 1.5), (2.5, 1.5), (-0.5, 3.5)]


def test_non_negative_is_sequential_and_signed_is_symmetric(ax) -> None:
    drawn = mosaic(ax, [[0, 1, 2, 3]], (2, 2))
    assert (drawn.cmap.name, drawn.get_clim()) == (EXCITATORY_MAP.name, (0, 3))
    drawn = mosaic(ax, [[0, -5, 2, 3]], (2, 2))
    assert (drawn.cmap.name, drawn.get_clim()) == (SIGNED_MAP.name, (-5, 5))
    assert mosaic(ax, [[0, 1, 2, 3]], (2, 2), symmetric=True).get_clim() == (-3, 3)
    assert mosaic(ax, [[0, 1, 2, 3]], (2, 2), limit=10, cmap="Greys").get_clim() == (0, 10)
    assert mosaic(ax, [[0, 0, 0, 0]], (2, 2)).get_clim() == (0, 1)


def test_each_tile_can_have_its_own_scale_and_an_empty_one_stays_empty(ax) -> None:
    drawn = mosaic(ax, [[0, 2], [0, 0], [-8, 4]], (1, 2), n_columns=1, scale="each")
    assert drawn.get_array().tolist() == [[0, 1], [0, 0], [-1, 0.5]]


def test_images_in_colour_are_red_before_green_before_blue(ax) -> None:
    """Rejects colours after pixels, a zero that is not grey, a scale that rows share, and clipped negative values."""
    rows = np.zeros((3, 3, 2, 2))
    rows[0, 0, 0, 1], rows[0, 2, 1, 0] = 4.0, -4.0  # red up by 4 at the upper right, blue down by 4 at the lower left
    rows[1, 1, 1, 1] = -0.1  # a weak row, green down at the lower right
    drawn = mosaic(ax, rows.reshape(3, 12), (3, 2, 2), n_columns=2)
    sheet = np.asarray(drawn.get_array())
    assert sheet.shape == (4, 4, 4)
    np.testing.assert_allclose(sheet[0, 1], [1, 0.5, 0.5, 1])
    np.testing.assert_allclose(sheet[1, 0], [0.5, 0.5, 0, 1])
    np.testing.assert_allclose(sheet[1, 3], [0.5, 0, 0.5, 1])
    np.testing.assert_allclose(sheet[2:, :2], np.broadcast_to([0.5, 0.5, 0.5, 1], (2, 2, 4)))
    assert (sheet[2:, 2:, 3] == 0).all()
    shared = np.asarray(mosaic(ax, rows.reshape(3, 12), (3, 2, 2), n_columns=2, scale="shared").get_array())
    np.testing.assert_allclose(shared[1, 3], [0.5, 0.5 - 0.1 / 8, 0.5, 1])


def test_a_photograph_is_drawn_as_it_is(ax) -> None:
    image = np.arange(12.0).reshape(2, 2, 3) / 11
    drawn = mosaic(ax, image.transpose(2, 0, 1).reshape(1, 12), (3, 2, 2))
    np.testing.assert_allclose(np.asarray(drawn.get_array())[..., :3], image)


@pytest.mark.parametrize(
    ("shape", "settings", "words"),
    [((4, 1, 3), {}, "in colour"), ((3, 2, 3), {}, "18 pixels"), ((3, 2, 2), {"cmap": "Greys"}, "no colour map")],
)
def test_what_is_no_image_in_colour_is_refused(ax, shape, settings, words) -> None:
    with pytest.raises(ValidationError, match=words):
        mosaic(ax, np.ones((2, 12)), shape, **settings)


def test_the_maps_are_one_scale() -> None:
    """Rejects a signed map whose red half differs from the excitatory map, or whose zero is not white."""
    for x in np.linspace(0, 1, 11):
        np.testing.assert_allclose(SIGNED_MAP(0.5 + x / 2), EXCITATORY_MAP(x), atol=0.01)
        np.testing.assert_allclose(SIGNED_MAP(0.5 - x / 2), INHIBITORY_MAP(x), atol=0.01)
    assert SIGNED_MAP(0.5)[:3] == (1, 1, 1)


def test_weights_have_one_row_for_each_postsynaptic_unit(ax) -> None:
    w = np.array([[0.0, 1, 2], [0, 0, 4]])
    drawn = weights(ax, w, pre="S", post="E")
    np.testing.assert_array_equal(drawn.get_array(), w)
    np.testing.assert_allclose(rendered(drawn, 1, 2), EXCITATORY_MAP(1.0)[:3], atol=0.02)
    np.testing.assert_allclose(rendered(drawn, 0, 2), EXCITATORY_MAP(0.5)[:3], atol=0.02)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("S unit", "E unit")
    assert len(ax.figure.axes) == 2
    swapped = weights(ax, xr.DataArray(w.T, dims=("pre", "post")), colorbar=False)
    np.testing.assert_array_equal(swapped.get_array(), w)


@pytest.mark.parametrize(
    ("values", "sign", "cmap", "limits"),
    [
        ([[0, 2]], 1, EXCITATORY_MAP, (0, 2)),
        ([[0, 2]], -1, INHIBITORY_MAP, (0, 2)),
        ([[-3, 2]], 1, SIGNED_MAP, (-3, 3)),
    ],
)
def test_weights_take_the_colour_of_their_source(ax, values, sign, cmap, limits) -> None:
    drawn = weights(ax, values, sign=sign)
    assert (drawn.cmap.name, drawn.get_clim()) == (cmap.name, limits)


def test_cosines_leave_out_the_diagonal_and_mark_the_bound(ax) -> None:
    cosines = np.array([[1.0, 0.3, np.nan], [0.3, 1, 0.2], [np.nan, 0.2, 1]])
    drawn = cosine_matrix(ax, cosines, bound=0.09)
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn.get_array()), np.eye(3, dtype=bool) | np.isnan(cosines))
    assert drawn.get_clim() == (0, 1)
    np.testing.assert_allclose(rendered(drawn, 0, 0), to_rgb(FAINT), atol=0.02)
    assert cosines[0, 0] == 1
    (bar,) = [other for other in ax.figure.axes if other is not ax]
    assert any(list(line.get_ydata()) == [0.09, 0.09] for line in bar.lines)
    assert cosine_matrix(ax, -cosines).get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda ax: mosaic(ax, np.ones((3, 5)), (2, 2)), "2 x 2 = 4 pixels"),
        (lambda ax: mosaic(ax, np.ones((0, 4)), (2, 2)), "not images"),
        (lambda ax: mosaic(ax, np.ones((3, 4)), (2, 2), scale="own"), "shared, each"),
        (lambda ax: mosaic(ax, np.ones(4), (2, 2)), "expected 2 dimensions"),
        (lambda ax: weights(ax, np.ones((2, 2)), sign=0), "must be 1 .* or -1"),
        (
            lambda ax: weights(ax, xr.DataArray(np.ones((5, 2, 3)), dims=("time", "post", "pre"))),
            r"dimensions time, post, pre; expected 2 .*isel\(time=-1\)",
        ),
        (lambda ax: cosine_matrix(ax, np.ones((2, 3))), "not a square matrix"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ax, draw, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        draw(ax)
