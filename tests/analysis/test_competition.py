"""Competition, the p-sphere and the look of rows: closed forms, plain loops, and permuted pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics.pairwise import cosine_similarity

import neurocircuits as nc
from neurocircuits import analysis, datasets
from neurocircuits.errors import ValidationError
from neurocircuits.models import krotov2019
from tests.analysis.conftest import make_tree
from tests.references.circuits import run, weights

RANDOM = np.random.default_rng(0)


# --- the sphere


@pytest.mark.parametrize("p", [2, 3, 4, 2.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms_against_a_plain_sum(p: float, dtype: str) -> None:
    """Rejects the root of the sum, a loss of sign, and sums in single precision."""
    w = RANDOM.normal(size=(3, 5, 700)).astype(dtype)
    found = analysis.sphere_norms(w, p)
    assert found.dtype == np.float64 and found.shape == (3, 5)
    np.testing.assert_allclose(found, np.sum(np.abs(w.astype(float)) ** p, axis=2), rtol=1e-12)
    np.testing.assert_allclose(found[1], analysis.sphere_norms(w[1], p), rtol=1e-14)


@pytest.mark.parametrize(("p", "mean"), [(2, 1.0), (3, 2 * np.sqrt(2 / np.pi)), (4, 3.0)])
def test_norms_of_standard_normal_rows(p: float, mean: float) -> None:
    """E sum |x|^p = N, 1.596 N, 3 N for p = 2, 3, 4."""
    norms = analysis.sphere_norms(np.random.default_rng(1).normal(size=(2000, 784)), p)
    assert norms.mean() / 784 == pytest.approx(mean, rel=0.01)


def test_converged_is_within_a_part_of_the_radius() -> None:
    """Rejects a tolerance that does not scale with R^p, one that is counted from above only, and the root."""
    rows = np.array([[1.0], [1.004], [0.996], [1.006], [0.994], [0.0]]) ** (1 / 2)
    norms = [1.009, 0.991, 1.011, 0.989]
    w = np.sqrt(np.array([[n] for n in norms]))
    assert analysis.converged_fraction(w, 2) == 0.5
    assert analysis.converged_fraction(3 * w, 2, radius=3.0) == 0.5
    assert analysis.converged_fraction(3 * w, 2) == 0
    assert analysis.converged_fraction(w, 2, tolerance=0.02) == 1
    assert isinstance(analysis.converged_fraction(rows, 2), float)
    np.testing.assert_allclose(analysis.converged_fraction(np.stack([rows, 2 * rows, rows]), 2), [5 / 6, 0, 5 / 6])


def test_the_trace_of_norms_is_read_from_a_tree() -> None:
    w = RANDOM.random((3, 4, 9))
    w[2, :3] /= np.cbrt(np.sum(w[2, :3] ** 3, axis=1, keepdims=True))
    trace = analysis.norm_trace(make_tree(w=w, snapshots=("initial", "learn", "learn")), p=3.0)
    np.testing.assert_allclose(trace["norm"], np.sum(w**3, axis=2))
    assert trace["converged"].values.tolist() == [0, 0, 0.75] and trace["phase"].values.tolist()[0] == "initial"
    with pytest.raises(ValidationError, match="stored as a matrix"):
        analysis.norm_trace(make_tree(), 3.0, "I_to_E")


@pytest.mark.parametrize("p", [2.0, 2.5, 3.0])
def test_scale_free_currents_have_no_scale(p: float) -> None:
    """Q(c W) = Q(W) for c > 0; its largest value is |v| in the dual norm, at w ~ v^(1/(p - 1)) for v >= 0."""
    w, v = RANDOM.normal(size=(5, 8)), RANDOM.random(8)
    q = analysis.scale_free_currents(w, v, p)
    np.testing.assert_allclose(analysis.scale_free_currents(7 * w, v, p), q)
    plain = [sum(np.sign(x) * abs(x) ** (p - 1) * y for x, y in zip(row, v, strict=True)) for row in w]
    np.testing.assert_allclose(q, plain / np.sum(np.abs(w) ** p, axis=1) ** ((p - 1) / p))
    # Hoelder: sum |w|^(p-1) v <= |w|_p^(p-1) |v|_p, with equality at w ~ v
    np.testing.assert_allclose(analysis.scale_free_currents(v[None], v, p), np.sum(v**p) ** (1 / p))
    assert (q <= np.sum(v**p) ** (1 / p)).all()


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_learning_climbs_at_the_rate_of_appendix_a(p: float) -> None:
    """dL/dt = sum (p-1) g^2 <W,W>^(-(p-1)/p - 1) (<W,W><v,v> - <W,v>^2), by one small step of eq. 2."""
    w, v, g = RANDOM.normal(size=(3, 6)), RANDOM.random(6), np.array([1.0, -0.4, 0.0])
    metric = np.abs(w) ** (p - 2)
    ww, vv, wv = (np.sum(metric * x, axis=1) for x in (w**2, v**2, w * v))
    rate = np.sum((p - 1) * g**2 * ww ** (-(p - 1) / p - 1) * (ww * vv - wv**2))
    dt = 1e-6
    after = w + dt * g[:, None] * (v - wv[:, None] * w)
    climbed = analysis.lyapunov(np.stack([w, after]), v, p, g)
    assert np.diff(climbed)[0] / dt == pytest.approx(rate, rel=1e-3)
    # Oja's rule: g(Q) = Q, so G = Q^2/2
    assert analysis.lyapunov(w, v, p, lambda q: q**2 / 2) == pytest.approx(
        0.5 * np.sum(analysis.scale_free_currents(w, v, p) ** 2)
    )


def test_the_lyapunov_function_rises_along_a_run_while_the_order_stays() -> None:
    """One image, ranked units, the engine's own steps. Rejects a rule, metric or gate of another sign."""
    v, w = RANDOM.random(10), 0.6 * RANDOM.random((6, 10)) * 0.7 ** np.arange(6)[:, None]
    circuit = krotov2019.circuit(10, 6, p=3.0, k=3, delta=0.4, initial=nc.Given(w), step=nc.Euler(), eta="0.5 Hz")
    shown = nc.Phase("learn", {"S": nc.Patterns(np.tile(v, (40, 1)), duration=0.01)}, record=nc.Record(weights_every=1))
    steps = run(circuit, shown, engine=nc.SteadyState(batch=1))["/synapses/S_to_E"].ds["w"].values
    order = np.argsort(-(np.abs(steps) ** 2 @ v), axis=1)[:, [0, 2]]
    assert (order == [0, 2]).all()
    gate = np.zeros(6)
    gate[order[0]] = 1.0, -0.4
    values = analysis.lyapunov(steps, v, 3.0, gate)
    assert (np.diff(values) > 0).all() and np.ptp(values) > 0.01
    assert not (np.diff(analysis.lyapunov(steps, v, 3.0, -gate)) > 0).any()


