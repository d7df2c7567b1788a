"""The column whose gates subtract, in spikes: pools of the gates, a memory of slow synaptic currents, a read-out.

References
----------
Costa RP, Assael YM, Shillingford B, de Freitas N, Vogels TP (2017) Cortical microcircuits as gated-recurrent neural
networks, NIPS 30:272-283, arXiv:1711.02448; equations of section 3, mapping onto a column of section 2 and figure 1.

Notes
-----
The cell is c = f c' + z - i, h = sigma(c) - o, as in `costa2017`. All that passes between cells of the column is
spikes; graded are only what sources show: the gates, or the inputs, with a relay, and the pulse. From the source are
the equations, which cells are meant, the membrane of the cells that read out, and the 200 Hz. All else are defaults of
this package, above all the memory, for which the source names recurrent pyramidal cells and no mechanism, and the
cells that hold h, of which it does not speak.

Gates are pools of Poisson cells: Z excites the memory cells C and I inhibits them, each through a fast current, with
``tau_s``, whose mean is z or i. Fast currents charge slow ones, in the way of NMDA and of GABA-B receptors: one is
charged by Z alone and one by I alone, both are 0 or more, and their difference is c. What keeps them is a variable of
the synapses onto C and no recurrent spikes, and where nothing leaks it keeps them for ever, longer than any receptor
does. The inhibitory pool L shunts both. It fires at -ln f times ``peak``, so over a presentation of duration D they
fall to f of what they were: with g the fast current of L, D E' = s g/(1 - exp(-g)) - g E, whose solution after D at
constant gates is f E + z. To forget, cells fire.

C are Poisson cells of the rate sigma(c) times ``peak``; they excite, and the pool O inhibits, leaky integrate-and-fire
cells H, whose rate tells h (`costa2017.difference`). Where o = sigma(c) currents cancel and H fires as if nothing was
there; the gate opens as O falls silent.

Recurrent weights. Gates need h as it was when the presentation before ended, and have it from two pools that are
active of their own, "held", excitatory, and "held_relay", inhibitory: C excites both, O inhibits both, and they fire at
(1 + h)/2 times ``peak``. The positive part of R is on the synapses of one, the negative part on those of the other; a
bias takes away what they send at h = 0. In each such cell there are two stages. The first averages the spikes of C and
O with ``tau_average`` and stands still during the pulse; the second takes over the first in the pulse and stands still
after it. So a presentation is a pulse, in which the memory is open and h' is sent, and a rest, in which the memory
stands still and h is counted, since h is known only as well as there is time to count; D is the duration of the pulse.

What spikes cost. With N cells in a pool, c gains the variance (z + i)/(N peak D) a presentation (f = 1), also where
z = i: a gate that is shut by balance lets no signal through but the noise of both pools, so what is to be kept for
long needs pools that are silent, not balanced. Read for a time T, h has the variance (sigma(c) + o)/(N peak T); held, T
is twice the sum of tau_average and tau_s. A sum of recurrent inputs has the variance R^2 2 (1 + h)/(N peak D) for each
R, on average over a presentation, all gates from the same spikes, and R^2 (1 + h)/(2 N peak tau_s) at a time.
`counted` in ``_costa2017_counted`` draws all of these. Spikes that come late are charged late, and forgotten late: at
the end of a presentation c lags by the share tau_s/D of the change of z - i, and of that of -ln f times c, and by
(2 tau_s + tau_latch)/D of what is due to a change of h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll, Connectivity, Explicit, OneToOne
from neurocircuits.declare.population import Population
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.record import Record
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Given, Uniform
from neurocircuits.errors import ValidationError
from neurocircuits.models import costa2017
from neurocircuits.units import quantity, seconds

REFERENCE = costa2017.REFERENCE
POOLS = {"z": "Z", "i": "I", "o": "O", "f": "L"}
"""Populations of the gates."""
HOLDING = {"held": "excitatory", "held_relay": "inhibitory"}
"""Populations that hold h, where there are recurrent weights."""
RECORD = Record("c", populations=("C",), spikes=("H",))
"""What `outputs` reads."""

_SIGN = {"Z": "excitatory", "I": "inhibitory", "O": "inhibitory", "L": "inhibitory"}
_SHOWN = "rate = peak*drive : Hz"
# of a sum of inputs a: sigma(a), and -ln(sigma(a)) for the pool that forgets
_COMPUTED = dict.fromkeys("ZIO", "rate = peak/(1 + exp(-a)) : Hz") | {"L": "rate = peak*log(1 + exp(-a)) : Hz"}
_CURRENTS = """
    ds_e/dt = -s_e/tau_s : 1 (input, excitatory)
    ds_i/dt = -s_i/tau_s : 1 (input, inhibitory)
