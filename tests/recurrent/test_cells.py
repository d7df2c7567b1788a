"""Cells against a derivation number by number, torch's own layers, differences, closed forms and published counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc

torch = pytest.importorskip("torch")

from neurocircuits.recurrent import (  # noqa: E402
    GRU,
    LSTM,
    RNN,
    FixSubLSTM,
    SubLSTM,
    compiled,
)
from neurocircuits.recurrent import kernel as loops  # noqa: E402
from neurocircuits.recurrent.cells import n_parameters  # noqa: E402

CELLS = (RNN, GRU, LSTM, SubLSTM, FixSubLSTM)
WITH_MEMORY = (LSTM, SubLSTM, FixSubLSTM)


@pytest.fixture(params=["compiled", "operations"], autouse=True)
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test is for both time loops: compiled code, and torch's operations."""
    if request.param == "operations":
        monkeypatch.setattr(compiled, "library", lambda: None)
    elif compiled.library() is None:
        pytest.skip("needs the C++ compiler g++ (Debian or Ubuntu: apt-get install g++)")
    return str(request.param)


def sigma(a: float) -> float:
    return 1.0 / (1.0 + math.exp(-a))


def unit_by_unit(layer: Any, x: np.ndarray) -> np.ndarray:
    """Return outputs (time, H) of the first layer for one sequence, from the equations, with numbers only."""
    values = {name: value.detach().numpy().tolist() for name, value in layer.layer_parameters(0).items()}
    n, gates = layer.hidden_size, layer.gates
    h, c, outputs = [0.0] * n, [0.0] * n, []
    for row in x.tolist():
        into, within = {}, {}
        for k, gate in enumerate(gates):
            lines = range(k * n, (k + 1) * n)
            into[gate] = [
                sum(w * v for w, v in zip(values["weight_ih"][j], row, strict=True)) + values["bias"][j] for j in lines
            ]
            within[gate] = [sum(w * v for w, v in zip(values["weight_hh"][j], h, strict=True)) for j in lines]
        new_h, new_c = [], []
        for u in range(n):
            a = {gate: into[gate][u] + within[gate][u] for gate in gates}
            if isinstance(layer, RNN):
                new_h.append(math.tanh(a["h"]))
            elif isinstance(layer, GRU):
                candidate = math.tanh(into["n"][u] + sigma(a["r"]) * within["n"][u])
                new_h.append((1 - sigma(a["u"])) * candidate + sigma(a["u"]) * h[u])
            elif isinstance(layer, LSTM):
                new_c.append(sigma(a["f"]) * c[u] + sigma(a["i"]) * math.tanh(a["z"]))
                new_h.append(sigma(a["o"]) * math.tanh(new_c[u]))
            else:
                kept = sigma(values["leak"][u]) if isinstance(layer, FixSubLSTM) else sigma(a["f"])
                new_c.append(kept * c[u] + sigma(a["z"]) - sigma(a["i"]))
                new_h.append(sigma(new_c[u]) - sigma(a["o"]))
        h, c = new_h, new_c
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_computes_its_equations(cell: Any) -> None:
    torch.manual_seed(1)
    layer = cell(3, 4, dtype=torch.float64)
    x = torch.randn(9, 3, dtype=torch.float64)
    assert np.abs(layer(x)[0].detach().numpy() - unit_by_unit(layer, x.numpy())).max() < 1e-14


@pytest.mark.parametrize(("cell", "update_dropout"), [(c, 0.0) for c in CELLS] + [(c, 0.5) for c in WITH_MEMORY])
def test_gradients_are_those_of_differences(cell: Any, update_dropout: float) -> None:
    """Rejects a backward pass without what reaches a step through the recurrent weights, as the paper prints it."""
    torch.manual_seed(2)
    layer = cell(2, 3, 2, dtype=torch.float64, **({"update_dropout": update_dropout} if update_dropout else {}))
    sequences = [torch.randn(length, 2, dtype=torch.float64) for length in (4, 6, 2)]
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    state = [torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(1 + layer.has_memory)]
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def outputs(x: Any, *rest: Any) -> Any:
        torch.manual_seed(3)  # the same updates are dropped
        hx = tuple(rest[: len(state)]) if layer.has_memory else rest[0]
        values = dict(zip(names, rest[len(state) :], strict=True))
        found, end = torch.func.functional_call(layer, values, (packed._replace(data=x), hx))
        return (found.data, *end) if layer.has_memory else (found.data, end)

    x = packed.data.clone().requires_grad_()
    assert torch.autograd.gradcheck(outputs, (x, *state, *parameters), eps=1e-6, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-6)])
