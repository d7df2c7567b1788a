"""Competing hidden units: features learned without labels, by local plasticity and global inhibition.

References
----------
Krotov D, Hopfield JJ (2019) Unsupervised learning by competing hidden units, PNAS 116:7723-7731,
doi:10.1073/pnas.1820458116 ("journal"); the same title, arXiv:1806.10181 ("preprint").

Notes
-----
One declaration is read in three ways. In continuous time the activity follows the preprint's eq. 4, where each hidden
unit is inhibited by all others, and the weights its eq. 2. With steady states the activity is at rest. With ``k`` there
is no inhibition and no time constant: units are ranked by their current, as in the preprint's section 3, and the size
of a step is set by its largest change, as in the public notebook of the authors.

Eq. 4 spares a unit its own inhibition. Here a unit I without a time constant sums all rates, and each hidden unit gives
itself back what it put in (``printed``). A disynaptic loop spares nobody; with the weight ``w_inh/(1 - w_inh)`` and
inputs larger by ``1/(1 - w_inh)`` its rates at rest are the same for ``w_inh`` below 1 (``disynaptic``).

The weights are signed, so these circuits declare ``dale="unconstrained"``; `twin` is the same under Dale's law, with
the negative weights on a relay of inhibitory cells.

Pixels of either sign are taken as they are, since the weights have either sign, and rows tend to the same sphere; the
twin refuses negative ones, which are no rates. Where nothing is shown, nothing is learned. A minibatch of fewer images
than the engine's takes a step of the same size where that is set by its largest change.
"""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import OneToOne
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import Krotov
from neurocircuits.declare.steps import Euler, LargestChange, Linear, Step
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Given, Normal, Paired, Uniform, Weights
from neurocircuits.errors import ValidationError

REFERENCE = "Krotov and Hopfield (2019), doi:10.1073/pnas.1820458116"
LOOPS = ("printed", "disynaptic")

_STEP = LargestChange(Linear(0.04, 0.0))
_RANKED = """
    r = rectify(current) : 1
    current : 1 (input)
"""
_PRINTED = """
    dh/dt = (current + drive + w_inh*r - h)/tau : 1
    r = rectify(h) : 1
    current : 1 (input)
"""
_PRINTED_AT_REST = {
    "h": "rectify(current + drive)/(1 - w_inh) - rectify(-current - drive)",
    "r": "rectify(current + drive)/(1 - w_inh)",
}
_DISYNAPTIC = """
    dh/dt = (current/(1 - w_inh) + drive - h)/tau : 1
    r = rectify(h) : 1
    current : 1 (input)
"""


def circuit(
    n_sensory: int = 784,
    n_hidden: int = 2000,
    p: float = 3.0,
    k: int = 7,
    delta: float = 0.4,
    R: float = 1.0,
    initial: Weights | None = None,
    step: Step = _STEP,
    eta: Any = "1 Hz",
) -> Circuit:
    """Return hidden units that are ranked by their current: the fast reading.

    Parameters
    ----------
    n_sensory, n_hidden : int
        Numbers of units.
    p, R : float
        Exponent and radius of the sphere that rows tend to.
    k : int
        Rank of the unit that is pushed away.
    delta : float
        How strongly it is pushed away.
    initial : Weights, optional
        Initial weights; standard normal unless given.
    step : Step
        How a mean drift becomes a change; ``Euler()`` is the coefficient as printed.
    eta : quantity
        Learning rate where the step has no size of its own.

    Raises
    ------
    ValidationError
        If p is below 2, ``k`` is below 2 or above ``n_hidden``, or another setting is not allowed.
    """
    cells = Population("E", n_hidden, equations=_RANKED)
    rule = Krotov(p, R, delta, k=k, eta=eta, step=step)
    if k > n_hidden:
        raise ValidationError(
            f"krotov2019.circuit: k = {k}; there is no such rank among {n_hidden} units. Lower k, or raise n_hidden."
        )
    return _circuit(n_sensory, [cells], [_plastic(rule, p, initial)])


def mnist(**settings: Any) -> Circuit:
    """Return the journal's circuit for MNIST: 2000 hidden units, p 3, k 7, delta 0.4; ``settings`` override."""
    return circuit(**settings)


def mnist_preprint(**settings: Any) -> Circuit:
    """Return the preprint's circuit for MNIST: 2000 hidden units, p 4, delta 0.4; its k is not given, here 2."""
    return circuit(**{"p": 4.0, "k": 2, **settings})


def cifar10(**settings: Any) -> Circuit:
    """Return the preprint's circuit for CIFAR-10: 2000 hidden units, p 4, delta 0.3, images of unit length.

    Initial weights, which it does not give, are uniform in 0 to 0.4, outside the sphere. Photographs have much in
    common: of normal weights, the half whose current for the mean image is negative never win. Rows that start inside
    lose all images to the first that is outside.
    """
    defaults = {
        "n_sensory": 3072,
        "p": 4.0,
        "k": 2,
        "delta": 0.3,
        "initial": Uniform(0, 0.4),
        "step": LargestChange(Linear(0.02, 0.0)),
    }
    return circuit(**{**defaults, **settings})


