"""Excitation-inhibition balance of active cells."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import ACTIVE, Array, Values, active, labelled, ratio, samples, units_of
from neurocircuits.errors import ValidationError


def ei_balance(
    tree: xr.DataTree, population: str = "E", phase: str | None = None, threshold: float = ACTIVE
) -> xr.Dataset:
    """Measure how inhibition follows excitation over the active (unit, presentation) pairs of a phase.

    The presentation's last sample counts, so the measures are the same for both engines.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r``, ``excitation`` and ``inhibition`` of the population.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.
    threshold : float
        A pair is active where the rate exceeds this fraction of the population's root mean square rate; 0 means r > 0.

    Returns
    -------
    xarray.Dataset
        ``slope, correlation, index_time, index_mean, ei_ratio, n_active`` over all pairs, and the same per unit as
        ``unit_...(unit)``; NaN for a unit without (enough) active pairs. See `balance_measures`.

    Raises
    ------
    ValidationError
        If something needed was not recorded, or no cell is active.
    """
    data = samples(tree, population, ("r", "excitation", "inhibition"), phase)
    rates, excitation, inhibition = (
        data[name].transpose("time", "unit").values for name in ("r", "excitation", "inhibition")
    )
    chosen = active(rates, threshold)
    if not chosen.any():
        raise ValidationError(
            f"population '{population}' has no active cells in {rates.shape[0]} presentations (largest rate "
            f"{rates.max():.3g}). Raise the input or the weights, or lower the inhibition."
        )
    measures = {
        "slope": "slope of inhibition on excitation through the origin",
        "correlation": "Pearson correlation of excitation and inhibition",
        "index_time": "mean |excitation - inhibition| / mean (excitation + inhibition); 0 perfect balance",
        "index_mean": "|mean excitation - mean inhibition| / (mean excitation + mean inhibition); 0 perfect balance",
        "ei_ratio": "mean excitation / (mean excitation + mean inhibition); 0.5 when balanced",
        "n_active": "number of active (unit, presentation) pairs",
    }
    overall = balance_measures(excitation[chosen], inhibition[chosen])
    units = [balance_measures(excitation[rows, i], inhibition[rows, i]) for i, rows in enumerate(chosen.T)]
    values: Values = {name: ((), overall[name], "1", text) for name, text in measures.items()}
    values |= {
        f"unit_{name}": (("unit",), [unit[name] for unit in units], "1", text) for name, text in measures.items()
    }
    return labelled(values, units_of(data), population=population, threshold=threshold)


def balance_measures(excitation: Array, inhibition: Array) -> dict[str, float]:
    """Compare excitatory and inhibitory inputs, both as magnitudes.

    Parameters
    ----------
    excitation, inhibition : ndarray (n,)
        E and I inputs of the same pairs, in one unit.

    Returns
    -------
    dict
        With <.> the mean over pairs: ``slope`` <E I>/<E E> (least squares through the origin); ``correlation``
        (Pearson; NaN without variance); ``index_time`` <|E - I|>/<E + I>, ``index_mean`` |<E> - <I>|/<E + I>
        (0 perfect, 1 none; the first is never smaller); ``ei_ratio`` <E>/<E + I>; ``n_active`` = n. NaN where n = 0
        or there is no input.

    Notes
    -----
    A slope near 1 does not show learning: in the disynaptic circuit excitation minus inhibition of an active cell is
    its inverse gain times its rate, so the untrained circuit at the same small inverse gain is as balanced. Report the
    slope beside that control. Balance in amplitude (these measures) says nothing of tightness in time.

    References
    ----------
    Okun M, Lampl I (2009) Balance of excitation and inhibition, Scholarpedia 4(8):7467, doi:10.4249/scholarpedia.7467
    (I regressed on E). Ahmadian Y, Miller KD (2021) What is the dynamical regime of cerebral cortex?, Neuron,
    arXiv:1908.10101 (balance index). Seung HS (2018) arXiv:1812.11581 (balance of active E cells; the regression
    through the origin is this package's choice).

    Examples
    --------
    >>> import numpy as np
    >>> measures = balance_measures(np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 2.0]))
    >>> round(measures["slope"], 6), round(measures["index_mean"], 6)
    (0.5, 0.333333)
    """
    e, i = np.asarray(excitation, float), np.asarray(inhibition, float)
    if e.shape != i.shape or e.ndim != 1:
        raise ValidationError(
            f"balance_measures: excitation {e.shape} and inhibition {i.shape} must be (n,) of one length."
        )
    total = np.sum(e + i)
    centred_e, centred_i = (x - x.mean() if x.size else x for x in (e, i))
    return {
        "slope": float(ratio(e @ i, e @ e)),
        "correlation": float(ratio(centred_e @ centred_i, np.sqrt((centred_e @ centred_e) * (centred_i @ centred_i)))),
        "index_time": float(ratio(np.sum(np.abs(e - i)), total)),
        "index_mean": float(ratio(abs(np.sum(e) - np.sum(i)), total)),
        "ei_ratio": float(ratio(np.sum(e), total)),
        "n_active": e.size,
    }
