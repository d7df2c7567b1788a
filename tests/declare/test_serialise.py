"""Declarations as plain data: rebuilt equal from their dictionary, through JSON, with the same hash."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

import neurocircuits as nc
from neurocircuits.declare.serialise import FrozenArray, FrozenMap, content_hash, from_dict, to_dict, to_json
from neurocircuits.models import seung2018, seung_zung2017
from neurocircuits.protocols import features
from neurocircuits.units import quantity
from tests.references.circuits import learning_circuit

STIMULUS = nc.Patterns(np.arange(12.0).reshape(4, 3), labels=["a", "b", "c", "d"], duration=[0.1, 0.2, 0.3, 0.4])
DECLARATIONS = [
    nc.Population("S", 3),
    learning_circuit().population("E"),
    nc.Population(
        "N",
        2,
        "dv/dt = (v_rest - v + drive*mV)/tau : volt (unless refractory)",
        parameters={"v_rest": "-70 mV", "tau": "20 ms"},
        threshold="v > -50*mV",
        reset="v = -60*mV",
        refractory="5 ms",
    ),
    nc.Synapses("S", "E", weights=nc.Lognormal(0.1, 0.5), connectivity=nc.FixedInDegree(2), bounds=(0, float("inf"))),
    nc.Synapses("S", "E", weights=[[0.1, 0.2]], connectivity=nc.Explicit([0, 0], [1, 0]), normalise=nc.Normalise()),
    nc.Synapses("S", "E", weights=nc.Tied("E_to_S"), delay="1 ms"),
    nc.Synapses("S", "E", weights=nc.Paired("other", nc.Normal(0.1, 0.01, absolute=True)), unit="1 siemens"),
    nc.Rule(
        "eta*gate*r_pre", {"eta": "1 Hz"}, terms={"gate": "winner(r_post)"}, step=nc.LargestChange(nc.Linear(0.1, 0.0))
    ),
    nc.Hebbian(eta="0.1 Hz", kappa=0.01, step=nc.Cap(0.1)),
    nc.Oja(eta="0.1 Hz", step=nc.PerUnit("n")),
    learning_circuit(),
    seung2018.bars(),
    seung_zung2017.circuit(),
    nc.Circuit("f", [nc.Population("S", 1)], [], [nc.Function("f", ("x", "y"), "x*y")], dale="unconstrained"),
    STIMULUS,
    nc.Patterns(np.eye(3, dtype=np.uint8), duration="1 s", scale=2.0),
    (STIMULUS.shuffled().take(3) + STIMULUS.sampled(3)) >> STIMULUS,
    nc.Phase(
        "learn",
        {"S": STIMULUS},
        epochs=2,
        plasticity={"S_to_E": nc.Steps((1.0, 0.5), (0.0, 0.5)), "E": nc.Inverse(1.0, 2.0), "E_to_I": False},
        parameters={"E.tau": "7 ms"},
        interventions=[nc.Scale("S_to_E", 0.5, post=[1, 2]), nc.Clamp("E", 0.1, units=[0])],
        timetable=[nc.Window("50 ms", plastic=False), nc.Window("10 ms", hold=True, step="1 ms")],
        record=nc.Record("r", "drive", populations=["E"], every=2, units=[0, 3], interval="1 ms", weights_every=10),
    ),
    features.protocol(np.ones((5, 3)), n_learn=12),
    nc.SteadyState(batch=7, substeps=2, tolerance=1e-8, solver="active-set", dtype="float32"),
    nc.Brian2(dt="0.5 ms", learning_step="1 ms"),
]


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda d: type(d).__name__)
def test_a_declaration_is_rebuilt_from_its_dictionary(declaration: Any) -> None:
    """Through JSON text, twice. Rejects a field that is lost, a tuple that comes back as a list, an infinity as a text."""
    text = json.dumps(to_dict(declaration))
    again = from_dict(json.loads(text))
    assert again == declaration
    assert type(again) is type(declaration)
    assert hash(again) == hash(declaration)
    assert content_hash(again) == content_hash(declaration)
    assert to_json(again) == to_json(declaration)


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda d: type(d).__name__)
def test_a_declaration_is_frozen_and_printable(declaration: Any) -> None:
    assert type(declaration).__name__ in repr(declaration)
    field = dataclasses.fields(declaration)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(declaration, field, None)


def test_hashes_tell_declarations_apart() -> None:
    """Every field counts; how a quantity was written, and the order of a mapping, do not."""
    variants = [
        seung2018.bars(),
        seung2018.bars(p=0.3),
        seung2018.bars(tau="6 ms"),
        seung2018.bars(n_excitatory=17),
        seung2018.bars(gain="additive"),
        learning_circuit(kappa=0.02),
        learning_circuit(kappa=0.021),
        *DECLARATIONS,
    ]
    distinct = {to_json(v) for v in variants}
    assert len({content_hash(v) for v in variants}) == len(distinct)
    assert content_hash(seung2018.bars(tau="5 ms")) == content_hash(seung2018.bars(tau="0.005 second"))
    one = nc.Population("E", 1, "dr/dt = (a*b*drive - r)/tau : 1", parameters={"tau": "5 ms", "a": 1, "b": 2})
    two = nc.Population("E", 1, "dr/dt = (a*b*drive - r)/tau : 1", parameters={"b": 2.0, "a": 1.0, "tau": "5 ms"})
    assert one == two
    assert hash(one) == hash(two)
    assert content_hash(one) == content_hash(two)


def test_whole_numbers_hash_as_the_floats_that_they_equal() -> None:
    """Equal declarations have equal hashes, however a number was written."""
    assert nc.Uniform(0, 1) == nc.Uniform(0.0, 1.0)
    assert content_hash(nc.Uniform(0, 1)) == content_hash(nc.Uniform(0.0, 1.0))


@settings(max_examples=60)
@given(
    st.floats(allow_nan=False),
    st.sampled_from(["second", "volt", "siemens", "metre**-2*amp", "second**-1", "volt**0.5"]),
)
def test_quantities_survive_to_the_bit(value: float, unit: str) -> None:
    """Whatever the number. Rejects a text that rounds, and infinities that cannot be read again."""
    for written in (quantity(value), quantity("1*" + unit)):
        scaled = type(written)(value, written.dimension)
        again = quantity(json.loads(json.dumps(to_dict(scaled))) if np.isfinite(value) else scaled)
        assert again.dimension == scaled.dimension
        assert again.value == scaled.value


@settings(max_examples=40)
@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]),
        arrays.array_shapes(max_dims=3, max_side=5),
    )
)
def test_arrays_survive_to_the_bit(values: np.ndarray) -> None:
    """Every dtype and shape, infinities too; equal content is equal, other content is not."""
    values = np.where(np.isnan(values), np.zeros_like(values), values)
    frozen = FrozenArray(values)
    again = from_dict(json.loads(json.dumps(to_dict(frozen))))
    assert again == frozen
    assert again.values.dtype == values.dtype
    assert again.values.tobytes() == np.ascontiguousarray(values).tobytes()
    assert FrozenArray(np.append(values.ravel(), values.ravel()[:1])) != frozen


def test_arrays_are_read_only_and_leave_the_users_alone() -> None:
    mine = np.ones((2, 3))
    stimulus = nc.Patterns(mine)
    with pytest.raises(ValueError, match="read-only"):
        stimulus.values.values[0, 0] = 2.0
    mine[0, 0] = 2.0  # still the user's


def test_large_arrays_are_named_by_their_hash() -> None:
    """The text stays small; the arrays come along where they are asked for, dense and sparse."""
    for values in (np.random.default_rng(0).random((100, 50)), csr_array(np.eye(70))):
        stimulus = nc.Patterns(values)
        kept: dict[str, Any] = {}
        data = json.loads(json.dumps(to_dict(stimulus, kept)))
        assert len(json.dumps(data)) < 1000
        assert from_dict(data, kept) == stimulus
        with pytest.raises(nc.ValidationError, match="known by its hash only.*declare the stimulus or weights again"):
            from_dict(data)


def test_bad_data_are_refused() -> None:
    with pytest.raises(nc.ValidationError, match="Type 'Nonsense' is not a declaration. Known:"):
        from_dict({"type": "Nonsense"})
    with pytest.raises(nc.ValidationError, match="no plain form"):
        to_dict({"a": object()})
    with pytest.raises(nc.ValidationError, match="reserved"):
        nc.Population("E", 1, "dr/dt = (type*drive - r)/tau : 1", parameters={"type": 1.0})


def test_a_mapping_may_hold_any_population() -> None:
    """Rejects a dictionary form in which a population called 'type' is taken for a type."""
    phase = nc.Phase("p", {"type": STIMULUS}, plasticity={"type": False})
    assert from_dict(json.loads(json.dumps(to_dict(phase)))) == phase


def test_a_frozen_map_is_a_mapping() -> None:
    mapping = FrozenMap({"a": 1, "b": 2})
    assert mapping == {"b": 2, "a": 1}
    assert hash(mapping) == hash(FrozenMap({"b": 2, "a": 1}))
    assert list(mapping) == ["a", "b"]
    with pytest.raises(TypeError):
        mapping["a"] = 2  # type: ignore[index]


def test_a_run_is_identified_by_its_declarations() -> None:
    """Equal circuit, protocol, engine and seed: equal hash in the result, recomputable from what the result carries."""
    from neurocircuits.results.provenance import content_hash as run_hash
    from tests.references.circuits import run

    phase = nc.Phase("probe", {"S": nc.Patterns(np.ones((2, 6)))}, plasticity=False)
    tree = run(learning_circuit(), phase, seed=4)
    assert from_dict(json.loads(tree.attrs["circuit"])) == learning_circuit()
    assert from_dict(json.loads(tree.attrs["protocol"])) == nc.Protocol([phase])
    assert from_dict(json.loads(tree.attrs["engine"])) == nc.SteadyState()
    parts = [tree.attrs[name] for name in ("circuit", "protocol", "engine")]
    assert tree.attrs["content_hash"] == run_hash(*parts, 4)
    assert tree.attrs["content_hash"] != run(learning_circuit(), phase, seed=5).attrs["content_hash"]
