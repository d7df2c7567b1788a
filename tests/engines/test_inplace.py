"""Expressions that write into buffers, and explicit steps made of them, against plain evaluation and plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import neurocircuits as nc
from neurocircuits.compile.expressions import Expression
from neurocircuits.engines.inplace import InPlace
from tests.references.circuits import weights

DT, TAU = 1e-3, 5e-3


# -- expressions ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "a",
        "2.0",
        "-x*a/3 + y*(x - y)/(b*2)",
        "x + b/a*(y + 2*rectify(x) - x)",
        "(x - y)*(x + y)*(y - a)*(a - x)",
        "clip(x*y, -0.5, b)*exp(-x**2) + abs(y)**1.5 - x**3",
        "(1 + b)*int(x >= 0.1) - b*int(x > 0 and not y > 0)",
        "sqrt(abs(x) + 1) % 0.7 + exprel(y)*tanh(a)",
        "2*(x*(3*(y*(b*a))))/5/a",
    ],
)
def test_an_expression_in_place_is_the_expression(text: str) -> None:
    """Rejects: a buffer that is overwritten while it is needed, a constant that moves, a factor that is lost."""
    generator = np.random.default_rng(0)
    values = {"x": generator.normal(size=(3, 5)), "y": generator.normal(size=(3, 5)), "a": generator.random(5) + 0.5}
    values["b"] = 0.3
    expression = Expression.of(text)
    for moving in ({"x", "y"}, {"x", "y", "a", "b"}):
        out = np.empty((3, 5))
        evaluate = InPlace(expression, moving).bind(values, out)
        for _ in range(3):
            evaluate()
            np.testing.assert_allclose(out, np.broadcast_to(expression(values), (3, 5)), rtol=1e-13, atol=1e-15)
            for name in ("x", "y"):
                values[name][...] = generator.normal(size=(3, 5))


def test_a_value_may_be_replaced_by_its_own_expression() -> None:
    """Rejects an output that is written before everything has been read."""
    x, y = np.array([1.0, -2.0, 3.0]), np.array([0.5, 0.25, -1.0])
    expected = x + 0.1 * (y - x) * x - rect(x)
    InPlace(Expression.of("x + c*(y - x)*x - rectify(x)"), {"x"}).bind({"x": x, "y": y, "c": 0.1}, x)()
    np.testing.assert_allclose(x, expected, rtol=1e-15)


def rect(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def test_constants_are_not_evaluated_again() -> None:
    x, a = np.ones(3), np.full(3, 2.0)
    out = np.empty(3)
    evaluate = InPlace(Expression.of("x + a*a"), {"x"}).bind({"x": x, "a": a}, out)
    a[:], x[:] = 100.0, 2.0
    evaluate()
    np.testing.assert_array_equal(out, 6.0)


# -- explicit steps -------------------------------------------------------------------------------------------------------------


def adapting(**settings) -> nc.Circuit:
    """Return cells of two states that read each other, an inhibitory relay without a state, and what they send back."""
    equations = """
        dv/dt = (drive + current - a - v)/tau : 1
        da/dt = (0.8*v*r - a)/(4*tau) : 1
        r = rectify(v)*gain : 1
        gain = exp(log_gain) : 1
        dlog_gain/dt = eta*(1 - r) : 1 (slow)
        current : 1 (input)
    """
    cells = nc.Population("E", 6, equations, parameters={"tau": "5 ms", "eta": "1 Hz"}, initial={"log_gain": 0.2})
    relay = nc.Population("I", 2, equations="r = rectify(drive - 0.1) : 1", sign="inhibitory")
    synapses = [
        nc.Synapses("S", "E", input="current", weights=nc.Uniform(0, 1)),
        nc.Synapses("E", "I", weights=nc.Uniform(0, 0.5)),
        nc.Synapses("I", "E", weights=nc.Uniform(0, 0.5)),
    ]
    return nc.Circuit("adapting", [nc.Population("S", 9), cells, relay], synapses, **settings)


def stepped(tree, u: np.ndarray, clamped: bool, gain: float = 0.2) -> np.ndarray:
    w, a, b = (weights(tree, name, 0) for name in ("S_to_E", "E_to_I", "I_to_E"))
    v, adaptation, found = np.zeros(6), np.zeros(6), []
    for row in u:
        for _ in range(30):
            r = rect(v) * np.exp(gain)
            sent = np.where(np.arange(6) < 2, 0.4, r) if clamped else r
            drive = -b @ rect(a @ sent - 0.1)
            v, adaptation = (
                v + DT * (drive + w @ row - adaptation - v) / TAU,
                adaptation + DT * (0.8 * v * r - adaptation) / (4 * TAU),
            )
        found.append(v)
    return np.array(found)


@pytest.mark.parametrize("clamped", [False, True])
@pytest.mark.parametrize("engine", [nc.SteadyState(solver="relaxation"), nc.Brian2(dt=DT, tolerance=None)])
def test_states_that_read_each_other_step_together(engine, clamped: bool) -> None:
    """Rejects: a state that reads the step after, a relay a step late, a clamp that reaches the cell's own equations."""
    u = np.random.default_rng(0).random((4, 9))
    clamps = [nc.Clamp("E", 0.4, units=[0, 1])] if clamped else []
    timetable = [nc.Window("10 ms", plastic=False, step=DT), nc.Window("20 ms", plastic=False, step=DT)]
    phase = nc.Phase(
        "p", {"S": nc.Patterns(u)}, timetable=timetable, interventions=clamps, record=nc.Record("v"), plasticity=False
    )
    tree = nc.run(adapting(), nc.Protocol([phase]), engine, progress=False)
    found = tree["/populations/E"].ds["v"].values
    np.testing.assert_allclose(found, stepped(tree, u, clamped), rtol=0, atol=1e-13)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_batch_steps_as_its_rows_do(sparse: bool) -> None:
    """Rejects rows that see each other, and a sparse stimulus that delivers something else."""
    u = np.random.default_rng(0).random((4, 9)) * (np.random.default_rng(1).random((4, 9)) < 0.5)
    timetable = [nc.Window("30 ms", step=DT)]
    shown = {"S": nc.Patterns(csr_array(u) if sparse else u)}
    phase = nc.Phase("p", shown, timetable=timetable, record=nc.Record("v"), plasticity=False)
    tree = nc.run(adapting(), nc.Protocol([phase]), nc.SteadyState(batch=4, solver="relaxation"), progress=False)
    for row, found in zip(u, tree["/populations/E"].ds["v"].values, strict=True):
        np.testing.assert_allclose(found, stepped(tree, row[None], False)[0], rtol=0, atol=1e-13)