def competition(
    n_sensory: int = 784,
    n_hidden: int = 484,
    p: float = 2.0,
    h_star: float = 3.0,
    delta: float = 0.01,
    R: float = 1.0,
    w_inh: float = 0.8,
    loop: str = "printed",
    tau: Any = "50 ms",
    tau_inhibition: Any = None,
    initial: Weights | None = None,
    step: Step = Euler(),
    eta: Any = "0.2 Hz",
) -> Circuit:
    """Return hidden units that compete through inhibition: the slow reading.

    Parameters
    ----------
    n_sensory, n_hidden : int
        Numbers of units.
    p, R : float
        Exponent and radius of the sphere that rows tend to.
    h_star : float
        Activity from which a unit learns; below it, down to 0, it is pushed away.
    delta : float
        How strongly.
    w_inh : float
        Strength of the inhibition; below 1 there is one state of rest.
    loop : {"printed", "disynaptic"}
        Whether a unit is spared its own inhibition.
    tau, tau_inhibition : quantity
        Time constants of the hidden units and of the inhibitory one, which passes on at once what it sums if none is
        given.
    initial : Weights, optional
        Initial weights; standard normal unless given.
    step : Step
        How a drift becomes a change.
    eta : quantity
        Learning rate, 1/tau_L.

    Raises
    ------
    ValidationError
        If ``w_inh`` is not positive, or is 1 or more in a disynaptic loop, where no weight corresponds to it.
    """
    if loop not in LOOPS:
        raise ValidationError(f"krotov2019.competition: loop {loop!r} is not one of {', '.join(map(repr, LOOPS))}.")
    if not w_inh > 0 or (loop == "disynaptic" and not w_inh < 1):
        raise ValidationError(
            f"krotov2019.competition: w_inh = {w_inh!r} with loop={loop!r}; it must be positive, and below 1 in a "
            "disynaptic loop, since the weight that corresponds to it is w_inh/(1 - w_inh)."
        )
    printed = loop == "printed"
    at_rest: dict[str, str] = _PRINTED_AT_REST if printed and w_inh < 1 else {}
    cells = Population(
        "E",
        n_hidden,
        equations=_PRINTED if printed else _DISYNAPTIC,
        parameters={"tau": tau, "w_inh": w_inh},
        steady_state=at_rest,
    )
    summing = (
        Population("I", 1, equations="r = drive : 1", sign="inhibitory")
        if tau_inhibition is None
        else Population("I", 1, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": tau_inhibition},
                        sign="inhibitory")
    )  # fmt: skip
    synapses = [
        _plastic(Krotov(p, R, delta, h_star=h_star, eta=eta, step=step), p, initial),
        Synapses("E", "I", weights=1.0),
        Synapses("I", "E", weights=-w_inh if printed else -w_inh / (1 - w_inh)),
    ]
    return _circuit(n_sensory, [cells, summing], synapses)


def twin(signed: Circuit, initial: Any) -> Circuit:
    """Return a circuit under Dale's law that equals a signed one: negative weights come from a relay of I cells.

    Parameters
    ----------
    signed : Circuit
        What `circuit` or `competition` returned.
    initial : array_like, shape (n_hidden, n_sensory)
        Its initial weights, with signs.

    Notes
    -----
    The pair of pathways learns as one: what a step takes below zero on one side passes to the other side. Two rules
    that are clipped on their own do not learn the same.
    """
    import numpy as np

    weights = np.asarray(getattr(initial, "values", initial), dtype=float)
    source = signed.population("S")
    relay = Population("V", source.n_units, equations="r = drive : 1", sign="inhibitory")
    plastic = signed.pathway("S_to_E")
    rest = [s for s in signed.synapses if s.name != "S_to_E"]
    excitation = Synapses(
        "S", "E", input="current", weights=np.maximum(weights, 0), rule=plastic.rule, transmits=plastic.transmits
    )
    inhibition = Synapses(
        "V", "E", input="current", weights=Paired("S_to_E", Given(np.maximum(-weights, 0))), transmits=plastic.transmits
    )
    cells = [p for p in signed.populations if p.name != "S"]
    return Circuit(
        f"{signed.name}_twin",
        [source, relay, *cells],
        [Synapses("S", "V", weights=1.0, connectivity=OneToOne()), excitation, inhibition, *rest],
    )


def transmitted(p: float) -> str:
    """Return what a synapse passes on: the current is an inner product whose metric depends on the row."""
    power = {2: "", 3: "*abs(w)"}.get(int(p)) if p in (2, 3) else f"*abs(w)**{p - 2:g}"
    return f"w{power}*r_pre"


def _plastic(rule: Any, p: float, initial: Weights | None) -> Synapses:
    weights = Normal(0.0, 1.0) if initial is None else initial
    return Synapses("S", "E", input="current", weights=weights, rule=rule, transmits=transmitted(p))


def _circuit(n_sensory: int, populations: list[Population], synapses: list[Synapses]) -> Circuit:
    return Circuit("krotov2019", [Population("S", n_sensory), *populations], synapses, dale="unconstrained")
