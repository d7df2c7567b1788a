"""The column whose gates subtract: a gated recurrent network as a circuit of E and I cells in continuous time.

References
----------
Costa RP, Assael YM, Shillingford B, de Freitas N, Vogels TP (2017) Cortical microcircuits as gated-recurrent neural
networks, NIPS 30:272-283, arXiv:1711.02448; equations of section 3, mapping onto a column of section 2 and figure 1.

Notes
-----
The discrete cell is i, f, z, o = sigma(W x + R h' + b), c = f c' + z - i, h = sigma(c) - o. Here Z are pyramidal cells
of layer 2/3 that propose, I and O the basket cells of the input and the output gate, F the cells that set the leak, and
C pyramidal cells of layer 5 with the potential c and the rate sigma(c). By default E and I cancel, z = i and
sigma(c) = o, and a gate opens where its basket cells fall silent. From the source are these parts and equations; time
constants, the latch and all relays are defaults of this package.

In time. A presentation of duration D shows one x. Gates relax to sigma within ``tau``, and dc/dt = (c - (z - i)/(1 -
f)) ln(f)/D, whose exact solution after D at constant gates is f c + z - i; the limit f = 1, dc/dt = (z - i)/D, is an
integrator (f is cut off at 1 - 1e-12). The discrete h' stands still during a step, so recurrent synapses must not see h
while it moves: two stages of cells hold it, as flip-flops do. The first ("C_end", "O_end") follows except while cells
"pulse" are active, at the onset of each presentation; the second ("C_held", "O_held") copies the first in that time
only. Only so the circuit tends to the discrete cell for D/tau to infinity; with ``recurrence="live"`` the second stage
passes on sigma(c) and o as they are, and it does not.

Under Dale's law. Signed inputs are rates of ON and OFF cells, and of one that is always active and carries biases. h is
the difference of an excitatory rate, sigma(c), and an inhibitory one, o. What is inhibitory becomes excitatory through
cells that are active of their own and are disinhibited (1 - (1 - o)); what is excitatory inhibits through relays. The
positive part of a signed matrix is on the synapses of E cells, its negative part on those of the relay, `Paired`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import Explicit, OneToOne
from neurocircuits.declare.population import Population
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.record import Record
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Given, Paired, Uniform
from neurocircuits.errors import ValidationError, listed
from neurocircuits.units import quantity, seconds

REFERENCE = "Costa et al. (2017), arXiv:1711.02448"
RECURRENCES = ("latched", "live")
CELLS = {"z": "Z", "i": "I", "f": "F", "o": "O"}
"""Populations of the gates."""

_SIGN = {"z": "excitatory", "i": "inhibitory", "f": "excitatory", "o": "inhibitory"}
_GATE = "dr/dt = (1/(1 + exp(-drive)) - r)/tau : 1"
_MEMORY = """
    dc/dt = log(f)*(c - drive/(1 - f))/presentation : 1
    f = clip(kept, 0, 1 - 1e-12) : 1
    r = 1/(1 + exp(-c)) : 1
    kept : 1 (input)
"""
_POISSON = "rate = peak*drive : Hz"
LIF = """
    dv/dt = (background + I_e - I_i - v)/tau_m : 1
    dI_e/dt = -I_e/tau_s : 1 (input, excitatory)
    dI_i/dt = -I_i/tau_s : 1 (input, inhibitory)
