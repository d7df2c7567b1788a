"""Whether competing units share what is presented, or a few take it all and silence the others."""

from __future__ import annotations

import numpy as np

from neurocircuits.analysis._select import Array
from neurocircuits.errors import ValidationError


def collapse(currents: Array) -> dict[str, float]:
    """Measure how unevenly units that are ranked by their current share presentations.

    Parameters
    ----------
    currents : ndarray, shape (n_presentations, n_units)
        Input currents.

    Returns
    -------
    dict of str to float
        ``winner_share``, the largest fraction of presentations for which one unit has the largest current, between
        1/n_units and 1; ``silent_share``, the fraction of units whose current is positive for no presentation.

    Raises
    ------
    ValidationError
        If there are no currents.

    Notes
    -----
    Inputs that are never negative share a large mean. A row of weights near the mean wins everything, and each row that
    is pushed away in turn becomes the negative of the mean: its unit is silent for every input, for good. Random signed
    weights have a large ``winner_share``, too, but next to no silent units.

    References
    ----------
    Krotov and Hopfield (2019), arXiv:1806.10181, section 3, for the rule; the measures are this package's choice.

    Examples
    --------
    >>> import numpy as np
    >>> measures = collapse(np.array([[3.0, -1.0], [2.0, -1.0], [1.0, -2.0]]))
    >>> measures["winner_share"], measures["silent_share"]
    (1.0, 0.5)
    """
    x = np.asarray(currents)
    if x.ndim != 2 or not x.size:
        raise ValidationError(f"collapse: currents of shape {x.shape} are not (n_presentations, n_units).")
    wins = np.bincount(x.argmax(axis=1), minlength=x.shape[1])
    return {"winner_share": float(wins.max() / len(x)), "silent_share": float((x.max(axis=0) <= 0).mean())}
