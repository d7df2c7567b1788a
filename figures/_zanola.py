"""What figures of the competition in continuous time share: the draws of the notebook, closed forms, norms on the way.

The notebook seeds NumPy's legacy generator with 2347 before it draws the weights and again before it draws the images,
so both can be drawn again; figures take its own seed for seed 0, and the next ones for others.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis import winner_agreement
from neurocircuits.datasets import Dataset
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record, Window
from neurocircuits.declare.steps import Euler, LargestChange, Linear
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.weights import Given
from neurocircuits.engines.base import Engine
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import DivergenceError
from neurocircuits.models import krotov2019, zanola2021
from neurocircuits.simulation import run

SEED = 2347
RUNAWAY = 1e3  # a weight, at which a run ends
GROWN = 100.0  # growth of sum w^2 that is called a blow-up
TAU_LEARNING = 5.0  # seconds
REST, IN_TIME = SteadyState(), SteadyState(solver="relaxation")
COURSE = Brian2(dt="0.5 ms", tolerance=None)
SETTLING = zanola2021.protocol(np.ones((1, 1))).phases[0].timetable[:2]
SLIDES = "Zanola (2021), slides and notebook"
CLOSED_FORM = "derived: closed form for p = 2, constant g and one image, from arXiv:1806.10181, eq. 2"


def initial_weights(n_hidden: int, n_sensory: int, seed: int) -> np.ndarray:
    """Return the notebook's initial weights, uniform in 0 to 1, (n_hidden, n_sensory)."""
    return np.random.RandomState(SEED + seed).rand(n_hidden, n_sensory)


def drawn_images(data: Dataset, per_class: int, seed: int) -> np.ndarray:
    """Return which images the notebook shows: so many of each class with replacement, in random order."""
    random, labels = np.random.RandomState(SEED + seed), np.asarray(data.labels)
    random.randint(0, len(labels) - 1, 10 * per_class)  # a draw that the notebook does not use
    chosen = [random.choice(np.flatnonzero(labels == k), per_class) for k in range(10)]
    return np.asarray(random.permutation(np.concatenate(chosen)))


def at_rest(currents: np.ndarray, w_inh: float) -> np.ndarray:
    """Return the activity at rest of the printed competition for one image, from the sorted currents; w_inh below 1.

    The active units are those that the largest sum of rates consistent with them leaves above zero.
    """
    ranked = np.sort(currents)[::-1]
    sums = np.cumsum(ranked) / (1 + w_inh * np.arange(len(ranked)))
    total = sums[np.flatnonzero(ranked > w_inh * sums)[-1]]
    drive = currents - w_inh * total
    return np.asarray(np.where(drive > 0, drive / (1 - w_inh), drive))


def squared_norms(weights: np.ndarray, image: np.ndarray, g: Any, time: Any) -> np.ndarray:
    """Return sum w^2 of rows after a time (in tau_L) of one image with a constant gate g, p = 2, R = 1.

    Written for both branches at once: N - 1 = (N0 - 1)/(cosh x + s0/a sinh x)^2 with s0 = w v, a = |v|, x = g a t.
    """
    size = np.linalg.norm(image)
    x = g * size * time
    shrunk = np.cosh(x) + (weights @ image) / size * np.sinh(x)
    return np.asarray(1 + ((weights**2).sum(axis=-1) - 1) / shrunk**2)


def blow_up_time(weights: np.ndarray, image: np.ndarray, delta: float) -> np.ndarray:
    """Return the time (in tau_L) at which rows that are pushed away by one image diverge; infinity if they do not."""
    ratio = (weights @ image) / np.linalg.norm(image)
    runs_away = ratio > 1
    time = np.arctanh(1 / np.where(runs_away, ratio, 2.0)) / max(delta * np.linalg.norm(image), 1e-300)
    return np.where(runs_away, time, np.inf)


def learning_course(
    circuit: Circuit,
    image: np.ndarray,
    settling: Sequence[Window],
    step: float,
    n_steps: int,
    engine: Engine,
    seed: int,
    every: int = 1,
    largest: float = np.inf,
) -> xr.Dataset:
    """Settle on one image, then learn with the activity held, one step a presentation, and note sum w^2 on the way.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    image : ndarray, shape (n_sensory,)
        The image.
    settling : tuple of Window
        How the activity settles.
    step : float
        Learning step in seconds.
    n_steps, every : int
        Most learning steps, and how many of them between two notes.
    engine : Engine
        An engine in continuous time.
    seed : int
        Seed of the run.
    largest : float
        The run ends once a norm has grown by this factor.

    Returns
    -------
    xarray.Dataset
        ``norm`` (time, unit) with the time in seconds since learning began, and ``h`` (sample, unit) while settling,
        with its time ``settled``.
    """
    first = (np.asarray(circuit.pathway("S_to_E").weights.values.values) ** 2).sum(axis=1)
    norms = {0: first}

    def note(simulation: Any, n_presentations: int) -> bool:
        norms[n_presentations - 1] = (simulation.store.arrays["S_to_E"] ** 2).sum(axis=1)
        return bool((norms[n_presentations - 1] > largest * first).any())

    record = Record("h", populations=("E",), interval="1 ms")
    phases = [
        Phase("settle", {"S": Patterns(image[None])}, plasticity=False, timetable=settling, record=record),
        Phase(
            "learn",
            {"S": Patterns(np.broadcast_to(image, (n_steps, len(image))))},
            timetable=[Window(step, plastic=True, hold=True, step=step)],
        ),
    ]
    tree = run(circuit, Protocol(phases), engine, seed, watch=note, watch_every=every, progress=False)
    within = tree["/populations/E"].to_dataset()
    within = within.isel(time=np.isfinite(within["time_in_presentation"].values))
    return xr.Dataset(
        {"norm": (("time", "unit"), np.array(list(norms.values()))), "h": (("settled", "unit"), within["h"].values)},
        coords={"time": step * np.array(list(norms)), "settled": within["time_in_presentation"].values},
    )


