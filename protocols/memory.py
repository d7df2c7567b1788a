"""Store two assemblies in a recurrent network, let plastic inhibition quieten them, and cue a quarter of the first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurocircuits.declare.interventions import Scale
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.errors import ValidationError
from neurocircuits.protocols._stretches import stretches

# Durations of the Open Source Brain port less its first hour, in which plasticity balances a network without
# inhibition; the defaults below are compressed, for a learning rate five times as high.
PORT: dict[str, Any] = {"settle": "60 s", "quieten": "3599 s", "after": "4 s"}


def groups(n_excitatory: int = 8000) -> dict[str, np.ndarray]:
    """Return the cells of each group on a sheet, as sorted indices.

    Parameters
    ----------
    n_excitatory : int
        Excitatory cells, 80 x 100 of them or a smaller sheet of that shape.

    Returns
    -------
    dict of str to ndarray of int
        ``assembly 1`` and ``assembly 2``, squares of about a tenth of the cells that overlap in a corner; ``cued``, a
        quarter of the first, away from the overlap; ``uncued``, its other cells; ``other``, the cells of the second
        alone; ``control``, as many cells of neither.

    Raises
    ------
    ValidationError
        If the cells do not fill a sheet of that shape.
    """
    rows, columns = sheet(n_excitatory)
    side = round(0.28 * columns)
    shared = round(2 * side / 7)
    corner = (rows - 2 * side + shared) // 2

    def square(row: int, column: int, size: int) -> np.ndarray:
        inside = np.zeros((rows, columns), dtype=bool)
        inside[row : row + size, column : column + size] = True
        return inside.ravel()

    first = square(corner, corner, side)
    second = square(corner + side - shared, corner + side - shared, side)
    cued = square(corner, corner, side // 2)
    found = {"assembly 1": first, "assembly 2": second, "cued": cued, "uncued": first & ~cued, "other": second & ~first}
    indices = {name: np.flatnonzero(inside) for name, inside in found.items()}
    return {**indices, "control": np.flatnonzero(~first & ~second)[-int(first.sum()) :]}


def sheet(n_excitatory: int) -> tuple[int, int]:
    """Return the rows and columns of the sheet of cells, four to five.

    Raises
    ------
    ValidationError
        If the cells do not fill such a sheet.
    """
    unit = math.isqrt(max(n_excitatory, 0) // 20)
    if unit < 4 or 20 * unit**2 != n_excitatory:
        raise ValidationError(f"memory: {n_excitatory} cells are no sheet of 4 k x 5 k cells with k of 4 or more.")
    return 4 * unit, 5 * unit


def protocol(
    n_excitatory: int = 8000,
    factor: float = 5.0,
    settle: Any = "15 s",
    store: Any = "1 s",
    quieten: Any = "22 s",
    cue: Any = "1 s",
    after: Any = "3 s",
    cue_rate: Any = "100 Hz",
    stretch: Any = "1 s",
) -> Protocol:
    """Return a protocol of phases "settle", "store", "quieten", "cue" and "after"; the last two with frozen weights.

    The circuit has populations "E" and "cue", the latter with a parameter ``rate`` that is 0 outside the phase "cue".
    "store" begins with synapses of "E_to_E" multiplied within each assembly; what both share is multiplied once.

    Parameters
    ----------
    n_excitatory : int
        Cells of the population "E".
    factor : float
        Of the synapses within an assembly; 1 stores nothing.
    settle, store, quieten, cue, after : quantity
        Durations. The defaults are compressed, for a learning rate of 50 pS; `PORT` has those of the port, which has
        10 pS or less.
    cue_rate : quantity
        Rate of each unit of "cue" in the phase of that name.
    stretch : quantity
        Length of the stretches in which phases are run, a divisor of all of them.

    Raises
    ------
    ValidationError
        If the cells do not fill the sheet, or a stretch does not divide a duration.

    References
    ----------
    Vogels, Sprekeler, Zenke, Clopath and Gerstner (2011), doi:10.1126/science.1211095, Fig. 4, as in the Open Source
    Brain port (VogelsEtAl2011, PyNN), whose weights and plasticity these phases follow.
    """
    known = groups(n_excitatory)
    both = np.intersect1d(known["assembly 1"], known["assembly 2"])
    stored = [Scale("E_to_E", factor, post=known[name], pre=known[name]) for name in ("assembly 1", "assembly 2")]
    stored.append(Scale("E_to_E", 1 / factor if factor else 1.0, post=both, pre=both))
    record = Record(spikes=("E",))

    def phase(name: str, duration: Any, **settings: Any) -> Phase:
        return Phase(name, record=record, **stretches("memory", name, duration, stretch), **settings)

    return Protocol(
        [
            phase("settle", settle),
            phase("store", store, interventions=stored),
            phase("quieten", quieten),
            phase("cue", cue, plasticity=False, parameters={"cue.rate": cue_rate}),
            phase("after", after, plasticity=False),
        ],
        name="memory",
        weights=("I_to_E",),
    )