@pytest.mark.parametrize(("cell", "of_torch"), [(LSTM, torch.nn.LSTM), (GRU, torch.nn.GRU), (RNN, torch.nn.RNN)])
def test_layers_equal_those_of_torch(cell: Any, of_torch: Any, dtype: str, tolerance: float) -> None:
    torch.manual_seed(4)
    ours, theirs = (each(5, 7, 2, batch_first=True, dtype=getattr(torch, dtype)) for each in (cell, of_torch))
    for k in range(2):
        for name in ("weight_ih", "weight_hh"):
            getattr(theirs, f"{name}_l{k}").data.copy_(getattr(ours, f"{name}_l{k}"))
        getattr(theirs, f"bias_ih_l{k}").data.copy_(getattr(ours, f"bias_l{k}"))
        getattr(theirs, f"bias_hh_l{k}").data.zero_()
    x = torch.randn(3, 11, 5, dtype=getattr(torch, dtype))
    for (found, end), (expected, last) in [(ours(x), theirs(x))]:
        assert (found - expected).abs().max() < tolerance
        for a, b in zip(end, last, strict=True):
            assert (a - b).abs().max() < tolerance


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_loop_runs_an_lstm_as_torch_does(dtype: str) -> None:
    """Rejects a loop that is right for subtraction only; products in oneDNN's order are in here with float32."""
    torch.manual_seed(5)
    kind = getattr(torch, dtype)
    layer, x = LSTM(6, 8, dtype=kind), torch.randn(12, 4, 6, dtype=kind, requires_grad=True)
    state = tuple(torch.randn(4, 8, dtype=kind) for _ in "hc")
    values = layer.layer_parameters(0)
    weights = (values["weight_ih"], values["weight_hh"], values["bias"])
    found, (h, c) = loops.run(x.reshape(48, 6), state, weights, [4] * 12, subtracts=False)
    expected, (h_torch, c_torch) = layer._run_by_torch(x.reshape(48, 6), state, values, [4] * 12)
    tolerance = 1e-13 if dtype == "float64" else 2e-6
    for a, b in ((found, expected), (h, h_torch), (c, c_torch)):
        assert (a - b).abs().max() < tolerance
    ours, theirs = (torch.autograd.grad((each**2).sum(), [x, *weights]) for each in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 10 * tolerance * b.abs().max()


@pytest.mark.parametrize("cell", CELLS)
def test_packed_sequences_are_single_sequences(cell: Any) -> None:
    """Rejects states that go on past the end of their sequence, or that come back in another order."""
    torch.manual_seed(6)
    layer = cell(3, 5, 2, dtype=torch.float64)
    sequences = [torch.randn(length, 3, dtype=torch.float64) for length in (4, 7, 2, 7)]
    packed, end = layer(torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False))
    padded, lengths = torch.nn.utils.rnn.pad_packed_sequence(packed)
    assert lengths.tolist() == [4, 7, 2, 7]
    for k, sequence in enumerate(sequences):
        alone, last = layer(sequence)
        assert (alone - padded[: len(sequence), k]).abs().max() < 1e-15
        for a, b in zip(last if layer.has_memory else [last], end if layer.has_memory else [end], strict=True):
            assert (a - b[:, k]).abs().max() < 1e-15


