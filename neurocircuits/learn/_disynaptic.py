"""What transformers on the disynaptic circuit share: scale of inputs, initial weights, cells renewed, rates at rest."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis.features import activity
from neurocircuits.analysis.weights import duplicate_pairs
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.engines.base import Simulation
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.learn._base import CircuitTransformer, CollapseWarning, responses
from neurocircuits.models import seung2018
from neurocircuits.randomness import Streams
from neurocircuits.simulation import Watcher

LEARNING_TOLERANCE = 0.01  # mean drifts over a batch forgive so much
_TOLERANCE = 1e-9  # every row is solved exactly, so that it does not depend on its batch
_SILENT = 0.5  # share of cells that no input excites, above which a layer counts as collapsed


class DisynapticTransformer(CircuitTransformer):
    """Base of the transformers on the disynaptic circuit.

    Attributes
    ----------
    inhibitory_components_ : ndarray, shape (n_inhibitory, n_excitatory)
        Weights from E to I cells.
    gain_ : ndarray, shape (n_excitatory,)
        Divisive gains.
    tree_ : xarray.DataTree
        The run of `fit`, whose phase "probe" shows inputs with plasticity off.
    """

    inhibitory_components_: np.ndarray
    gain_: np.ndarray
    tree_: xr.DataTree | None

    def _keep(self, tree: xr.DataTree) -> None:
        """Keep what was learned in a run, and warn if it is of no use."""
        self.tree_ = tree
        self.components_ = tree["/synapses/S_to_E"].ds["w"].values[-1].copy()
        self.gain_ = np.exp(tree["/slow/E"].ds["log_gain"].values[-1])
        found = tree["/synapses/E_to_I"].ds["w"].values[-1].copy() if "E_to_I" in tree["/synapses"].children else None
        self.inhibitory_components_ = np.zeros((0, len(self.components_))) if found is None else found
        silent = float(activity(tree, "E", "probe")["silent"].mean())
        remedies = []
        if silent > _SILENT:
            remedies.append(f"{silent:.0%} of the excitatory cells are silent for all inputs: lower eta_excitatory")
        if found is not None and not found.any():
            remedies.append(
                "all weights onto inhibitory cells are 0, so nothing keeps cells apart: lower eta_inhibitory"
            )
        if remedies:
            warnings.warn(
                f"{type(self).__name__}: {'; '.join(remedies)}, or kappa or p, or learn longer.",
                CollapseWarning,
                stacklevel=4,
            )


def unit_power(inputs: Any, owner: str) -> float:
    """Return the constant that makes the mean squared length of the rows of an array or CSR matrix 1.

    Raises
    ------
    ValidationError
        If there is none.
    """
    values = (inputs.data if hasattr(inputs, "indptr") else np.asarray(inputs)).ravel()
    power = float(np.einsum("i,i->", values, values, dtype=float)) / inputs.shape[0]
    if not 0 < power < np.inf:
        raise ValidationError(
            f"{owner}: the mean squared length of the rows is {power:g}, so no constant makes it 1. Give rows that are "
            "not all zero, of moderate size."
        )
    return power**-0.5


def initial_excitatory(inputs: Any, scale: float, q: float) -> float:
    """Return the bound of uniform initial weights that makes the power of the mean excitation ``q**2``."""
    sums = scale * np.asarray(inputs.sum(axis=1), dtype=float).ravel()  # a mean weight of w gives w times this
    return 2.0 * q / float(np.sqrt(np.mean(sums**2)))


def renewing(threshold: float, first: int, last: int, streams: Streams) -> Watcher:
    """Return what watches a run and lets one of two cells that learned the same start anew.

    The game that the circuit plays has states where two cells share what one of them could tell alone and a third
    stands for two things. Random weights and a gain of 1 for the second cell lead out of them. It is a remedy of this
    package, as the restart of empty clusters is in k-means, and nothing that a circuit does.

    Parameters
    ----------
    threshold : float
        Cosine of excitatory weights above which cells are the same.
    first, last : int
        Presentations before and after which cells stay as they are; before it all are still alike.
    streams : Streams
        Where new weights come from.
    """

    def renew(simulation: Simulation, n_shown: int) -> None:
        state = simulation.state()
        weights, log_gain = state["weights/S_to_E"], state["values/E/log_gain"]
        if not first <= n_shown <= last or len(weights) < 2:
            return
        mean_sum = weights.sum() / len(weights)
        renewed: set[int] = set()
        for pair in zip(*(side.tolist() for side in duplicate_pairs(weights, threshold)[:2]), strict=True):
            if not renewed.intersection(pair):
                drawn = streams.generator(n_shown, pair[1]).random(weights.shape[1])
                weights[pair[1]] = drawn * (mean_sum / drawn.sum())
                log_gain[pair[1]] = 0.0
                renewed.add(pair[1])
        if renewed:
            simulation.load(state)

    return renew


def rates_at_rest(
    inputs: Any, excitatory: np.ndarray, inhibitory: np.ndarray, gain: np.ndarray, scale: float
) -> np.ndarray:
    """Return ``r = max(W u - A' A r, 0)/gain`` for the rows u of ``scale * inputs``, (n_samples, n_excitatory)."""
    n_inhibitory, n_excitatory = inhibitory.shape
    circuit = seung2018.circuit(excitatory.shape[1], n_excitatory, n_inhibitory)  # at rest, rates of learning are idle
    simulation = SteadyState(tolerance=_TOLERANCE).open(compile_circuit(circuit), Streams(0))
    learned = {"weights/S_to_E": excitatory, "values/E/log_gain": np.log(gain)}
    if n_inhibitory:
        learned["weights/E_to_I"] = inhibitory
    simulation.load(learned)
    return responses(simulation, inputs, "r", scale)
