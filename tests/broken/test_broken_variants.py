"""Wrong programs, made by breaking one thing, and a named check of the suite that notices each.

A check that a wrong program passes proves nothing, so each variant here has to make its check fail. Without the change the
same check passes in its own module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.engines import (
    base,
    brian2_events,
    brian2_live,
    drifts,
    learning,
    settling,
    solvers,
    steady_state,
    values,
)
from tests import test_simulation
from tests.compile import test_separable
from tests.engines import test_dale, test_delays, test_generality, test_learning, test_steady_state

Patch = pytest.MonkeyPatch
NOTICED = (AssertionError, pytest.fail.Exception, nc.NeurocircuitsError, ValueError, ExceptionGroup)


def compile_differently(patch: Patch, change: Callable[[Any], Any]) -> None:
    """Let everything that compiles get plans whose pathways were changed."""

    def broken(circuit: nc.Circuit) -> Any:
        plan = compile_circuit(circuit)
        return replace(plan, pathways={name: change(pathway) for name, pathway in plan.pathways.items()})

    patch.setattr("neurocircuits.simulation.compile_circuit", broken)
    patch.setattr(nc, "compile_circuit", broken, raising=False)


def inhibition_excites(patch: Patch) -> None:
    patch.setitem(__import__("neurocircuits.declare.population", fromlist=["SIGNS"]).SIGNS, "inhibitory", 1)


def a_tie_is_not_transposed(patch: Patch) -> None:
    magnitude = values.WeightStore.magnitude

    def broken(self: Any, pathway: Any) -> np.ndarray:
        array = magnitude(self, pathway)
        return array.reshape(array.shape[::-1]).T if pathway.transposed else array

    patch.setattr(values.WeightStore, "magnitude", broken)


def the_dale_clip_is_gone(patch: Patch) -> None:
    compile_differently(patch, lambda pathway: replace(pathway, bounds=(-np.inf, np.inf)))


def competition_is_over_the_wrong_side(patch: Patch) -> None:
    def turned(pathway: Any) -> Any:
        if pathway.rule is None:
            return pathway
        sums = {
            name: replace(a, over="post" if a.over == "pre" else "pre") for name, a in pathway.rule.aggregates.items()
        }
        return replace(pathway, rule=replace(pathway.rule, aggregates=sums))

    compile_differently(patch, turned)


def a_term_is_lost(patch: Patch) -> None:
    def shorter(pathway: Any) -> Any:
        return (
            pathway
            if pathway.rule is None
            else replace(pathway, rule=replace(pathway.rule, terms=pathway.rule.terms[:-1]))
        )

    compile_differently(patch, shorter)


def sub_steps_do_not_settle_anew(patch: Patch) -> None:
    settle = settling.Settler.settle

    def broken(self: Any, n_rows: int, tolerance: float, warm: bool = False) -> Any:
        return (
            solvers.Solution(np.empty((n_rows, 0)), np.zeros(n_rows), 0)
            if warm
            else settle(self, n_rows, tolerance, warm)
        )

    patch.setattr(settling.Settler, "settle", broken)


def only_the_first_sub_step_learns(patch: Patch) -> None:
    step, onset = learning.Learner.step, learning.Learner.onset

    def begin(self: Any) -> None:
        self.stepped = False
        onset(self)

    def broken(self: Any, seconds: float, scale: Any, progress: float) -> None:
        if not self.stepped:
            step(self, seconds, scale, progress)
        self.stepped = True

    patch.setattr(learning.Learner, "onset", begin)
    patch.setattr(learning.Learner, "step", broken)


def a_batch_learns_on_its_sum(patch: Patch) -> None:
    call = drifts.Drift.__call__

    def broken(self: Any, factor: float = 1.0) -> Any:
        return call(self, factor * len(self._names.post.data["drive"]))

    patch.setattr(drifts.Drift, "__call__", broken)


def rows_stop_with_their_batch(patch: Patch) -> None:
    patch.setattr(solvers, "_EXACT", 0.0)


def the_solver_is_content_too_early(patch: Patch) -> None:
    def guess(matrix: np.ndarray, b: np.ndarray, active: np.ndarray, symmetric: bool = True) -> np.ndarray:
        x = np.zeros(len(b))
        x[active] = np.linalg.solve(matrix[np.ix_(active, active)], b[active])
        return np.maximum(x, 0.0)

    patch.setattr(solvers, "active_set", guess)
    patch.setattr(solvers, "active_sets", lambda lateral, b, active: (np.zeros_like(b), 0))


def residuals_are_not_looked_at(patch: Patch) -> None:
    patch.setattr(steady_state.SteadyStateSimulation, "_check", lambda *_: None)


def clamps_are_ignored(patch: Patch) -> None:
    patch.setattr(
        values.PopulationValues, "clamp", property(lambda self: None, lambda self, value: None), raising=False
    )


def the_seed_is_ignored(patch: Patch) -> None:
    from neurocircuits.declare import stimulus
    from neurocircuits.randomness import Streams

    for cached in ("_permutation", "_choices"):  # what is drawn here must not be found by later tests
        patch.setattr(stimulus, cached, getattr(stimulus, cached).__wrapped__)
    patch.setattr(Streams, "generator", lambda self, *names: np.random.default_rng(0))


def a_state_leaves_the_gain_out(patch: Patch) -> None:
    state = base.Simulation.state
    patch.setattr(base.Simulation, "state", lambda self: {k: v for k, v in state(self).items() if "log_gain" not in k})


def a_resumed_phase_scales_its_weights_again(patch: Patch) -> None:
    begin = base.Simulation.begin
    patch.setattr(base.Simulation, "begin", lambda self, phase, resumed=False: begin(self, phase))
    load = base.Simulation.load

    def broken(self: Any, state: Any) -> None:
        load(self, state)
        if self.phase is not None:
            begin(self, self.phase)

    patch.setattr(base.Simulation, "load", broken)


def a_cap_counts_from_the_last_sub_step(patch: Patch) -> None:
    step = learning.Learner.step

    def broken(self: Any, *arguments: Any) -> None:
        self.onset()
        step(self, *arguments)

    patch.setattr(learning.Learner, "step", broken)


def what_is_transmitted_is_not_refreshed(patch: Patch) -> None:
    patch.setattr(values.WeightStore, "changed", lambda *_: None)


def a_schedule_is_read_at_the_end_of_a_batch(patch: Patch) -> None:
    patch.setattr(base.Feed, "progress", property(lambda self: (self.position + 5) / self.stop))


def synapses_that_do_not_exist_transmit(patch: Patch) -> None:
    patch.setattr(values.WeightStore, "exists", lambda *_: None)


def both_parts_of_a_pair_are_the_whole(patch: Patch) -> None:
    magnitude = values.WeightStore.magnitude

    def broken(self: Any, pathway: Any) -> np.ndarray:
        return np.abs(self.arrays[pathway.owner]) if pathway.part else magnitude(self, pathway)

    patch.setattr(values.WeightStore, "magnitude", broken)


def a_gate_is_taken_for_one_wherever_it_occurs(patch: Patch) -> None:
    def gated(pathway: Any) -> Any:
        rule = pathway.rule
        return pathway if rule is None else replace(pathway, rule=replace(rule, gates=tuple(rule.layer_terms)))

    compile_differently(patch, gated)


def ranks_count_from_the_smallest(patch: Patch) -> None:
    place = drifts.Layer.place
    patch.setattr(drifts.Layer, "place", lambda self, x, k: place(self, -np.asarray(x, float), k))


def sub_steps(module: Any = test_learning) -> None:
    module.test_the_disynaptic_circuit_learns_as_written_by_hand(5, 4)


def batches() -> None:
    test_learning.test_the_disynaptic_circuit_learns_as_written_by_hand(7, 1)


def settling_of_the_engine() -> None:
    test_steady_state.test_the_engine_settles_where_the_independent_solver_does(3, "auto")


def delays_are_those_of_other_synapses(patch: Patch) -> None:
    delays = brian2_events.EventPathways._delays
    patch.setattr(brian2_events.EventPathways, "_delays", lambda self, name: delays(self, name)[::-1].copy())


def a_state_leaves_traces_of_synapses_out(patch: Patch) -> None:
    own = brian2_live._own
    patch.setattr(brian2_live, "_own", lambda owner: {k: v for k, v in own(owner).items() if k[:4] != "own_"})


def signs() -> None:
    circuit = test_generality.feed_forward(nc.Rule("-eta*(w + 1)", {"eta": "1 Hz"}), n_pre=4)
    test_dale.check_signs(test_dale.learn(circuit, 0), circuit)


def ranked_gate() -> None:
    test_generality.test_a_ranked_gate_with_the_largest_change(None)


VARIANTS: list[tuple[Callable[[Patch], None], Callable[..., None]]] = [
    (inhibition_excites, test_dale.test_inhibition_never_excites),
    (inhibition_excites, settling_of_the_engine),
    (a_tie_is_not_transposed, settling_of_the_engine),
    (a_tie_is_not_transposed, batches),
    (the_dale_clip_is_gone, signs),
    (the_dale_clip_is_gone, batches),
    (competition_is_over_the_wrong_side, batches),
    (a_term_is_lost, lambda: test_separable.test_products_equal_the_mean_over_presentations("anti-Hebbian")),
    (sub_steps_do_not_settle_anew, sub_steps),
    (only_the_first_sub_step_learns, sub_steps),
    (only_the_first_sub_step_learns, test_learning.test_sub_steps_converge_to_first_order),
    (a_batch_learns_on_its_sum, batches),
    (rows_stop_with_their_batch, lambda: test_steady_state.test_a_row_does_not_depend_on_its_batch(45)),
    (the_solver_is_content_too_early, settling_of_the_engine),
    (residuals_are_not_looked_at, test_steady_state.test_excitation_that_inhibition_cannot_hold_has_no_steady_state),
    (clamps_are_ignored, test_steady_state.test_silenced_inhibitory_cells_leave_a_smaller_circuit),
    (the_seed_is_ignored, test_simulation.test_equal_seeds_give_equal_runs_and_others_do_not),
    (a_state_leaves_the_gain_out, test_simulation.test_a_resumed_run_can_be_resumed),
    (a_resumed_phase_scales_its_weights_again, test_simulation.test_a_run_cut_off_at_any_checkpoint_resumes_to_the_bit),
    (a_cap_counts_from_the_last_sub_step, test_generality.test_a_cap_holds_around_the_onset_of_each_presentation),
    (what_is_transmitted_is_not_refreshed, ranked_gate),
    (
        a_schedule_is_read_at_the_end_of_a_batch,
        lambda: test_generality.test_rates_follow_a_schedule_over_a_phase(nc.Linear(1.0, 0.0)),
    ),
    (
        synapses_that_do_not_exist_transmit,
        lambda: test_generality.test_synapses_that_do_not_exist_neither_act_nor_learn_nor_count(nc.Probability(0.4)),
    ),
    (
        both_parts_of_a_pair_are_the_whole,
        lambda: test_generality.test_a_pair_of_pathways_is_the_signed_pathway(nc.Euler()),
    ),
    (a_gate_is_taken_for_one_wherever_it_occurs, test_separable.test_a_gate_that_does_not_stop_the_drift_is_no_gate),
    (ranks_count_from_the_smallest, ranked_gate),
    (
        delays_are_those_of_other_synapses,
        lambda: test_delays.test_spikes_arrive_after_the_delay_that_was_given_for_their_synapse("runtime"),
    ),
    (a_state_leaves_traces_of_synapses_out, test_delays.test_a_resumed_run_equals_the_unbroken_one),
]


@pytest.fixture(scope="module")
def unbroken() -> Any:
    circuit, protocol = test_simulation.long_circuit(), test_simulation.long_protocol()
    return nc.run(circuit, protocol, engine=test_simulation.ENGINE, seed=3, progress=False)


@pytest.mark.parametrize(
    ("break_it", "check"), [pytest.param(*v, id=f"{v[0].__name__}-{v[1].__name__}") for v in VARIANTS]
)
def test_a_wrong_program_is_noticed(
    break_it: Callable[[Patch], None], check: Callable[..., None], unbroken: Any, tmp_path: Any, monkeypatch: Patch
) -> None:
    offered = {"unbroken": unbroken, "tmp_path": tmp_path, "monkeypatch": monkeypatch}
    wanted = inspect.signature(check).parameters
    break_it(monkeypatch)
    with np.errstate(all="ignore"), pytest.raises(NOTICED):
        check(**{name: value for name, value in offered.items() if name in wanted})
