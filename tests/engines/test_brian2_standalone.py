"""C++ standalone programs equal the runtime engine, and refuse what they cannot do with every reason at once."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from tests.engines.brian2_support import brian2_state, disynaptic, stimuli
from tests.engines.test_brian2_circuits import conductances

DT = 5e-4
EXACT = 1e-12

runtime = nc.Brian2(dt=DT, learning_step=4 * DT, tolerance=None)
standalone = nc.Brian2(dt=DT, learning_step=4 * DT, tolerance=None, device="cpp_standalone")


def busy_circuit() -> nc.Circuit:
    """Return a disynaptic circuit with a second source on fixed weights, sparse and capped plastic ones, and feedback."""
    cells = nc.Population(
        "E",
        12,
        equations="""
        dr/dt = (rectify(drive - a - theta)/gain - r)/tau : 1
        da/dt = (0.2*r - a)/tau_a : 1
        gain = exp(log_gain) : 1
        dlog_gain/dt = eta*(r**2/q**2 - 1 + theta) : 1 (slow)
        dtheta/dt = eta*(0.1*gain - theta) : 1 (slow)
        """,
        parameters={"tau": "5 ms", "tau_a": "20 ms", "eta": "3 Hz", "q": 1.0},
        bounds={"log_gain": (-3.0, 2.0)},
        steps={"log_gain": nc.Cap(0.02)},
    )
    inhibitory = nc.Population(
        "I", 4, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": "4 ms"}, sign="inhibitory"
    )
    return nc.Circuit(
        "busy",
        [nc.Population("S", 36), nc.Population("B", 6), cells, inhibitory],
        [
            nc.Synapses(
                "S",
                "E",
                weights=nc.Uniform(0.1, 0.6),
                rule=nc.Hebbian(eta="0.8 Hz", kappa=0.03, step=nc.Cap(0.01)),
                connectivity=nc.Probability(0.5),
                bounds=(0.0, 0.61),
            ),
            nc.Synapses("B", "E", weights=nc.Uniform(0, 0.3)),
            nc.Synapses("E", "I", weights=nc.Uniform(0, 0.2), rule=nc.AntiHebbian(eta="0.8 Hz", p=0.35)),
            nc.Synapses("I", "E", weights=nc.Tied("E_to_I")),
        ],
    )


def busy_protocol() -> nc.Protocol:
    """Return phases with all that a protocol can ask of a standalone program."""
    steps = np.array([40, 24, 60, 32] * 4)
    record = nc.Record("r", "a")
    inputs = {
        "S": nc.Patterns(stimuli(16), duration=steps * DT),
        "B": nc.Patterns(stimuli(16, 2, 6), duration=steps * DT),
    }
    windows = [nc.Window(7 * DT, plastic=False), nc.Window(32 * DT), nc.Window(5 * DT, plastic=False)]
    return nc.Protocol(
        [
            nc.Phase("learn", inputs, plasticity={"S_to_E": nc.Linear(1.0, 0.2), "E": 0.5}, record=record),
            nc.Phase(
                "changed",
                {name: nc.Patterns(each.values, duration=40 * DT).shuffled() for name, each in inputs.items()},
                parameters={"E.tau": "4 ms", "E.eta": "1 Hz", "S_to_E.eta": "2 Hz", "E_to_I.p": 0.3},
                interventions=[
                    nc.Scale("S_to_E", 0.5, post=[0, 1, 2]),
                    nc.Scale("B_to_E", 0.1, pre=[1]),
                    nc.Clamp("I", 0.3, units=[1, 2]),
                    nc.Clamp("I", 0.1, units=[0]),
                    nc.Clamp("E", 0.0, units=[5]),
                ],
                plasticity={"E_to_I": nc.Steps((1.0, 0.0), (0.0, 0.5))},
            ),
            nc.Phase("windows", inputs, timetable=windows, record=record),
            nc.Phase(
                "probe",
                inputs,
                plasticity=False,
                interventions=[nc.Clamp("I", 0.0)],
                record=record,
            ),
        ]
    )


def differences(a, b) -> dict[str, float]:
    """Return the largest difference of each variable of two trees."""
    return {
        f"{group}/{name}": float(np.abs(values.values - b[group].ds[name].values).max())
        for group in a.groups
        if group.startswith(("/populations", "/synapses", "/slow", "/stimuli"))
        for name, values in a[group].ds.data_vars.items()
    }


@pytest.fixture(scope="module")
def busy():
    """Trees of both devices, and the state of Brian 2 before and after the program was built."""
    import brian2 as b2

    b2.defaultclock.dt = 0.3 * b2.ms
    before = brian2_state()
    b = nc.run(busy_circuit(), busy_protocol(), standalone, seed=5)
    after = brian2_state()
    b2.defaultclock.dt = 0.1 * b2.ms
    return nc.run(busy_circuit(), busy_protocol(), runtime, seed=5), b, before, after


@pytest.mark.standalone
def test_standalone_equals_runtime(busy):
    """Rejects: learning at other times (a settle window shifts them), a parameter of a rule read from the population,
    caps from the wrong onset, a scale in the wrong phase or twice, clamps that learning does not see, slow variables
    that are stepped one after the other."""
    a, b, *_ = busy
    found = differences(a, b)
    assert len(found) > 15
    assert max(found.values()) < EXACT, found
    w = a["/synapses/S_to_E"].ds["w"].values
    assert all(np.abs(w[k + 1] - w[k]).max() > 0.005 for k in range(3)) and (w[4] == w[3]).all()
    fixed = b["/synapses/B_to_E"].ds["w"].values
    assert (fixed[1] == fixed[0]).all() and np.allclose(fixed[2][:, 1], 0.1 * fixed[0][:, 1], rtol=1e-12)


@pytest.mark.standalone
def test_standalone_leaves_brian2_as_it_was(busy):
    *_, before, after = busy
    assert after == before


@pytest.mark.standalone
def test_units_conductances_and_subexpressions_in_a_standalone_program():
    """Rejects: weights or sums without their unit, recorded sub-expressions of inputs that nobody fed."""
    U, h = stimuli(6), 1e-4
    phases = [
        nc.Phase("learn", {"S": nc.Patterns(U, duration=200 * h)}),
        nc.Phase(
            "probe",
            {"S": nc.Patterns(U, duration=200 * h)},
            plasticity=False,
            interventions=[nc.Clamp("I", 0.4, units=[0])],
            record=nc.Record("v", "r", "g_e", "I_i", "excitation", "inhibition"),
        ),
    ]
    a, b = (
        nc.run(conductances(), nc.Protocol(phases), nc.Brian2(dt=h, tolerance=None, device=device), seed=1)
        for device in ("runtime", "cpp_standalone")
    )
    for path, name in (
        *(("/populations/E", name) for name in ("v", "r", "g_e", "I_i", "excitation", "inhibition")),
        ("/populations/I", "r"),
        ("/synapses/S_to_E", "w"),
        ("/slow/E", "theta"),
    ):
        expected = a[path].ds[name].values
        np.testing.assert_allclose(
            b[path].ds[name].values, expected, rtol=1e-11, atol=1e-13 * np.abs(expected).max(), err_msg=name
        )
        assert np.abs(expected).max() > 0


@pytest.mark.standalone
def test_a_program_that_diverges_ends_with_its_complete_record():
    """Rejects: NaN in a result without a word, or an error without what was recorded."""
    U = stimuli(4)
    cells = nc.Population("E", 12, equations="dr/dt = (rectify(drive) - r)/tau : 1", parameters={"tau": "5 ms"})
    synapses = nc.Synapses("S", "E", weights=nc.Uniform(0, 1), rule=nc.Oja(eta="1 Hz"))
    circuit = nc.Circuit("feedforward", [nc.Population("S", 36), cells], [synapses])
    phases = [
        nc.Phase("fine", {"S": nc.Patterns(U, duration=40 * DT)}, plasticity=False, record=nc.Record("r")),
        nc.Phase(
            "wild",
            {"S": nc.Patterns(U, duration=400 * DT)},
            plasticity=False,
            parameters={"E.tau": "0.1 ms"},
            record=nc.Record("r"),
        ),
    ]
    with (
        pytest.warns(RuntimeWarning, match="beyond the limit"),
        pytest.raises(nc.DivergenceError, match="not finite") as caught,
    ):
        nc.run(circuit, nc.Protocol(phases), standalone, seed=5)
    E = caught.value.tree["/populations/E"].ds
    w = caught.value.tree["/synapses/S_to_E"].ds["w"].values  # plasticity is off, so what is added is 0 times NaN
    np.testing.assert_array_equal(w[1:], np.broadcast_to(w[0], w[1:].shape))
    assert len(E["r"]) == 8 and np.isfinite(E["r"].values[:4]).all() and not np.isfinite(E["r"].values[-1]).all()
    assert caught.value.tree.attrs["complete"] == 0


def test_everything_that_a_standalone_program_cannot_do_is_listed_at_once():
    rule = nc.Rule(
        "eta*best*r_pre", parameters={"eta": "1 Hz"}, terms={"best": "ranked(r_post, 1)"}, step=nc.LargestChange(0.1)
    )
    cells = nc.Population("E", 12, equations="dr/dt = (rectify(drive) - r)/tau : 1", parameters={"tau": "5 ms"})
    circuit = nc.Circuit(
        "impossible",
        [nc.Population("S", 36), nc.Population("M", 36, sign="inhibitory"), cells],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0, 1), rule=nc.Oja(eta="1 Hz")),
            nc.Synapses("M", "E", weights=nc.Paired("S_to_E")),
            nc.Synapses("S", "E", name="ranked", weights=nc.Uniform(0, 1), rule=rule, normalise=nc.Normalise()),
        ],
    )
    stimulus = nc.Patterns(stimuli(4), duration=40 * DT)
    inputs = {"S": stimulus, "M": stimulus}
    phases = [
        nc.Phase("hold", inputs, timetable=[nc.Window("20 ms"), nc.Window("20 ms", hold=True)]),
        nc.Phase("watch", inputs, plasticity=False, record=nc.Record("r", interval=2 * DT)),
        nc.Phase("derived", inputs, record=nc.Record("r", "drive", "excitation")),
    ]
    engine = nc.Brian2(dt=DT, device="cpp_standalone", batch=2)
    with pytest.raises(nc.UnsupportedError) as caught:
        nc.run(circuit, nc.Protocol(phases), engine)
    text = str(caught.value)
    for words in (
        "'brian2' cannot run circuit 'impossible'",
        "batch=1",
        "'S_to_E' are a pair",
        "'M_to_E' are a pair",
        "'ranked' are normalised",
        "'ranked': population terms (best)",
        "'ranked': LargestChange",
        "'hold' has windows",
        "'watch' records within presentations",
        "'derived' records drive, excitation while weights change",
        "use device='runtime'",
        "engines that can: 'steady-state'",
    ):
        assert words in text, words


def test_what_needs_a_live_simulation_is_refused_with_the_reason(tmp_path):
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(stimuli(2), duration=20 * DT)})])
    for asked in ({"checkpoint": tmp_path / "run"}, {"watch": lambda simulation, n: False}):
        with pytest.raises(nc.UnsupportedError, match=f"{next(iter(asked))} need.*built, run to its end.*runtime"):
            nc.run(disynaptic(), protocol, standalone, **asked)
    assert not (tmp_path / "run").exists()


def test_variables_that_phases_share_are_refused_where_weights_change():
    """Phases that record a population record the same variables, so what a later one asks for is asked of a learning one."""
    stimulus = {"S": nc.Patterns(stimuli(4), duration=40 * DT)}
    phases = [
        nc.Phase("learn", stimulus, record=nc.Record("r")),
        nc.Phase("probe", stimulus, plasticity=False, record=nc.Record("r", "excitation")),
    ]
    with pytest.raises(
        nc.UnsupportedError, match="share their variables(.|\n)*'learn' records excitation while weights change"
    ):
        nc.run(disynaptic(), nc.Protocol(phases), standalone)


def test_a_clamped_cell_whose_subexpressions_are_read_is_refused():
    cells = nc.Population(
        "E",
        12,
        equations="dr/dt = (rectify(drive) - r)/tau : 1\npower = r**2 : 1",
        parameters={"tau": "5 ms"},
    )
    rule = nc.Rule("eta*(power_post*r_pre - w)", parameters={"eta": "1 Hz"})
    circuit = nc.Circuit(
        "c", [nc.Population("S", 36), cells], [nc.Synapses("S", "E", weights=nc.Uniform(0, 1), rule=rule)]
    )
    phase = nc.Phase("learn", {"S": nc.Patterns(stimuli(2), duration=20 * DT)}, interventions=[nc.Clamp("E", 0.5)])
    with pytest.raises(nc.UnsupportedError, match="'E' is clamped.*power"):
        nc.run(circuit, nc.Protocol([phase]), standalone)


def test_patterns_that_do_not_fit_into_memory_are_refused_before_anything_is_built(monkeypatch):
    import neurocircuits.engines.brian2_schedule as schedule

    monkeypatch.setattr(schedule, "_MOST_BYTES", 1000)
    phase = nc.Phase("learn", {"S": nc.Patterns(stimuli(20), duration=20 * DT)})
    with pytest.raises(nc.UnsupportedError, match="distinct patterns.*device='runtime'"):
        nc.run(disynaptic(), nc.Protocol([phase]), standalone)
    monkeypatch.setattr(schedule, "_MOST_BYTES", 10_000)
    phase = nc.Phase("probe", {"S": nc.Patterns(stimuli(20), duration=20 * DT).sampled(200)}, record=nc.Record("r"))
    with pytest.raises(nc.UnsupportedError, match="record.*device='runtime'"):
        nc.run(disynaptic(), nc.Protocol([phase]), standalone)
