"""Words, coherence, agreement, relevance, maps and partners of topics: gensim, scikit-learn, pyLDAvis and plain loops."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import jensenshannon, pdist, squareform
from sklearn.metrics import normalized_mutual_info_score

from neurocircuits import analysis
from neurocircuits.errors import UnsupportedError, ValidationError

WORDS = [f"w{k}" for k in range(24)]
EPSILON = 1e-12


def corpus(seed: int = 0, n: int = 60) -> tuple[list[list[str]], csr_array]:
    """Return documents of 3 to 30 words, none of them twice within any 24, and their counts."""
    random, texts = np.random.default_rng(seed), []
    share = random.dirichlet(np.ones(24), 3)
    for _ in range(n):
        p = share[random.integers(3)] + 0.01
        order = random.choice(24, 24, replace=False, p=p / p.sum())
        length = int(random.integers(3, 31))
        texts.append([WORDS[k] for k in np.resize(order, length)])
    counts = np.array([[text.count(word) for word in WORDS] for text in texts])
    return texts, csr_array(counts)


def topics(seed: int = 0, n: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(24, 0.5), n)


# --- words


def test_first_words_come_in_falling_order_and_only_those_that_a_topic_has() -> None:
    weights = [[0.0, 3.0, 1.0, 3.0], [0.0, 0.0, 2.0, 0.0], [0.0] * 4]
    assert [row.tolist() for row in analysis.top_words(weights, 3)] == [[1, 3, 2], [2], []]
    assert analysis.top_words(csr_array(weights), 1, "abcd") == [["b"], ["c"], []]


def test_diversity_is_the_share_of_different_words() -> None:
    """1 for disjoint topics, 1/K for the same ones; a loop over sets. Rejects words of weight 0 among the first."""
    assert analysis.topic_diversity(np.kron(np.eye(4), np.ones(6)), 6) == 1.0
    assert analysis.topic_diversity(np.tile(topics(n=1), (5, 1)), 10) == pytest.approx(1 / 5)
    w = topics(1)
    chosen = [set(np.argsort(-row)[:7].tolist()) for row in w]
    assert analysis.topic_diversity(w, 7) == len(set.union(*chosen)) / 28
    assert analysis.topic_diversity([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 3) == 1.0
    assert np.isnan(analysis.topic_diversity(np.zeros((2, 3))))


def test_shares_sum_to_1_also_without_any_value() -> None:
    np.testing.assert_allclose(analysis.topic_shares([[1, 3], [0, 0]]), [[0.25, 0.75], [0.5, 0.5]])
    shares = analysis.word_shares([[0.0, 2.0], [0.0, 0.0]], 1e-3)
    np.testing.assert_allclose(shares, [[1e-3 / 1.002, 1.001 / 1.002], [0.5, 0.5]])


# --- coherence


def npmi(joint: float, a: float, b: float) -> float:
    return float(np.log((joint + EPSILON) / (a * b)) / -np.log(joint + EPSILON))


def test_document_coherence_is_a_loop_over_pairs() -> None:
    """Rejects another base, pairs counted with themselves, counts instead of presence, another epsilon."""
    texts, counts = corpus()
    w = topics()
    found = analysis.document_coherence(w, counts, n_words=6, reference="these texts")
    held = [set(text) for text in texts]
    for row, value in zip(w, found["coherence"].values, strict=True):
        first = [WORDS[k] for k in np.argsort(-row)[:6]]
        p = {word: np.mean([word in text for text in held]) for word in first}
        pairs = [
            npmi(np.mean([a in text and b in text for text in held]), p[a], p[b])
            for a, b in itertools.permutations(first, 2)
        ]
        assert value == pytest.approx(np.mean(pairs), rel=1e-9)
    assert float(found["mean"]) == pytest.approx(found["coherence"].values.mean())
    kept = {name: found.attrs[name] for name in ("measure", "n_words", "window", "reference", "n_documents")}
    assert kept == {
        "measure": "npmi", "n_words": 6, "window": "document", "reference": "these texts", "n_documents": 60,
    }  # fmt: skip


def test_document_coherence_of_known_pairs() -> None:
    """Always together 1, independent 0, never together -1 + |log(P(a) P(b))|/27.6, in every document 0."""
    together, apart = [[1, 1], [1, 1], [0, 0], [0, 0]], [[1, 0], [0, 1], [0, 0], [0, 0]]
    independent, always = [[1, 1], [1, 0], [0, 1], [0, 0]], [[1, 1]] * 4

    def of(counts: list[list[int]]) -> float:
        return float(analysis.document_coherence([[2, 1]], counts)["mean"])

    assert of(together) == pytest.approx(1.0)
    assert of(independent) == pytest.approx(0.0, abs=1e-9)
    assert of(apart) == pytest.approx(-1 + abs(np.log(1 / 16)) / -np.log(EPSILON))
    assert of(always) == 0.0
    one = analysis.document_coherence([[1, 0], [1, 2]], together)
    assert np.isnan(one["coherence"].values[0]) and float(one["mean"]) == pytest.approx(1.0)


@pytest.mark.parametrize(("measure", "window"), [("npmi", None), ("uci", 5), ("c_v", 7), ("u_mass", None)])
def test_coherence_is_what_gensim_says_and_what_counting_says(measure: str, window: int | None) -> None:
    """Rejects another window, the words in another order (u_mass), and other names for measures."""
    gensim = pytest.importorskip("gensim", reason="needs gensim: pip install 'neurocircuits[topics]'")
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    texts, _ = corpus(1)
    w = topics(2)
    found = analysis.coherence(w, texts, WORDS, measure, n_words=5, window=window, reference="texts")
    first = [[WORDS[k] for k in np.argsort(-row)[:5]] for row in w]
    name = {"npmi": "c_npmi", "uci": "c_uci"}.get(measure, measure)
    model = CoherenceModel(
        topics=first, texts=texts, dictionary=Dictionary(texts), coherence=name, window_size=window, processes=1
    )
    np.testing.assert_allclose(found["coherence"], model.get_coherence_per_topic())
    np.testing.assert_allclose(found["coherence"], [counted(row, texts, measure, window or 10) for row in first])
    np.testing.assert_array_equal(analysis.coherence(first, texts, None, measure, 5, window)["mean"], found["mean"])
    assert found.attrs["window"] == ("document" if measure == "u_mass" else window or 10)
    assert (found.attrs["measure"], found.attrs["n_words"], found.attrs["reference"]) == (measure, 5, "texts")
    assert found.attrs["version"] == gensim.__version__


def counted(first: list[str], texts: list[list[str]], measure: str, window: int) -> float:
    """Return the coherence of a topic by counting windows: all of so many words, or the document if it is shorter."""
    if measure == "u_mass":
        windows = [set(text) for text in texts]
    else:
        windows = [set(t[k : k + window]) for t in texts for k in range(max(1, len(t) - window + 1))]

    def p(*words: str) -> float:
        return float(np.mean([all(word in held for word in words) for held in windows]))

    if measure == "u_mass":
        pairs = [(first[i], first[j]) for i in range(len(first)) for j in range(i)]
        return float(np.mean([np.log((p(a, b) + EPSILON) / p(b)) for a, b in pairs]))
    if measure == "c_v":
        vectors = np.array([[npmi(p(a, b), p(a), p(b)) for b in first] for a in first])
        whole = vectors.sum(axis=0)
        return float(np.mean(vectors @ whole / np.linalg.norm(vectors, axis=1) / np.linalg.norm(whole)))
    pairs = list(itertools.permutations(first, 2))
    if measure == "npmi":
        return float(np.mean([npmi(p(a, b), p(a), p(b)) for a, b in pairs]))
    return float(np.mean([np.log((p(a, b) + EPSILON) / (p(a) * p(b))) for a, b in pairs]))


def test_coherence_without_gensim_says_what_to_install_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *args: Any) -> Any:
        if name.startswith("gensim"):
            raise ImportError(name)
        return original(name, *args)

    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UnsupportedError, match=r"pip install 'neurocircuits\[topics\]'") as caught:
        analysis.coherence([["a", "b"]], [["a", "b"]])
    assert "\n" not in str(caught.value)


def test_coherence_that_has_no_meaning_is_refused() -> None:
    texts, counts = corpus()
    for given, words in (
        ({"measure": "c_w2v"}, "c_w2v.*npmi, c_v, uci, u_mass"),
        ({"measure": "u_mass", "window": 10}, "has no window"),
        ({"window": 1}, "2 or more"),
        ({"topics": topics(), "words": None}, "Give words=..."),
        ({"topics": []}, "Give words=..."),
        ({"words": WORDS[:-1]}, "23 words for 24 columns"),
    ):
        arguments: dict[str, Any] = {"topics": topics(), "documents": texts, "words": WORDS} | given
        if "topics" in given:
            arguments["words"] = None
        with pytest.raises(ValidationError, match=words):
            analysis.coherence(**arguments)
    with pytest.raises(ValidationError, match="give documents over the same words"):
        analysis.document_coherence(topics(), counts[:, :23])
    absent = counts.toarray()
    absent[:, 5] = 0
    with pytest.raises(ValidationError, match="word 5, among the first of topic 0"):
        analysis.document_coherence(np.eye(1, 24, 5) + np.eye(1, 24, 2), absent)
    pytest.importorskip("gensim", reason="needs gensim: pip install 'neurocircuits[topics]'")
    with pytest.raises(ValidationError, match="topic 1 has words that none of the 60 documents contains: 'nowhere'"):
        analysis.coherence([["w1", "w2"], ["w1", "nowhere"]], texts)
    lonely = analysis.coherence([["w1"], ["w1", "w2"]], texts)
    assert np.isnan(lonely["coherence"].values[0]) and np.isfinite(float(lonely["mean"]))


# --- agreement with classes


def test_agreement_with_classes_is_that_of_scikit_learn() -> None:
    """Purity by a loop over clusters. Rejects purity the other way round and another mean of entropies."""
    random = np.random.default_rng(3)
    for n_clusters, n_classes in ((3, 5), (7, 2), (1, 4), (4, 1), (1, 1)):
        z, c = random.integers(n_clusters, size=200), random.integers(n_classes, size=200)
        c[:80] = z[:80] % n_classes
        most = sum(max(np.sum((z == k) & (c == m)) for m in range(n_classes)) for k in range(n_clusters))
        assert analysis.cluster_purity(z, c) == pytest.approx(most / 200)
        found = analysis.normalised_mutual_information(z, c)
        assert found == pytest.approx(normalized_mutual_info_score(c, z), abs=1e-12)
    names = np.array(["sport", "tech", "art"])[c := random.integers(3, size=50)]
    assert analysis.cluster_purity(c, names) == analysis.normalised_mutual_information((c + 1) % 3, names) == 1.0
    assert analysis.cluster_purity(np.arange(50), names) == 1.0
    for bad in (names[:-1], names[None]):
        with pytest.raises(ValidationError, match="one each per document"):
            analysis.cluster_purity(bad, names)


# --- words of a topic


def test_relevance_and_saliency_are_the_formulas_of_ldavis() -> None:
    phi, random = topics(4), np.random.default_rng(4)
    n, frequency = random.integers(1, 50, 24), random.dirichlet(np.ones(4))
    p = n / n.sum()
    for weight in (0.0, 0.6, 1.0):
        expected = [
            [weight * np.log(f) + (1 - weight) * np.log(f / q) for f, q in zip(row, p, strict=True)] for row in phi
        ]
        np.testing.assert_allclose(analysis.relevance(7.0 * phi, n, weight), expected, rtol=1e-6)
    order = np.argsort(-analysis.relevance(phi, n, 1.0), axis=1)
    np.testing.assert_array_equal(order, np.argsort(-phi, axis=1))
    np.testing.assert_array_equal(np.argsort(-analysis.relevance(phi, n, 0.0), axis=1), np.argsort(-phi / p, axis=1))
    expected = []
    for column, q in zip(phi.T, p, strict=True):
        given = column / column.sum()
        expected.append(q * sum(g * np.log(g / f) for g, f in zip(given, frequency, strict=True)))
    np.testing.assert_allclose(analysis.saliency(phi, frequency, n), expected, rtol=1e-6)
    assert analysis.saliency(np.ones((4, 24)), np.ones(4), n) == pytest.approx(np.zeros(24), abs=1e-12)
    sparse = np.where(phi > 0.02, phi, 0.0)
    absent = analysis.relevance(sparse, n, 0.3)
    assert (absent[sparse == 0].max() < absent[sparse > 0].min()) and np.isfinite(absent).all()


def test_relevance_and_saliency_that_have_no_meaning_are_refused() -> None:
    for call, words in (
        (lambda: analysis.relevance(topics(), np.ones(24), 1.5), "weight = 1.5"),
        (lambda: analysis.relevance(topics(), np.zeros(24)), "not 24 positive numbers"),
        (lambda: analysis.saliency(topics(), np.ones(3), np.ones(24)), "not 4 positive numbers"),
        (lambda: analysis.word_shares(-topics()), "of 0 or more"),
        (lambda: analysis.word_shares(np.full((2, 3), np.nan)), "of 0 or more"),
        (lambda: analysis.top_words(np.zeros((0, 3))), r"shape \(0, 3\)"),
        (lambda: analysis.top_words(topics(), 0), "at least 1"),
    ):
        with pytest.raises(ValidationError, match=words):
            call()


# --- distances, maps, partners


def test_distances_are_the_divergence_itself() -> None:
    """SciPy gives its square root. Rejects the root, another base, and values over log 2."""
    w = topics(5, 6)
    w[0, :12], w[1, 12:] = 0, 0
    found = analysis.topic_distances(3 * w)
    shares = w / w.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, squareform(pdist(shares, lambda a, b: jensenshannon(a, b) ** 2)), atol=1e-12)
    assert found[0, 1] == pytest.approx(np.log(2)) and found.max() <= np.log(2) + 1e-12
    np.testing.assert_array_equal(found, found.T)
    assert not np.diag(found).any() and analysis.topic_distances(w[[2, 2]])[0, 1] == 0


def test_points_of_a_plane_are_found_again() -> None:
    points = np.random.default_rng(6).normal(size=(9, 2))
    found = analysis.principal_coordinates(squareform(pdist(points)))
    np.testing.assert_allclose(pdist(found), pdist(points), rtol=1e-9)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    assert found[:, 0].var() > found[:, 1].var()
    assert (np.take_along_axis(found, np.abs(found).argmax(axis=0)[None], axis=0) > 0).all()
    line = analysis.principal_coordinates([[0, 2], [2, 0]], 3)
    np.testing.assert_allclose(np.abs(line), [[1, 0, 0], [1, 0, 0]], atol=1e-9)
    assert not analysis.principal_coordinates(np.zeros((3, 3))).any()
    for bad in ([[0, 1], [2, 0]], [[1, 0], [0, 1]], np.zeros((2, 3))):
        with pytest.raises(ValidationError, match="symmetric"):
            analysis.principal_coordinates(bad)


def test_the_map_is_that_of_pyldavis_and_the_same_each_time() -> None:
    """Distances on the plane, sizes and order of topics. Rejects documents counted without their lengths."""
    w, random = topics(7, 5), np.random.default_rng(7)
    scores, lengths = random.exponential(size=(40, 5)), random.integers(1, 100, 40)
    scores[3] = 0.0
    found = analysis.intertopic_map(w, scores, lengths)
    assert found.identical(analysis.intertopic_map(w.copy(), scores.copy(), lengths))
    theta = np.array([row / row.sum() if row.sum() else np.full(5, 0.2) for row in scores])
    frequency = (theta * lengths[:, None]).sum(axis=0) / lengths.sum()
    np.testing.assert_allclose(found["frequency"], frequency)
    assert found["rank"].values[np.argsort(-frequency)].tolist() == [1, 2, 3, 4, 5]
    d = found["distance"].values
    h = np.eye(5) - 0.2
    values, vectors = np.linalg.eigh(-0.5 * h @ d**2 @ h)
    expected = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    np.testing.assert_allclose(pdist(np.c_[found["x"], found["y"]]), pdist(expected), atol=1e-9)
    np.testing.assert_allclose(analysis.intertopic_map(w, scores)["frequency"], theta.mean(axis=0))
    for given, words in (((w[:4], scores), "4 topics"), ((w, scores, lengths[:-1]), "lengths of shape")):
        with pytest.raises(ValidationError, match=words):
            analysis.intertopic_map(*given)


def test_the_map_beside_that_of_the_library() -> None:
    library = pytest.importorskip("pyLDAvis", reason="needs pyLDAvis")
    w, random = analysis.word_shares(topics(7, 5), 1e-12), np.random.default_rng(7)
    scores, lengths = random.dirichlet(np.ones(5), 40), random.integers(1, 100, 40)
    shown = library.prepare(w, scores, lengths, WORDS, np.ones(24), n_jobs=1, sort_topics=False)
    found = analysis.intertopic_map(w, scores, lengths)
    np.testing.assert_allclose(100 * found["frequency"], shown.topic_coordinates["Freq"])
    drawn = shown.topic_coordinates[["x", "y"]].to_numpy()
    np.testing.assert_allclose(pdist(np.c_[found["x"], found["y"]]), pdist(drawn), atol=1e-9)


def test_partners_are_those_of_all_permutations() -> None:
    """Rejects a greedy choice; more topics than others; topics without words."""
    a, b = topics(8, 5), topics(9, 5)
    b[3] = 0.0
    lengths = np.maximum(np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)), 1e-300)
    cosines = a @ b.T / lengths
    best = max(itertools.permutations(range(5)), key=lambda order: cosines[range(5), order].sum())
    found = analysis.match_topics(a, b)
    assert found["partner"].values.tolist() == list(best)
    np.testing.assert_allclose(found["cosine"], cosines[range(5), best])
    assert float(found["mean_cosine"]) == pytest.approx(cosines[range(5), best].mean())
    greedy = analysis.match_topics([[1.0, 0.0], [0.9, 0.5]], [[1.0, 0.1], [1.0, 0.0]])
    assert greedy["partner"].values.tolist() == [1, 0]
    fewer = analysis.match_topics(a, a[[4, 2]])
    assert fewer["partner"].values.tolist() == [-1, -1, 1, -1, 0]
    assert np.isnan(fewer["cosine"].values[[0, 1, 3]]).all() and float(fewer["median_cosine"]) == pytest.approx(1)
    with pytest.raises(ValidationError, match="24 and 23 words"):
        analysis.match_topics(a, b[:, :23])
