"""The diagram shows every population and pathway of a circuit, with its sign, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import ArrowStyle, Circle, FancyArrowPatch

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Tied
from neurocircuits.plotting import EXCITATORY, INHIBITORY, NEUTRAL, network

EQUATIONS = "dr/dt = (drive - r)/(5*ms) : 1"
RULE = Rule("eta*(r_post*r_pre - w)", parameters={"eta": "1 Hz"})
HEAD, FLAT = ArrowStyle.CurveFilledB, ArrowStyle.BracketB


def circuit(populations: dict[str, str], *pathways: tuple[str, str, Rule | None, Any]) -> Circuit:
    """Declare a circuit; the number of a pathway ends its name."""
    return Circuit(
        "drawn",
        [
            Population(name, 8) if kind == "source" else Population(name, 8, equations=EQUATIONS, sign=kind)
            for name, kind in populations.items()
        ],
        [
            Synapses(pre, post, weights=weights, rule=rule, name=f"{pre}_to_{post}{k}")
            for k, (pre, post, rule, weights) in enumerate(pathways)
        ],
    )


DISYNAPTIC = circuit(
    {"S": "source", "E": "excitatory", "I": "inhibitory"},
    ("S", "E", RULE, 1),
    ("E", "I", RULE, 1),
    ("I", "E", None, Tied("E_to_I1")),
)


def test_every_population_and_pathway_is_drawn_once_with_its_sign(ax) -> None:
    drawn = network(ax, DISYNAPTIC)
    assert {name for name, artist in drawn.items() if isinstance(artist, Circle)} == {"S", "E", "I"}
    assert len([patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]) == 3
    for name, style, colour in [
        ("S_to_E0", HEAD, EXCITATORY),
        ("E_to_I1", HEAD, EXCITATORY),
        ("I_to_E2", FLAT, INHIBITORY),
    ]:
        assert isinstance(drawn[name].get_arrowstyle(), style)
        assert drawn[name].get_edgecolor() == to_rgba(colour)
    for name, colour in [("S", NEUTRAL), ("E", EXCITATORY), ("I", INHIBITORY)]:
        assert drawn[name].get_edgecolor() == to_rgba(colour)
    texts = [text.get_text() for text in ax.texts]
    assert sorted(texts) == sorted(["S", "E", "I", "8", "8", "8", "+", "+", "\N{MINUS SIGN} tied"])


def test_arrows_start_at_the_source_and_end_at_the_target(ax) -> None:
    drawn = network(ax, DISYNAPTIC)
    ax.figure.canvas.draw()
    for synapses in DISYNAPTIC.synapses:
        path = drawn[synapses.name].get_path()
        ends = path.vertices[[0, 2]]  # of the curve; what follows is the head
        for end, population in zip(ends, (synapses.pre, synapses.post), strict=True):
            assert abs(np.hypot(*(end - drawn[population].center)) - drawn[population].radius) < 0.25


def test_reciprocal_pathways_do_not_cover_each_other(ax) -> None:
    drawn = network(ax, DISYNAPTIC)
    forth, back = (drawn[name].get_path().vertices[1, 1] for name in ("E_to_I1", "I_to_E2"))
    assert forth > 0.1
    assert back < -0.1


def test_pathways_that_learn_are_thick_also_through_a_tie(ax) -> None:
    drawn = network(ax, circuit({"S": "source", "E": "excitatory"}, ("S", "E", RULE, 1), ("S", "E", None, 1)))
    assert drawn["S_to_E0"].get_linewidth() > drawn["S_to_E1"].get_linewidth()
    drawn = network(ax, DISYNAPTIC)
    assert drawn["I_to_E2"].get_linewidth() == drawn["E_to_I1"].get_linewidth()


@pytest.mark.parametrize(
    "declared",
    [
        DISYNAPTIC,
        circuit({"E": "excitatory"}, ("E", "E", None, 1)),
        circuit({"E": "excitatory", "I": "inhibitory"}, *[(a, b, None, 1) for a in "EI" for b in "EI"]),
        circuit({"A": "source", "B": "source", "C": "excitatory", "D": "excitatory"}, ("A", "C", None, 1)),
        circuit(dict.fromkeys("ABCD", "excitatory"), *[(a, b, None, 1) for a, b in ("AB", "BC", "CD", "DA")]),
    ],
)
def test_nothing_overlaps_and_everything_is_in_view(ax, declared: Circuit) -> None:
    """Also for loops, unconnected populations and circuits without a source."""
    drawn = network(ax, declared)
    ax.figure.canvas.draw()
    centres = np.array([drawn[population.name].center for population in declared.populations])
    distances = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    assert distances[~np.eye(len(centres), dtype=bool)].min(initial=9) > 1
    view = ax.get_window_extent()
    labels = ax.texts
    for artist in [*drawn.values(), *labels]:
        box = artist.get_window_extent()
        assert view.x0 - 1 <= box.x0
        assert box.x1 <= view.x1 + 1
        assert view.y0 - 1 <= box.y0
        assert box.y1 <= view.y1 + 1
    for text in labels:
        if text.get_text()[0] in "+\N{MINUS SIGN}":
            middle = ax.transData.inverted().transform(text.get_window_extent().get_points().mean(axis=0))
            assert np.hypot(*(middle - centres).T).min() > drawn[declared.populations[0].name].radius