@pytest.mark.parametrize("cell", CELLS)
def test_states_go_on_and_batches_may_come_first(cell: Any) -> None:
    torch.manual_seed(7)
    layer = cell(3, 5, 2, dtype=torch.float64)
    first = cell(3, 5, 2, batch_first=True, dtype=torch.float64)
    first.load_state_dict(layer.state_dict())
    x = torch.randn(10, 4, 3, dtype=torch.float64)
    whole, _ = layer(x)
    before, state = layer(x[:6])
    after, _ = layer(x[6:], state)
    assert (torch.cat([before, after]) - whole).abs().max() < 1e-15
    assert (first(x.transpose(0, 1))[0].transpose(0, 1) - whole).abs().max() < 1e-15


@pytest.mark.parametrize("subtracts", [False, True])
def test_a_dropped_update_leaves_the_memory_as_it_was(subtracts: bool) -> None:
    """Rejects dropout of z alone, where i would still be taken away."""
    torch.manual_seed(13)
    h, c = torch.randn(2, 3, 4)
    f = torch.rand(4)
    weights = (torch.randn(12, 2), torch.randn(12, 4), torch.randn(12))
    mask = torch.ones(15, 4)
    mask[6:9] = 0  # the third of five steps
    x = torch.randn(15, 2)
    runs = {
        n: loops.run(x[: 3 * n], (h, c), weights, [3] * n, subtracts=subtracts, leak=f, mask=mask[: 3 * n])[1][1]
        for n in (2, 3, 4)
    }
    assert torch.allclose(runs[3], f * runs[2], atol=1e-7)
    assert not torch.allclose(runs[4], f * runs[3], atol=1e-2)


def test_numbers_of_parameters_are_the_published_ones() -> None:
    """Rejects a second bias for each gate, and leaks that are counted as gates."""
    d, h = 7, 5
    for cell, n_gates, further in ((RNN, 1, 0), (GRU, 3, 0), (LSTM, 4, 0), (SubLSTM, 4, 0), (FixSubLSTM, 3, h)):
        assert n_parameters(cell(d, h)) == n_gates * (h * h + h * d + h) + further
    assert n_parameters(SubLSTM(100, 100, 2)) == 160_800
    assert n_parameters(FixSubLSTM(115, 115, 2)) == 159_620
    assert n_parameters(LSTM(650, 650, 2)) == 6_765_200
    assert n_parameters(FixSubLSTM(750, 750, 2)) == 6_756_000
    assert [n_parameters(cell(1, n)) for cell, n in ((SubLSTM, 100), (FixSubLSTM, 100), (FixSubLSTM, 115))] == [
        40_800, 30_700, 40_480,
    ]  # fmt: skip


