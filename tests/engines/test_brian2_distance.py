"""Distance from the steady state, the limit of explicit steps and what a run says that goes beyond them."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.engines.stability import grows, stability
from neurocircuits.engines.values import WeightStore, initial_values
from neurocircuits.randomness import Streams
from tests.engines.brian2_support import disynaptic, stimuli

N_S, N_E, N_I, TAU = 36, 12, 4, 5e-3


def loop(gain: float, a: float, tau_i: float = TAU, n_e: int = N_E, n_i: int = N_I, eta: float = 0.0) -> nc.Circuit:
    """Return a loop in which every cell is active: equal weights, a gain that may fall while it learns."""
    equations = "dr/dt = (rectify(drive)/gain - r)/tau : 1\ngain = exp(log_gain) : 1\n"
    equations += "dlog_gain/dt = -eta : 1 (slow)"
    cells = nc.Population(
        "E",
        n_e,
        equations=equations,
        parameters={"tau": TAU * S, "eta": eta * HZ},
        initial={"log_gain": float(np.log(gain))},
    )
    inhibitory = nc.Population(
        "I", n_i, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": tau_i * S}, sign="inhibitory"
    )
    return nc.Circuit(
        "loop",
        [nc.Population("S", N_S), cells, inhibitory],
        [
            nc.Synapses("S", "E", weights=nc.Constant(0.2)),
            nc.Synapses("E", "I", weights=nc.Constant(a)),
            nc.Synapses("I", "E", weights=nc.Tied("E_to_I")),
        ],
    )


class _Unit:
    def __init__(self, name: str) -> None:
        self.name = name

    def __rmul__(self, value: float) -> str:
        return f"{value!r} {self.name}"


S, HZ = _Unit("second"), _Unit("Hz")


def probe(n: int, duration: float, **settings) -> nc.Protocol:
    settings = {"plasticity": False, "record": nc.Record("r")} | settings
    return nc.Protocol([nc.Phase("probe", {"S": nc.Patterns(stimuli(n), duration=duration)}, **settings)])


def parts(circuit: nc.Circuit, seed: int = 0) -> tuple:
    plan = nc.compile_circuit(circuit)
    return (
        plan,
        WeightStore(plan, Streams(seed)),
        initial_values(plan, plan.with_parameters({}), "float64", Streams(seed)),
    )


# -- stability ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tau_i", [TAU, 1e-3, 2e-2])
def test_stability_equals_the_eigenvalues_of_the_full_jacobian(tau_i):
    """Rejects: a gain on the wrong side, a forgotten time constant, the sign of inhibition."""
    circuit = disynaptic(tau_inhibitory=f"{tau_i} second")
    plan, store, values = parts(circuit)
    gain = np.random.default_rng(0).uniform(0.01, 1.0, N_E)
    values["E"].data["log_gain"][...] = np.log(gain)
    A = store.arrays["E_to_I"]
    J = (
        np.block([[-np.eye(N_E), -(A.T / gain[:, None])], [A, -np.eye(N_I)]])
        / np.repeat([TAU, tau_i], [N_E, N_I])[:, None]
    )
    eigenvalues = np.linalg.eigvals(J)
    found = stability(plan, store, values)
    assert found.explicit_limit == pytest.approx((-2 * eigenvalues.real / np.abs(eigenvalues) ** 2).min(), rel=1e-9)
    assert found.settling_time == pytest.approx(np.log(1000) / -eigenvalues.real.max(), rel=1e-9)
    assert found.ringing == pytest.approx(np.abs(eigenvalues.imag).max() / (2 * np.pi), rel=1e-9)
    if tau_i == TAU:
        s = np.linalg.norm(A / np.sqrt(gain), 2)
        assert found.loop_gain == pytest.approx(s, rel=1e-9)
        assert found.explicit_limit == pytest.approx(2 * TAU / (1 + s**2), rel=1e-9)
        assert found.ringing == pytest.approx(s / (2 * np.pi * TAU), rel=1e-9)
    for step in (0.999 * found.explicit_limit, 1.001 * found.explicit_limit):
        assert grows(plan, store, values, step) == (step > found.explicit_limit)


def test_stability_of_other_equations_comes_from_differences():
    """Adaptation has no threshold-linear form: the Jacobian of two states is taken numerically, with the same answer."""
    cells = nc.Population(
        "E",
        3,
        equations="dr/dt = (drive - a - r)/tau : 1\nda/dt = (2*r - a)/tau_a : 1",
        parameters={"tau": "5 ms", "tau_a": "50 ms"},
    )
    circuit = nc.Circuit("adapting", [nc.Population("S", 4), cells], [nc.Synapses("S", "E")])
    eigenvalues = np.linalg.eigvals(np.array([[-1, -1], [2 / 10, -1 / 10]]) / 5e-3)
    found = stability(*parts(circuit))
    assert found.explicit_limit == pytest.approx((-2 * eigenvalues.real / np.abs(eigenvalues) ** 2).min(), rel=1e-5)
    assert found.settling_time == pytest.approx(np.log(1000) / -eigenvalues.real.max(), rel=1e-5)


def test_large_circuits_are_checked_without_their_eigenvalues(monkeypatch):
    circuit = loop(0.05, 0.02, n_e=420, n_i=30)
    plan, store, values = parts(circuit)
    limit = stability(plan, store, values).explicit_limit
    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "eigvals", None)
        assert not grows(plan, store, values, 0.98 * limit)
        assert grows(plan, store, values, 1.02 * limit)


@pytest.mark.parametrize("part", [0.97, 1.03])
def test_steps_below_the_limit_arrive_and_steps_above_it_do_not(part):
    circuit = loop(0.02, 0.05)
    limit = stability(*parts(circuit)).explicit_limit
    assert limit == pytest.approx(2 * TAU / (1 + 0.05**2 * N_E * N_I / 0.02), rel=1e-9)
    dt = part * limit
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = nc.run(circuit, probe(2, 1500 * dt), nc.Brian2(dt=dt, tolerance=None))
    distance = tree["/diagnostics"].ds["distance"].values
    beyond = [w for w in caught if "beyond the limit of explicit steps" in str(w.message)]
    if part < 1:
        assert distance.max() < 1e-5 and not beyond
    else:
        assert distance.min() > 0.05 and len(beyond) == 1


# -- warnings ---------------------------------------------------------------------------------------------------------


def test_a_step_beyond_the_limit_is_named_with_what_would_do():
    message = r"dt = 0.0005 s is beyond the limit of explicit steps, \S+ s.*s = \d.*ringing at .* Hz.*Use dt <= "
    with pytest.warns(RuntimeWarning, match=message):
        nc.run(loop(0.002, 0.1), probe(2, 0.02), nc.Brian2(dt=5e-4, tolerance=None))


def test_a_circuit_that_passes_the_limit_while_it_learns_is_noticed():
    """Rejects: looking at the circuit when a phase begins, and not as it learns."""
    circuit = loop(1.0, 0.1, eta=10.0)
    stimulus = nc.Patterns(stimuli(40), duration=0.02)
    with pytest.warns(RuntimeWarning, match="beyond the limit"):
        nc.run(circuit, nc.Protocol([nc.Phase("learn", {"S": stimulus})]), nc.Brian2(dt=5e-4, tolerance=None))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_held_windows_and_other_methods_have_no_limit():
    windows = [nc.Window("20 ms", plastic=False), nc.Window("200 ms", hold=True, step="20 ms")]
    nc.run(loop(0.2, 0.05), probe(2, 0.1, timetable=windows, plasticity=True), nc.Brian2(dt=5e-4, tolerance=None))


def test_the_largest_step_of_the_windows_counts():
    windows = [nc.Window("20 ms"), nc.Window("60 ms", step="7.5 ms")]
    with pytest.warns(RuntimeWarning, match="dt = 0.0075 s is beyond"):
        nc.run(loop(0.2, 0.05), probe(2, 0.1, timetable=windows), nc.Brian2(dt=5e-4, tolerance=None))


# -- distance ---------------------------------------------------------------------------------------------------------


def test_the_distance_of_a_presentation_is_that_of_its_rates_from_rest():
    """Rejects: a distance of excitatory cells alone, from the wrong weights, or in units of the present rates only."""
    protocol = probe(8, 0.015)
    continuous = nc.run(disynaptic(), protocol, nc.Brian2(dt=5e-4, tolerance=None), seed=2)
    rest = nc.run(disynaptic(), protocol, nc.SteadyState(), seed=2)
    worst, scale = np.zeros(8), np.zeros(8)
    for name in ("E", "I"):
        now, then = (tree[f"/populations/{name}"].ds["r"].values for tree in (continuous, rest))
        worst, scale = np.maximum(worst, np.abs(now - then).max(axis=1)), np.maximum(scale, then.max(axis=1))
    found = continuous["/diagnostics"].ds["distance"].values
    np.testing.assert_allclose(found, worst / np.maximum.accumulate(scale), rtol=1e-6)
    assert found.max() > 0.01
    assert continuous["/diagnostics/phases"].ds["distance_worst"].values == pytest.approx(found.max())


def test_clamped_cells_are_where_they_are_held():
    clamps = [nc.Clamp("E", 0.8, units=[0, 1]), nc.Clamp("I", 0.1, units=[2])]
    tree = nc.run(disynaptic(), probe(4, 0.1, interventions=clamps), nc.Brian2(dt=5e-4), seed=2)
    assert tree["/diagnostics"].ds["distance"].values.max() < 1e-3


def test_copies_have_distances_of_their_own():
    one, four = (
        nc.run(disynaptic(), probe(4, 0.015), nc.Brian2(dt=5e-4, tolerance=None, batch=b))["/diagnostics"].ds
        for b in (1, 4)
    )
    assert one["distance"].values[0] == pytest.approx(four["distance"].values[0], rel=0.5)
    assert len(set(four["distance"].values)) == 4


def test_a_circuit_without_a_known_steady_state_has_no_distance():
    cells = nc.Population("E", 4, equations="dr/dt = (rectify(drive - r**3) - r)/tau : 1", parameters={"tau": "5 ms"})
    circuit = nc.Circuit("implicit", [nc.Population("S", N_S), cells], [nc.Synapses("S", "E", weights=0.1)])
    tree = nc.run(circuit, probe(3, 0.015), nc.Brian2(dt=5e-4))
    assert np.isnan(tree["/diagnostics"].ds["distance"].values).all()


# -- the tolerance ----------------------------------------------------------------------------------------------------


def advice(error: Exception) -> tuple[float, float]:
    found = re.search(r"Use dt <= (\S+) s and presentations of at least (\S+) s", str(error))
    return float(found[1]), float(found[2])


@pytest.mark.filterwarnings("ignore:Brian2. dt:RuntimeWarning")
@pytest.mark.parametrize("dt, duration", [(1e-3, 0.2), (1e-4, 0.005)])
def test_a_run_beyond_the_tolerance_fails_with_a_step_and_a_duration_that_do(dt, duration):
    """A step that is too long never settles, a presentation that is too short not in time."""
    circuit = loop(0.005, 0.05)
    with pytest.raises(nc.DivergenceError, match="away from their steady state") as caught:
        nc.run(circuit, probe(30, duration), nc.Brian2(dt=dt, tolerance=0.05))
    tree = caught.value.tree
    assert tree.attrs["complete"] == 0 and 15 <= len(tree["/populations/E"].ds["r"]) < 30
    assert np.isfinite(tree["/populations/E"].ds["r"].values).all()
    limit, at_least = advice(caught.value)
    tree = nc.run(circuit, probe(30, at_least), nc.Brian2(dt=at_least / np.ceil(at_least / limit), tolerance=0.05))
    assert tree["/diagnostics"].ds["distance"].values.max() < 0.05


@pytest.mark.filterwarnings("ignore:Brian2. dt:RuntimeWarning")
def test_learning_without_a_record_is_judged_every_so_often():
    circuit, stimulus = loop(0.002, 0.1), nc.Patterns(stimuli(20), duration=0.01)
    protocol = nc.Protocol([nc.Phase("learn", {"S": stimulus}, epochs=50)])
    with pytest.raises(nc.DivergenceError, match="away from their steady state.*mean of 20 checks"):
        nc.run(circuit, protocol, nc.Brian2(dt=5e-4))
    protocol = nc.Protocol([nc.Phase("learn", {"S": stimulus}, epochs=7)])  # 140 presentations, 7 checks
    with pytest.raises(nc.DivergenceError, match="mean of 7 checks"):
        nc.run(circuit, protocol, nc.Brian2(dt=5e-4))
    nc.run(circuit, protocol, nc.Brian2(dt=5e-4, tolerance=None))


def test_blank_stimuli_are_not_far_from_rest():
    """Rejects: a distance in units of the present rates, of which a blank stimulus has none."""
    U = stimuli(40)
    U[1::2] = 0
    protocol = nc.Protocol(
        [nc.Phase("probe", {"S": nc.Patterns(U, duration=0.05)}, plasticity=False, record=nc.Record("r"))]
    )
    tree = nc.run(disynaptic(), protocol, nc.Brian2(dt=5e-4, tolerance=0.05))
    assert tree["/diagnostics"].ds["distance"].values.max() < 0.01


def test_presentations_that_are_not_recorded_are_not_measured(monkeypatch):
    from neurocircuits.engines.distance import DistanceCheck

    measured = []
    monkeypatch.setattr(DistanceCheck, "_measure", lambda self, n: measured.append(n) or np.zeros(n))
    protocol = probe(20, 0.01, record=nc.Record("r", every=5))
    for batch, n in ((1, 4), (4, 4), (10, 2)):
        measured.clear()
        tree = nc.run(disynaptic(), protocol, nc.Brian2(dt=5e-4, tolerance=None, batch=batch))
        assert measured == [batch] * n
        assert len(tree["/diagnostics"].ds["distance"]) == 4


def excited(weight: float) -> nc.Circuit:
    """Return cells that excite each other, 3 of them: a gain of 3 times the weight."""
    cells = nc.Population("E", 3, equations="dr/dt = (rectify(drive) - r)/tau : 1", parameters={"tau": "10 ms"})
    synapses = [nc.Synapses("S", "E", nc.Constant(0.3)), nc.Synapses("E", "E", nc.Constant(weight))]
    return nc.Circuit("excited", [nc.Population("S", 3), cells], synapses)


def ramp(scales: np.ndarray) -> nc.Protocol:
    patterns = nc.Patterns(np.outer(scales, np.ones(3)), duration="200 ms")
    return nc.Protocol([nc.Phase("probe", {"S": patterns}, plasticity=False, record=nc.Record("r"))])


def test_rates_of_a_circuit_without_rest_do_not_run_away_unsaid():
    """There is no distance to judge: the steady state is at infinity."""
    with pytest.raises(nc.DivergenceError, match=r"unstable and rates grow without bound.*over 5 checks") as caught:
        nc.run(excited(0.5), ramp(np.ones(20)), nc.Brian2(dt="1 ms"))
    assert caught.value.tree["/populations/E"].sizes["time"] >= 4
    tree = nc.run(excited(0.5), ramp(np.ones(6)), nc.Brian2(dt="1 ms", tolerance=None))
    assert tree["/populations/E"].ds["r"].values.max() > 1e20


def test_rates_that_follow_their_stimuli_do_not_run_away():
    """Rejects a verdict from growth alone: contrast over six decades in a circuit at rest, with and without a solver."""
    scales = 10.0 ** np.arange(-3, 4)
    for weight in (0.1, 0.3):
        rates = nc.run(excited(weight), ramp(scales), nc.Brian2(dt="1 ms"))["/populations/E"].ds["r"].values[:, 0]
        left = (1 - 0.1 * (1 - 3 * weight)) ** 200  # of a deviation, after 200 steps of a tenth of tau
        expected = [0.0]
        for rest in 0.9 * scales / (1 - 3 * weight):
            expected.append(rest + (expected[-1] - rest) * left)
        np.testing.assert_allclose(rates, expected[1:], rtol=1e-9)


def test_what_checks_have_seen_so_far_is_part_of_a_checkpoint():
    """Rejects a run that resumes as if its rates had begun to grow, or to be sent, only then."""
    simulations = [nc.Brian2(dt="1 ms").open(nc.compile_circuit(excited(0.5)), Streams(0)) for _ in range(2)]
    states = [simulation.state() for simulation in simulations]
    later = states[0] | {"distance/restless": np.array([1.0, 40.0]), "sent/largest": np.array([40.0])}
    simulations[1].load(later)
    found = simulations[1].state()
    for name in ("distance/restless", "sent/largest"):
        assert not np.array_equal(states[0][name], later[name])
        np.testing.assert_array_equal(found[name], later[name])
