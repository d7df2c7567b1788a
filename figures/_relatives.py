"""Networks side by side: how each learns the same inputs, and what is measured of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.datasets import Dataset
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record, Window
from neurocircuits.declare.steps import Inverse
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _learning as learning
from neurocircuits.models import foldiak1990, luther2019, pehlevan2014, pehlevan2018, seung2018, seung_zung2017
from neurocircuits.simulation import run

N_CELLS, N_PROBE = 16, 2000
MEASURES = {
    "correlation": "rms Pearson correlation of two cells",
    "cosine": "mean cosine of two cells",
    "n_silent": "cells whose rate is always the same",
    "sparseness": "population sparseness (Vinje and Gallant) of the sizes of rates, mean over presentations",
    "active": "fraction of (cell, presentation) pairs that are active",
    "error": "part of the variance of inputs that linear regression on the rates leaves, on other presentations",
    "n_inhibitory": "synapses that leave inhibitory cells",
    "n_lateral": "synapses that do not leave a source",
    "n_learn": "presentations while learning",
    "milliseconds": "processor time of a presentation, of a hundred at once or one by one as the network learns",
}


@dataclass(frozen=True)
class Network:
    """A row of the comparison.

    Parameters
    ----------
    circuit : callable
        ``circuit(name, n_sensory)`` for inputs of that name.
    n_learn : mapping of bool to int
        Presentations at the quick setting and at the full one.
    engine : SteadyState
        In batches where its publication, or its figures here, take them.
    scaled : bool
        Whether inputs are scaled so that their mean squared length is 1.
    phase : callable
        From the number of presentations to further arguments of the phase of learning.
    cells : str
        The population that learns features.
    """

    circuit: Callable[[str, int], Circuit]
    n_learn: Mapping[bool, int]
    engine: SteadyState = learning.ENGINE
    scaled: bool = True
    phase: Callable[[int], dict[str, Any]] = field(default=lambda n: {})
    cells: str = "E"


def disynaptic(name: str, n_sensory: int) -> Circuit:
    """Return half as many inhibitory cells, at the rates that small circuits learn these inputs at."""
    if name == "bars":
        return seung2018.bars(**{"n_sensory": n_sensory, **learning.BARS})
    settings: dict[str, Any] = {**learning.DIGITS, "n_sensory": n_sensory, "n_inhibitory": N_CELLS // 2}
    return seung2018.circuit(**settings)


def all_to_all(name: str, n_sensory: int) -> Circuit:
    """Return the same game with lateral inhibition."""
    if name == "bars":
        rates: dict[str, Any] = {"eta_excitatory": "0.2 Hz", "eta_lateral": "0.4 Hz", "eta_gain": "1 Hz"}
        return seung_zung2017.circuit(n_sensory, N_CELLS, p=0.35, kappa=0.03, **rates)
    settings: dict[str, Any] = {**learning.DIGITS, "n_sensory": n_sensory}
    return seung_zung2017.circuit(**settings)


def softened(name: str, n_sensory: int) -> Circuit:
    """Return the game in which correlations have a price, at a rate for a hundred inputs at once."""
    return luther2019.circuit(n_sensory, N_CELLS, eta="0.1 Hz")


def of(model: Any) -> Callable[[str, int], Circuit]:
    """Return the circuit of a module at its own settings, whatever the inputs."""
    return lambda _, n_sensory: model.circuit(n_sensory, N_CELLS)


def falling(n: int) -> dict[str, Any]:
    """Return rates that fall as 1/(t + 5)."""
    return {"plasticity": dict.fromkeys(("S_to_E", "E_to_E", "E"), Inverse(1 / 5, n / 5))}


def from_rest(n: int) -> dict[str, Any]:
    """Return a timetable: Euler steps from the initial values, then learning."""
    windows = [Window("150 ms", plastic=False, step="1 ms"), Window("100 ms", hold=True, step="100 ms")]
    return {"timetable": windows, "restart": True}


NETWORKS = {
    "seung2018": Network(disynaptic, {True: 100_000, False: 500_000}),
    "seung_zung2017": Network(
        all_to_all,
        {True: 100_000, False: 500_000},
        SteadyState(batch=100, learning_tolerance=0.01, tolerance=0.01, max_iterations=1000),
    ),
    "luther2019": Network(softened, {True: 60_000, False: 300_000}),
    "foldiak1990": Network(
        of(foldiak1990), {True: 1200, False: 4000}, SteadyState(solver="relaxation"), scaled=False, phase=from_rest
    ),
    "pehlevan2014": Network(of(pehlevan2014), {True: 2000, False: 20_000}, SteadyState()),
    "pehlevan2018": Network(of(pehlevan2018), {True: 2000, False: 20_000}, SteadyState(), phase=falling),
}


def learned(network: Network, name: str, data: Dataset, quick: bool, seed: int) -> tuple[dict[str, float], np.ndarray]:
    """Let a network learn from images, and return its `MEASURES` on others and the weights from S, (cell, input)."""
    given = data.unit_power()[0] if network.scaled else data
    rest, probe = given.split(min(N_PROBE, len(given) // 3), seed)
    circuit, n = network.circuit(name, data.n_features), network.n_learn[quick]
    shown, tested = (Patterns(part.stored, scale=part.scale, duration="100 ms") for part in (rest, probe))
    settings = network.phase(n)
    learn = Phase("learn", {"S": shown.sampled(n)}, **settings)
    test = Phase("probe", {"S": tested}, **{**settings, "plasticity": False}, record=Record("r"))
    start = time.process_time()
    tree = run(circuit, Protocol([learn, test]), network.engine, seed)
    cost = 1000 * (time.process_time() - start) / (n + len(probe))
    rates = tree[f"/populations/{network.cells}"].ds["r"].transpose("time", "unit").values.astype(float)
    row = {**measures(rates, probe.values), **synapses(circuit), "n_learn": n, "milliseconds": cost}
    return row, learning.final_weights(tree, f"S_to_{network.cells}")


def measures(rates: np.ndarray, inputs: np.ndarray) -> dict[str, float]:
    """Return what rates (presentation, cell) say about themselves and about the inputs (presentation, input)."""
    loud = rates[:, rates.std(axis=0) > 0]
    sizes, half = np.abs(rates), len(rates) // 2
    known = np.hstack([rates, np.ones((len(rates), 1))])
    decoder = np.linalg.lstsq(known[:half], inputs[:half], rcond=None)[0]
    left = inputs[half:] - known[half:] @ decoder
    return {
        "correlation": float(np.sqrt(np.mean(analysis.off_diagonal(analysis.pearson_matrix(loud)) ** 2))),
        "cosine": float(analysis.off_diagonal(analysis.cosine_matrix(loud)).mean()),
        "n_silent": rates.shape[1] - loud.shape[1],
        "sparseness": float(np.nanmean(analysis.vinje_gallant(sizes, axis=1))),
        "active": float((sizes > 0.01 * np.sqrt(np.mean(rates**2))).mean()),
        "error": float((left**2).sum() / ((inputs[half:] - inputs[:half].mean(axis=0)) ** 2).sum()),
    }


def synapses(circuit: Circuit) -> dict[str, int]:
    """Count the synapses that leave inhibitory cells, and those that do not leave a source."""
    counts = {"n_inhibitory": 0, "n_lateral": 0}
    for pathway in circuit.synapses:
        pre, post = circuit.population(pathway.pre), circuit.population(pathway.post)
        if not pre.is_source:
            mask = pathway.connectivity.mask(np.random.default_rng(0), (post.n_units, pre.n_units))
            n = post.n_units * pre.n_units if mask is None else int(np.count_nonzero(mask))
            counts["n_lateral"] += n
            counts["n_inhibitory"] += n if pre.sign == "inhibitory" else 0
    return counts


def table(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> xr.Dataset:
    """Return measures by input and network as a dataset, NaN where a network did not learn from an input."""
    inputs, networks = list(rows), list(dict.fromkeys(name for row in rows.values() for name in row))
    nothing = dict.fromkeys(MEASURES, float("nan"))
    found = {k: [[rows[i].get(n, nothing)[k] for n in networks] for i in inputs] for k in MEASURES}
    columns = {k: (("input", "network"), np.array(v, float), {"description": MEASURES[k]}) for k, v in found.items()}
    return xr.Dataset(columns, {"input": inputs, "network": networks})
