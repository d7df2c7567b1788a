"""The steady state of the disynaptic circuit is right: optimality, an independent solver, uniqueness, batches, symmetries."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.engines.solvers import ThresholdLinearSolver, active_set
from tests.references.circuits import LINEAR, TAU, alive, excitatory, fixed_circuit, put, recorded, run, show
from tests.references.threshold_linear import (
    Disynaptic,
    optimality_violation,
    random_disynaptic,
    rates_by_nnls,
    rates_of_two,
)

PROBE = {"plasticity": False, "record": nc.Record("r", "excitation", "inhibition")}


def settled(problem: Disynaptic, engine: nc.SteadyState | None = None) -> nc.Readings:
    simulation = alive(fixed_circuit(problem.weights, problem.inhibition), problem.stimuli, engine)
    put(simulation, E__log_gain=np.log(problem.gain))
    return show(simulation, problem.stimuli)


def test_a_thousand_random_circuits_are_solved() -> None:
    """Rejects a solver that stops early, guesses active sets wrongly, or lets a row depend on its batch or start."""
    generator = np.random.default_rng(1)
    solver = ThresholdLinearSolver(1e-6)
    for k in range(1000):
        problem = random_disynaptic(generator)
        lateral, b = problem.lateral, problem.input
        solution = solver.solve(lateral, b)
        reference = rates_by_nnls(lateral, b)
        scale = reference.max()
        assert optimality_violation(lateral, b, solution.x) < 1e-6
        assert solution.residual.max() < 1e-6
        np.testing.assert_allclose(solution.x, reference, rtol=0, atol=1e-8 * scale)
        row = k % len(b)
        np.testing.assert_allclose(solution.x[row], solver.solve(lateral, b[[row]]).x[0], rtol=0, atol=1e-9 * scale)
        start = generator.random(b.shape[1]) < 0.5
        np.testing.assert_allclose(active_set(lateral, b[row], start), reference[row], rtol=0, atol=1e-8 * scale)
        if k % 10 == 0:
            again = solver.solve(lateral, b, start=scale * generator.random(b.shape))
            np.testing.assert_allclose(again.x, solution.x, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("solver", ["auto", "active-set"])
def test_the_engine_settles_where_the_independent_solver_does(seed: int, solver: str) -> None:
    """Rejects an engine that builds another problem than Lambda + A^T A, W u from the circuit, or reads other rates."""
    problem = random_disynaptic(np.random.default_rng(seed), n_rows=8)
    readings = settled(problem, nc.SteadyState(solver=solver))
    reference = rates_by_nnls(problem.lateral, problem.input)
    x, y = readings.read("E", "r"), readings.read("I", "r")
    np.testing.assert_allclose(x, reference, rtol=0, atol=1e-8 * reference.max())
    np.testing.assert_allclose(y, x @ problem.inhibition.T, rtol=0, atol=1e-9 * y.max())
    np.testing.assert_allclose(readings.read("E", "excitation"), problem.input, rtol=1e-12)
    np.testing.assert_allclose(readings.read("E", "inhibition"), y @ problem.inhibition, rtol=1e-9)
    assert optimality_violation(problem.lateral, problem.input, x) < 1e-6
    assert readings.residual.max() < 1e-6


@pytest.mark.parametrize("solver", ["iteration", "relaxation"])
def test_slow_solvers_find_the_same_state(solver: str) -> None:
    """Rejects a fall-back solver that stops at another point than the exact one."""
    generator = np.random.default_rng(3)
    problem = Disynaptic(
        generator.random((6, 5)), 0.4 * generator.random((2, 6)), np.full(6, 0.8), generator.random((4, 5))
    )
    reference = rates_by_nnls(problem.lateral, problem.input)
    x = settled(problem, nc.SteadyState(solver=solver, tolerance=1e-9)).read("E", "r")
    np.testing.assert_allclose(x, reference, rtol=0, atol=1e-6 * reference.max())


@pytest.mark.parametrize("n_inhibitory", [3, 45])
def test_a_row_does_not_depend_on_its_batch(n_inhibitory: int) -> None:
    """Rejects a stop rule that is common to all rows: a row next to hard ones would come out differently."""
    problem = random_disynaptic(np.random.default_rng(7), n_rows=40, n_i=n_inhibitory)
    easy = problem.stimuli[0]
    hard = problem.stimuli[1:] * np.logspace(-6, 6, 39)[:, None]
    together = settled(Disynaptic(problem.weights, problem.inhibition, problem.gain, np.vstack([easy, hard]))).read(
        "E", "r"
    )
    for k, row in enumerate(np.vstack([easy, hard])):
        alone = settled(Disynaptic(problem.weights, problem.inhibition, problem.gain, row[None])).read("E", "r")[0]
        np.testing.assert_allclose(together[k], alone, rtol=0, atol=1e-9 * alone.max())


def test_a_run_with_batches_of_any_size_gives_the_same_rates() -> None:
    """Rejects an engine whose recorded rates depend on how presentations are grouped when nothing learns."""
    problem = random_disynaptic(np.random.default_rng(11), n_rows=23)
    circuit = fixed_circuit(problem.weights, problem.inhibition, gain=0.002)
    trees = [
        run(circuit, nc.Phase("probe", {"S": nc.Patterns(problem.stimuli)}, **PROBE), engine=nc.SteadyState(batch=size))
        for size in (1, 5, 100)
    ]
    first = recorded(trees[0])
    for tree in trees[1:]:
        np.testing.assert_allclose(recorded(tree), first, rtol=0, atol=1e-9 * first.max())
    assert all(tree["/diagnostics/phases"].ds["residual_worst"].values.max() < 1e-6 for tree in trees)


@pytest.mark.parametrize("a", [0.0, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("ratio", [0.01, 0.2, 0.5, 0.9, 1.0])
def test_two_cells_that_share_one_inhibitory_cell(a: float, ratio: float) -> None:
    """The case solved by hand: who is below a^2 b1/(l1 + a^2) falls silent. Rejects inhibition of the wrong strength."""
    gain, b = (0.7, 0.4), (1.5, 1.5 * ratio)
    problem = Disynaptic(np.diag(b), np.full((1, 2), a), np.array(gain), np.ones((1, 2)))
    np.testing.assert_allclose(settled(problem).read("E", "r")[0], rates_of_two(a, gain, b), rtol=1e-12, atol=1e-15)


def test_direct_inhibition_of_the_same_strength_gives_the_same_rates() -> None:
    """Substituting L = Lambda + A^T A in an all-to-all circuit leaves x. Rejects a tie that is not the transpose."""
    problem = random_disynaptic(np.random.default_rng(5), n_rows=9)
    mediated = problem.inhibition.T @ problem.inhibition
    off_diagonal = mediated - np.diag(np.diag(mediated))
    circuit = nc.Circuit(
        "all-to-all",
        [nc.Population("S", problem.weights.shape[1]), excitatory(len(problem.weights), sign="inhibitory")],
        [
            nc.Synapses("S", "E", weights=problem.weights),
            nc.Synapses("E", "E", weights=off_diagonal, connectivity=nc.AllToAll(self_connections=False)),
        ],
    )
    simulation = alive(circuit, problem.stimuli)
    put(simulation, E__log_gain=np.log(problem.gain + np.diag(mediated)))
    direct = show(simulation, problem.stimuli).read("E", "r")
    x = settled(problem).read("E", "r")
    np.testing.assert_allclose(direct, x, rtol=0, atol=1e-8 * x.max())


def test_units_have_no_order() -> None:
    """Permuting S, E and I permutes the rates. Rejects an engine that mixes up rows and columns."""
    generator = np.random.default_rng(13)
    problem = random_disynaptic(generator, n_rows=7)
    s, e, i = (generator.permutation(n) for n in (problem.weights.shape[1], *problem.inhibition.shape[::-1]))
    permuted = Disynaptic(
        problem.weights[np.ix_(e, s)], problem.inhibition[np.ix_(i, e)], problem.gain[e], problem.stimuli[:, s]
    )
    before, after = settled(problem), settled(permuted)
    scale = before.read("E", "r").max()
    np.testing.assert_allclose(after.read("E", "r"), before.read("E", "r")[:, e], rtol=0, atol=1e-8 * scale)
    scale = before.read("I", "r").max()
    np.testing.assert_allclose(after.read("I", "r"), before.read("I", "r")[:, i], rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_rates_scale_with_the_input_and_against_the_gain(factor: float) -> None:
    """Rejects absolute tolerances: x(c u) = c x(u), and W -> cW, L -> c^2 L gives x/c."""
    problem = random_disynaptic(np.random.default_rng(17), n_rows=6)
    x = settled(problem).read("E", "r")
    brighter = Disynaptic(problem.weights, problem.inhibition, problem.gain, factor * problem.stimuli)
    np.testing.assert_allclose(settled(brighter).read("E", "r"), factor * x, rtol=0, atol=1e-8 * factor * x.max())
    stronger = Disynaptic(
        factor * problem.weights, factor * problem.inhibition, factor**2 * problem.gain, problem.stimuli
    )
    np.testing.assert_allclose(settled(stronger).read("E", "r"), x / factor, rtol=0, atol=1e-8 * x.max() / factor)


def test_silenced_inhibitory_cells_leave_a_smaller_circuit() -> None:
    """Rejects a clamp that is not seen by the solver, or that still lets the cell inhibit."""
    problem = random_disynaptic(np.random.default_rng(19), n_rows=6)
    silent = np.arange(0, len(problem.inhibition), 2)
    rest = np.setdiff1d(np.arange(len(problem.inhibition)), silent)
    reduced = Disynaptic(problem.weights, problem.inhibition[rest], problem.gain, problem.stimuli)
    phase = {"interventions": [nc.Clamp("I", 0.0, units=silent)]}
    simulation = alive(fixed_circuit(problem.weights, problem.inhibition), problem.stimuli, **phase)
    put(simulation, E__log_gain=np.log(problem.gain))
    readings = show(simulation, problem.stimuli)
    reference = rates_by_nnls(reduced.lateral, reduced.input)
    np.testing.assert_allclose(readings.read("E", "r"), reference, rtol=0, atol=1e-8 * reference.max())
    assert not readings.read("I", "r")[:, silent].any()


def test_held_cells_act_as_a_constant_input() -> None:
    """E cells held at a value and I cells held at a value, against the reduced problem made by hand."""
    problem = random_disynaptic(np.random.default_rng(23), n_rows=6)
    n_i, n_e = problem.inhibition.shape
    cells, interneurons = np.arange(0, n_e, 3), np.arange(0, n_i, 3)
    free_e, free_i = np.setdiff1d(np.arange(n_e), cells), np.setdiff1d(np.arange(n_i), interneurons)
    x_held, y_held = 0.4, 0.7
    phase = {"interventions": [nc.Clamp("E", x_held, units=cells), nc.Clamp("I", y_held, units=interneurons)]}
    simulation = alive(fixed_circuit(problem.weights, problem.inhibition), problem.stimuli, **phase)
    put(simulation, E__log_gain=np.log(problem.gain))
    readings = show(simulation, problem.stimuli)
    a = problem.inhibition[free_i]
    lateral = np.diag(problem.gain) + a.T @ a
    b = problem.input - y_held * problem.inhibition[interneurons].sum(axis=0) - lateral[:, cells].sum(axis=1) * x_held
    reference = rates_by_nnls(lateral[np.ix_(free_e, free_e)], b[:, free_e])
    scale = max(reference.max(), x_held)
    np.testing.assert_allclose(readings.read("E", "r")[:, free_e], reference, rtol=0, atol=1e-8 * scale)
    np.testing.assert_array_equal(readings.read("E", "r")[:, cells], x_held)
    np.testing.assert_array_equal(readings.read("I", "r")[:, interneurons], y_held)
    driven = readings.read("E", "r") @ problem.inhibition[free_i].T
    np.testing.assert_allclose(readings.read("I", "r")[:, free_i], driven, rtol=1e-9)


def test_a_whole_population_can_be_held() -> None:
    """Rejects a solver that cannot be left without unknowns."""
    problem = random_disynaptic(np.random.default_rng(29), n_rows=6)
    phase = {"interventions": [nc.Clamp("E", 2.0)]}
    readings = show(
        alive(fixed_circuit(problem.weights, problem.inhibition), problem.stimuli, **phase), problem.stimuli
    )
    expected = np.broadcast_to(2.0 * problem.inhibition.sum(axis=1), (6, len(problem.inhibition)))
    np.testing.assert_allclose(readings.read("I", "r"), expected, rtol=1e-12)


def test_a_source_can_be_held_whatever_its_stimulus_is_stored_as() -> None:
    """Silencing S units equals zeroing their columns, dense and CSR."""
    from scipy.sparse import csr_array

    problem = random_disynaptic(np.random.default_rng(31), n_rows=6)
    without = problem.stimuli.copy()
    without[:, [1, 4]] = 0.0
    circuit = fixed_circuit(problem.weights, problem.inhibition)
    expected = show(alive(circuit, without), without).read("E", "r")
    for stimuli in (problem.stimuli, csr_array(problem.stimuli)):
        simulation = alive(circuit, problem.stimuli, interventions=[nc.Clamp("S", 0.0, units=[1, 4])])
        np.testing.assert_allclose(show(simulation, stimuli).read("E", "r"), expected, rtol=1e-12, atol=1e-12)


def test_no_input_gives_silence() -> None:
    """Rejects a residual that divides by an input of zero."""
    problem = random_disynaptic(np.random.default_rng(37), n_rows=6)
    blank = np.zeros_like(problem.stimuli)
    readings = show(alive(fixed_circuit(problem.weights, problem.inhibition), blank), blank)
    assert not readings.read("E", "r").any()
    assert np.isfinite(readings.residual).all()


def test_negative_input_reaches_a_rectified_inhibitory_cell() -> None:
    """An I cell that other cells inhibit is not linear. Rejects its elimination, which would let it inhibit negatively."""
    rectified = "dr/dt = (rectify(drive) - r)/tau : 1"
    circuit = nc.Circuit(
        "inhibited inhibition",
        [
            nc.Population("S", 3),
            nc.Population("V", 3, sign="inhibitory"),
            nc.Population("E", 4, rectified, parameters=TAU),
            nc.Population("I", 2, rectified, parameters=TAU, sign="inhibitory"),
        ],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0.0, 1.0)),
            nc.Synapses("V", "I", weights=nc.Uniform(0.0, 1.0)),
            nc.Synapses("E", "I", weights=nc.Uniform(0.0, 1.0)),
            nc.Synapses("I", "E", weights=nc.Uniform(0.0, 1.0)),
        ],
    )
    stimuli = np.random.default_rng(0).random((20, 3))
    patterns = {"S": nc.Patterns(stimuli), "V": nc.Patterns(3.0 * stimuli[::-1] ** 3)}
    tree = run(circuit, nc.Phase("probe", patterns, **PROBE))
    w = {name: tree[f"/synapses/{name}"].ds["w"].values[-1] for name in ("S_to_E", "V_to_I", "E_to_I", "I_to_E")}
    x, y = recorded(tree), recorded(tree, "I")
    np.testing.assert_allclose(
        y, np.maximum(x @ w["E_to_I"].T - 3.0 * stimuli[::-1] ** 3 @ w["V_to_I"].T, 0.0), atol=1e-9
    )
    np.testing.assert_allclose(x, np.maximum(stimuli @ w["S_to_E"].T - y @ w["I_to_E"].T, 0.0), atol=1e-9)
    assert (y == 0).any()
    assert (y > 0).any()


def test_a_response_that_falls_with_its_drive_is_no_quadratic_programme() -> None:
    """Rejects the threshold-linear solver where its assumption, a positive slope, fails at run time."""
    falling = nc.Population(
        "A", 3, "dr/dt = (rectify(a*drive + b) - r)/tau : 1", parameters={**TAU, "a": -1.0, "b": 1.0}
    )
    circuit = nc.Circuit(
        "falling",
        [nc.Population("S", 2), falling],
        [nc.Synapses("S", "A", weights=0.1), nc.Synapses("A", "A", weights=0.1)],
    )
    tree = run(circuit, nc.Phase("probe", {"S": nc.Patterns(np.ones((9, 2)))}, record=nc.Record("r", "drive")))
    r, drive = recorded(tree, "A"), recorded(tree, "A", "drive")
    np.testing.assert_allclose(r, np.maximum(1.0 - drive, 0.0), atol=1e-9)
    assert (r > 0.5).all()


def test_runaway_excitation_has_no_steady_state() -> None:
    """Recurrent excitation of exactly and of more than 1. Rejects a division by zero and a made-up answer."""
    rectified = nc.Population("A", 8, "dr/dt = (rectify(drive) - r)/tau : 1", parameters=TAU)
    for strength in (1.0, 2.0):
        circuit = nc.Circuit(
            "runaway",
            [nc.Population("S", 2), rectified],
            [nc.Synapses("S", "A"), nc.Synapses("A", "A", weights=strength * np.eye(8))],
        )
        with pytest.raises(nc.DivergenceError, match="no steady state"):
            run(circuit, nc.Phase("probe", {"S": nc.Patterns(np.ones((9, 2)))}, **PROBE))


def test_excitation_that_inhibition_cannot_hold_has_no_steady_state() -> None:
    """Threshold-linear, but no rates satisfy the conditions. Rejects an answer whose residual nobody looked at."""
    rectified = "dr/dt = (rectify(drive) - r)/tau : 1"
    circuit = nc.Circuit(
        "unstable",
        [
            nc.Population("S", 2),
            nc.Population("E", 3, rectified, parameters=TAU),
            nc.Population("I", 1, rectified, parameters=TAU, sign="inhibitory"),
        ],
        [
            nc.Synapses("S", "E"),
            nc.Synapses("E", "E", weights=1.0),
            nc.Synapses("E", "I", weights=0.1),
            nc.Synapses("I", "E", weights=0.1),
        ],
    )
    with pytest.raises(nc.DivergenceError, match="no steady state of E, I within the tolerance"):
        run(circuit, nc.Phase("probe", {"S": nc.Patterns(np.ones((9, 2)))}, **PROBE))


def test_a_feed_forward_chain_is_solved_in_its_order() -> None:
    """Rejects an order of populations that reads an input before it is there, whatever order they are declared in."""
    names = ["C", "A", "D", "B"]
    populations = [nc.Population(name, 3, LINEAR, parameters=TAU) for name in names] + [nc.Population("S", 3)]
    synapses = [
        nc.Synapses(*pair, weights=nc.Uniform(0.0, 1.0)) for pair in ("DA", "SA", "AB", "BC", "CC") if pair != "DA"
    ]
    synapses.append(nc.Synapses("B", "D", weights=nc.Uniform(0.0, 1.0)))
    synapses = [s for s in synapses if s.name != "C_to_C"]
    circuit = nc.Circuit("chain", populations, synapses)
    stimuli = np.random.default_rng(0).random((4, 3))
    tree = run(circuit, nc.Phase("probe", {"S": nc.Patterns(stimuli)}, **PROBE))
    w = {s.name: tree[f"/synapses/{s.name}"].ds["w"].values[-1] for s in synapses}
    b = stimuli @ w["S_to_A"].T @ w["A_to_B"].T
    np.testing.assert_allclose(recorded(tree, "D"), b @ w["B_to_D"].T, rtol=1e-12)
    np.testing.assert_allclose(recorded(tree, "C"), b @ w["B_to_C"].T, rtol=1e-12)
