"""The mean field of a spiking circuit: the same populations and pathways with rates in place of spikes.

A spiking population answers to the mean and the variance of what arrives: each pathway into it delivers the sums of
``w*r`` and of ``w**2*r``, and the population's transfer function makes a rate of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from neurocircuits.compile.equations import ParsedEquations, equation_lines, parse_equations
from neurocircuits.compile.events import event_input
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.functions import Function
from neurocircuits.declare.population import Population
from neurocircuits.declare.serialise import FrozenMap
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Tied
from neurocircuits.errors import NeurocircuitsError, ValidationError
from neurocircuits.units import DIMENSIONLESS, Quantity, quantity, unit_text

_HERTZ = quantity("1 Hz").dimension
_FLAGS = {0: "input", 1: "input, excitatory", -1: "input, inhibitory"}
_SIDES = {"excitatory": 1, "inhibitory": -1}


def mean_field(circuit: Circuit, per: str = "cell") -> Circuit:
    """Return a circuit with rates in place of spikes.

    Parameters
    ----------
    circuit : Circuit
        A circuit whose spiking populations have a transfer function.
    per : {"cell", "population"}
        Whether each cell keeps its own inputs and rate, or one unit stands for all cells of a population, which are
        then taken as equal: every pathway is multiplied by its mean number of synapses onto a cell.

    Returns
    -------
    Circuit
        Graded populations of the same names, with pathways of the same names, rules and connections; beside each
        pathway that spikes travelled, ``<name>_variance`` reads the same weights.

    Raises
    ------
    ValidationError
        If a spiking population has no transfer function, synapses have short-term plasticity, or, per population,
        weights differ.

    Notes
    -----
    Spike trains count as independent Poisson trains of the rates, delays as none. What is exact for the mean of a
    linear input is an approximation for all else, the diffusion approximation for example.
    """
    if per not in ("cell", "population"):
        raise ValidationError(f"mean_field: per={per!r}. Allowed: 'cell', 'population'.")
    functions = {function.name: function for function in circuit.functions}
    parsed = {p.name: parse_equations(p, functions) for p in circuit.populations}
    read = {p.name: _population(p, parsed[p.name], functions) for p in circuit.populations}
    populations, new = {name: pair[0] for name, pair in read.items()}, {name: pair[1] for name, pair in read.items()}
    synapses = []
    for pathway in circuit.synapses:
        synapses += _pathways(pathway, circuit, parsed, new)
    if per == "population":
        synapses = [_of_means(s, circuit) for s in synapses]
        populations = {n: p if p.is_source else replace(p, n_units=1) for n, p in populations.items()}
    return Circuit(circuit.name, list(populations.values()), synapses, circuit.functions, circuit.dale)


def _population(
    population: Population, parsed: ParsedEquations, functions: Mapping[str, Function]
) -> tuple[Population, ParsedEquations]:
    """Return a population with rates in place of spikes, and the parts of its equations."""
    if not parsed.jumps and not population.is_spiking:
        return population, parsed
    if population.is_spiking and population.transfer is None:
        raise ValidationError(
            f"Population({population.name!r}).transfer: it spikes and has no transfer function, so it has no mean "
            "field. Give its rate as equations of what its inputs deliver, for example "
            "transfer='dr/dt = (lif_rate(tau*v_drive, sqrt(tau*v_drive_variance), tau, theta, v_reset, 2*ms) - r)/tau "
            ": Hz'."
        )
    lines = _transferred(population, parsed) if population.is_spiking else _filtered(population, parsed)
    settings = ("initial", "bounds", "steps", "steady_state")
    spikes = ("threshold", "reset", "refractory", "transfer")
    bare: dict[str, Any] = {**dict.fromkeys(settings, FrozenMap()), **dict.fromkeys(spikes)}
    graded = replace(population, equations="\n".join(lines), **bare)
    try:
        new = parse_equations(graded, functions)
    except NeurocircuitsError as error:
        if population.is_spiking:
            error.args = (str(error).replace(").equations", ").transfer", 1),)
        raise
    names = {*new.states, *new.slow}
    kept: dict[str, Any] = {key: {k: v for k, v in getattr(population, key).items() if k in names} for key in settings}
    return replace(graded, **kept), new


def _transferred(population: Population, parsed: ParsedEquations) -> list[str]:
    """Return the transfer function and the inputs that it reads."""
    lines = [str(population.transfer)]
    lines += [
        f"{name} : {unit_text(parsed.dimensions[name])} ({_FLAGS[polarity]})"
        for name, polarity in parsed.inputs.items()
        if name != "drive"
    ]
    for name, polarity in parsed.jumps.items():
        squared = _rate(parsed, name, 2)
        lines.append(f"{name}_drive : {_rate(parsed, name)} ({_FLAGS[polarity]})")
        sides = [side for side, sign in _SIDES.items() if polarity in (0, sign)]
        lines += [f"{name}_variance_{side} : {squared} (input, {side})" for side in sides]
        total = " + ".join(f"{name}_variance_{side}" for side in sides)
        lines.append(f"{name}_drive_variance = {total} : {squared}")
    return lines


def _rate(parsed: ParsedEquations, name: str, power: int = 1) -> str:
    """Return the unit of a sum over synapses of a power of a weight times a rate."""
    return unit_text(tuple(power * e + hz for e, hz in zip(parsed.dimensions[name], _HERTZ, strict=True)))


def _filtered(population: Population, parsed: ParsedEquations) -> list[str]:
    """Return the equations of a graded population with the mean of what spikes add."""
    lines = []
    for name, line in equation_lines(population).items():
        if name in parsed.jumps:
            lines.append(f"d{name}/dt = {parsed.texts[name]} + {name}_drive : {unit_text(parsed.dimensions[name])}")
            lines.append(f"{name}_drive : {_rate(parsed, name)} ({_FLAGS[parsed.jumps[name]]})")
        else:
            lines.append(line)
    return lines


def _pathways(
    pathway: Synapses, circuit: Circuit, parsed: Mapping[str, ParsedEquations], new: Mapping[str, ParsedEquations]
) -> list[Synapses]:
    pre, post = circuit.population(pathway.pre), circuit.population(pathway.post)
    if not pre.is_spiking:
        return [pathway]
    if pathway.short_term is not None:
        raise ValidationError(
            f"Synapses({pathway.name!r}).short_term: what such synapses pass on depends on the order of spikes, so "
            "they have no mean field. Leave short-term plasticity out."
        )
    fed = event_input(pathway, 0 if circuit.unconstrained else pre.sign_value, parsed[post.name])
    sent = pathway.transmits or "w"
    rate = "r_pre" if new[pre.name].dimensions.get("r", DIMENSIONLESS) == _HERTZ else "r_pre*Hz"
    unit = pathway.unit or Quantity(1.0, parsed[post.name].dimensions[fed])
    mean = replace(pathway, input=f"{fed}_drive", transmits=f"({sent})*{rate}", unit=unit, delay=0.0)
    if not post.is_spiking:
        return [mean]
    variance = Synapses(
        pathway.pre,
        pathway.post,
        weights=Tied(str(pathway.name), transposed=False),
        name=f"{pathway.name}_variance",
        input=f"{fed}_variance_{pre.sign}",
        transmits=f"({sent})**2*{rate}",
        unit=unit,
    )
    return [mean, variance]


def _of_means(pathway: Synapses, circuit: Circuit) -> Synapses:
    """Return a pathway between units that stand for populations."""
    pre, post = circuit.population(pathway.pre), circuit.population(pathway.post)
    own: dict[str, Any] = {} if isinstance(pathway.weights, Tied) else {"connectivity": AllToAll()}
    if not isinstance(pathway.weights, Constant | Tied):
        raise ValidationError(
            f"Synapses({pathway.name!r}).weights: {type(pathway.weights).__name__} weights may differ, which a mean "
            "field per population does not know. Give one number, or use per='cell'."
        )
    owner = circuit.pathway(pathway.weights.owner) if isinstance(pathway.weights, Tied) else pathway
    shape = (circuit.population(owner.post).n_units, circuit.population(owner.pre).n_units)
    number = owner.connectivity.n_expected(shape) / post.n_units
    if pre.is_source:
        number /= pre.n_units  # its units stay
    return replace(pathway, transmits=f"{number!r}*({pathway.transmits or 'w*r_pre'})", **own)