def learned(circuit: Circuit, protocol: Protocol, engine: Engine, seed: int) -> tuple[np.ndarray, float]:
    """Return the weights at the end of a run, NaN if they run away, and its seconds of CPU."""
    stopped = []

    def runs_away(simulation: Any, _: int) -> bool:
        if not np.abs(simulation.store.arrays["S_to_E"]).max() < RUNAWAY:
            stopped.append(True)
        return bool(stopped)

    start = time.process_time()
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            tree = run(circuit, protocol, engine, seed, watch=runs_away, watch_every=1, progress=False)
    except DivergenceError as error:
        stopped.append(True)
        tree = error.tree
    w = np.array(tree["/synapses/S_to_E"].ds["w"].values[-1], dtype=float)
    return np.full_like(w, np.nan) if stopped else w, time.process_time() - start


def by_rank(first: np.ndarray, shown: Dataset, settings: dict[str, Any], seed: int) -> tuple[np.ndarray, float]:
    """Return what ranked minibatches learn with the released step, p = 2, and their seconds of CPU."""
    step = LargestChange(Linear(0.04, 0.0, parts=settings["epochs"]))
    ranked = {name: settings[name] for name in ("k", "delta")}
    n_hidden, n_sensory = first.shape
    circuit = krotov2019.circuit(n_sensory, n_hidden, p=2.0, initial=Given(first), step=step, **ranked)
    learn = Phase("learn", {"S": Patterns(shown.values).shuffled()}, epochs=settings["epochs"])
    return learned(circuit, Protocol([learn]), SteadyState(batch=settings["batch"], dtype="float32"), seed)


def competition(first: np.ndarray, settings: dict[str, Any], step: Euler = Euler(), **changed: Any) -> Circuit:
    """Return the circuit in which units compete through inhibition, with a setting's w_inh, h_* and delta."""
    own = {name: settings[name] for name in ("w_inh", "h_star", "delta")} | changed
    return zanola2021.circuit(n_sensory=first.shape[1], n_hidden=len(first), initial=Given(first), step=step, **own)


def whom(w: np.ndarray, images: np.ndarray, settings: dict[str, Any], seed: int) -> dict[str, float]:
    """Return whom readings choose with the same weights: shares of equal winners and gates, and how many units learn.

    In time, the activity begins where it was at the end of the image before, and has 12 tau.
    """
    found = []
    for engine, timetable in ((REST, ()), (IN_TIME, SETTLING)):
        record = Record("h", populations=("E",))
        probe = Phase("probe", {"S": Patterns(images)}, plasticity=False, timetable=timetable, record=record)
        tree = run(competition(w, settings), Protocol([probe]), engine, seed, progress=False)
        found.append(tree["/populations/E"].ds["h"].values)
    gates = [np.where(h >= settings["h_star"], 1, np.where(h > 0, -1, 0)) for h in found]
    changes = (gates[0] != 0) | (gates[1] != 0)
    return {
        "rest": winner_agreement(found[0], images @ w.T)["same"],
        "in_time": winner_agreement(found[1], images @ w.T)["same"],
        "same_gates": ((gates[0] == gates[1]) & changes).sum() / changes.sum(),
        "n_potentiated": (gates[0] > 0).sum(axis=1).mean(),
        "n_depressed": (gates[0] < 0).sum(axis=1).mean(),
    }


def blow_up(
    first: np.ndarray, images: np.ndarray, settings: dict[str, Any], delta: float, seed: int
) -> dict[str, float]:
    """Return when a row that an image pushes away has grown a hundredfold, in tau_L, and when it should have.

    The image is the first one that leaves a unit between 0 and h_*. Beside it, when that row diverges, and when the
    first row of all does, with these weights, over all images.
    """

    def pushed(h: np.ndarray) -> np.ndarray:
        return np.flatnonzero((h > 0) & (h < settings["h_star"]))

    units = [pushed(at_rest(first @ v, settings["w_inh"])) for v in images]
    soonest = min(
        blow_up_time(first[some], v, delta).min(initial=np.inf) for some, v in zip(units, images, strict=True)
    )
    image = next(v for some, v in zip(units, images, strict=True) if len(some))
    step = float(f"{blow_up_time(first, image, delta).min() * TAU_LEARNING / 400:.3g}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Brian2: dt", RuntimeWarning)  # the notebook's steps do ring at the onset
        circuit = competition(first, settings, delta=delta)
        course = learning_course(circuit, image, SETTLING, step, 1000, COURSE, seed, largest=GROWN)
    w = first[pushed(course["h"].values[-1])]
    times = np.linspace(0, blow_up_time(w, image, delta).min(), 20_001)[:-1]
    growth = squared_norms(w, image, -delta, times[:, None]) / (w**2).sum(axis=1)
    expected = times[np.argmax((growth > GROWN).any(axis=1))]
    measured = course["time"].values[-1] / TAU_LEARNING
    return {"measured": measured, "expected": expected, "diverges": times[-1], "soonest": soonest}
