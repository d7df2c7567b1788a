"""Bad input gets a clear error: a table of what is given, which exception, and words that name the object, the value and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from tests.references.circuits import LINEAR, TAU, excitatory, inhibitory, learning_circuit

U = np.random.default_rng(0).random((8, 6))
STIMULUS = nc.Patterns(U)
Case = tuple[str, Callable[[], Any], type[Exception], tuple[str, ...]]


def circuit(*synapses: nc.Synapses, **settings: Any) -> nc.Circuit:
    populations = [nc.Population("S", 6), excitatory(5), inhibitory(3)]
    return nc.Circuit("bad", populations, synapses or [nc.Synapses("S", "E")], **settings)


def run(circuit_: nc.Circuit | None = None, *phases: nc.Phase, **settings: Any) -> Any:
    phases = phases or (nc.Phase("learn", {"S": STIMULUS}),)
    return nc.run(circuit_ or learning_circuit(), nc.Protocol(phases), progress=False, **settings)


def phase(**settings: Any) -> nc.Phase:
    return nc.Phase("learn", {"S": STIMULUS}, **settings)


def with_nan(value: float = np.nan) -> np.ndarray:
    values = U.copy()
    values[3, 2] = value
    return values


V, UNIT, UNSUPPORTED = nc.ValidationError, nc.UnitError, nc.UnsupportedError
POPULATIONS: list[Case] = [
    ("no units", lambda: nc.Population("E", 0), V, ("Population('E').n_units", "0", "positive whole number")),
    ("units as text", lambda: nc.Population("E", "ten"), V, ("n_units", "'ten'")),  # type: ignore[arg-type]
    ("half a unit", lambda: nc.Population("E", 2.5), V, ("n_units", "2.5")),  # type: ignore[arg-type]
    ("unknown sign", lambda: nc.Population("E", 1, sign="positive"), V, ("'positive'", "'excitatory' or 'inhibitory'")),
    ("name with a blank", lambda: nc.Population("E cells", 1), V, ("'E cells'", "letters, digits")),
    (
        "reserved variable",
        lambda: nc.compile_circuit(
            nc.Circuit("c", [nc.Population("E", 1, "dsign/dt = -sign/tau : 1", parameters=TAU)], [])
        ),
        V,
        ("Population('E')", "'sign' is the name of a function"),
    ),
    (
        "reserved parameter",
        lambda: nc.Population("E", 1, LINEAR, parameters={"dt": "1 ms"}),
        V,
        ("'dt'", "reserved", "Choose another"),
    ),
    (
        "parameter named as a unit",
        lambda: nc.Population("E", 1, LINEAR, parameters={"mV": 1.0}),
        V,
        ("'mV'", "is a unit"),
    ),
    (
        "parameter that ends in a side",
        lambda: nc.Population("E", 1, LINEAR, parameters={"tau_pre": 1.0}),
        V,
        ("'tau_pre'", "ends in a side"),
    ),
    (
        "unreadable quantity",
        lambda: nc.Population("E", 1, LINEAR, parameters={"tau": "5 parsecs"}),
        UNIT,
        ("parameters['tau']", "'parsecs' is not known", "'5 ms'"),
    ),
    (
        "quantity without number",
        lambda: nc.Population("E", 1, LINEAR, parameters={"tau": "fast!"}),
        UNIT,
        ("parameters['tau']", "cannot be read"),
    ),
    (
        "parameter of a source",
        lambda: nc.Population("S", 1, parameters={"tau": "1 ms"}),
        V,
        ("a source has no equations",),
    ),
    (
        "bounds the wrong way round",
        lambda: excitatory(2, bounds={"log_gain": (1.0, -1.0)}),
        V,
        ("bounds['log_gain']", "above"),
    ),
    (
        "bounds that are one number",
        lambda: excitatory(2, bounds={"log_gain": 1.0}),
        V,
        ("bounds['log_gain']", "pair of numbers"),
    ),
    (
        "bounds of a fast variable",
        lambda: nc.compile_circuit(nc.Circuit("c", [excitatory(2, bounds={"r": (0, 1)}, initial={}, steps={})], [])),
        V,
        ("bounds", "'r'", "Allowed: 'log_gain'"),
    ),
    (
        "initial value of nothing",
        lambda: nc.compile_circuit(nc.Circuit("c", [excitatory(2, initial={"x": 1.0})], [])),
        V,
        ("initial", "'x'", "'r', 'log_gain'"),
    ),
    ("initial value that is NaN", lambda: excitatory(2, initial={"r": np.nan}), V, ("initial['r']", "nan")),
    (
        "initial value out of bounds",
        lambda: run(nc.Circuit("c", [nc.Population("S", 6), excitatory(2, gain=1e-9)], [])),
        V,
        ("initial['log_gain']", "outside its bounds"),
    ),
    ("step that is none", lambda: excitatory(2, steps={"log_gain": 0.1}), V, ("steps['log_gain']", "0.1", "Cap")),
    (
        "reset without threshold",
        lambda: nc.Population("E", 1, LINEAR, reset="r = 0"),
        V,
        ("reset and refractory need a threshold",),
    ),
]
SYNAPSES: list[Case] = [
    ("unknown source", lambda: circuit(nc.Synapses("X", "E")), V, ("Synapses('X_to_E').pre", "no population 'X'", "'S', 'E', 'I'")),
    ("unknown target", lambda: circuit(nc.Synapses("S", "F")), V, ("Synapses('S_to_F').post", "no population 'F'")),
    ("into a source", lambda: circuit(nc.Synapses("E", "S")), V, ("'S' is a source without equations", "Give it equations")),
    ("the same name twice", lambda: circuit(nc.Synapses("S", "E"), nc.Synapses("S", "E")), V, ("'S_to_E' is used twice", "another name")),
    ("tied to nothing", lambda: circuit(nc.Synapses("I", "E", weights=nc.Tied("E_to_I"))), V, ("no synapses 'E_to_I'", "Known: 'I_to_E'")),
    ("tied to itself", lambda: circuit(nc.Synapses("I", "E", weights=nc.Tied("I_to_E"))), V, ("Synapses('I_to_E').weights", "shares its own array")),
    ("tie of another shape", lambda: circuit(nc.Synapses("S", "E"), nc.Synapses("I", "E", weights=nc.Tied("S_to_E"))), V, ("transpose of 'S_to_E'", "(6, 5)", "(5, 3)")),
    ("rule on a tied pathway", lambda: nc.Synapses("I", "E", weights=nc.Tied("E_to_I"), rule=nc.Hebbian(eta="1 Hz")), V, ("Synapses('I_to_E').rule", "tied to 'E_to_I'", "Give the rule to 'E_to_I'")),
    ("bounds on a tied pathway", lambda: nc.Synapses("I", "E", weights=nc.Tied("E_to_I"), bounds=(0, 1)), V, ("belong to the owner 'E_to_I'",)),
    ("connectivity on a tied pathway", lambda: nc.Synapses("I", "E", weights=nc.Tied("E_to_I"), connectivity=nc.Probability(0.1)), V, ("connectivity", "owner 'E_to_I'")),
    ("weights of another shape", lambda: run(circuit(nc.Synapses("S", "E", weights=np.ones((6, 5))))), V, ("Synapses('S_to_E').weights", "(6, 5)", "(post, pre) = (5, 6)")),
    ("negative weights", lambda: run(circuit(nc.Synapses("S", "E", weights=-np.ones((5, 6))))), V, ("30 of 30", "post 0, pre 0", "absolute value")),
    ("weights that are NaN", lambda: run(circuit(nc.Synapses("S", "E", weights=np.full((5, 6), np.nan)))), V, ("Synapses('S_to_E').weights", "not finite")),
    ("weights out of bounds", lambda: run(circuit(nc.Synapses("S", "E", weights=2.0, bounds=(0.0, 1.0)))), V, ("Synapses('S_to_E').weights", "2 at post 0", "outside the bounds [0, 1]")),
    ("weights as text", lambda: nc.Synapses("S", "E", weights="strong"), nc.UnitError, ("Synapses('S_to_E').weights", "'strong'", "'10 nS'")),
    ("low above high", lambda: nc.Uniform(1.0, 0.0), V, ("Uniform", "1.0", "0.0")),
    ("a rule that is text", lambda: nc.Synapses("S", "E", rule="r_post*r_pre"), V, ("Synapses('S_to_E').rule", "is not a Rule")),  # type: ignore[arg-type]
    ("a rule without text", lambda: nc.Rule(), V, ("give a drift",)),
    ("a rule that reads a label", lambda: run(circuit(nc.Synapses("S", "E", rule=nc.Rule("eta*(label - r_post)*r_pre", {"eta": "1 Hz"})))), V, ("Synapses('S_to_E').rule", "unknown name 'label'", "r_post", "labels are never available while learning")),
    ("a step that is none", lambda: nc.Rule("w", step=0.1), V, ("is not a step", "LargestChange")),  # type: ignore[arg-type]
    ("p above q", lambda: nc.AntiHebbian(eta="1 Hz", p=1.0, q=0.5), V, ("p = 1.0", "q = 0.5", "0 < p < q")),
    ("a size of zero", lambda: nc.LargestChange(0.0), V, ("LargestChange.size", "0.0")),
    ("probability above one", lambda: nc.Probability(1.5), V, ("1.5", "between 0 and 1")),
    ("more inputs than there are", lambda: run(circuit(nc.Synapses("S", "E", connectivity=nc.FixedInDegree(7)))), V, ("7 inputs", "6 presynaptic")),
    ("indices that do not exist", lambda: run(circuit(nc.Synapses("S", "E", connectivity=nc.Explicit([0], [6])))), V, ("Explicit.pre", "index 6", "6 units")),
    ("indices of two lengths", lambda: nc.Explicit([0, 1], [0]), V, ("2 post and 1 pre",)),
    ("one-to-one of other sizes", lambda: run(circuit(nc.Synapses("S", "E", connectivity=nc.OneToOne()))), V, ("OneToOne", "6 presynaptic and 5 postsynaptic")),
    ("unknown norm", lambda: nc.Normalise(per="row"), V, ("per='row'", "'target' or 'source'")),
    ("dale misspelt", lambda: circuit(dale="off"), V, ("'off'", "'enforced' or 'unconstrained'")),
    ("no populations", lambda: nc.Circuit("c", [], []), V, ("no populations",)),
]  # fmt: skip
STIMULI: list[Case] = [
    ("NaN in data", lambda: nc.Patterns(with_nan()), V, ("Patterns.values", "1 values are NaN or infinite", "(3, 2)")),
    ("infinity in data", lambda: nc.Patterns(with_nan(np.inf)), V, ("NaN or infinite",)),
    ("one row", lambda: nc.Patterns(U[0]), V, ("shape (6,)", "(n_presentations, n_units)")),
    ("no rows", lambda: nc.Patterns(U[:0]), V, ("shape (0, 6)",)),
    ("text as data", lambda: nc.Patterns(np.array([["a", "b"]])), V, ("dtype <U1 is not numeric",)),
    ("ragged rows", lambda: nc.Patterns([[1.0, 2.0], [3.0]]), V, ("Patterns.values", "not an array of numbers")),
    ("labels of another length", lambda: nc.Patterns(U, labels=[1, 2]), V, ("labels", "(2,)", "8 presentations")),
    ("no duration", lambda: nc.Patterns(U, duration=0.0), V, ("Patterns.duration", "0.0", "positive")),
    ("a duration in volts", lambda: nc.Patterns(U, duration="5 mV"), UNIT, ("Patterns.duration", "'5 mV' is not a time", "'100 ms'")),
    ("durations of another length", lambda: nc.Patterns(U, duration=[0.1, 0.2]), V, ("one positive duration, or one for each",)),
    ("durations in volts", lambda: nc.Patterns(U, duration=["5 mV"] * 8), UNIT, ("Patterns.duration", "'5 mV' is not a time")),
    ("a duration that never ends", lambda: nc.Patterns(U, duration=[0.1] * 7 + [np.inf]), V, ("one positive duration, or one for each",)),
    ("a scale that is NaN", lambda: nc.Patterns(U, scale=np.nan), V, ("scale", "nan")),
    ("take too many", lambda: STIMULUS.take(9), V, ("take(9)", "8 presentations")),
    ("a sum of two lengths", lambda: STIMULUS + STIMULUS.take(2), V, ("n_presentations differ, 8 and 2",)),
    ("a sequence of two widths", lambda: STIMULUS >> nc.Patterns(np.ones((2, 3))), V, ("n_units differ, 6 and 3",)),
    ("negative rates", lambda: run(None, nc.Phase("learn", {"S": nc.Patterns(U - 0.5)})), V, ("stimuli['S']", "negative", "Shift or split")),
]  # fmt: skip
PROTOCOLS: list[Case] = [
    ("a name as record", lambda: phase(record="r"), V, ("Phase('learn').record: 'r' is no Record", "Record('r')")),
    ("a number as interventions", lambda: phase(interventions=3), V, ("Phase('learn').interventions: 3", "Scale or Clamp")),
    ("a window of text", lambda: phase(timetable=["5 ms"]), V, ("Phase('learn').timetable: '5 ms' is a str", "of Window")),
    ("a protocol of circuits", lambda: nc.Protocol([circuit()]), V, ("Protocol.phases", "is a Circuit", "sequence of Phase")),
    ("half a unit clamped", lambda: nc.Clamp("E", units=0.5), V, ("Clamp('E').units: 0.5", "whole numbers from 0")),
    ("a negative unit scaled", lambda: nc.Scale("S_to_E", 2.0, pre=[-1]), V, ("Scale('S_to_E').pre: [-1]", "whole numbers from 0")),
    ("a record of a number", lambda: nc.Record(3), V, ("Record: 3 is a int", "sequence of str")),
    ("two durations", lambda: nc.run(nc.Circuit("two", [nc.Population("S", 6), nc.Population("T", 6), excitatory(5)], [nc.Synapses("S", "E"), nc.Synapses("T", "E")]), nc.Protocol([nc.Phase("p", {"S": nc.Patterns(U, duration="10 ms"), "T": nc.Patterns(U, duration="20 ms")})]), progress=False), V, ("Phase('p').stimuli: presentation 0 shows 'S' for 0.01 s, but 'T' for 0.02 s", "a timetable")),
    ("no phases", lambda: nc.Protocol([]), V, ("at least one",)),
    ("two phases of one name", lambda: nc.Protocol([phase(), phase()]), V, ("'learn', 'learn'", "different names")),
    ("a phase called initial", lambda: nc.Protocol([nc.Phase("initial", {"S": STIMULUS})]), V, ("none called 'initial'",)),
    ("no stimuli", lambda: nc.Phase("p", {}), V, ("Phase('p').stimuli", "mapping from source populations")),
    ("an array as stimulus", lambda: nc.Phase("p", {"S": U}), V, ("ndarray is not a Stimulus", "Patterns(array)")),  # type: ignore[dict-item]
    ("stimuli of two lengths", lambda: nc.Phase("p", {"S": STIMULUS, "T": STIMULUS.take(2)}), V, ("numbers of presentations differ", "'S': 8", "'T': 2")),
    ("no epochs", lambda: phase(epochs=0), V, ("epochs", "0", "positive whole number")),
    ("a negative rate", lambda: phase(plasticity={"S_to_E": -1.0}), V, ("plasticity['S_to_E']", "-1.0")),
    ("a rate that is text", lambda: phase(plasticity={"S_to_E": "fast"}), V, ("'fast'", "Linear, Steps, Inverse")),
    ("a function as schedule", lambda: phase(plasticity={"S_to_E": lambda t: t}), V, ("is no scale of a rate",)),
    ("stimulus for cells with equations", lambda: run(None, nc.Phase("p", {"S": STIMULUS, "E": nc.Patterns(np.ones((8, 5)))})), V, ("stimuli['E']", "'E' has equations", "Sources: 'S'")),
    ("stimulus for nobody", lambda: run(None, nc.Phase("p", {"X": STIMULUS})), V, ("Phase('p').stimuli", "no population 'X'", "'E', 'I', 'S'")),
    ("stimulus of another width", lambda: run(None, nc.Phase("p", {"S": nc.Patterns(np.ones((8, 5)))})), V, ("stimulus has 5 units", "population 'S' 6")),
    ("a source without stimulus", lambda: run(nc.Circuit("c", [nc.Population("S", 6), nc.Population("T", 6)], [])), V, ("source populations 'T' have no stimulus",)),
    ("plasticity of nothing", lambda: run(None, phase(plasticity={"S_E": 0})), V, ("no pathway or population 'S_E'", "'S_to_E'")),
    ("plasticity of a tie", lambda: run(None, phase(plasticity={"I_to_E": 0})), V, ("'I_to_E' shares the array of 'E_to_I'",)),
    ("a parameter that is not there", lambda: run(None, phase(parameters={"E.tua": "1 ms"})), V, ("parameters['E.tua']", "no such parameter", "E.tau")),
    ("a parameter in another unit", lambda: run(None, phase(parameters={"E.tau": "1 mV"})), UNIT, ("parameters['E.tau']", "second")),
    ("scaling of a tie", lambda: run(None, phase(interventions=[nc.Scale("I_to_E", 0.5)])), V, ("scale its owner 'E_to_I'",)),
    ("a lesion of weights that are never 0", lambda: run(circuit(nc.Synapses("S", "E", weights=0.5, bounds=(0.1, 1.0))), phase(interventions=[nc.Scale("S_to_E", 0.0)])), V, ("Phase('learn').interventions", "Scale('S_to_E', 0)", "[0.1, 1]", "widen Synapses('S_to_E').bounds")),
    ("a negative scale", lambda: nc.Scale("S_to_E", -1.0), V, ("Scale('S_to_E')", "-1.0", "signs never flip")),
    ("a negative clamp", lambda: nc.Clamp("E", -1.0), V, ("Clamp('E')", "-1.0")),
    ("a clamp of cells that are not there", lambda: run(None, phase(interventions=[nc.Clamp("E", 0.0, [5])])), V, ("units (5,)", "between 0 and 4")),
    ("a record of nothing", lambda: run(None, phase(record=nc.Record("rates"))), V, ("no variable 'rates'", "'r'")),
    ("a record of cells that are not there", lambda: run(None, phase(record=nc.Record("r", units=[5]))), V, ("unit 5 does not exist",)),
    ("a record of no population", lambda: run(None, phase(record=nc.Record("r", populations=["X"]))), V, ("Phase('learn').record", "no population 'X'")),
    ("every half presentation", lambda: nc.Record("r", every=0.5), V, ("Record.every", "0.5")),  # type: ignore[arg-type]
    ("a window of no time", lambda: nc.Window(0.0), V, ("Window.duration", "0.0")),
    ("a step that does not divide", lambda: nc.Window("10 ms", step="3 ms"), V, ("0.003", "does not divide", "0.01")),
]  # fmt: skip
RUNS: list[Case] = [
    ("watched never", lambda: run(watch=print, watch_every=0), V, ("watch_every 0 is not a positive",)),
    ("a negative seed", lambda: run(seed=-1), V, ("seed", "-1")),
    ("a seed that is a float", lambda: run(seed=1.5), V, ("seed", "1.5")),
    ("the class of an engine", lambda: run(engine=nc.SteadyState), V, ("engine", "Call it: SteadyState()")),
    ("a protocol as circuit", lambda: nc.run(nc.Protocol([phase()]), nc.Protocol([phase()])), V, ("circuit", "of type Protocol", "not of type Circuit")),  # type: ignore[arg-type]
    ("a phase as protocol", lambda: nc.run(learning_circuit(), phase()), V, ("protocol", "of type Phase", "not of type Protocol")),  # type: ignore[arg-type]
    ("no batch", lambda: nc.SteadyState(batch=0), V, ("SteadyState.batch", "0")),
    ("no tolerance", lambda: nc.SteadyState(tolerance=0.0), V, ("SteadyState.tolerance", "0.0")),
    ("unknown solver", lambda: nc.SteadyState(solver="newton"), V, ("'newton'", "'active-set'")),
    ("unknown precision", lambda: nc.SteadyState(dtype="float16"), V, ("'float16'", "'float64'")),
    ("durations that differ in a batch", lambda: run(None, nc.Phase("learn", {"S": nc.Patterns(U, duration=np.linspace(0.1, 0.2, 8))}), engine=nc.SteadyState(batch=4)), V, ("durations in a batch differ", "batch=1")),
    ("spiking cells at rest", lambda: run(nc.Circuit("spiking", [nc.Population("S", 6), nc.Population("N", 2, "dr/dt = (drive - r)/tau : 1", parameters=TAU, threshold="r > 1", reset="r = 0")], [nc.Synapses("S", "N")])), UNSUPPORTED, ("'steady-state' cannot run circuit 'spiking'", "population 'N' is spiking", "engines that can")),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "words"), [pytest.param(*case[1:], id=f"{group}: {case[0]}") for group, cases in (("population", POPULATIONS), ("synapses", SYNAPSES), ("stimulus", STIMULI), ("protocol", PROTOCOLS), ("run", RUNS)) for case in cases])  # fmt: skip
def test_bad_input_gets_a_clear_error(given: Callable[[], Any], error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        given()
    message = str(caught.value)
    assert type(caught.value) is error
    assert isinstance(caught.value, nc.NeurocircuitsError)
    for word in words:
        assert word in message
    assert len(message) < 600
    assert "<lambda>" not in message or "function" in message


FILES: list[tuple[str, Callable[[Path], Any], tuple[str, ...]]] = [
    ("a result that is not there", lambda path: nc.load(path / "none.zarr"), ("does not exist",)),
    ("a foreign folder", lambda path: nc.load(path), ("is not a stored result",)),
    ("an unwritable name", lambda path: run(store=path / "file" / "run.zarr"), ("file", "does not exist or cannot be written")),
    ("a checkpoint in a file", lambda path: run(checkpoint=path / "file"), ("cannot be written", "Name a folder")),
    ("a checkpoint that is not one", lambda path: nc.resume(path), ("is not a checkpoint folder", "checkpoint=")),
    ("a checkpoint that is not empty", lambda path: run(checkpoint=path), ("is not empty", "Resume it, remove it")),
]  # fmt: skip


def test_one_alone_is_a_sequence_of_one() -> None:
    window, clamp = nc.Window("5 ms"), nc.Clamp("E", units=2)
    alone = nc.Phase(
        "p", {"S": STIMULUS}, timetable=window, interventions=clamp, record=nc.Record("r", populations="E", units=1)
    )
    listed = nc.Phase("p", {"S": STIMULUS}, timetable=[window], interventions=[nc.Clamp("E", units=[2])], record=nc.Record("r", populations=["E"], units=[1]))  # fmt: skip
    assert alone == listed and nc.Protocol(alone) == nc.Protocol([listed])
    assert nc.Circuit("c", [nc.Population("S", 6), excitatory(5)], nc.Synapses("S", "E")).synapses[0].name == "S_to_E"


@pytest.mark.parametrize(("given", "words"), [pytest.param(*case[1:], id=case[0]) for case in FILES])
def test_bad_files_get_a_clear_error(tmp_path: Path, given: Callable[[Path], Any], words: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(nc.StorageError) as caught:
        given(tmp_path)
    assert isinstance(caught.value, OSError)
    for word in words:
        assert word in str(caught.value)