def test_slow_variables_move_between_windows() -> None:
    """Rejects steps with the gain that was there when they were compiled."""
    u = np.random.default_rng(0).random((3, 9))
    timetable = [nc.Window("30 ms", plastic=False, step=DT), nc.Window("1 s", hold=True)]
    phase = nc.Phase("p", {"S": nc.Patterns(u)}, timetable=timetable, record=nc.Record("v", "r", "log_gain"))
    tree = nc.run(adapting(), nc.Protocol([phase]), nc.SteadyState(solver="relaxation"), progress=False)
    E = tree["/populations/E"].ds
    assert np.ptp(E["log_gain"].values) > 0.3
    np.testing.assert_allclose(E["v"].values[0], stepped(tree, u[:1], False)[0], rtol=0, atol=1e-13)
    w, a, b = (weights(tree, name, 0) for name in ("S_to_E", "E_to_I", "I_to_E"))
    v, adaptation, gain = np.zeros(6), np.zeros(6), np.full(6, 0.2)
    for row in u:
        for _ in range(30):
            r = rect(v) * np.exp(gain)
            v, adaptation = (
                v + DT * (w @ row - b @ rect(a @ r - 0.1) - adaptation - v) / TAU,
                adaptation + DT * (0.8 * v * r - adaptation) / (4 * TAU),
            )
        gain = gain + 1.0 * (1 - rect(v) * np.exp(gain))
    np.testing.assert_allclose(E["v"].values[-1], v, rtol=0, atol=1e-12)


def test_single_precision_steps_stay_close() -> None:
    u = np.random.default_rng(0).random((4, 9))
    phase = nc.Phase(
        "p", {"S": nc.Patterns(u)}, timetable=[nc.Window("30 ms", step=DT)], record=nc.Record("v"), plasticity=False
    )
    engine = nc.SteadyState(solver="relaxation", dtype="float32")
    tree = nc.run(adapting(), nc.Protocol([phase]), engine, progress=False)
    difference = np.abs(tree["/populations/E"].ds["v"].values - stepped(tree, u, False)).max()
    assert 1e-9 < difference < 1e-5
