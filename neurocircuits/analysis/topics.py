"""What topics are: their words, shares, diversity and agreement with classes.

Topics are the rows of a matrix of weights of 0 or more, from a circuit or from any other model; documents are the rows
of a matrix of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import rel_entr, xlogy

from neurocircuits.analysis._select import Array, ratio
from neurocircuits.errors import ValidationError

SMALLEST = 1e-12
"""What `word_shares` adds to each share of a word where a logarithm follows."""


def top_words(topics: Any, n_words: int = 10, words: Sequence[str] | None = None) -> list[Any]:
    """Return the words of the largest weights of each topic, in falling order.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words_in_all)
        Weights of 0 or more.
    n_words : int
        How many; a topic with fewer words of positive weight has these alone.
    words : sequence of str, optional
        Words of the columns.

    Returns
    -------
    list of ndarray of int, or of list of str
        Columns, or words if these are given; the first of equal ones comes first.

    Raises
    ------
    ValidationError
        If the weights are no matrix of numbers of 0 or more, or the words are not one for each column.
    """
    w = topic_matrix(topics, "top_words")
    if n_words < 1:
        raise ValidationError(f"top_words: n_words = {n_words!r}; at least 1 is needed.")
    if words is not None and len(words) != w.shape[1]:
        raise ValidationError(f"top_words: {len(words)} words for {w.shape[1]} columns; give one for each.")
    columns = [np.argsort(-row, kind="stable")[: min(n_words, np.count_nonzero(row))] for row in w]
    return columns if words is None else [[str(words[k]) for k in row] for row in columns]


def topic_diversity(topics: Any, n_words: int = 10) -> float:
    """Return the share of different words among the first ``n_words`` of all topics.

    It is 1 where no word stands in two topics, and 1/n_topics where all topics have the same words. Topics with fewer
    words count with those that they have; NaN if there are none.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words_in_all)
        Weights of 0 or more.
    n_words : int
        Words of each topic.

    References
    ----------
    Dieng AB, Ruiz FJR, Blei DM (2020) Topic modeling in embedding spaces, TACL 8:439-453, doi:10.1162/tacl_a_00325 (25
    words there).

    Examples
    --------
    >>> topic_diversity([[3, 2, 1, 0], [0, 1, 2, 3]], n_words=2)
    1.0
    >>> topic_diversity([[3, 2, 0, 0], [3, 2, 0, 0]], n_words=2)
    0.5
    """
    listed = np.concatenate([*top_words(topics, n_words), np.empty(0, int)])
    return float(ratio(np.unique(listed).size, listed.size))


def topic_shares(scores: Any) -> Array:
    """Return scores of documents as shares that sum to 1; equal ones for a document without any.

    Parameters
    ----------
    scores : array_like, shape (n_documents, n_topics)
        Scores of 0 or more.
    """
    return _distributions(topic_matrix(scores, "topic_shares"))


def word_shares(topics: Any, smallest: float = 0.0) -> Array:
    """Return the weights of topics as shares of words that sum to 1; equal ones for a topic without words.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words)
        Weights of 0 or more.
    smallest : float
        Added to each share before they are made to sum to 1 again, so that all have a logarithm; `SMALLEST` is what
        relevance and saliency take.
    """
    shares = _distributions(topic_matrix(topics, "word_shares"))
    return _distributions(shares + smallest) if smallest else shares


# -- agreement with classes --------------------------------------------------------------------------------------------


def cluster_purity(clusters: Any, labels: Any) -> float:
    """Return the share of documents that are of the most frequent class of their cluster.

    It is 1 where each cluster has one class, and rises with the number of clusters.

    Parameters
    ----------
    clusters, labels : array_like, shape (n_documents,)
        Cluster, such as the topic of the largest score, and class of each document.

    References
    ----------
    Manning CD, Raghavan P, Schuetze H (2008) Introduction to Information Retrieval, Cambridge, section 16.3.
    """
    counts = _contingency(clusters, labels, "cluster_purity")
    return float(counts.max(axis=1).sum() / counts.sum())


def normalised_mutual_information(clusters: Any, labels: Any) -> float:
    """Return the mutual information of clusters and classes, divided by the mean of their entropies.

    It is 1 if one names the other and 0 if they are independent; names do not matter. 1 where both are all the same.

    Parameters
    ----------
    clusters, labels : array_like, shape (n_documents,)
        Cluster and class of each document.

    References
    ----------
    Strehl A, Ghosh J (2002) Cluster ensembles, JMLR 3:583-617; with the arithmetic mean, as in scikit-learn.
    """
    joint = _contingency(clusters, labels, "normalised_mutual_information")
    joint = joint / joint.sum()
    entropies = [-xlogy(p, p).sum() for p in (joint.sum(axis=1), joint.sum(axis=0))]
    information = rel_entr(joint, np.outer(joint.sum(axis=1), joint.sum(axis=0))).sum()
    mean = float(np.mean(entropies))
    return 1.0 if mean == 0 else float(max(information, 0.0) / mean)


# -- words of a topic --------------------------------------------------------------------------------------------------


def relevance(topics: Any, word_counts: Any, weight: float = 0.6) -> Array:
    """Return how relevant words are for topics, ``weight*log(phi) + (1 - weight)*log(phi/p)``.

    Here phi is the share of the word in the topic and p its share in all documents. At 1 words come in the order of
    their weight, at 0 in that of their lift.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words)
        Weights of 0 or more.
    word_counts : array_like, shape (n_words,)
        How often each word occurs in all documents, positive.
    weight : float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (n_topics, n_words)
        Relevance; words that a topic does not have come last, far below the others.

    Notes
    -----
    pyLDAvis does not take the counts that it is given, here and for `saliency`, but those that its topics imply: the
    shares of words, weighed with the frequencies of topics.

    References
    ----------
    Sievert C, Shirley K (2014) LDAvis: a method for visualizing and interpreting topics, ACL workshop on interactive
    language learning, 63-70, doi:10.3115/v1/W14-3110, eq. 1; 0.6 is what its readers did best with.
    """
    if not 0 <= weight <= 1:
        raise ValidationError(f"relevance: weight = {weight!r}; it is between 0 and 1.")
    phi = word_shares(topics, SMALLEST)
    return np.log(phi) - (1.0 - weight) * np.log(_shares_of(word_counts, phi.shape[1], "relevance"))


def saliency(topics: Any, topic_frequencies: Any, word_counts: Any) -> Array:
    """Return how much words tell topics apart, ``p(w) * sum_i p(i|w) log(p(i|w)/p(i))``.

    As in pyLDAvis, p(i|w) is the share of the word in the topic over the sum of its shares in all topics.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words)
        Weights of 0 or more.
    topic_frequencies : array_like, shape (n_topics,)
        How much of the documents each topic makes up, positive.
    word_counts : array_like, shape (n_words,)
        How often each word occurs in all documents, positive.

    Returns
    -------
    ndarray, shape (n_words,)
        Saliency.

    References
    ----------
    Chuang J, Manning CD, Heer J (2012) Termite: visualization techniques for assessing textual topic models, AVI
    74-77, doi:10.1145/2254556.2254572.
    """
    phi = word_shares(topics, SMALLEST)
    given = phi / phi.sum(axis=0)
    frequencies = _shares_of(topic_frequencies, len(phi), "saliency")
    distinct = np.sum(given * np.log(given / frequencies[:, None]), axis=0)
    return np.asarray(_shares_of(word_counts, phi.shape[1], "saliency") * distinct)


# -- arrays ------------------------------------------------------------------------------------------------------------


def topic_matrix(values: Any, owner: str) -> Array:
    """Return weights or scores as a matrix; a ValidationError says what they are instead."""
    w = np.asarray(values.toarray() if hasattr(values, "toarray") else values, float)
    if w.ndim != 2 or not w.size or not (w >= 0).all() or not np.isfinite(w).all():
        raise ValidationError(
            f"{owner}: values of shape {w.shape} are not a matrix of finite numbers of 0 or more, a row for each topic "
            "or document."
        )
    return w


def _distributions(rows: Array) -> Array:
    sums = rows.sum(axis=1, keepdims=True)
    return np.divide(rows, sums, out=np.full_like(rows, 1.0 / rows.shape[1]), where=sums > 0)


def _shares_of(counts: Any, n: int, owner: str) -> Array:
    c = np.asarray(counts, float).ravel()
    if c.shape != (n,) or not (c > 0).all() or not np.isfinite(c).all():
        raise ValidationError(f"{owner}: counts of shape {np.shape(counts)} are not {n} positive numbers.")
    return c / c.sum()


def _contingency(clusters: Any, labels: Any, owner: str) -> Array:
    a, b = np.asarray(clusters), np.asarray(labels)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValidationError(f"{owner}: clusters of shape {a.shape} and labels of {b.shape}; one each per document.")
    (first, i), (second, j) = (np.unique(x, return_inverse=True) for x in (a, b))
    return np.bincount(i * second.size + j, minlength=first.size * second.size).reshape(first.size, second.size)
