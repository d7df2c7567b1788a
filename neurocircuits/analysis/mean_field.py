"""Rates of networks of leaky integrate-and-fire cells in the diffusion approximation.

Time in s, rates in Hz, voltages in volt relative to rest. `LeakyCell`, `lif_rate` and `lif_cv` are those of
`neurocircuits.analysis.transfer`.

References
----------
Brunel N (2000) Dynamics of sparsely connected networks of excitatory and inhibitory spiking neurons, J. Comput.
Neurosci. 8:183-208, doi:10.1023/A:1008925309027. Kuhn, Aertsen and Rotter (2004) and Richardson (2004): conductances as
an effective time constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocircuits.analysis.equilibria import fixed_rates
from neurocircuits.analysis.transfer import LeakyCell, lif_cv, lif_rate
from neurocircuits.errors import ValidationError

__all__ = [
    "Conductances",
    "LeakyCell",
    "brunel_statistics",
    "input_statistics",
    "lif_cv",
    "lif_rate",
    "linear_rate",
    "network_rates",
]

Array = np.ndarray


def input_statistics(J: Array, K: Array, rates: Array, tau: float | Array) -> tuple[Array, Array]:
    """Return mean and size of the input that delta synapses from independent Poisson trains make.

    Parameters
    ----------
    J : array_like, shape (n, m)
        Jump that a spike of population m makes in a cell of population n, volt, negative for inhibition.
    K : array_like, shape (n, m)
        How many cells of m a cell of n receives from.
    rates : array_like, shape (m,)
        Rates, Hz.
    tau : float or ndarray, shape (n,)
        Membrane time constants, s.

    Returns
    -------
    mu, sigma : ndarray, shape (n,)
        ``tau sum K J nu`` and ``sqrt(tau sum K J^2 nu)``, volt.
    """
    J, K = np.asarray(J, float), np.asarray(K, float)
    return tau * ((K * J) @ rates), np.sqrt(tau * ((K * J**2) @ rates))


def brunel_statistics(
    rate: Any,
    nu_external: Any,
    g: Any,
    J: float = 1e-4,
    n_synapses: int = 1000,
    gamma: float = 0.25,
    tau: float = 0.02,
) -> tuple[Array, Array]:
    """Return mean and size of the input of every cell of a network whose cells all fire at one rate.

    Parameters
    ----------
    rate, nu_external : array_like
        Rate of the cells and of each external afferent, Hz.
    g : array_like
        Relative strength of inhibitory synapses.
    J : float
        Jump that an excitatory spike makes, volt.
    n_synapses : int
        Excitatory synapses of a cell, and as many external ones.
    gamma : float
        Inhibitory synapses for each excitatory one.
    tau : float
        Membrane time constant, s.

    Returns
    -------
    mu, sigma : ndarray
        ``C J tau (nu_ext + nu (1 - g gamma))`` and ``J sqrt(C tau (nu_ext + nu (1 + g^2 gamma)))``, volt.

    References
    ----------
    Brunel (2000).
    """
    rate, outside, g = np.asarray(rate, float), np.asarray(nu_external, float), np.asarray(g, float)
    mu = n_synapses * J * tau * (outside + rate * (1 - g * gamma))
    return mu, J * np.sqrt(n_synapses * tau * (outside + rate * (1 + g**2 * gamma)))


def network_rates(
    J: Any,
    K: Any,
    cells: LeakyCell | Sequence[LeakyCell],
    external: Any = (),
    start: Any = None,
    all_solutions: bool = False,
) -> Array:
    """Solve for the rates at which populations of cells keep each other.

    Parameters
    ----------
    J, K : array_like, shape (n, n + n_external)
        Jumps in volt and numbers of synapses, as for `input_statistics`; external populations come last.
    cells : LeakyCell or sequence of LeakyCell
        The cells of each population; one for all.
    external : array_like, shape (n_external,)
        Rates of external populations, Hz.
    start : array_like, shape (n,), optional
        Rates from which a solution is followed; 0 unless given.
    all_solutions : bool
        Whether to return all solutions that are found.

    Returns
    -------
    ndarray, shape (n,) or (n_solutions, n)
        Rates, Hz: the solution that ``dr/dt = -r + phi(r)`` reaches from ``start``, or all of them, the lowest first.

    Raises
    ------
    ValidationError
        If shapes do not fit, or no solution is found.

    Notes
    -----
    The rates are those of the asynchronous state. Whether it is stable is another matter: where a network synchronises,
    its rates differ.
    """
    J, K = np.asarray(J, float), np.asarray(K, float)
    outside = np.atleast_1d(np.asarray(external, float))
    if J.ndim != 2 or J.shape != K.shape or J.shape[1] != J.shape[0] + outside.size:
        raise ValidationError(
            f"network_rates: J {J.shape} and K {K.shape} must be (n, n + n_external), with {outside.size} external "
            "rates."
        )
    n = len(J)
    each = [cells] * n if isinstance(cells, LeakyCell) else list(cells)
    if len(each) != n:
        raise ValidationError(f"network_rates: {len(each)} cells for {n} populations; give one for each, or one.")
    tau = np.array([cell.tau for cell in each])
    groups = [[k for k in range(n) if each[k] == cell] for cell in dict.fromkeys(each)]

    def response(rates: Array) -> Array:
        mu, sigma = input_statistics(J, K, np.concatenate([rates, outside]), tau)
        found = np.empty(n)
        for members in groups:
            found[members] = lif_rate(mu[members], sigma[members], each[members[0]])
        return found

    highest = [1.0 / cell.refractory if cell.refractory else 1e4 for cell in each]
    alike = [next(k for k in range(i + 1) if _alike(J, K, each, i, k)) for i in range(n)]
    return fixed_rates(response, highest, alike, start, all_solutions)


def _alike(J: Array, K: Array, cells: Sequence[LeakyCell], i: int, k: int) -> bool:
    """Whether two populations receive the same and respond the same, so that their rates are equal."""
    return cells[i] == cells[k] and np.array_equal(J[i], J[k]) and np.array_equal(K[i], K[k])


def linear_rate(nu_external: Any, nu_threshold: float, g: Any, gamma: float = 0.25) -> Array:
    """Return the approximate rate of a network that inhibition dominates: (nu_ext - nu_thr)/(g gamma - 1).

    Parameters
    ----------
    nu_external, nu_threshold : array_like, float
        Rate of each external afferent, and the one that takes the mean input to threshold, Hz.
    g : array_like
        Relative strength of inhibitory synapses.
    gamma : float
        Inhibitory synapses for each excitatory one.

    Returns
    -------
    ndarray
        Hz; NaN where it does not apply, at ``g gamma <= 1`` or below the threshold rate.

    References
    ----------
    Brunel (2000).
    """
    excess, dominance = np.broadcast_arrays(np.asarray(nu_external, float) - nu_threshold, np.asarray(g) * gamma - 1.0)
    valid = (dominance > 0) & (excess >= 0)
    return np.divide(excess, dominance, out=np.full(excess.shape, np.nan), where=valid)[()]


@dataclass(frozen=True)
class Conductances:
    """A cell with conductance synapses, read as a leaky cell with an effective time constant.

    Parameters
    ----------
    capacitance, leak : float
        In farad and siemens.
    rest, threshold, reset : float
        Voltages, volt.
    refractory : float
        Refractory time, s.
    reversal, tau : sequence of float
        Reversal potential, volt, and decay time, s, of each kind of synapse.
    current : float
        Constant current, amp.
    """

    capacitance: float
    leak: float
    rest: float
    threshold: float
    reset: float
    refractory: float
    reversal: Sequence[float]
    tau: Sequence[float]
    current: float = 0.0

    def statistics(self, drive: Any, squares: Any) -> tuple[float, float, float]:
        """Return mean and size of the input, volt, and the effective time constant, s.

        Parameters
        ----------
        drive : array_like, shape (n_kinds,)
            ``sum_j w_j nu_j`` over the afferents of each kind, siemens/s; ``K w nu`` if they are alike.
        squares : array_like, shape (n_kinds,)
            ``sum_j w_j^2 nu_j``, siemens^2/s.

        Notes
        -----
        ``g = tau_s sum w nu``, ``G = leak + sum g``, ``tau_eff = C/G``, mu the mean voltage, and the variance
        ``sum tau_s^2 (E_s - mu)^2 sum w^2 nu/(2 G^2 (tau_eff + tau_s))``, sigma sqrt(2) times its root.
        """
        reversal, tau = np.asarray(self.reversal, float), np.asarray(self.tau, float)
        g = tau * np.asarray(drive, float)
        total = self.leak + g.sum()
        effective = self.capacitance / total
        mu = (self.leak * self.rest + g @ reversal + self.current) / total
        variance = np.asarray(squares, float) @ ((tau * (reversal - mu) / total) ** 2 / (2 * (effective + tau)))
        return float(mu), float(np.sqrt(2 * variance)), float(effective)

    def rate(self, drive: Any, squares: Any) -> float:
        """Return the rate in Hz; no shift for the colour, whose formula needs fast synapses. Parameters as above."""
        mu, sigma, effective = self.statistics(drive, squares)
        return float(lif_rate(mu, sigma, LeakyCell(effective, self.threshold, self.reset, self.refractory)))