"""
"""Membrane of the cells that read a gate, thresholds."""
_ENDS = Record("r", "c", populations=("C", "O"))
# stages that follow what excites them, or what tonic activity leaves of inhibition
_STAGES = {
    "live": {"first": "r = {input} : 1", "second": "r = {input} : 1"},
    "latched": {
        "first": "dr/dt = (1 - pulse)*({input} - r)/tau : 1\npulse : 1 (input)",
        "second": "dr/dt = pulse*({input} - r)/tau : 1\npulse : 1 (input)",
    },
}


def circuit(
    weights: Mapping[str, Any] | None = None,
    recurrence: str = "latched",
    presentation: Any = "20 ms",
    tau: Any = "1 ms",
    tau_latch: Any = "0.1 ms",
) -> Circuit:
    """Return a column with the weights of a trained cell.

    Parameters
    ----------
    weights : mapping of str to array_like, optional
        For each gate g of "z", "i" and "o" ``W_g``, (H, D), ``R_g``, (H, H), and ``b_g``, (H,), all signed; and either
        those of "f" or the constant ``f``, (H,), in (0, 1]. See ``recurrent.column_weights``. The unit of `adder` with
        B = 5 and a = 0.5 unless given.
    recurrence : {"latched", "live"}
        Whether recurrent synapses see h as it was when the presentation before ended, or as it is.
    presentation : quantity
        Duration D of a presentation, to which the leak is matched.
    tau, tau_latch : quantity
        Time constants of gates and of the two stages that hold h.

    Raises
    ------
    ValidationError
        If weights are missing or do not fit each other, or there is no such recurrence.
    """
    values = checked(adding_weights(5.0, 0.5) if weights is None else weights)
    if recurrence not in RECURRENCES:
        raise ValidationError(f"costa2017.circuit: recurrence {recurrence!r}. Allowed: {listed(RECURRENCES)}.")
    n_units, n_inputs = values["W_z"].shape
    gates = [g for g in CELLS if f"W_{g}" in values]
    times = [f"{seconds(each, 'costa2017.circuit')!r} second" for each in (presentation, tau, tau_latch)]
    stages, one = _STAGES[recurrence], OneToOne()
    start = {"r": 0.5} if recurrence == "latched" else {}

    def stage(name: str, kind: str, sign: str, tonic: bool) -> Population:
        parameters = {"tau": times[2]} if recurrence == "latched" else {}
        text = stages[kind].format(input="1 + drive" if tonic else "drive")
        return Population(name, n_units, text, sign=sign, parameters=parameters, initial=start)

    populations = [
        Population("X", 2 * n_inputs + 1),
        Population("X_relay", 2 * n_inputs + 1, "r = drive : 1", sign="inhibitory"),
        *(
            Population(CELLS[g], n_units, _GATE, sign=_SIGN[g], parameters={"tau": times[1]}, initial={"r": 0.5})
            for g in gates
        ),
        Population("C", n_units, _MEMORY, parameters={"presentation": times[0]}),
        stage("C_end", "first", "excitatory", tonic=False),
        stage("C_held", "second", "excitatory", tonic=False),
        Population("C_relay", n_units, "r = drive : 1", sign="inhibitory"),
        stage("O_end", "first", "inhibitory", tonic=True),
        stage("O_held", "second", "excitatory", tonic=True),
        Population("O_relay", n_units, "r = drive : 1", sign="inhibitory"),
    ]
    kept = np.zeros((n_units, 2 * n_inputs + 1))
    kept[:, -1] = values.get("f", 0.0)
    pairs = {"X": "X_relay", "Z": "C", "C": "C_end", "C_end": "C_held", "C_held": "C_relay", "I": "C", "O": "O_end"}
    pairs |= {"O_end": "O_held", "O_held": "O_relay"}
    synapses = [Synapses(pre, post, connectivity=one) for pre, post in pairs.items()]
    synapses.append(
        Synapses("F", "C", input="kept", connectivity=one)
        if "f" in gates
        else Synapses("X", "C", input="kept", weights=Given(kept))
    )
    for g in gates:
        W, R, b = (values[f"{name}_{g}"] for name in "WRb")
        synapses += signed("X", CELLS[g], np.hstack([W, -W, b[:, None]]))
        synapses += [*signed("C_held", CELLS[g], R), *signed("O_held", CELLS[g], -R)]
    if recurrence == "latched":
        populations.append(Population("pulse", 1))
        synapses += [Synapses("pulse", f"{name}_{k}", input="pulse") for name in "CO" for k in ("end", "held")]
    return Circuit("costa2017", populations, synapses)


def adding_weights(B: float = 20.0, a: float = 0.2) -> dict[str, np.ndarray]:
    """Return the weights of one unit that adds the values which are marked.

    z = sigma(a x - B (1 - m)), i = sigma(-B (1 - m)), f = 1, o = 1/2, for a value x in [-1, 1] and its mark m: where
    there is no mark both are nearly 0, so nothing is added; a marked x adds sigma(a x) - 1/2, about a x/4. The sum is
    read as 16 h/a, since h = sigma(c) - 1/2 is about c/4. Derived for this package, not from the source.

    Parameters
    ----------
    B : float
        How strongly values without a mark are masked.
    a : float
        Gain of values; the error of the answer falls with it.
    """
    zero = np.zeros((1, 1))
    weights = {
        "W_z": np.array([[a, B]]), "W_i": np.array([[0.0, B]]), "W_o": np.zeros((1, 2)),
        "b_z": np.array([-B]), "b_i": np.array([-B]), "b_o": np.zeros(1), "f": np.ones(1),
    }  # fmt: skip
    return weights | {f"R_{g}": zero for g in "zio"}


def adder(B: float = 20.0, a: float = 0.2, **settings: Any) -> Circuit:
    """Return the lecture's integrator and mask: one column that adds marked values; see `adding_weights`.

    Parameters
    ----------
    B, a : float
        Those of `adding_weights`.
    **settings
        Those of `circuit`, but ``weights``.
    """
    return circuit(adding_weights(B, a), **settings)


def same_column(n_columns: int, n_post: int, n_pre: int) -> Explicit:
    """Return the pairs of cells of the same column, of ``n_post`` and ``n_pre`` cells each."""
    post = np.repeat(np.arange(n_columns * n_post), n_pre)
    return Explicit(post, post // n_post * n_pre + np.tile(np.arange(n_pre), n_columns * n_post))


def spikes(
    n_columns: int = 1,
    n_pool: int = 200,
    n_cells: int = 5,
    gain: float = 0.8,
    background: float = 2.5,
    peak: Any = "200 Hz",
    tau_m: Any = "10 ms",
    tau_s: Any = "2 ms",
) -> Circuit:
    """Return input gates of spiking cells: pools "Z" excite leaky integrate-and-fire cells "P", pools "I" inhibit them.

    Only the gate spikes; `costa2017_spikes` is the whole column. Rates z and i of each column are what the source "S"
    shows, first all z, then all i. The membrane is that of the source's section 2 in the units of figure 1a, tau_m v' =
    -v + I_e - I_i with threshold 1; a pool of Poisson cells that fires at z times ``peak`` gives a mean current of z
    ``gain``. Where z = i currents cancel and the gate is shut: P fires as if nothing was there. It opens as inhibition
    is withdrawn.

    Parameters
    ----------
    n_columns, n_pool, n_cells : int
        Columns; cells of each pool and of "P" in each.
    gain : float
        Mean current at z = 1, thresholds.
    background : float
        Tonic current, thresholds. Above 1 it makes P fire at a shut gate, so that either sign of z - i can be read;
        at 0 P is silent then.
    peak : quantity
        Rate of pools at z or i = 1; 200 Hz as in figure 1.
    tau_m, tau_s : quantity
        Time constants of membranes and of synaptic currents.

    Raises
    ------
    ValidationError
        If a setting is not positive.
    """
    rate = quantity(peak, "costa2017.spikes: peak").value
    decay = seconds(tau_s, "costa2017.spikes")
    if not min(n_columns, n_pool, n_cells, gain, rate, decay) > 0:
        raise ValidationError(
            f"costa2017.spikes: n_columns {n_columns!r}, n_pool {n_pool!r}, n_cells {n_cells!r}, gain {gain!r}, peak "
            f"{peak!r} and tau_s {tau_s!r} must all be positive; inhibition comes from the pools I."
        )
    column = {"pool": np.repeat(np.arange(n_columns), n_pool), "P": np.repeat(np.arange(n_columns), n_cells)}
    within = same_column(n_columns, n_cells, n_pool)
    populations, synapses = [Population("S", 2 * n_columns)], []
    for k, (name, sign) in enumerate({"Z": "excitatory", "I": "inhibitory"}.items()):
        pool = Population(name, n_columns * n_pool, _POISSON, sign=sign, parameters={"peak": peak},
                          threshold="rand() < rate*dt")  # fmt: skip
        populations.append(pool)
        shown = Explicit(np.arange(n_columns * n_pool), column["pool"] + k * n_columns)
        synapses.append(Synapses("S", name, connectivity=shown))
        synapses.append(Synapses(name, "P", weights=Constant(gain / (n_pool * rate * decay)), connectivity=within))
    cells = Population(
        "P",
        n_columns * n_cells,
        LIF,
        parameters={"background": background, "tau_m": tau_m, "tau_s": tau_s},
        initial={"v": Uniform(0.0, 1.0)},
        threshold="v > 1",
        reset="v = 0",
    )
    return Circuit("costa2017-spikes", [*populations, cells], synapses)


def difference(
    rate: Any, gain: float = 0.8, background: float = 2.5, tau_m: Any = "10 ms", dt: Any = "0 ms"
) -> np.ndarray:
    """Return z - i as the rate of cells "P" of `spikes` tells, by the source's law of a leaky cell turned round.

    The law (section 2) is rate = 1/(tau_m ln(I/(I - 1))) with I = background + gain (z - i). Of the engine's Euler
    steps each leaves 1 - dt/tau_m, and a spike is found half a step late on average.

    Parameters
    ----------
    rate : array_like
        Rates of cells, Hz, positive.
    gain, background, tau_m : float, float, quantity
        Those of `spikes`.
    dt : quantity
        Time step of the engine; 0 for the law itself.
    """
    membrane, step = seconds(tau_m, "costa2017.difference"), seconds(dt, "costa2017.difference")
    decay = np.log1p(-step / membrane) / step if step else -1 / membrane
    current = -1 / np.expm1(decay * (1 / np.asarray(rate, dtype=float) - step / 2))
    return (current - background) / gain


def protocol(
    x: Any,
    presentation: Any = "20 ms",
    pulse: Any = "1 ms",
    recurrence: str = "latched",
    record: Record = _ENDS,
) -> Protocol:
    """Return a protocol that shows sequences, all at a time: one copy of the circuit for each (``Brian2(batch=...)``).

    Parameters
    ----------
    x : array_like, shape (time, n_sequences, D)
        Signed inputs.
    presentation : quantity
        Duration of a time step.
    pulse : quantity
        How long the second stage copies the first at the onset of each; ten of its time constants or more.
    recurrence : {"latched", "live"}
        That of the circuit.
    record : Record
        What to record; the default is what `outputs` reads.

    Raises
    ------
    ValidationError
        If x has another shape, the pulse does not fit, or there is no such recurrence.
    """
    values = np.asarray(x, dtype=float)
    whole, short = (seconds(each, "costa2017.protocol") for each in (presentation, pulse))
    if values.ndim != 3 or not values.size or not 0 < short < whole or recurrence not in RECURRENCES:
        raise ValidationError(
            f"costa2017.protocol: x of shape {values.shape}, presentation {whole:g} s, pulse {short:g} s, recurrence "
            f"{recurrence!r}. Give (time, n_sequences, D), none of them 0, a pulse within the presentation, and one of "
            f"{listed(RECURRENCES)}."
        )
    parts = {"latched": {1.0: short, 0.0: whole - short}, "live": {0.0: whole}}[recurrence]
    n_time, n, _ = values.shape
    rates = np.concatenate([np.maximum(values, 0), np.maximum(-values, 0), np.ones((n_time, n, 1))], axis=2)
    rows = np.repeat(rates, len(parts), axis=0).reshape(n_time * len(parts) * n, -1)
    durations = np.tile(np.repeat(list(parts.values()), n), n_time)
    stimuli = {"X": Patterns(rows, duration=durations)}
    if recurrence == "latched":
        stimuli["pulse"] = Patterns(np.tile(np.repeat(list(parts), n), n_time)[:, None], duration=durations)
    return Protocol([Phase("replay", stimuli, plasticity=False, record=record)], name="replay", weights=())


def outputs(tree: Any, n_time: int) -> dict[str, np.ndarray]:
    """Return c and h = sigma(c) - o at the end of each time step of a run of `protocol`, (time, n_sequences, H).

    Parameters
    ----------
    tree : DataTree
        The result.
    n_time : int
        Time steps of the sequences.
    """
    cells, gate = (tree[f"/populations/{name}"].ds for name in "CO")
    found = {"c": cells["c"].values, "h": cells["r"].values - gate["r"].values}
    n_parts = 1 + ("pulse" in tree["/stimuli"].children)
    return {name: v.reshape(n_time, n_parts, -1, v.shape[-1])[:, -1] for name, v in found.items()}


def checked(weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the weights as arrays.

    Parameters
    ----------
    weights : mapping of str to array_like
        Those of `circuit`.

    Raises
    ------
    ValidationError
        If one is missing, of another shape, or not finite.
    """
    leak = ["f"] if "f" in weights else ["W_f", "R_f", "b_f"]
    needed = [*leak, *(f"{name}_{g}" for g in "zio" for name in "WRb")]
    if missing := [name for name in needed if name not in weights]:
        raise ValidationError(f"costa2017.circuit: no weights {missing[0]!r}. Needed: {listed(needed)}.")
    values = {name: np.asarray(weights[name], dtype=float) for name in needed}
    n = values["W_z"].shape
    shapes = {"W": n, "R": n[:1] * 2, "b": n[:1], "f": n[:1]}
    for name, value in values.items():
        if len(n) != 2 or value.shape != shapes[name[0]] or not np.isfinite(value).all():
            raise ValidationError(
                f"costa2017.circuit: weights {name!r} of shape {value.shape} are not finite, or not of shape "
                f"{shapes[name[0]]}, given that W_z, (H, D), has {n}."
            )
    if "f" in values and not ((values["f"] > 0) & (values["f"] <= 1)).all():
        raise ValidationError("costa2017.circuit: f must be above 0 and at most 1; it is the share that a step keeps.")
    return values


def signed(pre: str, post: str, values: np.ndarray) -> list[Synapses]:
    """Return the synapses of E cells and of their relay that carry a signed matrix.

    Parameters
    ----------
    pre, post : str
        The E cells, such as "X", which have a relay "X_relay", and what is reached.
    values : ndarray, shape (post, pre)
        Signed weights.
    """
    relay = f"{pre.removesuffix('_held')}_relay"
    owner = Synapses(pre, post, weights=Given(np.maximum(values, 0)))
    return [owner, Synapses(relay, post, weights=Paired(owner.name, Given(np.maximum(-values, 0))))]
