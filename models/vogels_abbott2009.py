"""Gates of detailed balance: several signals reach a receiver, and a local pool of inhibitory cells cancels each.

References
----------
Vogels TP, Abbott LF (2009) Gating multiple signals through detailed balance of excitation and inhibition in spiking
networks, Nat. Neurosci. 12:483-491, doi:10.1038/nn.2276.

Notes
-----
From the source is the idea: excitation that a signal evokes in a receiver is cancelled by inhibition that the same
signal evokes locally, so the receiver is silent to it, and a gate opens where that inhibition is taken away. The
source's circuit and numbers were not available: both circuits here and every number are defaults of this package.
Cells of the spiking form have the constants of the recurrent network of Vogels et al. (2011),
doi:10.1126/science.1211095, and weights made of its 3 and 30 nS at a probability of 0.02.

The spiking form learns how strong pools are with the rule of Vogels et al. (2011). Its target is `BACKGROUND`, what
receivers fire at while senders and pools are silent: where it is met, a signal that comes on leaves the receivers'
mean rate as it was, so the target follows from the gate that is wanted and is no free number. The rate was measured,
since the theory of an effective time constant (as in `vogels2011.recurrent`) gives twice as much for these cells.

Signal k reaches the receiver through the excitation E_k and, through its pool, the inhibition w_k. With a gate g_k in
[0, 1] on the drive of the pool or on its inhibition, in linear terms y = y_0 + sum_k (E_k - g_k c w_k) s_k with c the
gain of a pool. At detailed balance, c w_k = E_k, this is dy/ds_k = E_k (1 - g_k): 1 is shut and 0 is open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import Explicit, OneToOne
from neurocircuits.declare.population import Population
from neurocircuits.declare.spike_rules import Vogels
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Given, Normal, Uniform
from neurocircuits.errors import ValidationError, listed
from neurocircuits.units import quantity

REFERENCE = "Vogels and Abbott (2009), doi:10.1038/nn.2276"
EXCITATION = (0.8, 0.6, 0.4)  # gains of the signals at the receiver of rates, Hz per Hz
STRENGTHS = (2.0, 1.5, 1.0)  # of the senders' synapses onto receivers of spikes, in units of 60 pS
UNIT = 0.02 * 3e-9  # siemens: 3 nS at a probability of 0.02, for synapses from all to all
BACKGROUND = (
    "24.6 Hz"  # measured: 1000 receivers for 19 s, 24.5 to 24.7 Hz with three seeds and steps of 0.1 and 0.2 ms
)
N_E, N_I = 160, 40  # afferents of the background, as many as a cell of the recurrent network has

_SIGNALS = """
    dx/dt = (noise - x)/tau_s : 1
    noise = randn()*sqrt(2*tau_s/dt) : 1 (constant over dt)
    r = rectify(mean + sd*x) : 1
"""
_RATE = "dr/dt = (rectify(drive) - r)/tau : 1"
_RECEIVER = """
    dr/dt = (rectify(drive + background + sd*x) - r)/tau : 1
    dx/dt = (noise - x)/tau : 1
    noise = randn()*sqrt(2*tau/dt) : 1 (constant over dt)
"""
_CELL = """
    dv/dt = (g_leak*(v_rest - v) + g_e*(E_e - v) + g_i*(E_i - v) + background)/C : volt (unless refractory)
    dg_e/dt = (w_e*n_e*tau_e/dt - g_e)/tau_e : siemens (input, excitatory)
    dg_i/dt = (w_i*n_i*tau_i/dt - g_i)/tau_i : siemens (input, inhibitory)
    n_e = poisson(nu_e*dt) : 1 (constant over dt)
    n_i = poisson(nu_i*dt) : 1 (constant over dt)
    i_e = g_e*(E_e - v) : amp (excitation)
    i_i = g_i*(v - E_i) : amp (inhibition)
