"""The rate of a leaky integrate-and-fire cell under white noise, elementwise on arrays of all that it depends on.

References
----------
Siegert AJF (1951) Phys. Rev. 81:617-623, doi:10.1103/PhysRev.81.617. Brunel N (2000) J. Comput. Neurosci. 8:183-208,
doi:10.1023/A:1008925309027.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
FAR_BELOW, FAR_ABOVE = 1e3, -1e6  # distances of the threshold beyond which rates are 0, and those without noise
NEGLIGIBLE = 40.0  # exp(-40) is 4e-18

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def lif_rate(mu: Any, sigma: Any, tau: Any, threshold: Any, reset: Any, refractory: Any) -> Array:
    """Return the rate of leaky integrate-and-fire cells under white noise.

    Parameters
    ----------
    mu, sigma : array_like
        Mean and size of the input, volt; without a threshold the voltage has the mean ``mu`` and the standard deviation
        ``sigma/sqrt(2)``.
    tau, refractory : array_like
        Membrane time constant and refractory time, s.
    threshold, reset : array_like
        Voltages, volt, on the scale of ``mu``.

    Returns
    -------
    ndarray
        Rates, Hz, in the shape that the arguments broadcast to; 0 where ``sigma`` is 0 and ``mu`` not above threshold.
    """
    mu, sigma, tau, threshold, reset, refractory = np.broadcast_arrays(
        *(np.asarray(value, float) for value in (mu, sigma, tau, threshold, reset, refractory))
    )
    low, high = distances(mu, sigma, reset), distances(mu, sigma, threshold)
    return rate_between(low, high, mu, tau, threshold, reset, refractory)


def distances(mu: Array, sigma: Array, voltage: Any) -> Array:
    """Return how far a voltage is from ``mu`` in units of ``sigma``; infinite without noise."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        far = (voltage - mu) / sigma
    return np.where(np.isnan(far), np.inf, far)  # on it without noise: not above


def rate_between(
    low: Array, high: Array, mu: Array, tau: Array, threshold: Array, reset: Array, refractory: Array
) -> Array:
    """Return rates, given reset and threshold as distances from ``mu``; arrays of one shape."""
    noisy = (high < FAR_BELOW) & (high > FAR_ABOVE)
    rates = np.zeros(high.shape)
    if noisy.any():
        a, b = low[noisy], high[noisy]
        rates[noisy] = np.exp(-(np.maximum(b, 0.0) ** 2)) / mean_interval(a, b, tau[noisy], refractory[noisy])
    quiet = ~noisy & (high < 0)
    if quiet.any():
        above = mu[quiet] - threshold[quiet]
        rates[quiet] = 1.0 / (refractory[quiet] + tau[quiet] * np.log1p((threshold - reset)[quiet] / above))
    return rates[()]


def mean_interval(a: Array, b: Array, tau: Array | float, refractory: Array | float) -> Array:
    """Return the mean interval between spikes times exp(-max(b, 0)^2)."""
    from scipy.special import erf, erfcx

    below = over_arsinh(erfcx, np.maximum(-b, 0.0), np.maximum(-a, 0.0), np.inf)
    top = np.maximum(b, 0.0)
    width = np.minimum(top - np.maximum(a, 0.0), reach(top, NEGLIGIBLE))
    above = integral(
        lambda s: np.exp(-s * (2 * top[..., None] - s)) * (1 + erf(top[..., None] - s)), np.zeros_like(top), width
    )
    scale = np.exp(-(top**2))
    return refractory * scale + tau * math.sqrt(math.pi) * (scale * below + above)


def integral(function: Callable[[Array], Array], a: Array, b: Array) -> Array:
    """Integrate from ``a`` to ``b``, elementwise."""
    half = 0.5 * (b - a)
    return (function((0.5 * (a + b))[..., None] + half[..., None] * _NODES) @ _WEIGHTS) * half


def reach(x: Array, exponent: float) -> Array:
    """Return the s at which x^2 - (x - s)^2 is ``exponent``, or x where it is nowhere."""
    root = np.sqrt(np.maximum(x**2 - exponent, 0.0))
    return np.where(x**2 > exponent, exponent / np.maximum(x + root, 1e-300), x)


def over_arsinh(function: Callable[[Array], Array], a: Array, b: Array, longest: float) -> Array:
    """Integrate a function that decays like a power from a >= 0 to b, over arsinh x."""
    start = np.arcsinh(a)
    stop = np.minimum(np.arcsinh(b), np.maximum(start, 3.0) + longest)
    middle = np.clip(3.0, start, stop)

    def integrand(t: Array) -> Array:
        return function(np.sinh(t)) * np.cosh(t)

    return integral(integrand, start, middle) + integral(integrand, middle, stop)
