"""Both engines agree by scaling: their difference falls as 1/sub-steps to a floor that falls as the time constant.

The floor is what the rates need to arrive after each onset, a few time constants in which learning sees other rates than
those at rest. So the continuous run learns at a step much shorter than its time constant, and time step, learning step and
time constant shrink together; sub-steps without limit are extrapolated from 64 and 128 of them.
"""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from tests.engines.brian2_support import disynaptic, stimuli

DURATION = 0.2
SUBSTEPS = (1, 4, 16)


def learned_by(circuit: nc.Circuit, protocol: nc.Protocol, engine: nc.Brian2 | nc.SteadyState) -> tuple:
    """Return the weights of both pathways as one vector, at the start and at the end."""
    tree = nc.run(circuit, protocol, engine, seed=1, progress=False)
    weights = [tree[f"/synapses/{name}"].ds["w"].values for name in ("S_to_E", "E_to_I")]
    return tuple(np.concatenate([w[k].ravel() for w in weights]) for k in (0, -1))


def exponent(x: list[float], y: list[float]) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def study(weights: tuple | None, rates: float, U: np.ndarray, taus: tuple[float, ...]) -> tuple[dict, list[float]]:
    """Return the difference by sub-steps at the shortest time constant, and the floor by time constant."""
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(U, duration=DURATION)})])

    def circuit(tau: float) -> nc.Circuit:
        return disynaptic(cap=None, weights=weights, rates=rates, tau=f"{tau} second")

    by_substeps = {}
    for k in (*SUBSTEPS, 64, 128):
        engine = nc.SteadyState(substeps=k, learning_tolerance=1e-6)
        start, by_substeps[k] = learned_by(circuit(taus[-1]), protocol, engine)
    limit = 2 * by_substeps[128] - by_substeps[64]
    change = np.linalg.norm(limit - start)
    floors = []
    for tau in taus:
        engine = nc.Brian2(dt=tau / 10, learning_step=tau / 5, tolerance=None)
        _, continuous = learned_by(circuit(tau), protocol, engine)
        floors.append(float(np.linalg.norm(limit - continuous) / change))
    differences = {k: float(np.linalg.norm(by_substeps[k] - continuous) / change) for k in SUBSTEPS}
    return differences, floors


def check(differences: dict[int, float], floors: list[float], taus: tuple[float, ...]) -> None:
    assert differences[1] > 0.05  # one step is not good enough, so there is something to converge
    used = [k for k in SUBSTEPS if differences[k] > 2 * floors[-1]]
    assert used == list(SUBSTEPS)
    assert exponent(used, [differences[k] for k in used]) == pytest.approx(-1, abs=0.25)
    assert exponent(list(taus), floors) == pytest.approx(1, abs=0.25)


def test_from_random_weights():
    """Rejects: sub-steps that do not settle anew, a learning step that is off by a constant factor, learning that misses
    the first or the last part of a presentation."""
    taus = (4e-3, 2e-3, 1e-3)
    check(*study(None, 2.0, stimuli(6), taus), taus)


def test_continuing_from_weights_that_have_learned():
    """A learned circuit rings and settles more slowly: the floor is higher, and scales all the same."""
    phase = nc.Phase("learn", {"S": nc.Patterns(stimuli(400, seed=5), duration=0.05)})
    tree = nc.run(disynaptic(cap=None, rates=2.0), nc.Protocol([phase]), nc.SteadyState(), seed=1, progress=False)
    w, a = (tree[f"/synapses/{name}"].ds["w"].values[-1] for name in ("S_to_E", "E_to_I"))
    log_gain = float(np.median(tree["/slow/E"].ds["log_gain"].values[-1]))
    assert log_gain < -3
    taus = (2e-3, 1e-3, 5e-4)
    check(*study((nc.Given(w), nc.Given(a), log_gain), 0.2, stimuli(6, seed=7), taus), taus)
