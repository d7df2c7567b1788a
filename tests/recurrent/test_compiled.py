"""The compiled time loop against torch's operations, its functions against their definitions, and its building."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import neurocircuits as nc

torch = pytest.importorskip("torch", reason="needs torch: pip install 'neurocircuits[torch]'")

from neurocircuits.recurrent import LSTM, SubLSTM, compiled, kernel  # noqa: E402

if compiled.library() is None:
    pytest.skip("needs the C++ compiler g++ (Debian or Ubuntu: apt-get install g++)", allow_module_level=True)

TOLERANCES = {torch.float64: 1e-14, torch.float32: 3e-6}


@pytest.mark.parametrize("dtype", list(TOLERANCES), ids=str)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("subtracts", [False, True])
@pytest.mark.parametrize("leaks", [False, True])
def test_all_kinds_and_shapes_equal_the_loop_of_operations(
    subtracts: bool, leaks: bool, masked: bool, dtype: Any
) -> None:
    """Shapes are those at which a vector, a panel or a block of rows is whole, and where it is not."""
    torch.manual_seed(1)
    n_gates = 3 if leaks else 4
    for n_inputs, n, sizes in (
        (1, 100, [20] * 7),
        (3, 7, [5] * 6),
        (10, 16, [1] * 3),
        (5, 130, [23, 23, 20, 9, 8, 1, 1]),
        (2, 48, [17]),
        (4, 1, [3, 2, 1]),
    ):
        rows, batch = sum(sizes), sizes[0]
        normal = {
            "x": (rows, n_inputs),
            "h": (batch, n),
            "c": (batch, n),
            "weight_ih": (n_gates * n, n_inputs),
            "weight_hh": (n_gates * n, n),
            "bias": (n_gates * n,),
        }
        drawn = {name: torch.randn(*shape, dtype=dtype) for name, shape in normal.items()}
        drawn["weight_hh"] /= n**0.5  # larger ones are chaotic, and rounding grows
        given = [each.requires_grad_() for each in drawn.values()]
        leak = torch.rand(n, dtype=dtype, requires_grad=True) if leaks else None
        mask = torch.nn.functional.dropout(torch.ones(rows, n, dtype=dtype), 0.3) if masked else None
        above = [torch.randn(k, n, dtype=dtype) for k in (rows, batch, batch)]
        found, expected = (
            [*outputs, *torch.autograd.grad(outputs, given + [leak] * leaks, above)]
            for loop in (compiled.CompiledLoop, kernel.MemoryLoop)
            for outputs in [loop.apply(*given, leak, mask, sizes, subtracts)]
        )
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape
            assert (a - b).abs().max() < TOLERANCES[dtype] * (1 + b.abs().max())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 4e-16), (torch.float32, 2e-7)], ids=str)
@pytest.mark.parametrize("n", [1, 64])
def test_gates_are_right_from_end_to_end(n: int, dtype: Any, tolerance: float) -> None:
    """Rejects an exponential that is wrong near the ends of its range, where most tests never look."""
    a = torch.cat([torch.linspace(-120, 120, 24001, dtype=dtype), torch.tensor([-1e30, -800.0, 800.0, 1e30])])
    a = a.to(dtype)[:, None]
    layer = LSTM(1, n, dtype=dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_ih_l0[:n] = 1.0  # i = sigma(a)
        layer.bias_l0[2 * n :] = 40.0  # z = tanh(40) = 1, o = 1
        h, _ = layer(a[None])  # h = tanh(sigma(a))
    assert (h[0] - torch.tanh(torch.sigmoid(a))).abs().max() <= tolerance


@pytest.mark.parametrize("n", [3, 64])  # less than a vector, and whole ones
def test_what_is_not_a_number_stays_so(n: int) -> None:
    layer, x = SubLSTM(2, n), torch.zeros(4, 5, 2)
    x[1, 2, 0] = torch.nan
    h, _ = layer(x)
    assert h[1:, 2].isnan().all()
    assert not h[0].isnan().any()
    assert not h[:, [0, 1, 3, 4]].isnan().any()


def test_numbers_of_two_kinds_are_refused() -> None:
    layer = SubLSTM(2, 3)
    state = tuple(torch.zeros(1, 4, 3, dtype=torch.float64) for _ in "hc")
    with pytest.raises(nc.ValidationError, match=r"states are torch.float64.*layer.to\(dtype\)"):
        layer(torch.zeros(5, 4, 2), state)
    with pytest.raises(nc.ValidationError, match="states are torch.float32 on meta"):
        layer(torch.zeros(5, 4, 2), tuple(each.to("meta", torch.float32) for each in state))


def test_strides_do_not_matter() -> None:
    torch.manual_seed(2)
    layer = SubLSTM(3, 6, batch_first=True)
    x = torch.randn(3, 7, 4).permute(2, 1, 0)
    state = tuple(torch.randn(1, 6, 4).transpose(1, 2) for _ in "hc")
    found = layer(x, state)[0]
    assert torch.equal(found, layer(x.contiguous(), tuple(each.contiguous() for each in state))[0])
    found.sum().backward()  # whose gradient has strides of 0


TRY = """
import torch
from neurocircuits.recurrent import SubLSTM, compiled
torch.manual_seed(0)
print(compiled.library() is not None, float(SubLSTM(2, 3)(torch.ones(4, 1, 2))[0].sum()))
"""


def outcome(**environment: str) -> tuple[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", TRY], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    built, total = done.stdout.split()
    return built, float(total)


def test_it_is_built_once_mended_if_broken_and_done_without(tmp_path: Path) -> None:
    folder = str(tmp_path)
    built, expected = outcome(NEUROCIRCUITS_CACHE=folder)
    assert built == "True"
    (library,) = (tmp_path / "compiled").iterdir()
    made = library.stat().st_mtime_ns
    assert outcome(NEUROCIRCUITS_CACHE=folder) == ("True", expected)
    assert library.stat().st_mtime_ns == made
    library.write_bytes(b"no library")
    assert outcome(NEUROCIRCUITS_CACHE=folder) == ("True", expected)
    assert [library] == list((tmp_path / "compiled").iterdir())
    for environment in ({"CXX": "no-compiler"}, {"CXX": "false", "NEUROCIRCUITS_CACHE": folder}):
        built, total = outcome(**environment)
        assert built == "False"
        assert total == pytest.approx(expected, abs=1e-6)
