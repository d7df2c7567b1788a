"""Loops of linear populations, which are solved as one system of linear equations."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from tests.references.circuits import TAU, recorded, run

BIASED = "dr/dt = (drive + 0.3 - 2*r)/tau : 1"
LINEAR = "dr/dt = (drive - r)/tau : 1"


def loop(lateral: np.ndarray) -> nc.Circuit:
    """Return Y, biased and with half the gain, that inhibits itself and is inhibited by way of Z; signed weights."""
    rng = np.random.default_rng(0)
    inward, there, back = rng.normal(size=(4, 6)), rng.normal(size=(3, 4)), rng.normal(size=(4, 3)) / 4
    return nc.Circuit(
        "linear",
        [
            nc.Population("S", 6),
            nc.Population("Y", 4, BIASED, parameters=TAU),
            nc.Population("Z", 3, LINEAR, parameters=TAU),
        ],
        [
            nc.Synapses("S", "Y", weights=inward),
            nc.Synapses("Y", "Z", weights=there),
            nc.Synapses("Z", "Y", weights=back, transmits="-w*r_pre"),
            nc.Synapses("Y", "Y", weights=lateral),
        ],
        dale="unconstrained",
    )


def phase(**settings: object) -> nc.Phase:
    shown = nc.Patterns(np.random.default_rng(1).normal(size=(7, 6)))
    return nc.Phase("probe", {"S": shown}, plasticity=False, record=nc.Record("r"), **settings)


@pytest.mark.parametrize("held", [False, True])
def test_rest_is_where_the_equations_come_to_rest(held: bool) -> None:
    """Against integration to rest. Rejects a lost offset, gain, sign or clamp, and mediated inhibition that is transposed."""
    clamps = [nc.Clamp("Y", 0.7, units=[2])] if held else []
    lateral = np.random.default_rng(2).normal(size=(4, 4)) / 4
    solved, integrated = (
        run(loop(lateral), phase(interventions=clamps), engine=nc.SteadyState(tolerance=1e-9, solver=solver))
        for solver in ("auto", "relaxation")
    )
    for name in ("Y", "Z"):
        np.testing.assert_allclose(recorded(solved, name), recorded(integrated, name), rtol=0, atol=1e-6)
    assert (recorded(solved, "Y") < 0).any()
    assert not held or (recorded(solved, "Y")[:, 2] == 0.7).all()


def test_a_rest_that_the_circuit_runs_away_from_is_refused() -> None:
    """Rejects the solution of linear equations that no dynamics reach."""
    with pytest.raises(nc.DivergenceError, match="no steady state of Y, Z"):
        run(loop(5.0 * np.eye(4)), phase())


def test_an_integrator_has_no_rest_but_runs_in_time() -> None:
    """Two units that excite each other and themselves by a half: rates grow for ever; in time they are what they are."""
    E = nc.Population("E", 2, LINEAR, parameters=TAU)
    circuit = nc.Circuit("integrator", [nc.Population("S", 3), E], [nc.Synapses("S", "E", weights=0.1),
                                                                    nc.Synapses("E", "E", weights=0.5)])  # fmt: skip
    shown = nc.Protocol([nc.Phase("p", {"S": nc.Patterns(np.ones((2, 3)), duration="50 ms")}, record=nc.Record("r"))])
    with pytest.raises(nc.DivergenceError, match="no steady state of E"):
        nc.run(circuit, shown, progress=False)
    tree = nc.run(circuit, shown, nc.Brian2(dt="1 ms"), progress=False)
    np.testing.assert_allclose(tree["/populations/E"].ds["r"][:, 0], [0.3 * 50 / 5, 0.3 * 100 / 5], rtol=1e-9)