"""
_CONSTANTS = {
    "g_leak": "10 nS", "C": "200 pF", "v_rest": "-60 mV", "v_threshold": "-50 mV", "E_e": "0 mV", "E_i": "-80 mV",
    "tau_e": "5 ms", "tau_i": "10 ms", "w_e": "3 nS", "w_i": "30 nS",
}  # fmt: skip


def circuit(form: str = "rates", **settings: Any) -> Circuit:
    """Return the circuit as rates or as spiking cells.

    Parameters
    ----------
    form : {"rates", "spikes"}
        Which.
    **settings
        Those of `rates` or `spikes`.

    Raises
    ------
    ValidationError
        If there is no such form, or a setting is not allowed.
    """
    forms: dict[str, Callable[..., Circuit]] = {"rates": rates, "spikes": spikes}
    if form not in forms:
        raise ValidationError(f"vogels_abbott2009.circuit: form {form!r}. Allowed: {listed(forms)}.")
    return forms[form](**settings)


def rates(
    excitation: Any = EXCITATION,
    balance: str = "detailed",
    pool_gain: float = 1.0,
    background: float = 20.0,
    noise: float = 0.5,
    mean: float = 20.0,
    sd: float = 10.0,
    tau_signal: Any = "50 ms",
    tau_pool: Any = "5 ms",
    tau_receiver: Any = "10 ms",
) -> Circuit:
    """Return threshold-linear rates in Hz: "signals", one unit of "L" for the pool of each, and the receiver "R".

    Parameters
    ----------
    excitation : array_like, shape (channel,)
        E_k, the gain of each signal at the receiver without its pool, Hz per Hz.
    balance : {"detailed", "flat"}
        Inhibitory weights as `inhibition` returns them.
    pool_gain : float
        Rate of a pool for each Hz of its signal.
    background : float
        Rate of the receiver without signals, Hz; so high that it does not fall to 0.
    noise : float
        Standard deviation of what else drives the receiver, Hz, filtered with the receiver's time constant.
    mean, sd : float
        Of signals before they are rectified, Hz.
    tau_signal, tau_pool, tau_receiver : quantity
        Correlation time of signals, and time constants of pools and receiver.

    Raises
    ------
    ValidationError
        If there is no such balance, or an excitation is negative.
    """
    gains = _channels(excitation, "rates: excitation")
    n = len(gains)
    receiver = {"tau": tau_receiver, "background": background, "sd": noise}
    return Circuit(
        f"vogels-abbott2009-rates-{balance}",
        [
            _signals(n, mean, sd, tau_signal),
            Population("L", n, _RATE, sign="inhibitory", parameters={"tau": tau_pool}),
            Population("R", 1, _RECEIVER, parameters=receiver, initial={"r": background, "x": Normal(0.0, 1.0)}),
        ],
        [
            Synapses("signals", "L", weights=Constant(pool_gain), connectivity=OneToOne()),
            Synapses("signals", "R", weights=Given(gains[None])),
            Synapses("L", "R", weights=Given(inhibition(gains, balance, pool_gain)[None])),
        ],
    )


def inhibition(excitation: Any, balance: str = "detailed", pool_gain: float = 1.0) -> np.ndarray:
    """Return the weights of pools that balance excitation, Hz per Hz, (channel,).

    Parameters
    ----------
    excitation : array_like, shape (channel,)
        E_k of each channel, Hz per Hz.
    balance : {"detailed", "flat"}
        E_k/c in each channel; or their mean in all, which balances signals of equal mean in all and none by itself.
    pool_gain : float
        c, the rate of a pool for each Hz of its signal.

    Raises
    ------
    ValidationError
        If there is no such balance, an excitation is negative, or the gain is not positive.
    """
    gains = _channels(excitation, "inhibition: excitation")
    kinds = {"detailed": gains, "flat": np.full_like(gains, gains.mean())}
    if balance not in kinds:
        raise ValidationError(f"vogels_abbott2009.inhibition: balance {balance!r}. Allowed: {listed(kinds)}.")
    if not pool_gain > 0:
        raise ValidationError(f"vogels_abbott2009.inhibition: a pool_gain of {pool_gain!r} is not positive.")
    return kinds[balance] / pool_gain


def spikes(
    strengths: Any = STRENGTHS,
    pool_strength: float = 3.0,
    initial: Any = "0.2 nS",
    target: Any = BACKGROUND,
    eta: Any = "0.01 nS",
    tau: Any = "20 ms",
    plastic: bool = True,
    n_senders: int = 200,
    n_pool: int = 50,
    n_receivers: int = 200,
    mean: float = 20.0,
    sd: float = 10.0,
    tau_signal: Any = "50 ms",
) -> Circuit:
    """Return spiking cells: senders "S" that fire at the rates of "signals", pools "L" and receivers "R".

    Senders are Poisson, pools and receivers conductance-based. All senders of a channel reach all cells of its pool
    and all receivers, all pools reach all receivers; "L_to_R" is plastic. Pools and receivers have a background of
    Poisson spikes, of 160 excitatory afferents (3 nS) and 40 inhibitory ones (30 nS): at 0.5 Hz that of pools, which
    are almost silent without their signal, and at 2 Hz that of receivers, with the network's current of 200 pA.

    Parameters
    ----------
    strengths : array_like, shape (channel,)
        Synapses from the senders of each channel to receivers, in units of 60 pS.
    pool_strength : float
        Synapses from senders to their pool, in units of 60 pS. At 3 pools follow signals of 0 to 40 Hz almost in
        proportion; weaker ones are held back by the threshold.
    initial : quantity, or array_like, shape (channel,) or (n_receivers, channel*n_pool)
        Weights of "L_to_R" at the start, siemens.
    target : quantity
        Target rate of receivers; the default is their rate without signals and pools.
    eta, tau : quantity
        Learning rate, and time constant of the traces.
    plastic : bool
        Whether "L_to_R" learns.
    n_senders, n_pool, n_receivers : int
        Cells: senders and pool cells of each channel, and receivers.
    mean, sd : float
        Of signals before they are rectified, Hz.
    tau_signal : quantity
        Correlation time of signals.

    Raises
    ------
    ValidationError
        If a strength is negative, or weights have another shape.
    """
    strong = _channels(strengths, "spikes: strengths")
    n = len(strong)
    senders, pools = (np.repeat(np.arange(n), size) for size in (n_senders, n_pool))
    post, pre = np.nonzero(pools[:, None] == senders)
    start = np.asarray(quantity(initial).value if isinstance(initial, str) else initial, dtype=float)
    if start.shape not in ((), (n,), (n_receivers, n * n_pool)):
        raise ValidationError(
            f"vogels_abbott2009.spikes: initial weights of shape {start.shape} are not one, ({n},) or "
            f"({n_receivers}, {n * n_pool})."
        )
    start = np.broadcast_to(start[pools] if start.shape == (n,) else start, (n_receivers, n * n_pool))
    return Circuit(
        "vogels-abbott2009-spikes",
        [
            _signals(n, mean, sd, tau_signal),
            Population("S", n * n_senders, "rate = drive*Hz : Hz", threshold="rand() < rate*dt"),
            _cells("L", n * n_pool, "inhibitory", 0.5, "0 pA"),
            _cells("R", n_receivers, "excitatory", 2.0, "200 pA"),
        ],
        [
            Synapses("signals", "S", connectivity=Explicit(np.arange(len(senders)), senders)),
            Synapses(
                "S", "L", weights=Constant(pool_strength * UNIT), unit="1 siemens", connectivity=Explicit(post, pre)
            ),
            Synapses("S", "R", weights=Given(np.tile(UNIT * strong[senders], (n_receivers, 1))), unit="1 siemens"),
            Synapses(
                "L", "R", weights=Given(start), unit="1 siemens", rule=Vogels(eta, target, tau) if plastic else None
            ),
        ],
    )


def _signals(n: int, mean: float, sd: float, tau: Any) -> Population:
    parameters = {"mean": mean, "sd": sd, "tau_s": tau}
    return Population("signals", n, _SIGNALS, parameters=parameters, initial={"x": Normal(0.0, 1.0)})


def _cells(name: str, n: int, sign: str, rate: float, background: str) -> Population:
    afferents = {"nu_e": f"{N_E * rate} Hz", "nu_i": f"{N_I * rate} Hz", "background": background}
    return Population(
        name,
        n,
        _CELL,
        sign=sign,
        parameters=_CONSTANTS | afferents,
        initial={"v": Uniform(-0.06, -0.05)},
        threshold="v > v_threshold",
        reset="v = v_rest",
        refractory="5 ms",
    )


def _channels(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not len(array) or not ((array >= 0) & (array < np.inf)).all():
        raise ValidationError(
            f"vogels_abbott2009.{what} {values!r} must be one finite number for each signal, 0 or more; inhibition "
            "comes from the pools."
        )
    return array
