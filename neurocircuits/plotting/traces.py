"""Points and lines: spikes, balance of excitation and inhibition, curves with their spread, tuning."""

from __future__ import annotations

from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from neurocircuits.errors import ValidationError
from neurocircuits.plotting._arrays import plain
from neurocircuits.plotting.style import EXCITATORY, FAINT, NEUTRAL


def raster(
    ax: Axes,
    time: ArrayLike,
    unit: ArrayLike,
    *,
    colour: str = EXCITATORY,
    n_units: int | None = None,
    offset: int = 0,
) -> LineCollection:
    """Draw spikes, one row for each unit.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    time, unit : array_like, shape (n_events,)
        Time in seconds and unit of each spike.
    colour : str
        Colour of the population.
    n_units : int, optional
        Units of the population, silent ones too; one more than the largest number unless given.
    offset : int
        Row of unit 0, to stack populations.

    Returns
    -------
    LineCollection
        A tick of height 0.8 for each spike.

    Raises
    ------
    ValidationError
        If times and units are not of equal number.
    """
    times, units = plain(time, 1, "raster: time"), plain(unit, 1, "raster: unit")
    if len(times) != len(units):
        raise ValidationError(f"raster: {len(times)} times for {len(units)} units. Give one of each for every spike.")
    n_units = int(units.max(initial=-1)) + 1 if n_units is None else n_units
    low, high = ax.get_ylim() if ax.collections else (offset - 0.5, offset - 0.5)
    ticks = ax.vlines(times, units + offset - 0.4, units + offset + 0.4, colors=colour, linewidth=0.7, rasterized=True)
    ax.set_ylim(min(low, offset - 0.5), max(high, offset + n_units - 0.5))
    ax.set(xlabel="time (s)", ylabel="unit")
    return ticks


def scatter_balance(
    ax: Axes,
    excitation: ArrayLike,
    inhibition: ArrayLike,
    *,
    active: ArrayLike | None = None,
    slope: float | None = None,
    colour: str = NEUTRAL,
) -> PathCollection:
    """Draw the inhibition of cells against their excitation, with the line of exact balance.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    excitation, inhibition : array_like or DataArray, equal shapes
        Magnitudes of the two inputs of each cell at each presentation.
    active : array_like of bool, same shape, optional
        Which of them to draw, such as ``r > 0``; all unless given.
    slope : float, optional
        Slope of inhibition on excitation through the origin, drawn and printed.
    colour : str
        Colour of the points.

    Returns
    -------
    PathCollection
        The points.

    Raises
    ------
    ValidationError
        If the shapes differ.
    """
    x, y = np.asarray(excitation), np.asarray(_like(inhibition, excitation))
    drawn = np.ones(x.shape, dtype=bool) if active is None else np.asarray(_like(active, excitation), dtype=bool)
    if not x.shape == y.shape == drawn.shape:
        raise ValidationError(
            f"scatter_balance: excitation {x.shape}, inhibition {y.shape} and active {drawn.shape} differ in shape."
        )
    x, y = x[drawn], y[drawn]
    end = 1.05 * float(np.concatenate([x, y]).max(initial=0)) or 1.0
    alpha = float(np.clip(30 / np.sqrt(max(len(x), 1)), 0.05, 0.6))
    points = ax.scatter(x, y, s=5, color=colour, alpha=alpha, linewidths=0, rasterized=True)
    ax.plot([0, end], [0, end], color=FAINT, linestyle="--", linewidth=1, zorder=1.5, label="balance")
    if slope is not None:
        ax.plot([0, end], [0, slope * end], color=EXCITATORY, linewidth=1, label=f"slope {slope:.3f}")
    ax.legend(loc="upper left")
    ax.set(xlim=(0, end), ylim=(0, end), aspect="equal", xlabel="excitation", ylabel="inhibition")
    return points


