"""Dale's law: no rule, seed, load or resume flips a sign; a legal weight is not disturbed; what breaks the law is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import neurocircuits as nc
from neurocircuits.randomness import Streams
from tests.references.circuits import TAU, run, weights

FEW = settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
RECTIFIED = "dr/dt = (rectify(drive) - r)/tau : 1\ndm/dt = rate*(r - m) : 1 (slow)"
FACTORS = ["w", "r_pre", "r_post", "r_pre**2", "w**2", "m_post", "incoming", "dale", "rectify(r_post - r_pre)", "1"]


@st.composite
def drifts(draw: Any) -> str:
    """A random polynomial in weights, rates, a slow variable, an aggregate; now and then not separable."""
    terms = []
    for _ in range(draw(st.integers(1, 4))):
        factors = draw(st.lists(st.sampled_from(FACTORS), min_size=1, max_size=3))
        terms.append(f"{draw(st.floats(-3, 3)):.3f}*{'*'.join(factors)}")
    return f"eta*({' + '.join(terms)})"


@st.composite
def circuits(draw: Any) -> nc.Circuit:
    """A source and one or two populations of any sign, connected at random, each pathway with a rule of its own."""
    n_cells = draw(st.integers(1, 2))
    names = ["A", "B"][:n_cells]
    signs = [draw(st.sampled_from(["excitatory", "inhibitory"])) for _ in names]
    cells = [
        nc.Population(name, draw(st.integers(1, 4)), RECTIFIED, sign=sign, parameters={**TAU, "rate": "1 Hz"})
        for name, sign in zip(names, signs, strict=True)
    ]
    source = nc.Population("S", draw(st.integers(1, 4)), sign=draw(st.sampled_from(["excitatory", "inhibitory"])))
    pairs = [("S", name) for name in names] + [(a, b) for a in names for b in names if draw(st.booleans())]
    synapses = []
    for pre, post in pairs:
        step = draw(st.sampled_from([nc.Euler(), nc.Cap(0.05), nc.LargestChange(0.1)]))
        rule = nc.Rule(draw(drifts()), {"eta": "1 Hz"}, {"incoming": "sum_over_pre(w*r_pre)"}, step=step)
        low = draw(st.sampled_from([0.0, 0.05]))
        extra = {"bounds": (low, draw(st.sampled_from([0.5, float("inf")])))} if draw(st.booleans()) else {}
        extra |= {"normalise": nc.Normalise("target", 1.0, 0.5)} if draw(st.booleans()) and not extra else {}
        drawn = nc.Uniform(0.05, 0.3 if pre == "S" else 0.1)
        synapses.append(nc.Synapses(pre, post, weights=drawn, rule=rule, **extra))
    return nc.Circuit("random", [source, *cells], synapses)


def learn(circuit: nc.Circuit, seed: int) -> Any:
    """Run some batches of random stimuli; a circuit that diverges says so and hands over what it had."""
    n_units = circuit.population("S").n_units
    stimuli = 2.0 * np.random.default_rng(seed).random((12, n_units))
    record = nc.Record("r", "drive", "excitation", "inhibition", weights_every=3)
    phase = nc.Phase("learn", {"S": nc.Patterns(stimuli, duration="500 ms")}, record=record)
    try:
        with np.errstate(all="ignore"):
            return run(circuit, phase, engine=nc.SteadyState(batch=3, substeps=2), seed=seed)
    except nc.DivergenceError as error:
        return error.tree


def check_signs(tree: Any, circuit: nc.Circuit) -> None:
    for synapses in circuit.synapses:
        group = tree[f"/synapses/{synapses.name}"]
        w = group.ds["w"].values
        assert np.isfinite(w).all()
        assert (w >= 0).all()
        low, high = synapses.bounds or (0.0, np.inf)
        assert (w >= low).all()
        assert (w <= high).all()
        assert group.attrs["sign"] == circuit.population(synapses.pre).sign_value
    assert tree.attrs["dale_violations"] == 0
    for population in circuit.populations[1:]:
        data = tree[f"/populations/{population.name}"].ds
        if "excitation" in data and len(data["time"]):
            assert (data["excitation"].values >= 0).all()
            assert (data["inhibition"].values >= 0).all()
            net = data["excitation"].values - data["inhibition"].values
            np.testing.assert_allclose(data["drive"].values, net, rtol=1e-9, atol=1e-9 * (1 + np.abs(net).max()))


@FEW
@given(circuits(), st.integers(0, 2**32))
def test_no_rule_flips_a_sign(circuit: nc.Circuit, seed: int) -> None:
    """Random circuits, drifts, steps, bounds and seeds. Rejects a rule that passes zero, and a sign taken from elsewhere."""
    check_signs(learn(circuit, seed), circuit)


@settings(FEW, max_examples=8)
@given(circuits(), st.integers(0, 2**32))
def test_signs_survive_saving_and_loading(tmp_path_factory: Any, circuit: nc.Circuit, seed: int) -> None:
    """What is loaded has the signs and, to the bit, the weights that were saved."""
    tree = learn(circuit, seed)
    path = tmp_path_factory.mktemp("dale") / "run.zarr"
    if tree.attrs["complete"]:
        loaded = nc.load(nc.save(tree, path))
        check_signs(loaded, circuit)
        for synapses in circuit.synapses:
            assert weights(loaded, synapses.name).tobytes() == weights(tree, synapses.name).tobytes()


@settings(FEW, max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from(["no rule", "rate 0", "scale 0", "off", "no drift"]), st.floats(0, 1e300))
def test_legal_weights_are_not_disturbed(seed: int, why: str, largest: float) -> None:
    """Weights that nothing teaches stay the same to the bit, zeros, tiny and huge ones included."""
    generator = np.random.default_rng(seed)
    values = generator.random((3, 4)) * np.array([0.0, 1e-300, 1.0, 1.0])
    values[0, 3] = largest
    rate = "0 Hz" if why == "rate 0" else "1 Hz"
    rule = {"no rule": None, "no drift": nc.Rule("eta*(w - w)", {"eta": "1 Hz"})}.get(why, nc.Hebbian(eta=rate))
    cells = nc.Population("E", 3, "dr/dt = (rectify(tanh(drive)) - r)/tau : 1", parameters=TAU)
    synapses = [nc.Synapses("S", "E", weights=values, rule=rule), nc.Synapses("T", "E", rule=nc.Hebbian(eta="1 Hz"))]
    circuit = nc.Circuit("legal", [nc.Population("S", 4), nc.Population("T", 2), cells], synapses)
    plasticity: Any = {"scale 0": {"S_to_E": 0.0}, "off": False}.get(why, True)
    stimuli = {"S": nc.Patterns(generator.random((9, 4)) * 1e-3), "T": nc.Patterns(generator.random((9, 2)))}
    with np.errstate(all="ignore"):
        tree = run(circuit, nc.Phase("learn", stimuli, plasticity=plasticity), engine=nc.SteadyState(batch=3))
    assert weights(tree, "S_to_E").tobytes() == values.tobytes()


def test_a_loaded_state_cannot_flip_a_sign() -> None:
    """Rejects a state from elsewhere whose weights are negative, or not numbers."""
    cells = nc.Population("E", 2, "dr/dt = (rectify(drive) - r)/tau : 1", parameters=TAU)
    circuit = nc.Circuit("state", [nc.Population("S", 2), cells], [nc.Synapses("S", "E", weights=0.5)])
    simulation = nc.SteadyState().open(nc.compile_circuit(circuit), Streams(0))
    for bad in (-0.1, np.nan):
        state = simulation.state()
        state["weights/S_to_E"][1, 0] = bad
        with pytest.raises(nc.StorageError, match=r"weights 'S_to_E'.*post 1, pre 0"):
            simulation.load(state)
    assert simulation.store.arrays["S_to_E"].min() == 0.5


def test_inhibition_never_excites() -> None:
    """The same weights with the other sign give the other effect. Rejects a sign that the solver forgets."""
    for sign, effect in (("excitatory", 1), ("inhibitory", -1)):
        cells = [
            nc.Population("A", 2, "dr/dt = (rectify(drive) - r)/tau : 1", parameters=TAU, sign=sign),
            nc.Population("B", 2, "dr/dt = (drive + 5 - r)/tau : 1", parameters=TAU),
        ]
        synapses = [nc.Synapses("S", "A"), nc.Synapses("A", "B", weights=0.5)]
        circuit = nc.Circuit("effect", [nc.Population("S", 3), *cells], synapses)
        tree = run(
            circuit,
            nc.Phase("probe", {"S": nc.Patterns([[1.0, 1.0, 1.0]])}, record=nc.Record("r", "excitation", "inhibition")),
        )
        data = tree["/populations/B"].ds
        np.testing.assert_allclose(data["r"].values, 5.0 + effect * 3.0)
        np.testing.assert_allclose(data["excitation"].values, 3.0 if effect > 0 else 0.0)
        np.testing.assert_allclose(data["inhibition"].values, 3.0 if effect < 0 else 0.0)


CELLS = nc.Population("E", 2, "dr/dt = (rectify(drive) - r)/tau : 1", parameters=TAU)
SOURCE = nc.Population("S", 3)
INHIBITORY = nc.Population("V", 3, sign="inhibitory")
NEGATIVE = np.array([[0.1, 0.2, 0.3], [0.1, -0.12, 0.3]])


@pytest.mark.parametrize(
    ("synapses", "words"),
    [
        ([nc.Synapses("S", "E", weights=NEGATIVE)], ["'S_to_E'", "-0.12 at post 1, pre 1", "population 'S' (excitatory)", "absolute value"]),
        ([nc.Synapses("V", "E", weights=NEGATIVE)], ["'V_to_E'", "population 'V' (inhibitory)", "dale='unconstrained'"]),
        ([nc.Synapses("S", "E", weights=-0.5)], ["6 of 6", "-0.5"]),
        ([nc.Synapses("S", "E", weights=nc.Normal(0.0, 1.0))], ["initial weights are negative", "Pass the absolute value"]),
        ([nc.Synapses("S", "E", weights=nc.Uniform(-1.0, 1.0))], ["initial weights are negative"]),
        ([nc.Synapses("S", "E", bounds=(-1.0, 1.0))], ["'S_to_E'", "-1.0", "population 'S' (excitatory)", "at least 0"]),
        ([nc.Synapses("S", "E", transmits="-w*r_pre")], ["'S_to_E'", "'-w*r_pre'", "population 'S' are excitatory", "unconstrained"]),
        ([nc.Synapses("S", "E", transmits="log(w)*r_pre", weights=0.5)], ["'S_to_E'", "log(w)", "-0.693", "population 'S'"]),
        (
            [nc.Synapses("S", "E"), nc.Synapses("V", "E", weights=nc.Paired("S_to_E", nc.Given(NEGATIVE)))],
            ["'V_to_E'", "-0.12", "population 'V' (inhibitory)"],
        ),
        (
            [nc.Synapses("S", "E"), nc.Synapses("S", "E", name="again", weights=nc.Paired("S_to_E"))],
            ["'again'", "opposite signs", "both excitatory"],
        ),
    ],
)  # fmt: skip
def test_illegal_declarations_are_refused(synapses: list, words: list[str]) -> None:
    """The message names the synapses, the value, the population with its sign, and what to do."""
    used = {s.pre for s in synapses}
    populations = [p for p in (SOURCE, INHIBITORY) if p.name in used] + [CELLS]
    stimuli = {name: nc.Patterns(np.ones((2, 3))) for name in used}
    with pytest.raises(nc.ValidationError) as caught:
        run(nc.Circuit("illegal", populations, synapses), nc.Phase("probe", stimuli))
    for word in words:
        assert word in str(caught.value)


def test_rates_below_zero_are_refused() -> None:
    """A linear cell that inhibition drives below zero would turn its sign around."""
    linear = nc.Population("L", 2, "dr/dt = (drive - r)/tau : 1", parameters=TAU)
    synapses = [nc.Synapses("S", "L", weights=0.1), nc.Synapses("V", "L", weights=1.0), nc.Synapses("L", "E")]
    circuit = nc.Circuit("below", [SOURCE, INHIBITORY, linear, CELLS], synapses)
    stimuli = {name: nc.Patterns(np.ones((2, 3))) for name in ("S", "V")}
    with pytest.raises(
        nc.ValidationError, match=r"'L_to_E'.*population 'L' sends negative.*excitatory.*Rectify its rates"
    ):
        run(circuit, nc.Phase("probe", stimuli))


@pytest.mark.parametrize(
    ("names", "device"),
    [(("r",), "runtime"), (("r", "excitation"), "runtime"), ((), "runtime"),
     pytest.param(("r",), "cpp_standalone", marks=pytest.mark.slow)],
)  # fmt: skip
@pytest.mark.parametrize("sign", ["excitatory", "inhibitory"])
def test_rates_below_zero_are_refused_in_continuous_time(names: tuple[str, ...], device: str, sign: str) -> None:
    """Whatever is recorded. Rejects a run that says that no sign was violated while excitatory cells inhibit."""
    linear = nc.Population("L", 1, "dr/dt = (drive - 2 - r)/tau : 1", parameters=TAU, sign=sign)
    circuit = nc.Circuit("below", [SOURCE, linear, CELLS], [nc.Synapses("S", "L", weights=0.1), nc.Synapses("L", "E")])
    shown = {"S": nc.Patterns(np.ones((6, 3)), duration="50 ms")}
    phase = nc.Phase("p", shown, record=nc.Record(*names) if names else None)
    with pytest.raises(nc.ValidationError, match="'L_to_E'.*population 'L' sends negative"):
        nc.run(circuit, nc.Protocol([phase]), nc.Brian2(dt="1 ms", device=device), progress=False)


def test_rounding_errors_around_zero_are_no_rates_below_zero() -> None:
    """Excitation of 0.3 against inhibition of 0.1 + 0.1 + 0.1 leaves -6e-17. Rejects a sign that is judged by noise alone."""
    balanced = nc.Population("L", 2, "dr/dt = (drive - r)/tau : 1", parameters=TAU)
    drive = nc.Population("D", 1)
    synapses = [
        nc.Synapses("D", "L", weights=0.3),
        nc.Synapses("V", "L", weights=0.1),
        nc.Synapses("L", "E", weights=2.0),
    ]
    circuit = nc.Circuit("balanced", [drive, INHIBITORY, balanced, CELLS], synapses)
    stimuli = {"D": nc.Patterns([[1.0]]), "V": nc.Patterns([[1.0, 1.0, 1.0]])}
    tree = run(circuit, nc.Phase("probe", stimuli, record=nc.Record("r", "excitation")))
    assert tree["/populations/L"].ds["r"].values.min() < 0
    assert tree["/populations/E"].ds["excitation"].values.tolist() == [[0.0, 0.0]]


def test_negative_stimuli_are_refused() -> None:
    circuit = nc.Circuit("negative", [SOURCE, CELLS], [nc.Synapses("S", "E")])
    with pytest.raises(nc.ValidationError, match=r"stimuli\['S'\].*down to -0.25.*Shift or split"):
        run(circuit, nc.Phase("probe", {"S": nc.Patterns([[1.0, -0.25, 0.0]])}))


def test_an_unconstrained_circuit_says_so_in_its_result(tmp_path: Path) -> None:
    """Signed weights run where they are declared, and the result is stamped."""
    synapses = [nc.Synapses("S", "E", weights=NEGATIVE, rule=nc.Oja(eta="1 Hz"))]
    circuit = nc.Circuit("signed", [SOURCE, CELLS], synapses, dale="unconstrained")
    tree = run(
        circuit,
        nc.Phase("learn", {"S": nc.Patterns(np.random.default_rng(0).normal(size=(20, 3)))}, record=nc.Record("r")),
    )
    assert tree.attrs["unconstrained"] == 1
    assert weights(tree, "S_to_E").min() < 0
    assert nc.load(nc.save(tree, tmp_path / "run.zarr")).attrs["unconstrained"] == 1
