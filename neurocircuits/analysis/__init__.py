"""What a result means: pure functions from result trees to datasets, each on a small function of arrays.

Every function that takes a tree reads it through `neurocircuits.analysis._select`: rates of one phase at the end of
each presentation, weights and slow variables at the end of a phase. None asks which engine made the tree.
"""

from __future__ import annotations

from neurocircuits.analysis.balance import balance_measures, ei_balance
from neurocircuits.analysis.compare import compare, difference
from neurocircuits.analysis.competition import class_votes, collapse, winner_agreement, wins
from neurocircuits.analysis.decorrelation import (
    bound_excess,
    copositivity,
    copositivity_form,
    cosine_bound,
    cosine_matrix,
    decorrelation,
    off_diagonal,
    pearson_matrix,
    second_moment,
)
from neurocircuits.analysis.dynamics import (
    circuit_stability,
    damped_oscillation,
    ringing,
    settled_after,
    settling_time,
    stability,
)
from neurocircuits.analysis.features import (
    activity,
    receptive_fields,
    response_weighted_average,
    selectivity,
    selectivity_measures,
    sparseness,
    treves_rolls,
    vinje_gallant,
)
from neurocircuits.analysis.rows import (
    best_cosines,
    border_ratio,
    colour_correlation,
    ink_maps,
    negative_share,
    neighbour_correlation,
    redundant_pairs,
    row_sparseness,
)
from neurocircuits.analysis.sphere import (
    converged_fraction,
    lyapunov,
    norm_trace,
    scale_free_currents,
    sphere_norms,
)
from neurocircuits.analysis.weights import (
    duplicate_features,
    duplicate_pairs,
    match_templates,
    matched_features,
    nonzero,
    nonzero_weights,
)

__all__ = [
    "activity",
    "balance_measures",
    "best_cosines",
    "border_ratio",
    "bound_excess",
    "circuit_stability",
    "class_votes",
    "collapse",
    "colour_correlation",
    "compare",
    "converged_fraction",
    "copositivity",
    "copositivity_form",
    "cosine_bound",
    "cosine_matrix",
    "damped_oscillation",
    "decorrelation",
    "difference",
    "duplicate_features",
    "duplicate_pairs",
    "ei_balance",
    "ink_maps",
    "lyapunov",
    "match_templates",
    "matched_features",
    "negative_share",
    "neighbour_correlation",
    "nonzero",
    "nonzero_weights",
    "norm_trace",
    "off_diagonal",
    "pearson_matrix",
    "receptive_fields",
    "redundant_pairs",
    "response_weighted_average",
    "ringing",
    "row_sparseness",
    "scale_free_currents",
    "second_moment",
    "selectivity",
    "selectivity_measures",
    "settled_after",
    "settling_time",
    "sparseness",
    "sphere_norms",
    "stability",
    "treves_rolls",
    "vinje_gallant",
    "winner_agreement",
    "wins",
]
