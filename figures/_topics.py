"""What the figures of topic models share: corpora as matrices, models with one face, and what is measured of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from neurocircuits import analysis, datasets
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.learn import DisynapticTopics

SLIDES = "slides of Yang, Luther and Seung (2020)"
DESCRIPTIONS = "descriptions of data sets"
CORPORA: dict[str, Callable[[], Any]] = {
    "BBC News": datasets.bbc_news,
    "M10": datasets.m10,
    "20 Newsgroups": datasets.newsgroups20,
    DESCRIPTIONS: datasets.dataset_descriptions,
}
N_WORDS = 10  # first words of a topic that coherence and diversity look at
WIDE, NARROW = 1 / 50, 2 / 5  # kappa/gamma of the slides
DISYNAPTIC, SPARSER = "disynaptic, 5e-4", "disynaptic, 1/50"
MODELS = (DISYNAPTIC, SPARSER, "LDA", "NMF")


@dataclass(frozen=True)
class Texts:
    """Hold a corpus as matrices: tf-idf in rows of unit length, counts, the words of the columns, classes."""

    name: str
    documents: Any
    counts: Any
    words: list[str]
    labels: np.ndarray | None = None
    lists: tuple[list[str], ...] = ()


def corpus(name: str) -> Texts:
    """Return a public corpus.

    Of descriptions of data sets those that are repeated count once, and words in more than 35 % of them are left out,
    as they are in BBC News: half of them are headings such as "Content".
    """
    found, settings = CORPORA[name](), {}
    if name == DESCRIPTIONS:
        first = {document: k for k, document in reversed(list(enumerate(found.documents)))}
        found, settings = found[sorted(k for text, k in first.items() if len(text.split()) >= 5)], {"max_df": 0.35}
    vectorizer = found.vectorizer(**settings)
    documents = vectorizer.fit_transform(found.documents)
    counter = found.vectorizer("counts", **settings, vocabulary=vectorizer.vocabulary_)
    counts, words = counter.fit_transform(found.documents), vectorizer.get_feature_names_out().tolist()
    split = counter.build_analyzer()
    lists = tuple(list(split(document)) for document in found.documents)
    return Texts(name, documents, counts, words, found.labels, lists)


def written(
    seed: int, n_topics: int, n_words: int, n_documents: int, falling: float = 0.0, concentration: float = 0.1
) -> tuple[np.ndarray, Texts]:
    """Write a corpus of known topics.

    Each topic has words of its own and the first fifth of its neighbour's; shares of topics in a document come from a
    Dirichlet distribution, the lengths of documents from a Poisson distribution of mean 100.

    Parameters
    ----------
    seed : int
        Seed.
    n_topics, n_words, n_documents : int
        Numbers.
    falling : float
        Exponent: the words of a topic have shares of ``1/rank**falling``.
    concentration : float
        Of topics in documents.

    Returns
    -------
    topics : ndarray, shape (n_topics, n_words)
        Shares of words.
    texts : Texts
        Documents in rows of unit length; a document has the class of its largest topic.
    """
    random, own = np.random.default_rng([seed, 2020]), n_words // n_topics
    ranks = np.arange(1, own + own // 5 + 1)
    topics = np.zeros((n_topics, n_words))
    for k, row in enumerate(topics):
        row[(k * own + ranks - 1) % n_words] = ranks**-falling
    topics /= topics.sum(axis=1, keepdims=True)
    shares = random.dirichlet(np.full(n_topics, concentration), n_documents)
    lengths = random.poisson(100, n_documents)
    drawn = np.array([random.multinomial(n, p) for n, p in zip(lengths, shares @ topics, strict=True)])
    words = [f"{k // own}.{k % own}" for k in range(n_words)]
    documents = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    name = f"{n_documents} written documents"
    return topics, Texts(name, csr_array(documents), csr_array(drawn), words, shares.argmax(axis=1))


def circuit(texts: Texts, n_topics: int, seed: int, **settings: Any) -> DisynapticTopics:
    """Return the circuit after it has learned the topics of a corpus."""
    return DisynapticTopics(n_topics, random_state=seed, **settings).fit(texts.documents)


def sparser(learned: DisynapticTopics, texts: Texts, kappa: float, n_passes: int) -> DisynapticTopics:
    """Go on learning with more competition between words, for so many passes over the corpus."""
    learned.set_params(kappa=kappa)
    for _ in range(n_passes):
        learned.partial_fit(texts.documents)
    return learned


def fitted(model: str, texts: Texts, n_topics: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights of words (n_topics, n_words) and scores (n_documents, n_topics) of "LDA" or "NMF".

    LDA takes counts and 20 iterations; NMF takes tf-idf and starts from the singular vectors.
    """
    from sklearn.decomposition import NMF, LatentDirichletAllocation

    if model == "LDA":
        estimator: Any = LatentDirichletAllocation(n_topics, max_iter=20, random_state=seed)
        scores = estimator.fit_transform(texts.counts)
    else:
        estimator = NMF(n_topics, init="nndsvd", max_iter=500, random_state=seed)
        scores = estimator.fit_transform(texts.documents)
    return estimator.components_, scores


