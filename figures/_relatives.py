"""Networks side by side: how each learns the same inputs, and what is measured of all of them.

Every network learns from the same images in the form that its publication gives it. Rates of sensory cells are not
negative where a publication has no signed inputs; there a pixel of either sign is two cells, ON and OFF, that carry its
positive and its negative part, for all such networks alike, and the features drawn are the weights of ON cells less
those of OFF cells. Spiking networks see each image with mean 0 and standard deviation 1, as theirs do. Whitening needs
inputs of mean 0. What is to be reconstructed is the image itself, whatever the form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.datasets import Dataset
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record, Window
from neurocircuits.declare.steps import Inverse
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.base import Engine
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _learning as learning
from neurocircuits.figures import _spiking_features as spiking
from neurocircuits.models import (
    foldiak1990,
    king2013,
    luther2019,
    pehlevan2014,
    pehlevan2015,
    pehlevan2018,
    seung2018,
    seung_zung2017,
    zylberberg2011,
)
from neurocircuits.simulation import run

INPUTS = ("bars", "digits", "natural images")
SIDE, N_CELLS, N_PROBE = 8, 16, 2000
N_BARS, N_PATCHES = 6000, {True: 6000, False: 60_000}
N_TOGETHER = spiking.HUNDRED
MEASURES = {
    "correlation": "rms Pearson correlation of two cells",
    "cosine": "mean cosine of two cells",
    "n_silent": "cells whose rate is always the same",
    "rate": "mean size of rates; spikes for a presentation where cells spike",
    "sparseness": "population sparseness (Vinje and Gallant) of the sizes of rates, mean over presentations with any",
    "active": "fraction of (cell, presentation) pairs that are active",
    "error": "part of the variance of images that linear regression on the rates leaves, on other presentations",
    "oriented": "share of features with an orientation index above 0.5; of natural images only",
    "n_inhibitory": "synapses that inhibit: those of inhibitory cells, or between cells that inhibit each other",
    "n_lateral": "synapses that do not leave a source",
    "n_learn": "presentations while learning",
    "milliseconds": "processor time of a presentation, of a hundred at once or one by one as the network learns",
}


def images(name: str, quick: bool, seed: int) -> Dataset:
    """Return images of 8 x 8 pixels; natural ones are whitened, and quickly of two photographs."""
    if name == "bars":
        return datasets.bars(N_BARS, SIDE, rng=seed)
    if name == "digits":
        return datasets.digits()
    return Dataset(name, spiking.patches(quick, N_PATCHES[quick], SIDE, seed, "learn"), image_shape=(SIDE, SIDE))


def channels(pixels: np.ndarray) -> np.ndarray:
    """Return the rates of ON and OFF cells, which are not negative; images without negative pixels stay as they are."""
    return np.hstack([np.maximum(pixels, 0), np.maximum(-pixels, 0)]) if (pixels < 0).any() else pixels


def standardised(pixels: np.ndarray) -> np.ndarray:
    """Return images of mean 0 and standard deviation 1 each; one without contrast is 0."""
    centred = pixels - pixels.mean(axis=1, keepdims=True)
    size = centred.std(axis=1, keepdims=True)
    return np.divide(centred, size, out=np.zeros_like(centred), where=size > 1e-9)


def centred(pixels: np.ndarray) -> np.ndarray:
    """Return images less the mean image."""
    return np.asarray(pixels - pixels.mean(axis=0))


def as_they_are(pixels: np.ndarray) -> np.ndarray:
    """Return images of either sign."""
    return pixels


@dataclass(frozen=True)
class Network:
    """A row of the comparison.

    Parameters
    ----------
    circuit : callable
        ``circuit(name, shown, seed)`` for images of that name in the form (presentation, input) that it is shown.
    n_learn : mapping of bool to int
        Presentations at the quick setting and at the full one.
    engine : Engine
        In batches where its publication, or its figures here, take them.
    form : callable
        From images to the inputs of the network.
    scaled : bool
        Whether inputs are scaled so that their mean squared length is 1.
    phase : callable
        From the number of presentations to further arguments of the phase of learning.
    source, cells, rate : str
        Populations that receive images and that learn features, and the variable that is their rate.
    duration : str
        Of a presentation.
    inhibiting : tuple of str
        Pathways by which cells inhibit that excite elsewhere.
    """

    circuit: Callable[[str, np.ndarray, int], Circuit]
    n_learn: Mapping[bool, int]
    engine: Engine = learning.ENGINE
    form: Callable[[np.ndarray], np.ndarray] = channels
    scaled: bool = True
    phase: Callable[[int], dict[str, Any]] = field(default=lambda n: {})
    source: str = "S"
    cells: str = "E"
    rate: str = "r"
    duration: str = "100 ms"
    inhibiting: tuple[str, ...] = ()


def disynaptic(name: str, shown: np.ndarray, _: int) -> Circuit:
    """Return half as many inhibitory cells, at the rates that small circuits learn these inputs at."""
    if name == "bars":
        return seung2018.bars(**{"n_sensory": shown.shape[1], **learning.BARS})
    settings: dict[str, Any] = {**learning.DIGITS, "n_sensory": shown.shape[1], "n_inhibitory": N_CELLS // 2}
    return seung2018.circuit(**settings)


def all_to_all(name: str, shown: np.ndarray, _: int) -> Circuit:
    """Return the same game with lateral inhibition."""
    if name == "bars":
        rates: dict[str, Any] = {"eta_excitatory": "0.2 Hz", "eta_lateral": "0.4 Hz", "eta_gain": "1 Hz"}
        return seung_zung2017.circuit(shown.shape[1], N_CELLS, p=0.35, kappa=0.03, **rates)
    settings: dict[str, Any] = {**learning.DIGITS, "n_sensory": shown.shape[1]}
    return seung_zung2017.circuit(**settings)


def softened(_: str, shown: np.ndarray, __: int) -> Circuit:
    """Return the game in which correlations have a price, at a rate for a hundred inputs at once."""
    return luther2019.circuit(shown.shape[1], N_CELLS, eta="0.1 Hz")


def matching(_: str, shown: np.ndarray, __: int) -> Circuit:
    """Return non-negative similarity matching, with weights of either sign where images have (Hu et al. 2014)."""
    return pehlevan2014.circuit(shown.shape[1], N_CELLS, signed=bool((shown < 0).any()))


def whitening(_: str, shown: np.ndarray, __: int) -> Circuit:
    """Return an interneuron for each cell, and a threshold that as many modes of these inputs exceed."""
    least = np.linalg.eigvalsh(np.cov(shown.T))[-N_CELLS]
    return pehlevan2015.circuit(shown.shape[1], N_CELLS, N_CELLS, alpha=float(least / 10), beta=1.0, seen=30.0)


def of(model: Any) -> Callable[[str, np.ndarray, int], Circuit]:
    """Return the circuit of a module at its own settings, whatever the inputs."""
    return lambda _, shown, __: model.circuit(shown.shape[1], N_CELLS)


def spiking_all_to_all(name: str, shown: np.ndarray, seed: int) -> Circuit:
    """Return SAILnet at its own settings, but for its target on bars."""
    return zylberberg2011.circuit(N_CELLS, shown.shape[1], p=target("zylberberg2011", name), rng=seed)


def spiking_disynaptic(name: str, shown: np.ndarray, seed: int) -> Circuit:
    """Return E-I Net with half as many I cells, which fire twice as much; its targets are for a fifth of an image."""
    rate = target("king2013", name) / 5
    return king2013.circuit(N_CELLS, N_CELLS // 2, shown.shape[1], targets=(rate, 2 * rate), rng=seed)


def target(network: str, name: str) -> float:
    """Return the spikes for a presentation that cells of a spiking network aim at.

    That is their publication's number, but for bars, where a cell can fire for one bar of the eighth of images that
    have it, as in Foldiak's network.
    """
    return 1 / 8 if name == "bars" else {"zylberberg2011": 0.05, "king2013": 0.1}[network]


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
    "pehlevan2014": Network(matching, {True: 2000, False: 20_000}, SteadyState(), form=as_they_are),
    "pehlevan2015": Network(whitening, {True: 4000, False: 20_000}, SteadyState(), form=centred, cells="Y"),
    "pehlevan2018": Network(
        of(pehlevan2018), {True: 2000, False: 20_000}, SteadyState(), form=as_they_are, phase=falling
    ),
    "zylberberg2011": Network(
        spiking_all_to_all,
        {True: 40_000, False: 500_000},
        spiking.hundred(zylberberg2011.LEARNING_STEP),
        form=standardised,
        scaled=False,
        phase=lambda n: {"restart": True, "timetable": zylberberg2011.TIMETABLE},
        source="X",
        duration="50 ms",
        inhibiting=("E_to_E",),
    ),
    "king2013": Network(
        spiking_disynaptic,
        {True: 20_000, False: 100_000},
        spiking.E_I_NET,
        form=standardised,
        scaled=False,
        phase=lambda n: {"restart": king2013.RESTARTED},
        source="X",
        rate="n",
        duration=king2013.SAMPLE,
    ),
}


def learned(network: Network, name: str, data: Dataset, quick: bool, seed: int) -> tuple[dict[str, float], np.ndarray]:
    """Let a network learn from images, and return its `MEASURES` on others and its features, (cell, pixel)."""
    seen = replace(data, stored=network.form(data.values), scale=1.0, image_shape=None)
    given = seen.unit_power()[0] if network.scaled else seen
    n_probe = min(N_PROBE, N_TOGETHER * (len(data) // (3 * N_TOGETHER)))
    rest, tested = given.split(n_probe, seed)
    _, probe = data.split(n_probe, seed)
    circuit, n = network.circuit(name, rest.values, seed), network.n_learn[quick]
    patterns = [Patterns(part.values, duration=network.duration) for part in (rest, tested)]
    settings = network.phase(n)
    learn = Phase("learn", {network.source: patterns[0].sampled(n)}, **settings)
    record = Record(network.rate, populations=[network.cells])
    test = Phase("probe", {network.source: patterns[1]}, **{**settings, "plasticity": False}, record=record)
    start = time.process_time()
    tree = run(circuit, Protocol([learn, test]), network.engine, seed)
    cost = 1000 * (time.process_time() - start) / (n + n_probe)
    found = tree[f"/populations/{network.cells}"].ds[network.rate].transpose("time", "unit").values.astype(float)
    w = learning.final_weights(tree, f"{network.source}_to_{network.cells}")
    features = w if w.shape[1] == data.n_features else w[:, : data.n_features] - w[:, data.n_features :]
    index = analysis.orientation_index(features.reshape(-1, SIDE, SIDE))
    row = {
        **measures(found, probe.values),
        **synapses(circuit, network.inhibiting),
        "oriented": float((index > 0.5).mean()) if name == INPUTS[-1] else float("nan"),
        "n_learn": n,
        "milliseconds": cost,
    }
    return row, features


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
        "rate": float(sizes.mean()),
        "sparseness": float(np.nanmean(analysis.vinje_gallant(sizes, axis=1))),
        "active": float((sizes > 0.01 * np.sqrt(np.mean(rates**2))).mean()),
        "error": float((left**2).sum() / ((inputs[half:] - inputs[:half].mean(axis=0)) ** 2).sum()),
    }


def synapses(circuit: Circuit, inhibiting: tuple[str, ...] = ()) -> dict[str, int]:
    """Count the synapses that inhibit, and those that do not leave a source."""
    counts = {"n_inhibitory": 0, "n_lateral": 0}
    for pathway in circuit.synapses:
        pre, post = circuit.population(pathway.pre), circuit.population(pathway.post)
        if not pre.is_source:
            mask = pathway.connectivity.mask(np.random.default_rng(0), (post.n_units, pre.n_units))
            n = post.n_units * pre.n_units if mask is None else int(np.count_nonzero(mask))
            counts["n_lateral"] += n
            counts["n_inhibitory"] += n if pre.sign == "inhibitory" or pathway.name in inhibiting else 0
    return counts


def table(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> xr.Dataset:
    """Return measures by input and network as a dataset, NaN where a network did not learn from an input."""
    inputs, networks = list(rows), list(dict.fromkeys(name for row in rows.values() for name in row))
    nothing = dict.fromkeys(MEASURES, float("nan"))
    found = {k: [[rows[i].get(n, nothing)[k] for n in networks] for i in inputs] for k in MEASURES}
    columns = {k: (("input", "network"), np.array(v, float), {"description": MEASURES[k]}) for k, v in found.items()}
    return xr.Dataset(columns, {"input": inputs, "network": networks})
