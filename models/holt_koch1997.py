"""Integrate-and-fire cells that are inhibited by a current, by a constant shunt, or by Poisson spikes on conductances.

References
----------
Holt GR, Koch C (1997) Shunting inhibition does not have a divisive effect on firing rates, Neural Comput. 9:1001-1013,
doi:10.1162/neco.1997.9.5.1001. Chance FS, Abbott LF, Reyes AD (2002) Gain modulation from background synaptic input,
Neuron 35:773-782, doi:10.1016/S0896-6273(02)00820-6. Prescott SA, De Koninck Y (2003) Gain control of firing rate by
shunting inhibition: roles of synaptic noise and dendritic saturation, PNAS 100:2076-2081, doi:10.1073/pnas.0337591100.
Costa RP, Assael YM, Shillingford B, de Freitas N, Vogels TP (2017) Cortical microcircuits as gated-recurrent neural
networks, NIPS 30:272-283, section 2 and figure 1.

Notes
-----
Rest and reset are 0, the threshold is 1, conductances are in units of the leak, and a current of 1 takes a cell just to
the threshold:

tau v' = x - q - (1 + g) v + g_e (E_e - v) + g_i (E_i - v) + white noise.

x is the excitatory current, q the inhibitory one, g a constant shunt that reverses at rest, g_e and g_i what Poisson
spikes leave, with the means ``background`` times `BACKGROUND`. Rates have the cap of 200 Hz of Costa et al. (2017): no
spike follows another within 5 ms, during which the voltage goes on, so the rate without noise is the smaller of the
printed law and 200 Hz. tau = 10 ms is read off their figure; E_e = 14/3 and E_i = -1/3 are 0 and -75 mV for a rest at
-70 and a threshold at -55 mV; these and all numbers of the background are defaults of this package. The background
pulls towards (g_e E_e + g_i E_i)/(g_e + g_i) = 2/3, between reset and threshold, which is what makes it balanced.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.weights import Given
from neurocircuits.errors import ValidationError

REFERENCE = "Holt and Koch (1997), doi:10.1162/neco.1997.9.5.1001"
TAU, CAP = 0.01, 200.0  # s, Hz
BACKGROUND = {"g_e": 0.2, "g_i": 0.8}  # mean conductances of background 1
_CELL = """
    dv/dt = (x - q - (1 + g)*v + g_e*(E_e - v) + g_i*(E_i - v))/tau + noise*sqrt(2/(tau*dt))*draw : 1
    draw = randn() : 1 (constant over dt)
    dg_e/dt = -g_e/tau_e + w_e*n_e/dt : 1
    dg_i/dt = -g_i/tau_i + w_i*n_i/dt : 1
    n_e = poisson(background*mean_e/(w_e*tau_e)*dt) : 1 (constant over dt)
    n_i = poisson(background*mean_i/(w_i*tau_i)*dt) : 1 (constant over dt)
"""
_GIVEN = ("x", "q", "g", "noise", "background")
_CONSTANTS = {
    "tau": f"{TAU} s",
    "E_e": 14 / 3,
    "E_i": -1 / 3,
    "tau_e": "2 ms",
    "tau_i": "10 ms",
    "w_e": 0.1,
    "w_i": 0.3,
    "mean_e": BACKGROUND["g_e"],
    "mean_i": BACKGROUND["g_i"],
}


def circuit(x: Any = 2.0, q: Any = 0.0, g: Any = 0.0, noise: Any = 0.0, background: Any = 0.0) -> Circuit:
    """Return cells that know nothing of each other: population "cell".

    Parameters
    ----------
    x, q : float or array_like, shape (n_cells,)
        Excitatory and inhibitory current of each cell, in units of the one that takes it to the threshold.
    g : float or array_like
        Constant shunt, in units of the leak.
    noise : float or array_like
        Size of the white noise: the standard deviation that the voltage has without shunt, background and threshold.
    background : float or array_like
        Rates of the Poisson spikes, as a multiple of those that give the mean conductances `BACKGROUND`.

    Raises
    ------
    ValidationError
        If a number is not finite or, but for ``x``, negative, or the arrays do not have one number for each cell.
    """
    given = dict(zip(_GIVEN, (x, q, g, noise, background), strict=True))
    values = {name: np.atleast_1d(np.asarray(value, float)) for name, value in given.items()}
    n = max(value.size for value in values.values())
    for name, value in values.items():
        fits = value.size and value.shape in ((1,), (n,))
        if not fits or not np.isfinite(value).all() or (name != "x" and (value < 0).any()):
            spread = f", from {value.min():g} to {value.max():g}," if value.size else ""
            raise ValidationError(
                f"holt_koch1997: {name} of shape {value.shape}{spread} must be one "
                f"finite number{'' if name == 'x' else ' of 0 or more'}, or as many as there are cells ({n})."
            )
    cell = Population(
        "cell",
        n,
        _CELL + "".join(f"    d{name}/dt = 0*Hz : 1\n" for name in _GIVEN),
        parameters=_CONSTANTS,
        initial={name: Given(np.broadcast_to(value, n)) for name, value in values.items()},
        threshold="v > 1",
        reset="v = 0",
        refractory=f"{1 / CAP} s",
    )
    return Circuit("holt_koch1997", [cell], [])


def rate_without_noise(x: Any, q: Any = 0.0, g: Any = 0.0, cap: float = CAP) -> np.ndarray:
    """Return the rate of a cell under constant current and shunt, Hz.

    With I = (x - q)/(1 + g) it is (1 + g)/(tau ln(I/(I - 1))), 0 up to I = 1, and the cap at most (Costa et al. 2017,
    section 2, for g = 0). For large x it is (x - q - (1 + g)/2)/tau: a shunt takes away g/2 of the input and leaves the
    slope (Holt and Koch 1997).

    Parameters
    ----------
    x, q, g : array_like
        As for `circuit`.
    cap : float
        Highest rate, Hz.

    Examples
    --------
    >>> rate_without_noise([0.9, 1.5, 9.0]).round(1).tolist()
    [0.0, 91.0, 200.0]
    """
    shunted = 1 + np.asarray(g, float)
    over = (np.asarray(x, float) - q) / shunted - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = shunted / (TAU * np.log1p(1 / over))
    return np.asarray(np.where(over > 0, np.minimum(rate, cap), 0.0))
