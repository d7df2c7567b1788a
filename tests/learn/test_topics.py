"""Topics of the disynaptic circuit: known ones found, sparse and streamed documents, steady states, knobs, bad input."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix, random_array
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

import neurocircuits as nc
from neurocircuits import analysis
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.datasets import Corpus
from neurocircuits.learn import DisynapticTopics
from neurocircuits.learn._disynaptic import renewing
from neurocircuits.models import seung2018
from neurocircuits.randomness import Streams


def written(seed: int, n_topics: int = 10, n_words: int = 200, n_documents: int = 1000) -> tuple[np.ndarray, csr_array]:
    """Return topics over words, a fifth of them shared by two topics, and counts of documents: theta ~ Dirichlet(0.1)."""
    random, own = np.random.default_rng(seed), n_words // n_topics
    topics = np.zeros((n_topics, n_words))
    for k, row in enumerate(topics):
        row[np.arange(k * own, k * own + own + own // 5) % n_words] = 1.0
    topics /= topics.sum(axis=1, keepdims=True)
    theta = random.dirichlet(np.full(n_topics, 0.1), n_documents)
    lengths = random.poisson(100, n_documents)
    counts = [random.multinomial(n, p) for n, p in zip(lengths, theta @ topics, strict=True)]
    return topics, csr_array(np.array(counts))


def documents(n: int = 60, n_words: int = 30, seed: int = 0) -> csr_array:
    return csr_array(random_array((n, n_words), density=0.2, rng=np.random.default_rng(seed), format="csr"))


def small(**settings: Any) -> DisynapticTopics:
    defaults = {"n_components": 5, "n_minibatches": 12, "batch": 20, "random_state": 0}
    return DisynapticTopics(**{**defaults, **settings})


@pytest.fixture(scope="module")
def learned() -> DisynapticTopics:
    return DisynapticTopics(10, n_minibatches=500, random_state=0).fit(normalize(written(0)[1].astype(float)))


# --- known topics


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_known_topics_are_found(seed: int) -> None:
    """Rejects topics that are the same, missing or mixed: one of ten lowers the mean by 0.1 or so."""
    topics, counts = written(seed)
    fitted = DisynapticTopics(10, n_minibatches=1000, random_state=seed).fit(normalize(counts.astype(float)))
    matched = analysis.match_topics(topics, fitted.components_)
    assert float(matched["mean_cosine"]) > 0.9
    assert float(matched["cosine"].min()) > 0.8
    scores = fitted.transform(normalize(counts.astype(float)))
    assert (scores.max(axis=0) > 0).all()


def test_scores_tell_which_topics_a_document_has(learned: DisynapticTopics) -> None:
    topics, _ = written(0)
    matched = analysis.match_topics(topics, learned.components_)
    assert float(matched["cosine"].min()) > 0.9
    partner = matched["partner"].values
    assert learned.transform(topics).argmax(axis=1).tolist() == partner.tolist()
    activity = analysis.activity(learned.tree_, phase="probe")
    assert 0.7 < float(activity["median_power"]) < 1.3 and int(activity["n_silent"]) == 0
    assert float(analysis.decorrelation(learned.tree_, phase="probe")["mean_cosine"]) < 0.03


def test_the_second_of_two_topics_that_are_the_same_starts_anew() -> None:
    """Three copies, two of them renewed: positive weights with the sum of the others, a gain of 1; others stay."""
    simulation = nc.SteadyState(batch=5).open(compile_circuit(seung2018.circuit(8, 5, 2)), Streams(0))
    state = simulation.state()
    weights = np.eye(5, 8) + 0.01
    weights[2], weights[4] = 2 * weights[0], weights[0]
    simulation.load({**state, "weights/S_to_E": weights, "values/E/log_gain": np.full(5, -5.0)})
    renew = renewing(0.9, 50, 100, Streams(1))
    renew(simulation, 49)
    renew(simulation, 101)
    np.testing.assert_array_equal(simulation.state()["weights/S_to_E"], weights)
    renew(simulation, 100)
    after = simulation.state()
    found = after["weights/S_to_E"]
    np.testing.assert_array_equal(found[[0, 1, 3]], weights[[0, 1, 3]])
    np.testing.assert_allclose(found[[2, 4]].sum(axis=1), weights.sum() / 5)
    assert analysis.duplicate_pairs(found, 0.99)[0].size == 0 and (found[[2, 4]] > 0).all()
    assert after["values/E/log_gain"].tolist() == [-5, -5, 0, -5, 0]
    assert analysis.duplicate_pairs(found, 0.9)[0].size == 0


# --- steady states, one document at a time


def test_scores_are_steady_states(learned: DisynapticTopics) -> None:
    """x = max(W u - A' A x, 0)/gain, from the attributes alone."""
    u = normalize(written(5, n_documents=100)[1].astype(float))
    x = learned.transform(u)
    drive = learned.scale_ * (u @ learned.components_.T)
    drive = drive - x @ learned.inhibitory_components_.T @ learned.inhibitory_components_
    slack = drive - x * learned.gain_
    assert np.abs(np.where(x > 0, slack, np.maximum(slack, 0))).max() < 1e-9
    assert 0.05 < (x > 0).mean() < 0.5


def test_a_score_does_not_depend_on_the_batch_nor_on_how_documents_are_stored(learned: DisynapticTopics) -> None:
    u = normalize(written(6, n_documents=600)[1].astype(float))
    together = learned.transform(u)
    for k in (0, 511, 512, 599):
        np.testing.assert_allclose(learned.transform(u[[k]])[0], together[k], rtol=0, atol=1e-12 * together.max())
    for stored in (u.toarray(), csr_matrix(u), u.tocsc(), u.tocoo()):
        np.testing.assert_allclose(learned.transform(stored), together, rtol=0, atol=1e-12 * together.max())
    np.testing.assert_array_equal(learned.transform(u[::-1])[::-1], together)


def test_documents_without_known_words_have_no_topics(learned: DisynapticTopics) -> None:
    assert not learned.transform(csr_array((3, 200))).any()
    np.testing.assert_allclose(analysis.topic_shares(learned.transform(csr_array((3, 200)))), 0.1)
    u = normalize(written(0)[1].astype(float))[:20]
    np.testing.assert_allclose(learned.transform(3 * u), 3 * learned.transform(u), rtol=1e-9, atol=1e-9)


def test_rows_of_words_sum_to_1(learned: DisynapticTopics) -> None:
    np.testing.assert_allclose(
        learned.topic_word_ * learned.components_.sum(axis=1, keepdims=True), learned.components_
    )
    np.testing.assert_allclose(learned.topic_word_.sum(axis=1), 1.0)
    empty = clone(learned)
    empty.components_ = np.array([[0.0, 0.0], [3.0, 1.0]])
    assert empty.topic_word_.tolist() == [[0.5, 0.5], [0.75, 0.25]]


# --- documents in parts, and sparse ones


def test_documents_in_parts_are_documents_in_order() -> None:
    """A pass of fit is one call; three calls are two: the same weights, gains and slowing rates."""
    x, settings = documents(), {"shuffle": False, "duplicates": None, "learning_offset": 2.0}
    whole, at_once = small(n_minibatches=3, **settings).fit(x), small(**settings).partial_fit(x)
    assert at_once.n_iter_ == whole.n_iter_ == 3 and at_once.tree_ is None and at_once.scale_ == whole.scale_
    parts, others = small(**settings), small(**settings).partial_fit(x[:20])
    for k in (0, 20, 40):
        parts.partial_fit(x[k : k + 20])
    others.partial_fit(x[20:])
    assert parts.n_iter_ == others.n_iter_ == 3
    assert parts.scale_ == pytest.approx(np.mean((x[:20].toarray() ** 2).sum(axis=1)) ** -0.5)
    for name in ("components_", "inhibitory_components_", "gain_"):
        np.testing.assert_allclose(getattr(at_once, name), getattr(whole, name), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(getattr(parts, name), getattr(others, name), rtol=1e-9, atol=1e-12)


def test_learning_goes_on_after_fit_and_after_a_copy() -> None:
    x, y = documents(), documents(seed=1)
    fitted = small().fit(x)
    copy = pickle.loads(pickle.dumps(fitted))
    before = fitted.components_.copy()
    fitted.partial_fit(y)
    assert fitted.n_iter_ == 15 and not np.array_equal(before, fitted.components_)
    np.testing.assert_array_equal(copy.partial_fit(y).components_, fitted.components_)
    np.testing.assert_array_equal(copy.partial_fit(x).components_, fitted.partial_fit(x).components_)
    fitted.set_params(kappa=0.5, eta_excitatory=None)
    assert (fitted.partial_fit(y).components_ == 0).sum() > (copy.partial_fit(y).components_ == 0).sum()
    for settings in ({"n_components": 6}, {"n_inhibitory": 3}):
        with pytest.raises(nc.ValidationError, match="cells have learned already"):
            clone(fitted).partial_fit(x).set_params(**settings).partial_fit(x)


def test_rates_of_words_slow_down() -> None:
    """Presentations after which weights follow documents less: 1/(1 + n/offset). Rejects a schedule that begins anew."""
    estimator = small(learning_offset=4.0)
    in_one = estimator._slowing(0, 12)["S_to_E"]
    for n in range(12):
        assert in_one(n / 12) == pytest.approx(1 / (1 + n / 4))
        assert estimator._slowing(n, 5)["S_to_E"](2 / 5) == pytest.approx(1 / (1 + (n + 2) / 4))
    assert small(learning_offset=None)._slowing(7, 5) is True


def test_sparse_documents_are_never_made_dense() -> None:
    """2000 x 20 000 values would take 320 MB."""
    x = random_array((2000, 20_000), density=5e-4, rng=np.random.default_rng(0), format="csr")
    estimator = DisynapticTopics(4, n_minibatches=3, random_state=0)
    estimator.fit(documents(n=100))  # what is loaded once
    tracemalloc.start()
    scores = estimator.fit(x).transform(x)
    estimator.partial_fit(x[:500])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scores.shape == (2000, 4) and peak < 60e6


# --- knobs


@pytest.mark.slow
def test_competition_leaves_fewer_words() -> None:
    x = normalize(written(0)[1].astype(float))
    kept = []
    for kappa in (0.0, 5e-3, 5e-2):
        fitted = DisynapticTopics(5, kappa=kappa, n_minibatches=200, random_state=0).fit(x)
        kept.append((fitted.components_ > 0).sum())
    assert kept[0] > 1.2 * kept[1] > 1.2**2 * kept[2] > 0


@pytest.mark.slow
def test_words_survive_whose_correlation_exceeds_the_competition() -> None:
    """W = max(<x u> - kappa sum W, 0) where learning rests, to the noise of minibatches. Rejects another kappa."""
    x = normalize(written(0)[1].astype(float))
    fitted = DisynapticTopics(10, kappa=0.05, n_minibatches=600, random_state=0).fit(x)
    u, weights = fitted.scale_ * x, fitted.components_
    correlations = (u.T @ fitted.transform(u / fitted.scale_)).T / u.shape[0]
    expected = np.maximum(correlations - 0.05 * weights.sum(axis=1, keepdims=True), 0.0)
    assert np.linalg.norm(weights - expected) < 0.05 * np.linalg.norm(weights)
    assert 0 < (weights > 0).mean() < 0.2


@pytest.mark.slow
def test_a_small_p_gives_documents_fewer_topics() -> None:
    x = normalize(written(0)[1].astype(float))
    fitted = [DisynapticTopics(6, p=p, n_minibatches=200, random_state=0).fit(x) for p in (0.1, 0.3, 0.6)]
    shares = [(f.transform(x) > 0).mean() for f in fitted]
    assert shares[0] < shares[1] < shares[2]


def test_a_step_that_silences_topics_is_refused_and_not_taken_unasked() -> None:
    """eta (gamma + kappa n_words) 0.1 s < 1: 0.2 Hz allows kappa up to 1.6333 for 30 words. Rejects other limits."""
    x = documents()
    small(kappa=1.63, eta_excitatory="0.2 Hz").fit(x)
    with pytest.raises(nc.ValidationError, match=r"eta_excitatory = '0.2 Hz', gamma = 1, kappa = 1.64 and 30 words"):
        small(kappa=1.64, eta_excitatory="0.2 Hz").fit(x)
    with pytest.raises(nc.ValidationError, match=r"Lower eta_excitatory below 0.199 Hz"):
        small(kappa=1.64, eta_excitatory="0.2 Hz").partial_fit(x)
    for kappa in (1.64, 40.0):
        fitted = small(kappa=kappa, n_minibatches=100).fit(x)
        assert (fitted.components_.max(axis=1) > 0).all()
    continued = small(eta_excitatory="0.2 Hz", n_minibatches=30, learning_offset=10.0).fit(x)
    continued.set_params(kappa=6.5).partial_fit(x)  # the rate has fallen to a quarter by now
    with pytest.raises(nc.ValidationError, match="kappa = 8"):
        continued.set_params(kappa=8.0).partial_fit(x)


def test_numbers_of_inhibitory_cells() -> None:
    for n_components, expected in ((1, 2), (5, 2), (8, 2), (20, 5)):
        fitted = small(n_components=n_components, n_minibatches=2).fit(documents())
        assert fitted.inhibitory_components_.shape == (expected, n_components)
    alone = small(n_inhibitory=0).fit(documents())
    expected = np.maximum(alone.scale_ * documents() @ alone.components_.T, 0) / alone.gain_
    np.testing.assert_allclose(alone.transform(documents()), expected, rtol=1e-9)
    assert alone.partial_fit(documents()).inhibitory_components_.shape == (0, 5)


# --- what scikit-learn expects


@parametrize_with_checks([small(random_state=None, n_minibatches=5)])
def test_checks_of_scikit_learn(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def test_seeds_and_names() -> None:
    x = documents()
    first = small().fit(x)
    np.testing.assert_array_equal(small().fit(x).components_, first.components_)
    assert not np.array_equal(small(random_state=1).fit(x).components_, first.components_)
    assert first.get_feature_names_out().tolist() == [f"disynaptictopics{k}" for k in range(5)]
    assert first.tree_.attrs["seed"] == 0 and first.n_iter_ == 12


# --- bad input, or input that is odd


BAD = {
    "NaN": (np.where(np.arange(30) == 3, np.nan, documents().toarray()), "contains NaN"),
    "NaN in a sparse one": (csr_array(np.where(np.eye(5, 30) > 0, np.nan, 0.0)), "contains NaN"),
    "infinite": (csr_array(np.where(np.eye(5, 30) > 0, np.inf, 0.0)), "contains infinity"),
    "negative counts": (documents() - 0.1 * documents(seed=1), "Negative values in data"),
    "no document": (documents()[:0], "0 sample"),
    "text": (np.full((5, 30), "word"), "could not convert|string"),
    "other words": (documents(n_words=29), None),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_documents_are_refused(case: str) -> None:
    bad, words = BAD[case]
    fitted = small().fit(documents())
    for method in (clone(fitted).fit, clone(fitted).partial_fit, fitted.transform, fitted.partial_fit):
        if words is None and getattr(method, "__self__", None) is not fitted:
            continue
        with pytest.raises(ValueError, match=words or "29 features, but .* expecting 30"):
            method(bad)


def test_documents_that_are_all_empty_are_refused_unless_something_was_learned() -> None:
    empty = csr_array((10, 30))
    for method in (small().fit, small().partial_fit):
        with pytest.raises(nc.ValidationError, match="mean squared length of the rows is 0"):
            method(empty)
    fitted = small().fit(documents())
    assert np.isfinite(fitted.partial_fit(empty).components_).all()


@pytest.mark.filterwarnings("ignore::neurocircuits.learn.CollapseWarning")
@pytest.mark.parametrize("n", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_fewer_documents_than_topics(n: int) -> None:
    """No error: topics are copies of documents, the same or silent ones. Of one document all that are active are it."""
    x = documents(n)
    fitted = small(n_minibatches=120, eta_excitatory="0.5 Hz", learning_offset=None).fit(x)
    scores = fitted.transform(x)
    assert np.isfinite(scores).all() and (scores.max(axis=1) > 0).all()
    if n == 1:
        active = fitted.components_[scores[0] > 0]
        cosines = active @ x.toarray()[0] / np.linalg.norm(active, axis=1) / np.linalg.norm(x.toarray())
        np.testing.assert_allclose(cosines, 1.0, atol=1e-2)


def test_texts_with_empty_documents_and_unseen_words() -> None:
    """An empty document among others changes nothing but the share of documents that a topic is in."""
    texts = ["cat dog", "dog cat cat", "star planet", "planet star", ""] * 8
    corpus = Corpus("pets and stars", texts)
    vectorizer = corpus.vectorizer()
    x = vectorizer.fit_transform(corpus.documents)
    fitted = DisynapticTopics(2, n_minibatches=300, batch=20, random_state=0).fit(x)
    words = vectorizer.get_feature_names_out()
    assert sorted(sorted(row) for row in analysis.top_words(fitted.components_, 2, words)) == [
        ["cat", "dog"], ["planet", "star"],
    ]  # fmt: skip
    scores = fitted.transform(vectorizer.transform(["", "unseen words", "a cat", "unseen cat"]))
    assert not scores[:2].any() and scores[2].any()
    np.testing.assert_array_equal(scores[3], scores[2])


BAD_SETTINGS = [
    ({"n_components": 0}, "n_components: 0"),
    ({"n_components": 2.5}, "n_components: 2.5"),
    ({"n_inhibitory": -1}, "n_inhibitory: -1"),
    ({"p": 0.0}, "p: 0.0"),
    ({"p": 1.0}, "0 < p < q"),
    ({"q": -1}, "q: -1"),
    ({"kappa": -1e-3}, "kappa: -0.001"),
    ({"gamma": 0.0}, "gamma: 0.0"),
    ({"gamma": np.nan}, "gamma: nan"),
    ({"n_minibatches": 0}, "n_minibatches: 0"),
    ({"batch": "all"}, "batch: 'all'"),
    ({"learning_offset": 0}, "learning_offset: 0"),
    ({"eta_excitatory": "20 Hz"}, "it must be below 1"),
    ({"eta_excitatory": "5 mV"}, "eta"),
    ({"eta_gain": "fast"}, "fast"),
    ({"gain_floor": 2.0}, "gain_floor 2.0"),
    ({"duplicates": -1}, "duplicates: -1"),
    ({"random_state": -1}, "random_state: -1"),
]


@pytest.mark.parametrize(("settings", "words"), BAD_SETTINGS, ids=[str(c[0])[:40] for c in BAD_SETTINGS])
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    estimator = small(**settings)
    with pytest.raises(nc.ValidationError, match=words):
        estimator.fit(documents())
    assert not hasattr(estimator, "components_")
