"""What a synapse must know to learn, read off its compiled rule."""

from __future__ import annotations

from neurocircuits.compile.plan import PathwayPlan, Plan, RulePlan
from neurocircuits.declare.steps import LargestChange
from neurocircuits.declare.weights import Normalise

OWN = "its own two cells"
OF_POST = "other synapses of its postsynaptic cell"
OF_PRE = "other synapses of its presynaptic cell"
LAYER = "the layer"
NETWORK = "all synapses of the pathway"
ORDER = (OWN, OF_POST, OF_PRE, LAYER, NETWORK)


def locality(plan: Plan, name: str) -> tuple[str, ...]:
    """Return what a synapse of a pathway must know to learn, from near to far; nothing if it does not learn.

    Its own two cells are their variables, of which traces and slow variables are some, and the weight itself. Sums
    over one side, and normalisation, ask for other synapses of a cell; ranks, winners and totals for the layer; a step
    that is scaled by the largest change of a matrix for the whole pathway. A tied pathway learns by what its owner
    does, with the sides turned.

    Parameters
    ----------
    plan : Plan
        A compiled circuit.
    name : str
        A pathway.

    Returns
    -------
    tuple of str
        Some of `ORDER`.

    References
    ----------
    Yang, Luther and Seung (2020), slides: which synapses compete under the two rules of the disynaptic network.

    Examples
    --------
    >>> from neurocircuits import compile_circuit
    >>> from neurocircuits.models import seung2018
    >>> locality(compile_circuit(seung2018.circuit()), "I_to_E")
    ('its own two cells', 'other synapses of its presynaptic cell')
    """
    pathway = plan.pathways[name]
    owner = plan.pathways[pathway.owner]
    found = _of_owner(owner)
    if pathway.transposed:
        turned = {OF_POST: OF_PRE, OF_PRE: OF_POST}
        found = {turned.get(each, each) for each in found}
    return tuple(each for each in ORDER if each in found)


def _of_owner(pathway: PathwayPlan) -> set[str]:
    learns = pathway.rule is not None or (pathway.events is not None and pathway.events.learns)
    if not learns:
        return set()
    found = {OWN}
    if pathway.rule is not None:
        found |= _of_rule(pathway.rule)
    normalise: Normalise | None = pathway.declaration.normalise
    if normalise is not None:
        found.add(OF_POST if normalise.per == "target" else OF_PRE)
    return found


def _of_rule(rule: RulePlan) -> set[str]:
    found = set()
    for name, aggregate in rule.aggregates.items():
        if name in rule.drift.names:
            found.add(OF_POST if aggregate.over == "pre" else OF_PRE)
    if rule.drift.names & set(rule.layer_terms):
        found.add(LAYER)
    if isinstance(rule.step, LargestChange):
        found.add(NETWORK)
    return found
