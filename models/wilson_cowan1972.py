"""One excitatory and one inhibitory population: the fractions of their cells that are active, with sigmoid responses.

References
----------
Wilson HR, Cowan JD (1972) Excitatory and inhibitory interactions in localized populations of model neurons, Biophys. J.
12:1-24, doi:10.1016/S0006-3495(72)86068-5. Sets of parameters: "teaching" as in the Neuromatch tutorial W2D4,
"limit cycle" as listed under the authors' names, "neurolib" as in the model ``wc`` of that library. `threshold_linear`:
the inhibition-stabilised regime, Tsodyks, Skaggs, Sejnowski and McNaughton (1997), J. Neurosci. 17:4382-4388.

Notes
-----
tau r' = -r + (k - refractoriness r) F(input), F(x) = 1/(1 + exp(-a (x - theta))) - 1/(1 + exp(a theta)), so F(0) = 0
and without input (0, 0) is at rest. F is negative for negative input, so rates may dip below 0, to
-1/(1 + exp(a theta)) at most, a few 1e-4 on the way to rest. neurolib does not subtract the last term, hence its
``subtracted`` of 0. The original k is the largest value of F; it is 1 in all sets, as public programs have it. External
input is 0 unless the set is listed with one.

The "teaching" set without input has rest and an active state, both stable, and a saddle between them. "limit cycle" has
one fixed point, which is not stable. In `threshold_linear` more input to the inhibitory population makes its rate fall
where the excitatory population alone would be unstable, w_EE > 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurocircuits.analysis.equilibria import jacobian, roots
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.functions import Function
from neurocircuits.declare.population import Population
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant
from neurocircuits.errors import ValidationError, listed

REFERENCE = "Wilson and Cowan (1972), doi:10.1016/S0006-3495(72)86068-5"

_COMMON = {
    "k_E": 1.0, "k_I": 1.0, "refractoriness": 0.0, "subtracted": 1.0, "external_E": 0.0, "external_I": 0.0,
}  # fmt: skip
SETS: dict[str, dict[str, Any]] = {
    "teaching": _COMMON | {
        "tau_E": "1 ms", "tau_I": "2 ms", "w_EE": 9.0, "w_EI": 4.0, "w_IE": 13.0, "w_II": 11.0, "a_E": 1.2,
        "theta_E": 2.8, "a_I": 1.0, "theta_I": 4.0,
    },
    "limit cycle": _COMMON | {
        "tau_E": "8 ms", "tau_I": "8 ms", "w_EE": 16.0, "w_EI": 12.0, "w_IE": 15.0, "w_II": 3.0, "a_E": 1.3,
        "theta_E": 4.0, "a_I": 2.0, "theta_I": 3.7, "refractoriness": 1.0, "external_E": 1.25,
    },
    "neurolib": _COMMON | {
        "tau_E": "2.5 ms", "tau_I": "3.75 ms", "w_EE": 16.0, "w_EI": 12.0, "w_IE": 15.0, "w_II": 3.0, "a_E": 1.5,
        "theta_E": 3.0, "a_I": 1.5, "theta_I": 3.0, "refractoriness": 1.0, "subtracted": 0.0,
    },
}  # fmt: skip
"""Parameters by name of the set; ``w_EI`` is the weight from I to E."""

RESPONSE = Function("response", ("x", "a", "theta", "lost"), "1/(1 + exp(-a*(x - theta))) - lost/(1 + exp(a*theta))")
_EQUATIONS = "dr/dt = (-r + (k - refractoriness*r)*response(drive + external, a, theta, subtracted))/tau : 1"
_LINEAR = "dr/dt = (-r + rectify(drive + external))/tau : 1"
_OWN = ("tau", "a", "theta", "k", "external")  # what the two populations do not share


def circuit(parameters: str = "teaching", initial_E: float = 0.0, initial_I: float = 0.0, **settings: Any) -> Circuit:
    """Return the two populations, E and I.

    Parameters
    ----------
    parameters : {"teaching", "limit cycle", "neurolib"}
        Set of parameters.
    initial_E, initial_I : float
        Rates at the start.
    **settings
        Values that replace those of the set: ``tau_E``, ``w_EI`` (from I to E), ``a_E``, ``theta_E``, ``k_E``,
        ``external_E``, the same of I, ``refractoriness`` and ``subtracted``.

    Raises
    ------
    ValidationError
        If there is no such set or parameter.
    """
    values = _values(parameters, settings)
    cells = [
        Population(
            name,
            1,
            _EQUATIONS,
            sign=sign,
            parameters={key: values[f"{key}_{name}"] for key in _OWN}
            | {key: values[key] for key in ("refractoriness", "subtracted")},
            initial={"r": start},
        )
        for name, sign, start in (("E", "excitatory", initial_E), ("I", "inhibitory", initial_I))
    ]
    return Circuit("wilson_cowan1972", cells, _pathways(values), functions=[RESPONSE])


def threshold_linear(
    w_EE: float = 2.0,
    w_EI: float = 2.0,
    w_IE: float = 2.0,
    w_II: float = 0.5,
    tau_E: Any = "20 ms",
    tau_I: Any = "10 ms",
    external_E: float = 10.0,
    external_I: float = 5.0,
) -> Circuit:
    """Return the two populations with threshold-linear responses, rates in Hz; all numbers are defaults.

    Parameters
    ----------
    w_EE, w_EI, w_IE, w_II : float
        Magnitudes of weights, post before pre.
    tau_E, tau_I : quantity
        Time constants.
    external_E, external_I : float
        External input, Hz.
    """
    cells = [
        Population("E", 1, _LINEAR, parameters={"tau": tau_E, "external": external_E}),
        Population("I", 1, _LINEAR, parameters={"tau": tau_I, "external": external_I}, sign="inhibitory"),
    ]
    return Circuit("threshold_linear", cells, _pathways({"w_EE": w_EE, "w_EI": w_EI, "w_IE": w_IE, "w_II": w_II}))


def fixed_points(parameters: str = "teaching", **settings: Any) -> np.ndarray:
    """Return all rates (E, I) between 0 and 1 at which nothing changes, (n, 2), ordered by E; settings as `circuit`."""
    return roots(slopes(parameters, **settings), (0.0, 0.0), (1.0, 1.0))


def eigenvalues(rates: Any, parameters: str = "teaching", **settings: Any) -> np.ndarray:
    """Return the eigenvalues of the linear response at rates (E, I), in 1/s, the largest real part first.

    Parameters
    ----------
    rates : array_like, shape (2,)
        A fixed point.
    parameters, **settings
        As `circuit`.
    """
    found = np.linalg.eigvals(jacobian(slopes(parameters, **settings), rates))
    return found[np.argsort(-found.real)]


def slopes(parameters: str = "teaching", **settings: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from rates (E, I) to their time derivatives in 1/s, read from the circuit's own text.

    Parameters
    ----------
    parameters, **settings
        As `circuit`.
    """
    values = _values(parameters, settings)
    plan = compile_circuit(circuit(parameters, **settings))
    cells = [plan.populations[name] for name in ("E", "I")]
    W = np.array([[values["w_EE"], -values["w_EI"]], [values["w_IE"], -values["w_II"]]])

    def slope(rates: np.ndarray) -> np.ndarray:
        drives = W @ rates
        return np.array(
            [
                float(cell.states["r"]({**cell.parameters, "r": r, "drive": drive}))
                for cell, r, drive in zip(cells, rates, drives, strict=True)
            ]
        )

    return slope


def _values(parameters: str, settings: dict[str, Any]) -> dict[str, Any]:
    if parameters not in SETS:
        raise ValidationError(f"wilson_cowan1972: parameters {parameters!r}. Allowed: {listed(SETS)}.")
    chosen = SETS[parameters]
    if unknown := [name for name in settings if name not in chosen]:
        raise ValidationError(
            f"wilson_cowan1972: no parameter {unknown[0]!r}. Allowed: {listed(chosen)}, initial_E, initial_I."
        )
    return {**chosen, **settings}


def _pathways(values: dict[str, Any]) -> list[Synapses]:
    return [
        Synapses(pre, post, weights=Constant(float(values[f"w_{post}{pre}"])))
        for post in ("E", "I")
        for pre in ("E", "I")
    ]
