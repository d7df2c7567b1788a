"""How a leaky integrate-and-fire cell answers to white noise: its rate and the irregularity of its spikes.

Time in s, rates in Hz, voltages in volt relative to rest. The input of a cell has the mean ``mu`` and the size
``sigma``: without a threshold its voltage has that mean and the standard deviation ``sigma/sqrt(2)``.

References
----------
Brunel N (2000) J. Comput. Neurosci. 8:183-208, doi:10.1023/A:1008925309027: the rate, after Siegert (1951), and the CV,
appendix A.1. Fourcaud and Brunel (2002) and Schuecker, Diesmann and Helias (2015): synapses with a time constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf, erfcx

from neurocircuits.errors import ValidationError
from neurocircuits.siegert import (
    FAR_ABOVE,
    FAR_BELOW,
    NEGLIGIBLE,
    distances,
    integral,
    mean_interval,
    over_arsinh,
    rate_between,
    reach,
)

Array = np.ndarray
COLOUR = 2.0652531522
"""alpha = sqrt(2) |zeta(1/2)|: half of it times sqrt(tau_synapse/tau) shifts threshold and reset, in units of sigma."""


@dataclass(frozen=True)
class LeakyCell:
    """A leaky integrate-and-fire cell.

    Parameters
    ----------
    tau : float
        Membrane time constant, s.
    threshold, reset : float
        Voltages relative to rest, volt.
    refractory : float
        Refractory time, s.
    tau_synapse : float
        Time constant of exponential synapses, s, small against ``tau``; 0 for delta synapses.

    Raises
    ------
    ValidationError
        If a time constant is not positive, or the reset is not below the threshold.
    """

    tau: float = 0.02
    threshold: float = 0.02
    reset: float = 0.01
    refractory: float = 0.002
    tau_synapse: float = 0.0

    def __post_init__(self) -> None:
        if not self.tau > 0 or not self.refractory >= 0 or not self.tau_synapse >= 0:
            raise ValidationError(
                f"LeakyCell: tau = {self.tau!r} must be positive, refractory = {self.refractory!r} and tau_synapse = "
                f"{self.tau_synapse!r} 0 or more, in seconds."
            )
        if not self.reset < self.threshold:
            raise ValidationError(
                f"LeakyCell: reset = {self.reset!r} must be below threshold = {self.threshold!r}, in volt."
            )

    def limits(self, mu: Any, sigma: Any) -> tuple[Array, Array]:
        """Return reset and threshold as distances from ``mu`` in units of ``sigma``; infinite without noise."""
        mu, sigma = np.broadcast_arrays(np.asarray(mu, float), np.asarray(sigma, float))
        if not (sigma >= 0).all():
            raise ValidationError(f"sigma: {float(np.min(sigma))!r} is negative; it is the size of a noise.")
        low, high = (distances(mu, sigma, v) for v in (self.reset, self.threshold))
        shift = 0.5 * COLOUR * math.sqrt(self.tau_synapse / self.tau)
        return low + shift, high + shift


def lif_rate(mu: Any, sigma: Any, cell: LeakyCell) -> Array:
    """Return the rate of a cell under white noise.

    Parameters
    ----------
    mu, sigma : array_like
        Mean and size of the input, volt; shapes that broadcast.
    cell : LeakyCell
        The cell.

    Returns
    -------
    ndarray
        Rates, Hz.

    Raises
    ------
    ValidationError
        If ``sigma`` is negative.

    Notes
    -----
    ``1/(t_ref + tau sqrt(pi) I)``, I the integral of ``exp(u^2) (1 + erf u) = erfcx(-u)`` from reset to threshold.
    Above 0 the integrand is taken relative to its value at the threshold, so that nothing overflows; below 0 erfcx is
    integrated over ``arsinh u``, where it is smooth however long the interval. Without noise
    ``1/(t_ref + tau log((mu - reset)/(mu - threshold)))`` above threshold, and 0 below.

    Examples
    --------
    >>> round(float(lif_rate(0.0, 0.0, LeakyCell())), 2), round(float(lif_rate(0.025, 0.0, LeakyCell())), 2)
    (0.0, 41.71)
    """
    low, high = cell.limits(mu, sigma)
    settings = (mu, cell.tau, cell.threshold, cell.reset, cell.refractory)
    return rate_between(low, high, *(np.broadcast_to(np.asarray(value, float), high.shape) for value in settings))


def lif_cv(mu: Any, sigma: Any, cell: LeakyCell) -> Array:
    """Return the coefficient of variation of the intervals between spikes of a cell under white noise.

    Parameters
    ----------
    mu, sigma : array_like
        Mean and size of the input, volt; shapes that broadcast.
    cell : LeakyCell
        The cell.

    Returns
    -------
    ndarray
        CV; 0 above threshold without noise, and NaN below, where there are no spikes.

    Raises
    ------
    ValidationError
        If ``sigma`` is negative.

    References
    ----------
    Brunel (2000), appendix A.1.
    """
    low, high = cell.limits(mu, sigma)
    cv = np.where(np.isfinite(high) | (high < 0), 0.0, np.nan)
    noisy = np.isfinite(high) & (high > FAR_ABOVE)
    if noisy.any():
        b = np.minimum(high[noisy], FAR_BELOW)  # beyond, nothing changes any more
        a = b - (high[noisy] - low[noisy])
        spread = _outer_below(np.maximum(-b, 0.0), np.maximum(-a, 0.0)) * np.exp(-2 * np.maximum(b, 0.0) ** 2)
        spread = spread + _outer_above(np.maximum(a, 0.0), np.maximum(b, 0.0))
        cv[noisy] = math.sqrt(2 * math.pi) * cell.tau / mean_interval(a, b, cell.tau, cell.refractory) * np.sqrt(spread)
    return cv[()]


def _inner_below(x: Array) -> Array:
    """Return exp(x^2) times the integral of exp(u^2) (1 + erf u)^2 from -inf to -x, for x >= 0."""
    stop = NEGLIGIBLE / (x + np.sqrt(x**2 + NEGLIGIBLE))
    return integral(
        lambda s: np.exp(-s * (2 * x[..., None] + s)) * erfcx(s + x[..., None]) ** 2, np.zeros_like(x), stop
    )


def _outer_below(a: Array, b: Array) -> Array:
    """Integrate what `_inner_below` returns from a to b."""
    return over_arsinh(_inner_below, a, b, 0.5 * NEGLIGIBLE)


def _outer_above(a: Array, b: Array) -> Array:
    """Return exp(-2 b^2) times the integral of exp(x^2) h(x) from a >= 0 to b, h the inner integral up to x."""
    at_zero = _inner_below(np.zeros(1))

    def inner(x: Array) -> Array:  # exp(-x^2) h(x)
        rest = integral(
            lambda s: np.exp(-s * (2 * x[..., None] - s)) * (1 + erf(x[..., None] - s)) ** 2,
            np.zeros_like(x),
            reach(x, NEGLIGIBLE),
        )
        return np.exp(-(x**2)) * at_zero + rest

    width = np.minimum(b - a, reach(b, 0.5 * NEGLIGIBLE))
    return integral(
        lambda s: np.exp(-2 * s * (2 * b[..., None] - s)) * inner(b[..., None] - s), np.zeros_like(b), width
    )