def measures(topics: np.ndarray, scores: np.ndarray, texts: Texts) -> dict[str, float]:
    """Return what is compared of models.

    Parameters
    ----------
    topics : ndarray, shape (n_topics, n_words)
        Weights of words.
    scores : ndarray, shape (n_documents, n_topics)
        Scores of topics in documents.
    texts : Texts
        The corpus.

    Returns
    -------
    dict
        ``coherence`` (NPMI, whole documents), ``diversity``, ``purity`` and ``information`` of the topic of the largest
        score (NaN without classes), ``active`` (share of scores above 0), ``alive`` (share of topics that are in a
        document), ``largest_cosine`` of two topics, ``duplicates`` (pairs of topics with a cosine above 0.5),
        ``n_words`` (median over topics of words that are left).
    """
    first, _, _, largest = analysis.duplicate_pairs(topics, 0.5)
    labels, clusters = texts.labels, scores.argmax(axis=1)
    known = labels is not None
    return {
        "coherence": float(analysis.document_coherence(topics, texts.counts, N_WORDS, texts.name)["mean"]),
        "diversity": analysis.topic_diversity(topics, N_WORDS),
        "purity": analysis.cluster_purity(clusters, labels) if known else np.nan,
        "information": analysis.normalised_mutual_information(clusters, labels) if known else np.nan,
        "active": float((scores > 0).mean()),
        "alive": float((scores.max(axis=0) > 0).mean()),
        "largest_cosine": largest,
        "duplicates": float(len(first)),
        "n_words": float(np.median((topics > 0).sum(axis=1))),
    }


def windowed(topics: np.ndarray, texts: Texts) -> dict[str, float]:
    """Return what gensim measures in windows of words, for texts that have an order."""
    if not texts.lists:
        return {}
    common: dict[str, Any] = {"n_words": N_WORDS, "reference": texts.name}
    return {
        "c_v": float(analysis.coherence(topics, texts.lists, texts.words, "c_v", **common)["mean"]),
        "npmi_10": float(analysis.coherence(topics, texts.lists, texts.words, "npmi", **common)["mean"]),
    }


def compared(texts: Texts, n_topics: int, seed: int, n_minibatches: int, n_passes: int) -> dict[str, dict[str, float]]:
    """Return all scores of each model, in the order of `MODELS`; the circuit learns on with more competition."""
    learned = circuit(texts, n_topics, seed, n_minibatches=n_minibatches)
    found = {DISYNAPTIC: (learned.components_, learned.transform(texts.documents))}
    sparser(learned, texts, WIDE, n_passes)
    found[SPARSER] = (learned.components_, learned.transform(texts.documents))
    found |= {model: fitted(model, texts, n_topics, seed) for model in ("LDA", "NMF")}
    return {name: {**measures(*each, texts), **windowed(each[0], texts)} for name, each in found.items()}


def own_engine(name: str, engine: Any) -> str:
    """Return the engine of the estimator as JSON, and refuse another one."""
    if engine is not None:
        raise ValidationError(f"figure {name!r} fits an estimator with an engine of its own; no other can be chosen.")
    return to_json(SteadyState(batch=DisynapticTopics().batch))


def draw_title(tree: Any, trees: list[Any]) -> str:
    """Return the corpus and the number of seeds."""
    return f"{tree.attrs['data']}, {len(trees)} seed{'s' * (len(trees) > 1)}"
