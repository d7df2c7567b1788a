"""Points and lines: the data of the artists equal the input, whatever order labelled arrays come in."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

from neurocircuits.errors import ValidationError
from neurocircuits.plotting import EXCITATORY, INHIBITORY, curve, raster, scatter_balance, tuning


def test_a_raster_has_one_tick_for_each_spike(ax) -> None:
    time, unit = [0.1, 0.5, 0.5], [2, 0, 2]
    ticks = raster(ax, time, unit, n_units=5)
    segments = np.array(ticks.get_segments())
    np.testing.assert_allclose(segments[:, :, 0], np.transpose([time, time]))
    np.testing.assert_allclose(segments.mean(axis=1)[:, 1], unit)
    assert ax.get_ylim() == (-0.5, 4.5)


def test_populations_stack_and_silent_units_keep_their_rows(ax) -> None:
    raster(ax, [0.1], [1], n_units=4)
    ticks = raster(ax, xr.DataArray([0.2], dims="event"), xr.DataArray([0], dims="event"), colour=INHIBITORY, offset=4)
    assert ax.get_ylim() == (-0.5, 4.5)
    np.testing.assert_allclose(ticks.get_segments()[0][:, 1], [3.6, 4.4])
    np.testing.assert_allclose(ticks.get_color()[0], to_rgba(INHIBITORY))
    assert raster(ax, [], [], offset=5, n_units=2).get_segments() == []
    assert ax.get_ylim() == (-0.5, 6.5)


def test_balance_draws_the_active_cells_and_both_lines(ax) -> None:
    excitation = np.array([[1.0, 2.0], [3.0, 4.0]])
    inhibition = np.array([[0.9, 0.0], [2.7, 3.6]])
    points = scatter_balance(ax, excitation, inhibition, active=inhibition > 0, slope=0.9)
    assert points.get_offsets().tolist() == [[1, 0.9], [3, 2.7], [4, 3.6]]
    slopes = {line.get_label(): np.diff(line.get_ydata())[0] / np.diff(line.get_xdata())[0] for line in ax.lines}
    assert slopes == pytest.approx({"balance": 1, "slope 0.900": 0.9})
    assert ax.get_xlim() == ax.get_ylim() == (0, pytest.approx(4.2))
    assert ax.get_aspect() == 1


def test_balance_pairs_labelled_values_by_dimension(ax) -> None:
    excitation = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("time", "unit"))
    points = scatter_balance(ax, excitation, 2 * excitation.T, active=(excitation > 1).T)
    assert points.get_offsets().tolist() == [[2, 4], [3, 6], [4, 8], [5, 10]]


def test_balance_of_no_active_cell_is_an_empty_panel(ax) -> None:
    points = scatter_balance(ax, np.ones(3), np.ones(3), active=np.zeros(3))
    assert len(points.get_offsets()) == 0


@pytest.mark.parametrize("spread", ["range", "deviation"])
def test_a_curve_is_the_mean_of_seeds_with_their_spread(ax, spread: str) -> None:
    x, y = np.array([1.0, 2, 4, 8]), np.random.default_rng(0).normal(size=(5, 4))
    line, band = curve(ax, x, y, spread=spread, colour=EXCITATORY)
    np.testing.assert_array_equal(line.get_xdata(), x)
    np.testing.assert_allclose(line.get_ydata(), y.mean(axis=0))
    vertices = band.get_paths()[0].vertices
    edges = np.array([np.sort(np.unique(vertices[vertices[:, 0] == place, 1]))[[0, -1]] for place in x]).T
    sd = np.sqrt(((y - y.mean(axis=0)) ** 2).sum(axis=0) / 4)
    expected = [y.min(axis=0), y.max(axis=0)] if spread == "range" else [y.mean(axis=0) - sd, y.mean(axis=0) + sd]
    np.testing.assert_allclose(edges, expected)
    assert to_rgba(line.get_color()) == to_rgba(EXCITATORY)
    np.testing.assert_allclose(band.get_facecolor()[0][:3], to_rgba(EXCITATORY)[:3])


def test_one_seed_is_a_line_and_labelled_seeds_come_in_any_order(ax) -> None:
    line, band = curve(ax, [1, 2, 3], [4, 5, 6], marker="s")
    assert band is None
    assert (list(line.get_ydata()), line.get_marker()) == ([4, 5, 6], "s")
    y = xr.DataArray([[1.0, 3.0], [10.0, 20.0], [5.0, 7.0]], dims=("n_inhibitory", "seed"))
    assert list(curve(ax, y.n_inhibitory, y)[0].get_ydata()) == [2, 15, 6]


def test_tuning_draws_each_unit_in_the_colour_of_its_preference(ax) -> None:
    stimulus = np.array([0.0, 45, 90, 135])
    responses = np.array([[1.0, 0, 0, 0], [0, 0, 2, 1], [3, 0, 0, 1]])
    lines = tuning(ax, stimulus, responses)
    for line, row in zip(lines, responses, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), stimulus)
        np.testing.assert_array_equal(line.get_ydata(), row)
    colours = [to_rgba(line.get_color()) for line in lines]
    assert colours[0] == colours[2] != colours[1]
    assert {line.get_color() for line in tuning(ax, stimulus, responses, colour=EXCITATORY)} == {EXCITATORY}


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda ax: raster(ax, [1, 2], [1]), "2 times for 1 units"),
        (lambda ax: scatter_balance(ax, np.ones(3), np.ones(2)), "differ in shape"),
        (lambda ax: curve(ax, [1, 2], np.ones((3, 4))), "does not fit 2 values"),
        (lambda ax: curve(ax, [1, 2], np.ones((3, 2)), spread="sem"), "range, deviation"),
        (lambda ax: curve(ax, [1, 2], np.ones((3, 2, 2))), "expected 2 dimensions"),
        (lambda ax: tuning(ax, [1, 2], np.ones((3, 4))), "do not fit 2 stimuli"),
    ],
)
def test_what_does_not_fit_is_refused(ax, draw, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        draw(ax)
