"""What synapses must know: a table of rules and circuits, read off what is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import neurocircuits as nc
from neurocircuits.compile.locality import LAYER, NETWORK, OF_POST, OF_PRE, OWN, locality
from neurocircuits.models import krotov2019, seung2018, seung_zung2017, vogels2011

CELL = "r = rectify(drive) : 1\ntheta = 1.0 : 1\ndmean/dt = (r - mean)/second : 1 (slow)"


def learning(rule: nc.Rule | None, **settings: Any) -> nc.Circuit:
    """Return a circuit of two populations between which a rule works."""
    populations = [nc.Population("S", 4), nc.Population("A", 4, CELL), nc.Population("B", 3, CELL)]
    return nc.Circuit(
        "one rule", populations, [nc.Synapses("S", "A"), nc.Synapses("A", "B", name="learns", rule=rule, **settings)]
    )


OUTGOING = nc.Rule("eta*(r_post*r_pre - w*outgoing)", {"eta": "1 Hz"}, aggregates={"outgoing": "sum_over_post(w)"})
BY_NAME_ALONE = nc.Rule("eta*r_post*r_pre", {"eta": "1 Hz"}, aggregates={"unused": "sum_over_pre(w)"})
TOTAL = nc.Rule("eta*(r_post*r_pre - together*w)", {"eta": "1 Hz"}, terms={"together": "total(r_post)"})
LARGEST = nc.Hebbian("1 Hz", step=nc.LargestChange(0.1))

RULES: list[tuple[str, Callable[[], nc.Circuit], str, tuple[str, ...]]] = [
    ("nothing learns", lambda: learning(None), "learns", ()),
    ("BCM", lambda: learning(nc.BCM("1 Hz")), "learns", (OWN,)),
    ("Oja", lambda: learning(nc.Oja("1 Hz")), "learns", (OWN,)),
    ("correlation measuring", lambda: learning(nc.CorrelationMeasuring("1 Hz")), "learns", (OWN,)),
    ("competition by kappa", lambda: seung2018.circuit(), "S_to_E", (OWN, OF_POST)),
    ("competition by p, there", lambda: seung2018.circuit(), "E_to_I", (OWN, OF_POST)),
    ("competition by p, back", lambda: seung2018.circuit(), "I_to_E", (OWN, OF_PRE)),
    ("lateral", lambda: seung_zung2017.circuit(), "E_to_E", (OWN,)),
    ("a sum over what leaves", lambda: learning(OUTGOING), "learns", (OWN, OF_PRE)),
    ("a sum that is not used", lambda: learning(BY_NAME_ALONE), "learns", (OWN,)),
    ("a total", lambda: learning(TOTAL), "learns", (OWN, LAYER)),
    ("largest change", lambda: learning(LARGEST), "learns", (OWN, OF_POST, NETWORK)),
    ("ranks, scaled", lambda: krotov2019.circuit(), "S_to_E", (OWN, LAYER, NETWORK)),
    ("per target", lambda: learning(nc.Oja("1 Hz"), normalise=nc.Normalise("target", 1)), "learns", (OWN, OF_POST)),
    ("per source", lambda: learning(nc.Oja("1 Hz"), normalise=nc.Normalise("source", 1)), "learns", (OWN, OF_PRE)),
    ("with spikes", lambda: vogels2011.feedforward(), "I_to_cell", (OWN,)),
]  # fmt: skip


@pytest.mark.parametrize(("made", "pathway", "known"), [pytest.param(*case[1:], id=case[0]) for case in RULES])
def test_a_rule_says_what_a_synapse_must_know(
    made: Callable[[], nc.Circuit], pathway: str, known: tuple[str, ...]
) -> None:
    """Rejects a class that is read off a name, a tie whose sides are not turned, and a step that is forgotten."""
    plan = nc.compile_circuit(made())
    assert locality(plan, pathway) == known
    if known:
        assert f"  a synapse must know {', '.join(known)}" in plan.explain().splitlines()
