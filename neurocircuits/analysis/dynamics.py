"""Approach to the steady state: settling and ringing as recorded, and what the weights predict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import Array, Values, check_shapes, labelled, samples, slow, weights
from neurocircuits.errors import ValidationError


def settling_time(
    tree: xr.DataTree, population: str = "E", phase: str | None = None, tolerance: float = 0.01
) -> xr.Dataset:
    """Measure from a recording at intervals how long each presentation takes to settle.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r`` of the population, recorded at intervals.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.
    tolerance : float
        Allowed distance from the last sample, as a fraction of its largest rate.

    Returns
    -------
    xarray.Dataset
        ``settling_time(presentation)`` in s and its ``median`` and ``longest``.

    Raises
    ------
    ValidationError
        If rates were not recorded, or not at intervals.

    Notes
    -----
    The last sample stands for the steady state: a presentation that ends before it settles looks faster than it is. The
    recording interval is the resolution.
    """
    traces = list(_trajectories(tree, population, phase))
    times = [settled_after(times, rates, tolerance) for _, times, rates in traces]
    values: Values = {
        "settling_time": (
            ("presentation",),
            times,
            "s",
            f"time after which all rates stay within {tolerance:g} of the last",
        ),
        "median": ((), np.median(times), "s", "median over presentations"),
        "longest": ((), np.max(times), "s", "longest of all presentations"),
    }
    return labelled(
        values, {"presentation": [number for number, _, _ in traces]}, population=population, tolerance=tolerance
    )


def settled_after(times: Array, rates: Array, tolerance: float = 0.01) -> float:
    """Return the first of times (m,) from which on max_i |r_i - r_i(end)| <= tolerance max_i |r_i(end)| holds.

    Rates are (m, n), m at least 1; a ValidationError says so. Where all last rates are zero, the largest rate of the
    presentation is the scale.
    """
    r = np.asarray(rates, float)
    check_shapes("settled_after", times=(times, "m"), rates=(r, "m n"))
    if not r.size:
        raise ValidationError("settled_after: no samples; give one or more.")
    scale = np.abs(r[-1]).max() or np.abs(r).max()
    outside = np.flatnonzero(np.abs(r - r[-1]).max(axis=1) > tolerance * scale)
    return float(times[outside[-1] + 1 if outside.size else 0])


def ringing(tree: xr.DataTree, population: str = "E", phase: str | None = None) -> xr.Dataset:
    """Measure from a recording at intervals the frequency and the decay of the oscillation after each onset.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r`` of the population, recorded at equal intervals.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.

    Returns
    -------
    xarray.Dataset
        ``frequency(presentation)`` in Hz (0 without oscillation) and ``decay_time(presentation)`` in s, their medians
        ``median_frequency`` and ``median_decay_time``. See `damped_oscillation`.

    Raises
    ------
    ValidationError
        If rates were not recorded at equal intervals, four or more samples a presentation.
    """
    traces = list(_trajectories(tree, population, phase))
    fits = np.array([damped_oscillation(times, rates) for _, times, rates in traces])
    values: Values = {
        "frequency": (("presentation",), fits[:, 0], "Hz", "frequency of the damped oscillation"),
        "decay_time": (("presentation",), fits[:, 1], "s", "time in which it decays to 1/e"),
        "median_frequency": ((), np.median(fits[:, 0]), "Hz", "median over presentations"),
        "median_decay_time": ((), np.median(fits[:, 1]), "s", "median over presentations"),
    }
    return labelled(values, {"presentation": [number for number, _, _ in traces]}, population=population)


def damped_oscillation(times: Array, rates: Array) -> tuple[float, float]:
    """Fit one damped oscillation, common to all units, to an approach to a steady state.

    Parameters
    ----------
    times : ndarray (m,)
        Equally spaced, in s, m >= 4.
    rates : ndarray (m, n)
        Rates of n units.

    Returns
    -------
    frequency : float
        In Hz, |arg z|/(2 pi dt); 0 if the roots are real, NaN if nothing moves.
    decay_time : float
        In s, -dt/log|z| of the slower root; infinite if it does not decay.

    Notes
    -----
    Linear prediction (Prony 1795): r(k+1) = a r(k) + b r(k-1) + c_i by least squares, z the roots of z^2 = a z + b. The
    constants c_i make the unknown steady state drop out. Exact for one mode; with several it returns a mixture weighted
    with their power, and changes of the active set during settling bend it.
    """
    r = np.asarray(rates, float)
    steps = np.diff(times)
    if steps.size < 3 or np.ptp(steps) > 1e-6 * steps.mean():
        raise ValidationError(f"damped_oscillation: {len(times)} samples; four or more at equal intervals are needed.")
    lagged = [r[2:], r[1:-1], r[:-2]]
    following, present, past = ((x - x.mean(axis=0)).ravel() for x in lagged)
    if not np.abs(present).max() > 1e-12 * np.abs(r).max():
        return float("nan"), float("nan")
    (a, b), *_ = np.linalg.lstsq(np.column_stack([present, past]), following, rcond=1e-12)
    root = max(np.roots([1.0, -a, -b]), key=abs)
    decay = -steps.mean() / np.log(abs(root)) if 0 < abs(root) < 1 else (0.0 if root == 0 else np.inf)
    frequency = abs(np.angle(root)) / (2 * np.pi * steps.mean()) if np.iscomplex(root) else 0.0
    return float(frequency), float(decay)


def circuit_stability(
    tree: xr.DataTree,
    tau: float,
    population: str = "E",
    pathway: str = "E_to_I",
    gain: str = "gain",
    phase: str | None = None,
) -> xr.Dataset:
    """Predict ringing, settling and the explicit limit on dt of a reciprocal E-I circuit from its stored weights.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs the weights of the pathway and the slow variable ``gain`` (the divisor Lambda) of the population.
    tau : float
        Time constant of both populations, in s.
    population : str
        The excitatory population.
    pathway : str
        Synapses from it to the inhibitory population; their transpose returns the inhibition.
    gain : str
        Name of the slow variable or sub-expression that divides the drive.
    phase : str or None
        At the end of this phase, "initial" for the start, None for the end of the run.

    Returns
    -------
    xarray.Dataset
        As `stability`.

    Raises
    ------
    ValidationError
        If weights or gain are missing, or a gain is not positive.
    """
    return stability(weights(tree, pathway, phase).values, slow(tree, population, gain, phase).values, tau)


def stability(A: Array, gain: Array | float, tau: float, tolerance: float = 0.01) -> xr.Dataset:
    """Predict the dynamics of tau dx/dt = -x + [W u - A^T y]_+ / Lambda, tau dy/dt = -y + A x from A and Lambda.

    Parameters
    ----------
    A : ndarray (n_I, n_E)
        E-to-I weights, magnitudes.
    gain : ndarray (n_E,) or float
        Lambda, the divisor of the drive (the inverse gain), > 0.
    tau : float
        Time constant of both populations, in s.
    tolerance : float
        For the settling time: the fraction of the deviation that may be left.

    Returns
    -------
    xarray.Dataset
        ``s`` = ||A Lambda^(-1/2)||_2; ``dt_limit`` = 2 tau/(1 + s^2) in s, beyond which explicit Euler steps diverge or
        stay wrong for good; ``ringing_frequency`` = s/(2 pi tau) in Hz, the fastest; ``settling_time`` =
        tau log(sqrt(1 + s^2)/tolerance) in s; ``eigenvalue_real(mode)``, ``eigenvalue_imaginary(mode)`` in 1/s:
        (-1 +- i s_k)/tau for each non-zero singular value s_k.

    Raises
    ------
    ValidationError
        If gain or tau is not positive, A is not finite, or the shapes do not fit.

    Notes
    -----
    Exact for a fixed set of active cells, all of them here: silent cells take their columns out, so s is an upper bound
    and the limit a safe one. In the coordinates Lambda^(1/2) x, y the Jacobian is -1 plus an antisymmetric matrix:
    every deviation decays as exp(-t/tau), but y may start sqrt(1 + s^2) times further away, hence the settling time,
    which is an estimate where the active set changes on the way. Different time constants of E and I are not
    covered.

    References
    ----------
    Derived from the circuit of Seung HS (2018) arXiv:1812.11581; no published number.

    Examples
    --------
    >>> import numpy as np
    >>> result = stability(np.array([[3.0]]), 1.0, 0.01)
    >>> float(result["s"]), float(result["dt_limit"])
    (3.0, 0.002)
    """
    a = np.atleast_2d(np.asarray(A, float))
    divisor = np.broadcast_to(np.asarray(gain, float), a.shape[1:]) if np.ndim(gain) == 0 else np.asarray(gain, float)
    if divisor.shape != a.shape[1:] or not (divisor > 0).all():
        raise ValidationError(f"stability: gain {divisor.shape} must be positive, one value per column of A {a.shape}.")
    if not tau > 0:
        raise ValidationError(f"stability: tau = {tau} must be positive, in seconds.")
    if a.ndim != 2 or not np.isfinite(a).all():
        raise ValidationError(f"stability: A {a.shape} must be (n_I, n_E) and finite.")
    singular = np.linalg.svd(a / np.sqrt(divisor), compute_uv=False)
    s = float(singular.max(initial=0.0))
    modes = singular[singular > 1e-12 * max(s, 1.0)]
    values: Values = {
        "s": ((), s, "1", "||A Lambda^(-1/2)||_2"),
        "dt_limit": ((), 2 * tau / (1 + s**2), "s", "largest stable explicit step"),
        "ringing_frequency": ((), s / (2 * np.pi * tau), "Hz", "fastest damped oscillation"),
        "settling_time": (
            (),
            tau * np.log(np.sqrt(1 + s**2) / tolerance),
            "s",
            f"until {tolerance:g} of the deviation is left",
        ),
        "eigenvalue_real": (
            ("mode",),
            np.full(2 * modes.size, -1 / tau),
            "1/s",
            "real part of the Jacobian's eigenvalues",
        ),
        "eigenvalue_imaginary": (("mode",), np.concatenate([modes, -modes]) / tau, "1/s", "imaginary part"),
    }
    return labelled(values, tau=tau, tolerance=tolerance)


def _trajectories(tree: xr.DataTree, population: str, phase: str | None) -> Iterator[tuple[int, Array, Array]]:
    """Yield presentation, times within it (m,) in s, and rates (m, n), of a recording at intervals."""
    data = samples(tree, population, ("r",), phase, ends=False)
    if "time_in_presentation" not in data.coords:
        raise ValidationError(
            f"population '{population}' was recorded at the end of presentations only; the approach to the steady "
            "state needs a recording at intervals."
        )
    data = data.isel(time=np.isfinite(data["time_in_presentation"].values))
    within, rates = data["time_in_presentation"].values, data["r"].transpose("time", "unit").values
    for number in np.unique(data["presentation"].values):
        rows = np.flatnonzero(data["presentation"].values == number)
        rows = rows[np.argsort(within[rows], kind="stable")]
        yield int(number), within[rows], rates[rows]