def set_gates(layer: Any, **biases: float) -> None:
    """Let gates be constants: no weights, and these arguments of sigma or tanh."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        for gate, value in biases.items():
            layer.bias_l0.view(len(layer.gates), -1)[layer.gates.index(gate)] = value


def test_zero_parameters_leave_everything_at_zero() -> None:
    for cell in CELLS:
        layer = cell(2, 3, dtype=torch.float64)
        set_gates(layer)
        output, end = layer(torch.randn(5, 2, 2, dtype=torch.float64))
        assert (output == 0).all()
        assert all((part == 0).all() for part in (end if layer.has_memory else [end]))


def test_closed_gates_close() -> None:
    """Rejects a subtraction in the wrong place: z - i = 0 leaves the memory to decay, and o = sigma(c) silences."""
    x, c = torch.randn(6, 2, 3, dtype=torch.float64), torch.full((1, 2, 4), 0.7, dtype=torch.float64)
    for cell, biases in ((LSTM, {"f": 1.3, "z": 0.4, "i": -800.0}), (SubLSTM, {"f": 1.3, "z": 0.4, "i": 0.4})):
        layer = cell(3, 4, dtype=torch.float64)
        set_gates(layer, **biases)
        _, (_, end) = layer(x, (torch.zeros_like(c), c))
        assert (end - 0.7 * sigma(1.3) ** 6).abs().max() < 1e-15
    layer = SubLSTM(3, 4, dtype=torch.float64)
    set_gates(layer, f=800.0, z=0.2, i=0.2, o=0.7)
    output, _ = layer(x, (torch.zeros_like(c), c))
    assert output.abs().max() < 1e-15


def test_a_constant_input_charges_the_memory_geometrically() -> None:
    layer = FixSubLSTM(1, 1, dtype=torch.float64)
    set_gates(layer, z=1.0, i=-1.0)
    with torch.no_grad():
        layer.leak_l0.fill_(math.log(0.8 / 0.2))
    rest = (sigma(1.0) - sigma(-1.0)) / (1 - 0.8)
    for n in (1, 5, 40):
        _, (_, c) = layer(torch.zeros(n, 1, dtype=torch.float64))
        assert c.item() == pytest.approx(rest * (1 - 0.8**n), rel=1e-13)
    assert layer.leaks.item() == pytest.approx(0.8)


@pytest.mark.parametrize(("a", "published"), [(1.0, 2e-3), (0.2, 4e-6), (0.05, 2e-8)])
def test_one_unit_can_add(a: float, published: float) -> None:
    """One unit with a memory that keeps all, and gates that marks open, adds two marked values of fifty."""
    layer = FixSubLSTM(2, 1, dtype=torch.float64)
    b = 20.0
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.copy_(torch.tensor([[0.0, b], [a, b], [0.0, 0.0]]))  # i, z, o by value and mark
        layer.bias_l0.copy_(torch.tensor([-b, -b, 0.0]))
        layer.leak_l0.fill_(math.inf)
    generator = np.random.default_rng(8)
    values = generator.uniform(-1, 1, (50, 4000))
    marks = np.zeros_like(values)
    for k in range(4000):
        marks[generator.choice(50, 2, replace=False), k] = 1.0
    # a marked step: z - i = sigma(a x) - sigma(0); the others: what 20 below zero leaves
    output, _ = layer(torch.from_numpy(np.stack([values, marks], axis=2)))
    found = 16 * output[-1, :, 0].detach().numpy() / a
    assert np.mean((found - (values * marks).sum(0)) ** 2) == pytest.approx(published, rel=0.35)


def test_first_weights_are_glorots_and_forgetting_begins_at_one() -> None:
    torch.manual_seed(9)
    for cell in (LSTM, SubLSTM):
        layer = cell(30, 50)
        for name, n_inputs in (("weight_ih_l0", 30), ("weight_hh_l0", 50)):
            bound = math.sqrt(6 / (n_inputs + 50))
            largest = [block.abs().max().item() for block in getattr(layer, name).split(50)]
            assert all(0.95 * bound < each <= bound for each in largest)
        biases = layer.bias_l0.view(4, 50)
        assert (biases[1] == 1).all()
        assert (biases[[0, 2, 3]] == 0).all()
    leaks = FixSubLSTM(3, 1000).leaks
    assert 0.9 <= leaks.min() < 0.905
    assert 0.985 < leaks.max() <= 0.99


def test_with_a_horizon_time_constants_are_uniform_up_to_it() -> None:
    """Rejects a logarithm of the wrong quantity: time constants 1 / (1 - f) are uniform in [2, 100]."""
    torch.manual_seed(12)
    for cell in WITH_MEMORY:
        layer = cell(3, 4000, horizon=100)
        bias = dict(zip(layer.gates, layer.bias_l0.detach().view(-1, 4000), strict=True))
        kept = bias["f"] if "f" in bias else layer.leak_l0.detach()
        constants = 1 / (1 - torch.sigmoid(kept.double()))
        quantiles = torch.quantile(constants, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64))
        assert torch.allclose(quantiles, torch.tensor([2.0, 26.5, 51.0, 75.5, 100.0], dtype=torch.float64), atol=3)
        assert torch.equal(bias["i"], -kept)
        assert torch.equal(bias["z"], torch.zeros(4000) if cell is LSTM else -kept)
        assert (bias["o"] == 0).all()


def test_dropout_is_for_training_only() -> None:
    for cell in WITH_MEMORY:
        torch.manual_seed(10)
        layer = cell(3, 6, 2, dropout=0.5, update_dropout=0.5)
        x = torch.randn(5, 2, 3)
        assert not torch.equal(layer(x)[0], layer(x)[0])
        layer.eval()
        plain = cell(3, 6, 2)
        plain.load_state_dict(layer.state_dict())
        assert torch.allclose(layer(x)[0], plain(x)[0], atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_layers_can_be_compiled(cell: Any) -> None:
    torch.manual_seed(11)
    layer, x = cell(3, 5), torch.randn(6, 2, 3)
    assert torch.allclose(torch.compile(layer)(x)[0], layer(x)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"hidden_size": 0}, "hidden_size 0 is not a positive whole number"),
        ({"num_layers": 1.5}, "num_layers 1.5"),
        ({"dropout": 1.0}, "dropout 1.0 is not a share"),
        ({"update_dropout": -0.1}, "update_dropout -0.1 is not a share"),
        ({"horizon": 2}, "horizon 2 is not a number of time steps above 2"),
    ],
)
def test_sizes_and_shares_are_checked(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(nc.ValidationError, match=words):
        SubLSTM(**({"input_size": 2, "hidden_size": 3} | arguments))


def test_shapes_that_do_not_fit_say_what_is_allowed() -> None:
    layer = SubLSTM(2, 3)
    for x, words in (
        (torch.zeros(4, 5, 3), r"shape \(4, 5, 3\). Allowed are \(time, batch, 2\)"),
        (torch.zeros(2), r"Allowed are"),
        (torch.zeros(0, 5, 2), "at least one time step"),
    ):
        with pytest.raises(nc.ValidationError, match=words):
            layer(x)
    for hx in ((torch.zeros(1, 5, 4),) * 2, (torch.zeros(1, 5, 3),), (1.0, None)):
        with pytest.raises(nc.ValidationError, match=r"a pair \(h, c\), each a tensor of shape \(1, 5, 3\)"):
            layer(torch.zeros(4, 5, 2), hx)
    with pytest.raises(nc.ValidationError, match=r"shapes \['tuple'\]\. Allowed is h, a tensor of shape"):
        GRU(2, 3)(torch.zeros(4, 5, 2), (torch.zeros(1, 5, 3),))
    with pytest.raises(nc.ValidationError, match="packed input has 4 values in each time step. Give 2"):
        layer(torch.nn.utils.rnn.pack_sequence([torch.zeros(3, 4)]))


def test_sizes_of_numpy_are_sizes() -> None:
    layer = LSTM(np.int64(2), 3.0, num_layers=np.int32(2))
    assert (layer.input_size, layer.hidden_size, layer.num_layers) == (2, 3, 2)
    assert layer(torch.zeros(4, 5, 2))[0].shape == (4, 5, 3)


@pytest.mark.parametrize("n_inputs", [1, 3])
@pytest.mark.parametrize("cell", [SubLSTM, FixSubLSTM])
def test_autocast_changes_nothing_in_the_loop(cell: Any, n_inputs: int) -> None:
    """Rejects products of another dtype than the states'."""
    layer, x = cell(n_inputs, 4), torch.randn(5, 2, n_inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = layer(x)
    torch.testing.assert_close(found, layer(x)[0])


@pytest.mark.parametrize("cell", [RNN, GRU])
def test_torch_s_kernel_is_told_when_gradients_are_wanted(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a flag that is never set: on a GPU cuDNN keeps nothing for the backward pass then, and refuses it."""
    told, kernel = [], getattr(torch._VF, cell.of_torch)
    monkeypatch.setattr(torch._VF, cell.of_torch, lambda *given: (told.append(given[7]), kernel(*given))[1])
    layer, x = cell(2, 3).eval(), torch.zeros(4, 5, 2)
    layer(x)
    with torch.no_grad():
        layer(x)
    assert told == [True, False]


def test_a_missing_torch_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("neurocircuits.recurrent")]:
        monkeypatch.delitem(sys.modules, name)
    import neurocircuits.recurrent as recurrent

    with pytest.raises(nc.UnsupportedError, match=r"SubLSTM needs torch.*pip install 'neurocircuits\[torch\]'"):
        recurrent.SubLSTM  # noqa: B018
