"""SubLSTM and LSTM layers, forward and backward, against torch's own LSTM and a cell with one product a time step.

And the likelihood of words with its derivatives, against torch's product and cross-entropy.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any

from benchmarks.harness import Result, one_thread, result

# H, time steps, batch, inputs; largest ratio to the LSTM, smallest ratio of the plain cell to ours
SIZES = (
    (650, 35, 20, 650, 1.2, 2.5),
    (100, 784, 100, 1, 1.5, None),
    (100, 35, 20, 100, 2.0, None),
    (100, 784, 20, 1, None, None),
)
WORDS = ((10_000, 100), (33_278, 10))  # of the vocabularies of Penn Treebank and WikiText-2, inputs
ROWS = 700
ROUNDS = 9


def plain(torch: Any, layer: Any) -> Callable[[Any], Any]:
    """Return the subLSTM as it is usually written: one product and a handful of operations in each time step."""
    values = layer.layer_parameters(0)

    def run(x: Any) -> Any:
        h = c = x.new_zeros(x.shape[1], layer.hidden_size)
        outputs = []
        for x_t in x:
            gates = torch.addmm(values["bias"], torch.cat([x_t, h], 1), together.t()).sigmoid()
            i, f, z, o = gates.chunk(4, 1)
            c = c * f + z - i
            h = torch.sigmoid(c) - o
            outputs.append(h)
        return torch.stack(outputs)

    together = torch.cat([values["weight_ih"], values["weight_hh"]], 1)
    return run


def times(sizes: tuple[int, int, int, int], rounds: int) -> dict[str, list[float]]:
    """Return the thread's CPU milliseconds of forward and backward passes, in turn."""
    import torch

    from neurocircuits.recurrent import LSTM, SubLSTM

    n, steps, batch, n_inputs = sizes
    torch.manual_seed(0)
    layer, lstm, theirs = SubLSTM(n_inputs, n), LSTM(n_inputs, n), torch.nn.LSTM(n_inputs, n)
    x = torch.randn(steps, batch, n_inputs)
    return laps_of(
        {
            "subLSTM": lambda: layer(x)[0].sum(),
            "LSTM": lambda: lstm(x)[0].sum(),
            "torch": lambda: theirs(x)[0].sum(),
            "plain": lambda: plain(torch, layer)(x).sum(),
        },
        rounds,
    )


def times_of_words(n_words: int, n_inputs: int, rounds: int) -> dict[str, list[float]]:
    """Return the same for the negative log-likelihood of words."""
    import torch

    from neurocircuits.recurrent.likelihood import negative_log_likelihood

    torch.manual_seed(0)
    layer = torch.nn.Linear(n_inputs, n_words)
    x, y = torch.randn(ROWS, n_inputs, requires_grad=True), torch.randint(n_words, (ROWS,))
    return laps_of(
        {
            "blocks": lambda: negative_log_likelihood(x, layer.weight, layer.bias, y),
            "torch": lambda: torch.nn.functional.cross_entropy(layer(x), y),
        },
        rounds,
    )


def laps_of(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the thread's CPU milliseconds of each way and its derivatives, in turn, after a lap that is not kept."""
    laps: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(rounds + 1):
        for name, way in ways.items():
            begin = time.thread_time()
            way().backward()
            if k:
                laps[name].append(1e3 * (time.thread_time() - begin))
    return laps


def run(quick: bool = False) -> list[Result]:
    """Time all sizes; without torch there is nothing to time."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = []
    try:
        with one_thread():
            for *sizes, limit, gain in ((20, 5, 4, 3, None, None),) if quick else SIZES:
                laps = times(tuple(sizes), 2 if quick else ROUNDS)
                size = "of {} units, {} steps, batch {}, {} inputs".format(*sizes)
                found.append(result(f"subLSTM {size}", laps["subLSTM"], laps["torch"], "ms", "torch's LSTM", limit))
                most = None if gain is None else 1 / gain
                plain_cell = "one product for each step"
                found.append(result(f"subLSTM {size}", laps["subLSTM"], laps["plain"], "ms", plain_cell, most))
                found.append(result(f"LSTM {size}", laps["LSTM"], laps["torch"], "ms", "torch's LSTM", None))
            for n_words, n_inputs in ((50, 3),) if quick else WORDS:
                laps = times_of_words(n_words, n_inputs, 2 if quick else ROUNDS)
                what = f"likelihood of {ROWS} of {n_words} words, {n_inputs} inputs"
                found.append(result(what, laps["blocks"], laps["torch"], "ms", "torch's cross-entropy", None))
    finally:
        torch.set_num_threads(threads)
    return found
