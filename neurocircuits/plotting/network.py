"""The diagram of a circuit: populations as circles, pathways as arrows with the sign of their source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, Patch

from neurocircuits.plotting.style import EXCITATORY, INHIBITORY, NEUTRAL

if TYPE_CHECKING:
    from neurocircuits.declare.circuit import Circuit

COLOURS = {"excitatory": EXCITATORY, "inhibitory": INHIBITORY}
RADIUS = 0.42
SPACING = 1.7
BEND = 0.28


Places = dict[str, tuple[float, float]]


def network(ax: Axes, circuit: Circuit) -> dict[str, Patch]:
    """Draw the populations of a circuit and the pathways between them.

    Populations stand from left to right by the number of synapses between them and a source. Arrowheads excite, flat
    ends inhibit, thick lines learn, and a pathway that shares another's array is marked.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    circuit : Circuit
        The declaration.

    Returns
    -------
    dict of str to Patch
        The circle of each population and the arrow of each pathway, by name.
    """
    places = _layout(circuit)
    inhibits = {population.name: population.sign == "inhibitory" for population in circuit.populations}
    drawn: dict[str, Patch] = {}
    for population in circuit.populations:
        colour = NEUTRAL if population.equations is None else INHIBITORY if inhibits[population.name] else EXCITATORY
        x, y = places[population.name]
        circle = Circle((x, y), RADIUS, facecolor="white", edgecolor=colour, linewidth=1.5, zorder=3)
        drawn[population.name] = ax.add_patch(circle)
        ax.text(x, y + 0.06, population.name, ha="center", va="center", color=colour, weight="bold", zorder=4)
        ax.text(x, y - 0.2, str(population.n_units), ha="center", va="center", color=colour, size="x-small", zorder=4)
    pairs = [(synapses.pre, synapses.post) for synapses in circuit.synapses]
    corners = list(places.values())
    for k, synapses in enumerate(circuit.synapses):
        pre, post = pairs[k]
        owner = getattr(synapses.weights, "owner", None)
        learns = any(other.rule is not None for other in circuit.synapses if other.name in (synapses.name, owner))
        bend = BEND * ((post, pre) in pairs) + BEND * pairs[:k].count((pre, post))
        arrow, label = _loop(places, pre, bend - BEND) if pre == post else _arrow(places, drawn, pre, post, bend)
        colour = INHIBITORY if inhibits[pre] else EXCITATORY
        arrow.set(color=colour, linewidth=1.8 if learns else 0.8, zorder=2, mutation_scale=11)
        arrow.set_arrowstyle("-[, widthB=0.45, lengthB=0" if inhibits[pre] else "-|>")
        drawn[str(synapses.name)] = ax.add_patch(arrow)
        text = "\N{MINUS SIGN}" if inhibits[pre] else "+"
        text += "" if owner is None else f" {type(synapses.weights).__name__.lower()}"
        ax.text(*label, text, ha="center", va="center", color=colour)
        corners.append(label)
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    margin = RADIUS + 0.1
    ax.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin), aspect="equal")
    ax.set_axis_off()
    return drawn


def _layout(circuit: Circuit) -> Places:
    names = [population.name for population in circuit.populations]
    front = [population.name for population in circuit.populations if population.equations is None] or names[:1]
    columns: list[list[str]] = []
    placed: set[str] = set()
    while front:
        columns.append(front)
        placed |= set(front)
        reached = {synapses.post for synapses in circuit.synapses if synapses.pre in front} - placed
        rest = [name for name in names if name not in placed]
        front = [name for name in rest if name in reached] or rest[:1]
    return {
        name: (SPACING * x, SPACING * ((len(column) - 1) / 2 - y))
        for x, column in enumerate(columns)
        for y, name in enumerate(column)
    }


def _arrow(
    places: Places, drawn: dict[str, Patch], pre: str, post: str, bend: float
) -> tuple[FancyArrowPatch, tuple[float, float]]:
    """Return an arrow between two circles and the place of its label, beside the middle of its arc."""
    start, end = np.array(places[pre]), np.array(places[post])
    step = end - start
    length = math.hypot(*step)
    if length > 1.9 * SPACING:  # it would cross what stands between
        bend += 1.6 * BEND
    left = np.array([-step[1], step[0]])
    arrow = FancyArrowPatch(
        places[pre],
        places[post],
        connectionstyle=f"arc3, rad={-bend}",
        patchA=drawn[pre],
        patchB=drawn[post],
        shrinkA=2,
        shrinkB=3,
    )
    x, y = (start + end) / 2 + left * (bend / 2 + 0.2 / length)
    return arrow, (float(x), float(y))


def _loop(places: Places, name: str, bend: float) -> tuple[FancyArrowPatch, tuple[float, float]]:
    """Return an arrow from a circle to itself, on the side where no other population stands, and its label's place."""
    x, y = places[name]
    side = -1 if any(other[0] == x and other[1] > y for other in places.values()) else 1
    across, along = RADIUS * math.sin(0.5), RADIUS * math.cos(0.5)
    height = 1.9 + bend
    arrow = FancyArrowPatch(
        (x - side * across, y + side * along),
        (x + side * across, y + side * along),
        connectionstyle=f"arc3, rad={-height}",
        shrinkA=0,
        shrinkB=6,
    )
    return arrow, (x, y + side * (along + height * across + 0.2))