# --- who wins


CURRENTS = np.array([[3.0, 1.0, 0.0, -1.0], [2.0, 5.0, 0.0, -1.0], [1.0, 4.0, 0.5, -2.0], [0.0, 2.0, 1.0, -3.0]])


def test_wins_and_dead_units() -> None:
    assert analysis.wins(CURRENTS).tolist() == [1, 3, 0, 0]
    assert analysis.collapse(CURRENTS) == {"winner_share": 0.75, "silent_share": 0.25}


def test_votes_count_classes() -> None:
    """Rejects votes per class instead of per unit, and a purity that divides by all presentations."""
    votes = analysis.class_votes(CURRENTS, np.array(["b", "a", "b", "a"]))
    assert votes["votes"].values.tolist() == [[0, 1], [2, 1], [0, 0], [0, 0]]
    assert votes["class"].values.tolist() == ["a", "b"] and votes["preferred"].values[:2].tolist() == ["b", "a"]
    np.testing.assert_allclose(votes["purity"], [1, 2 / 3, np.nan, np.nan])
    assert float(votes["agreement"]) == 0.75


def test_winners_agree_after_matching() -> None:
    w = RANDOM.normal(size=(6, 20))
    images = RANDOM.random((50, 20))
    order = RANDOM.permutation(6)
    same = analysis.winner_agreement(images @ w.T, images @ (2 * w).T, w, 2 * w)
    assert same == pytest.approx({"same": 1.0, "matched": 1.0, "cosine": 1.0})
    shuffled = analysis.winner_agreement(images @ w.T, images @ w[order].T, w, w[order])
    loop = np.mean([(w @ v).argmax() == (w[order] @ v).argmax() for v in images])
    assert shuffled["same"] == pytest.approx(loop) and shuffled["matched"] == 1.0
    fewer = analysis.winner_agreement(images @ w.T, images @ w[:4].T, w, w[:4])
    kept = (images @ w.T).argmax(axis=1) < 4
    assert np.isnan(fewer["same"]) and fewer["matched"] == pytest.approx(kept.mean())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: analysis.wins(np.ones(3)), "n_presentations"),
        (lambda: analysis.collapse(np.ones((0, 3))), "n_presentations"),
        (lambda: analysis.class_votes(CURRENTS, np.ones(3)), "4 presentations"),
        (lambda: analysis.winner_agreement(CURRENTS, CURRENTS[:2]), "the same ones"),
        (lambda: analysis.winner_agreement(CURRENTS, CURRENTS, np.eye(4)), "both layers"),
        (lambda: analysis.best_cosines(np.ones((2, 3)), np.ones((4, 5))), "do not fit"),
        (lambda: analysis.best_cosines(np.ones((2, 3)), np.zeros((4, 3))), "none of 4 images"),
        (lambda: analysis.neighbour_correlation(np.ones((2, 6)), (2, 2)), "not rows of images"),
        (lambda: analysis.neighbour_correlation(np.ones((2, 1)), (1, 1)), "no pixels beside"),
        (lambda: analysis.colour_correlation(np.ones((2, 6)), (2, 3)), "one colour"),
        (lambda: analysis.row_sparseness(np.ones((2, 1))), "one weight"),
        (lambda: analysis.ink_maps(np.ones((2, 3)), np.ones((3, 4))), "a row each"),
    ],
)
def test_what_makes_no_sense_is_refused(call, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        call()


# --- rows


def test_shares_and_borders() -> None:
    w = np.array([[0.0, -1.0, 2.0, 1.0], [0.0, -3.0, 0.0, 1.0]])
    assert analysis.negative_share(w) == pytest.approx(4 / 8)
    assert np.isnan(analysis.negative_share(0 * w))
    mean = np.array([0.0, 0.0, 0.5, 0.9])
    assert analysis.border_ratio(w, mean) == pytest.approx((4 / 4) / (4 / 4))
    assert analysis.border_ratio(w[:1], mean) == pytest.approx(0.5 / 1.5)
    assert np.isnan(analysis.border_ratio(w, mean + 1)) and np.isnan(analysis.border_ratio(w, 0 * mean))


def test_best_cosines_against_scikit_learn() -> None:
    """Rejects parts that forget each other, images that are not normalised, and rows of zeros that win."""
    w, images = RANDOM.normal(size=(6, 12)), RANDOM.random((50, 12)) * (RANDOM.random((50, 12)) < 0.5)
    w[4], w[5], images[7] = 3 * images[3], 0.0, 0.0
    found = analysis.best_cosines(w, images, batch=8)
    np.testing.assert_allclose(found[:5], cosine_similarity(w[:5], images).max(axis=1))
    assert found[4] == pytest.approx(1.0) and np.isnan(found[5])
    stored = datasets.Dataset("stored", (images * 255).astype("uint8"), scale=1 / 255)
    np.testing.assert_allclose(analysis.best_cosines(w, stored, 16), analysis.best_cosines(w, stored.values))


def test_neighbours_against_scipy() -> None:
    """Rejects pairs across the edge of a row or a colour, a missing direction, and rows pooled before centring."""
    w = RANDOM.normal(size=(3, 2 * 4 * 5)) + np.array([[0.0], [5.0], [0.0]])
    for row, found in zip(w, analysis.neighbour_correlation(w, (2, 4, 5)), strict=True):
        pairs = [
            (x[i, j], x[i + down, j + 1 - down])
            for x in row.reshape(2, 4, 5)
            for i in range(4)
            for j in range(5)
            for down in (0, 1)
            if i + down < 4 and j + 1 - down < 5
        ]
        assert found == pytest.approx(pearsonr(*zip(*pairs, strict=True)).statistic)
    smooth = np.add.outer(np.arange(8.0), np.arange(8.0)).reshape(1, 64)
    board = (-1.0) ** np.add.outer(np.arange(8), np.arange(8)).reshape(1, 64)
    assert analysis.neighbour_correlation(np.vstack([smooth, board, board**2]), (8, 8)) == pytest.approx(
        [1.0, -1.0, np.nan], nan_ok=True
    )


def test_colours_of_a_row() -> None:
    grey = np.tile(RANDOM.normal(size=(1, 16)), (1, 3))
    opposed = np.concatenate([grey[:, :32], -grey[:, :16]], axis=1)
    assert analysis.colour_correlation(grey, (3, 4, 4)) == pytest.approx([1.0])
    x = opposed.reshape(3, 16)
    sides = [np.concatenate([x[k] for k in side]) for side in ((0, 0, 1), (1, 2, 2))]
    assert analysis.colour_correlation(opposed, (3, 4, 4)) == pytest.approx([pearsonr(*sides).statistic])
    assert abs(analysis.colour_correlation(RANDOM.normal(size=(50, 3 * 64)), (3, 8, 8)).mean()) < 0.05


def test_sparseness_of_rows_has_its_ends_and_no_scale() -> None:
    """m equal magnitudes among n give (sqrt(n) - sqrt(m))/(sqrt(n) - 1)."""
    w = np.zeros((3, 16))
    w[0, 3], w[1, :4], w[2] = -2.0, [1, -1, 1, -1], 5.0
    np.testing.assert_allclose(analysis.row_sparseness(w), [1.0, (4 - 2) / 3, 0.0], atol=1e-12)
    np.testing.assert_allclose(analysis.row_sparseness(-3 * w[:2]), analysis.row_sparseness(w[:2]))
    assert np.isnan(analysis.row_sparseness(np.zeros((1, 4)))).all()


def test_redundant_pairs_are_counted_once() -> None:
    w = RANDOM.normal(size=(5, 30))
    w[3], w[4] = 2 * w[0], -w[1]
    assert analysis.redundant_pairs(w) == 1
    w[4] = w[0] + 1e-4
    assert analysis.redundant_pairs(w) == 3


def test_ink_maps_are_means_of_what_is_won() -> None:
    images, w = RANDOM.random((40, 6)), RANDOM.normal(size=(4, 6))
    w[3] = -1.0  # wins nothing
    currents = images @ w.T
    maps = analysis.ink_maps(currents, images)
    winner = currents.argmax(axis=1)
    for unit in range(3):
        np.testing.assert_allclose(maps[unit], images[winner == unit].mean(axis=0) - images.mean(axis=0))
    assert np.isnan(maps[3]).all() and not (winner == 3).any()


# --- what learning must not depend on


def test_permuted_pixels_permute_rows_and_change_no_error() -> None:
    """The same permutation for all images: rows, every prediction of a top layer on them, and measures of rows.

    Rejects anything that knows where a pixel is: an order of sums that decides a rank, a layer that sees pixels by
    place.
    """
    pytest.importorskip("torch", reason="needs torch: pip install 'neurocircuits[torch]'")
    from neurocircuits.readout import PowerClassifier

    train, test = datasets.digits().split(400, 0)
    order = np.random.default_rng(2).permutation(64)
    start = np.random.default_rng(3).normal(size=(30, 64))
    found, errors = [], []
    for places in (np.arange(64), order):
        circuit = krotov2019.circuit(
            64, 30, p=3.0, k=2, delta=0.2, initial=nc.Given(start[:, places]), step=nc.LargestChange(0.05)
        )
        shown = nc.Patterns(train.values[:, places]).shuffled()
        rows = weights(
            run(circuit, nc.Phase("learn", {"S": shown}, epochs=4), engine=nc.SteadyState(batch=50)), "S_to_E"
        )
        top = PowerClassifier(n=2.0, m=4.0, epochs=30, rates=((0.0, 0.02),), random_state=0)
        top.fit(train.values[:, places] @ rows.T, np.asarray(train.labels))
        predicted = top.predict(test.values[:, places] @ rows.T)
        errors.append(np.flatnonzero(predicted != np.asarray(test.labels)))
        found.append(rows)
    np.testing.assert_allclose(found[1], found[0][:, order], rtol=0, atol=1e-10)
    assert np.abs(found[0] - start).max() > 0.5
    np.testing.assert_array_equal(errors[1], errors[0])
    assert 0 < len(errors[0]) < 200
    np.testing.assert_allclose(analysis.row_sparseness(found[1]), analysis.row_sparseness(found[0]), atol=1e-10)


@pytest.mark.parametrize("measure", [analysis.collapse, analysis.wins, lambda x: analysis.class_votes(x, [0, 1])])
def test_currents_that_are_nan_win_nothing(measure: Callable[[Any], Any]) -> None:
    """NumPy's argmax prefers NaN to every number."""
    with pytest.raises(ValidationError, match=r"currents is NaN in 1 of 4 places, the first at \[1, 0\]"):
        measure(np.array([[1.0, 2.0], [np.nan, 1.0]]))