def curve(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    label: str | None = None,
    colour: str | None = None,
    spread: Literal["range", "deviation"] = "range",
    **keywords: Any,
) -> tuple[Line2D, PolyCollection | None]:
    """Draw the mean over seeds as a line and their spread as a band.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    x : array_like, shape (n,)
        Abscissa.
    y : array_like or DataArray, shape (n_seeds, n) or (n,)
        Ordinate of each seed; a DataArray is put in order by ``seed``. One curve alone has no band.
    label : str, optional
        Name in the legend.
    colour : str, optional
        Colour of line and band; the next of the style's cycle unless given.
    spread : {"range", "deviation"}
        Smallest to largest seed, or the mean and one standard deviation (``ddof=1``) to either side.
    **keywords
        Passed to ``Axes.plot``, such as ``linestyle``.

    Returns
    -------
    line : Line2D
        The mean.
    band : PolyCollection or None
        The spread.

    Raises
    ------
    ValidationError
        If the lengths differ, or ``spread`` is something else.
    """
    if spread not in ("range", "deviation"):
        raise ValidationError(f"curve: spread {spread!r} is unknown. Choose from: range, deviation.")
    abscissa = plain(x, 1, "curve: x")
    if getattr(y, "dims", ())[1:] == ("seed",):
        y = y.transpose("seed", ...)  # type: ignore[union-attr]
    seeds = plain(np.atleast_2d(np.asarray(y, dtype=float)), 2, "curve: y")
    if seeds.shape[1] != len(abscissa):
        raise ValidationError(f"curve: y of shape {seeds.shape} does not fit {len(abscissa)} values of x.")
    mean = seeds.mean(axis=0)
    (line,) = ax.plot(abscissa, mean, label=label, color=colour, **{"marker": "o", "markersize": 3, **keywords})
    if len(seeds) == 1:
        return line, None
    if spread == "range":
        low, high = seeds.min(axis=0), seeds.max(axis=0)
    else:
        deviation = seeds.std(axis=0, ddof=1)
        low, high = mean - deviation, mean + deviation
    band = ax.fill_between(abscissa, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    return line, band


def tuning(
    ax: Axes, stimulus: ArrayLike, responses: ArrayLike, *, colour: str | None = None, cmap: str = "viridis"
) -> list[Line2D]:
    """Draw the response of each unit as a function of a property of the stimulus.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    stimulus : array_like, shape (n_stimuli,)
        The property, such as an orientation.
    responses : array_like, shape (n_units, n_stimuli)
        Mean response of each unit.
    colour : str, optional
        One colour for all units; unless given, a unit's colour in ``cmap`` is its preferred stimulus.
    cmap : str
        Colour map; take a cyclic one, such as ``"twilight"``, for a periodic property.

    Returns
    -------
    list of Line2D
        One line for each unit.

    Raises
    ------
    ValidationError
        If the shapes do not fit.
    """
    abscissa, values = plain(stimulus, 1, "tuning: stimulus"), plain(responses, 2, "tuning: responses")
    if values.shape[1] != len(abscissa):
        raise ValidationError(f"tuning: responses of shape {values.shape} do not fit {len(abscissa)} stimuli.")
    preferred = abscissa[values.argmax(axis=1)].astype(float)
    place = (preferred - abscissa.min()) / (np.ptp(abscissa) or 1)
    colours = matplotlib.colormaps[cmap](0.9 * place) if colour is None else [colour] * len(values)
    lines = [ax.plot(abscissa, row, color=tone, linewidth=1)[0] for row, tone in zip(values, colours, strict=True)]
    ax.set(xlabel="stimulus", ylabel="response", ylim=(min(0.0, float(values.min(initial=0))), None))
    return lines


def _like(values: Any, reference: Any) -> Any:
    """Bring labelled values to the order of labelled references."""
    if hasattr(values, "dims") and hasattr(reference, "dims") and set(values.dims) == set(reference.dims):
        return values.transpose(*reference.dims)
    return values