"""
# the sum, without recurrent input and with it: threshold sees a current after its decay, so rates follow a slower one
_SUM = "a = drive : 1"
_RECURRENT_SUM = f"""
    a = drive + received : 1
    dreceived/dt = (s_e - s_i - received)/tau_s : 1
    {_CURRENTS}
"""
_HELD = f"""
    daverage/dt = (1 - pulse)*(s_e - s_i - average)/tau_average : 1
    dheld/dt = pulse*(average - held)/tau_latch : 1
    rate = peak*clip(1 + held, 0, 2)/2 : Hz
    pulse : 1 (input)
    {_CURRENTS}
"""
_THRESHOLD = "rand() < rate*dt"
_MEMORY = f"""
    dslow_e/dt = pulse*(s_e*matched - g*slow_e)/presentation : 1
    dslow_i/dt = pulse*(s_i*matched - g*slow_i)/presentation : 1
    matched = leak/(1 - exp(-leak)) : 1
    leak = g + 1e-6 : 1
    {_CURRENTS}
    dg/dt = -g/tau_s : 1 (input, inhibitory)
    c = slow_e - slow_i : 1
    rate = peak/(1 + exp(-c)) : Hz
"""


def circuit(
    n_columns: int = 1,
    n_pool: int = 200,
    n_cells: int = 20,
    weights: Mapping[str, Any] | None = None,
    presentation: Any = "100 ms",
    gain: float = 0.8,
    background: float = 2.5,
    peak: Any = "200 Hz",
    tau_m: Any = "10 ms",
    tau_s: Any = "2 ms",
    tau_average: Any = "20 ms",
    tau_latch: Any = "1 ms",
) -> Circuit:
    """Return columns of spiking cells: gates that a source "S" shows, or that a cell's weights make of signed inputs.

    Parameters
    ----------
    n_columns, n_pool, n_cells : int
        Columns; cells of each pool and of "C", and of "H", in each.
    weights : mapping of str to array_like, optional
        Those of `costa2017.circuit`; inputs are then shown by "X" to cells of either sign, as there, and ``n_columns``
        is their number of units. Unless all recurrent ones are 0, there are cells that hold h and a source "pulse".
    presentation : quantity
        Time D that the memory is open, to which it is matched: a presentation, or the pulse if there is one.
    gain : float
        Mean current of cells "H" at sigma(c) = 1, thresholds.
    background : float
        Tonic current of "H", thresholds. Above 1 it makes them fire at a shut gate, so that either sign can be read.
    peak : quantity
        Rate of pools at a gate of 1; 200 Hz as in figure 1.
    tau_m, tau_s : quantity
        Time constants of the membranes of "H" and of fast synaptic currents.
    tau_average, tau_latch : quantity
        Time constants with which cells that hold h average spikes while there is no pulse, and take over that average
        while there is one; the former a fifth of the time between pulses or less, the latter a tenth of the pulse.

    Raises
    ------
    ValidationError
        If a setting is not positive, or weights do not fit each other.
    """
    rate = quantity(peak, "costa2017_spikes.circuit: peak").value
    times = [seconds(each, "costa2017_spikes.circuit") for each in (presentation, tau_s, tau_average, tau_latch)]
    whole, decay = times[:2]
    values = None if weights is None else with_leak(weights)
    n_columns = n_columns if values is None else len(values["W_z"])
    if not min(n_columns, n_pool, n_cells, gain, rate, *times) > 0:
        raise ValidationError(
            f"costa2017_spikes.circuit: n_columns {n_columns!r}, n_pool {n_pool!r}, n_cells {n_cells!r}, gain "
            f"{gain!r}, peak {peak!r}, presentation {presentation!r}, tau_s {tau_s!r}, tau_average {tau_average!r} and "
            f"tau_latch {tau_latch!r} must all be positive; inhibition comes from the pools I, O and L."
        )
    held = values is not None and any(values[f"R_{g}"].any() for g in POOLS)
    parameters = {"peak": peak, "tau_s": tau_s}
    memory = Population(
        "C",
        n_columns * n_pool,
        _MEMORY + ("pulse : 1 (input)" if held else "pulse = 1 : 1"),
        parameters=parameters | {"presentation": f"{whole!r} second"},
        threshold=_THRESHOLD,
    )
    readout = Population(
        "H",
        n_columns * n_cells,
        costa2017.LIF,
        parameters={"background": background, "tau_m": tau_m, "tau_s": tau_s},
        initial={"v": Uniform(0.0, 1.0)},
        threshold="v > 1",
        reset="v = 0",
    )
    sources, synapses = _shown(n_columns, n_pool) if values is None else _inputs(values, n_pool)
    within, unit = _within(n_columns, n_pool, n_pool), 1 / (n_pool * rate * decay)
    if values is not None and held:
        pools = _recurrent_pools(values, n_pool, parameters)
        slow = {"tau_average": tau_average, "tau_latch": tau_latch}
        sources += [Population("pulse", 1), *_holding(n_columns * n_pool, parameters | slow)]
        synapses += _recurrent(values, n_pool, unit)
        synapses += [
            Synapses(pre, post, weights=Constant(unit), connectivity=within) for pre in "CO" for post in HOLDING
        ]
    else:
        texts = dict.fromkeys(_SIGN, _SHOWN) if values is None else {k: f"{t}\n{_SUM}" for k, t in _COMPUTED.items()}
        pools = [_pool(name, n_columns * n_pool, texts[name], {"peak": peak}) for name in _SIGN]
    for name, fed in {"Z": "s_e", "I": "s_i", "L": "g"}.items():
        synapses.append(Synapses(name, "C", input=fed, weights=Constant(unit), connectivity=within))
    out = _within(n_columns, n_cells, n_pool)
    synapses += [Synapses(name, "H", weights=Constant(gain * unit), connectivity=out) for name in "CO"]
    return Circuit("costa2017-column-spikes", [*sources, *pools, memory, readout], synapses)


def adder(B: float = 20.0, a: float = 1.0, **settings: Any) -> Circuit:
    """Return one column of spiking cells that adds marked values; see `costa2017.adding_weights`.

    Parameters
    ----------
    B, a : float
        Those of `costa2017.adding_weights`. The noise of spikes counts 16/a times in the sum that is read from h, and a
        large a adds sigma(a x) - 1/2 and not a x/4.
    **settings
        Those of `circuit`, but ``weights`` and ``n_columns``.
    """
    return circuit(weights=costa2017.adding_weights(B, a), **settings)


def protocol(
    z: Any = 0.0, i: Any = 0.0, o: Any = 0.5, f: Any = 1.0, presentation: Any = "100 ms", record: Record = RECORD
) -> Protocol:
    """Return a protocol that shows gates, each sequence to a copy of the circuit (``Brian2(batch=...)``).

    Inputs of a circuit with weights are shown by `costa2017.protocol` with ``record=RECORD``: ``recurrence="live"``,
    or, if recurrent ones are not 0, "latched" with a ``pulse`` that lasts the circuit's ``presentation``, and
    a rest of five ``tau_average`` or more.

    Parameters
    ----------
    z, i, o, f : array_like
        Gates, in [0, 1], f above 0; together they broadcast to (time, n_sequences, n_columns).
    presentation : quantity
        Duration of a time step.
    record : Record
        What to record; the default is what `outputs` reads.

    Raises
    ------
    ValidationError
        If gates have another shape or are not within their range.
    """
    gates = dict(zip(POOLS, np.broadcast_arrays(*(np.asarray(g, dtype=float) for g in (z, i, o, f))), strict=True))
    for name, values in gates.items():
        allowed = (values >= 0) & (values <= 1) & ((values > 0) | (name != "f"))
        if values.ndim != 3 or not allowed.all():
            raise ValidationError(
                f"costa2017_spikes.protocol: gate {name!r} of shape {values.shape}, from {values.min():g} to "
                f"{values.max():g}. Give (time, n_sequences, n_columns), each in [0, 1], and f above 0."
            )
    rates = np.concatenate([gates["z"], gates["i"], gates["o"], -np.log(gates["f"])], axis=2)
    shown = Patterns(rates.reshape(-1, rates.shape[-1]) + 0.0, duration=seconds(presentation, "costa2017_spikes"))
    return Protocol([Phase("gates", {"S": shown}, plasticity=False, record=record)], name="gates", weights=())


def outputs(
    tree: Any, n_sequences: int = 1, n_columns: int = 1, n_cells: int = 20, dt: Any = "0.1 ms", **settings: Any
) -> dict[str, np.ndarray]:
    """Return c at the end of each time step and h as spikes in it tell, (time, n_sequences, n_columns).

    h is `costa2017.difference` of the mean rate of cells "H", the inverse of intervals between spikes in the step, or,
    if there are pulses, in the rest after each; NaN where no cell fired twice.

    Parameters
    ----------
    tree : DataTree
        The result.
    n_sequences, n_columns, n_cells : int
        Copies of the circuit, and those of `circuit`.
    dt : quantity
        Time step of the engine.
    **settings
        ``gain``, ``background`` and ``tau_m`` of `circuit`, if they are not its defaults.
    """
    memory, fired = tree["/populations/C"].ds, tree["/spikes/H"].ds
    n_parts = 1 + ("pulse" in tree["/stimuli"].children)  # the memory is open, and stands still
    c = memory["c"].values.reshape(-1, n_sequences, n_columns, memory["c"].shape[-1] // n_columns).mean(axis=-1)
    n_steps = len(c)
    ends = memory["time"].values[::n_sequences]
    step = np.searchsorted(ends - 1e-9, fired["time"].values)
    copy = fired["presentation"].values % n_sequences if "presentation" in fired else np.zeros_like(step)
    inside = step < n_steps
    cell = ((step * n_sequences + copy) * n_columns * n_cells + fired["unit"].values)[inside]
    times, n = fired["time"].values[inside], n_steps * n_sequences * n_columns * n_cells
    count, first, last = np.bincount(cell, minlength=n), np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(first, cell, times)
    np.maximum.at(last, cell, times)
    counted = np.where(count > 1, count - 1.0, 0.0).reshape(*c.shape, n_cells).sum(axis=-1)
    passed = np.where(count > 1, last - first, 0.0).reshape(*c.shape, n_cells).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        h = costa2017.difference(counted / passed, dt=dt, **settings)
    return {name: each[n_parts - 1 :: n_parts] for name, each in (("c", c), ("h", h))}


def _within(n_columns: int, n_post: int, n_pre: int) -> Connectivity:
    """Return the pairs of cells of the same column."""
    if n_columns == 1:
        return AllToAll()
    return costa2017.same_column(n_columns, n_post, n_pre)


def _shown(n_columns: int, n_pool: int) -> tuple[list[Population], list[Synapses]]:
    """Return the source of gates, all z, then all i, o and -ln f, and its synapses to the pools."""
    cells, pre = np.arange(n_columns * n_pool), np.repeat(np.arange(n_columns), n_pool)
    synapses = [
        Synapses("S", name, connectivity=Explicit(cells, pre + k * n_columns)) for k, name in enumerate(POOLS.values())
    ]
    return [Population("S", len(POOLS) * n_columns)], synapses


def _inputs(values: Mapping[str, np.ndarray], n_pool: int) -> tuple[list[Population], list[Synapses]]:
    """Return the source of signed inputs with its relay, and what they send to the pools."""
    n = 2 * values["W_z"].shape[1] + 1
    sources = [Population("X", n), Population("X_relay", n, "r = drive : 1", sign="inhibitory")]
    synapses = [Synapses("X", "X_relay", connectivity=OneToOne())]
    for gate, name in POOLS.items():
        W, b, R = (values[f"{part}_{gate}"] for part in "WbR")
        b = b - R.sum(axis=1)  # what cells that hold h = 0 send
        signed = np.hstack([W, -W, b[:, None]])
        synapses += costa2017.signed("X", name, np.repeat(signed, n_pool, axis=0))
    return sources, synapses


def _pool(name: str, n: int, text: str, parameters: Mapping[str, Any], **settings: Any) -> Population:
    """Return a pool of Poisson cells."""
    return Population(name, n, text, sign=_SIGN[name], parameters=parameters, threshold=_THRESHOLD, **settings)


def _recurrent_pools(values: Mapping[str, np.ndarray], n_pool: int, parameters: Mapping[str, Any]) -> list[Population]:
    """Return the pools of gates that recurrent spikes reach; they begin with the currents that h = 0 gives."""
    pools = []
    for gate, name in POOLS.items():
        R = values[f"R_{gate}"]
        parts = {"s_e": np.maximum(R, 0), "s_i": np.maximum(-R, 0), "received": R}
        initial = {variable: Given(np.repeat(part.sum(axis=1), n_pool)) for variable, part in parts.items()}
        text = f"{_COMPUTED[name]}\n{_RECURRENT_SUM}"
        pools.append(_pool(name, len(R) * n_pool, text, parameters, initial=initial))
    return pools


def _holding(n: int, parameters: Mapping[str, Any]) -> list[Population]:
    """Return the cells that hold h."""
    return [
        Population(name, n, _HELD, sign=sign, parameters=parameters, threshold=_THRESHOLD)
        for name, sign in HOLDING.items()
    ]


def _recurrent(values: Mapping[str, np.ndarray], n_pool: int, unit: float) -> list[Synapses]:
    """Return what the cells that hold h send to the pools, and the pulse to what it opens and holds."""
    synapses = [Synapses("pulse", name, input="pulse") for name in ("C", *HOLDING)]
    for gate, name in POOLS.items():
        R = 2 * unit * values[f"R_{gate}"]
        for pre, part in zip(HOLDING, (np.maximum(R, 0), np.maximum(-R, 0)), strict=True):
            if part.any():
                pairs = sparse.kron(sparse.csr_array(part), np.ones((n_pool, n_pool)), format="csr").tocoo()
                connectivity = Explicit(*(each.astype(np.int64) for each in pairs.coords))
                synapses.append(Synapses(pre, name, weights=Given(pairs.data), connectivity=connectivity))
    return synapses


def with_leak(weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the weights as arrays, a constant f as the bias of its gate.

    Parameters
    ----------
    weights : mapping of str to array_like
        Those of `costa2017.circuit`.

    Raises
    ------
    ValidationError
        If they do not fit each other.
    """
    values = costa2017.checked(weights)
    if "f" in values:
        f = np.minimum(values["f"], 1 - 1e-12)  # as in costa2017
        zero = {f"{part}_f": np.zeros_like(values[f"{part}_z"]) for part in "WR"}
        values |= zero | {"b_f": np.log(f / (1 - f))}
    return values
