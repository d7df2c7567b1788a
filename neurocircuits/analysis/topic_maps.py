"""How topics relate to each other: their distances, a map of them, and partners in another model."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment
from scipy.special import rel_entr

from neurocircuits.analysis._select import Array, Values, labelled, ratio
from neurocircuits.analysis.topics import topic_matrix, topic_shares, word_shares
from neurocircuits.errors import ValidationError


def topic_distances(topics: Any) -> Array:
    """Return the Jensen-Shannon divergence of each two topics, in nats, (n_topics, n_topics).

    It is 0 for topics with the same shares of words and log 2 for those without a common word.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words)
        Weights of 0 or more.

    References
    ----------
    Lin J (1991) Divergence measures based on the Shannon entropy, IEEE Transactions on Information Theory 37:145-151,
    doi:10.1109/18.61115.
    """
    phi = word_shares(topics)
    distances = np.zeros((len(phi), len(phi)))
    for i, row in enumerate(phi):
        others = phi[i + 1 :]
        middle = 0.5 * (row + others)
        distances[i, i + 1 :] = 0.5 * (rel_entr(row, middle) + rel_entr(others, middle)).sum(axis=1)
    return np.maximum(distances + distances.T, 0.0)


def principal_coordinates(distances: Any, n_dimensions: int = 2) -> Array:
    """Return points whose distances are as near to given ones as a projection allows (classical scaling).

    Parameters
    ----------
    distances : array_like, shape (n, n)
        Symmetric, zero on the diagonal.
    n_dimensions : int
        Coordinates of each point.

    Returns
    -------
    ndarray, shape (n, n_dimensions)
        Coordinates around 0, the widest first; zeros where the distances need no further one. Of the two signs that
        fit, the largest coordinate of each dimension is positive.

    Raises
    ------
    ValidationError
        If the distances are no symmetric matrix.

    References
    ----------
    Gower JC (1966) Some distance properties of latent root and vector methods used in multivariate analysis,
    Biometrika 53:325-338, doi:10.1093/biomet/53.3-4.325.
    """
    d = np.asarray(distances, float)
    if d.ndim != 2 or d.shape[0] != d.shape[1] or not np.allclose(d, d.T) or np.abs(np.diag(d)).max(initial=0.0) > 1e-9:
        raise ValidationError(
            f"principal_coordinates: distances of shape {d.shape} are not a symmetric matrix with a diagonal of zeros."
        )
    centred = d**2 - (d**2).mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(-0.5 * centred)
    values, vectors = values[::-1][:n_dimensions], vectors[:, ::-1][:, :n_dimensions]
    points = vectors * np.sqrt(np.where(values > 1e-12 * max(values.max(initial=0.0), 1e-300), values, 0.0))
    largest = np.take_along_axis(points, np.abs(points).argmax(axis=0)[None], axis=0)
    points = points * np.where(largest < 0, -1.0, 1.0)
    return np.pad(points, ((0, 0), (0, n_dimensions - points.shape[1])))


def intertopic_map(topics: Any, scores: Any, lengths: Any = None) -> xr.Dataset:
    """Place topics on a plane, near to each other where they have words in common.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words)
        Weights of 0 or more.
    scores : array_like, shape (n_documents, n_topics)
        Scores of topics in documents.
    lengths : array_like, shape (n_documents,), optional
        Length of each document; all count the same unless given.

    Returns
    -------
    xarray.Dataset
        ``x(topic)`` and ``y(topic)``, principal coordinates of ``distance(topic, other)``, the Jensen-Shannon
        divergence; ``frequency(topic)``, the share of all documents; ``rank(topic)``, 1 for the most frequent topic.

    Raises
    ------
    ValidationError
        If shapes do not fit each other.

    References
    ----------
    Sievert and Shirley (2014), doi:10.3115/v1/W14-3110, section 3.1, in the form of pyLDAvis.
    """
    theta, distances = topic_shares(scores), topic_distances(topics)
    if theta.shape[1] != len(distances):
        raise ValidationError(f"intertopic_map: {len(distances)} topics, but scores of {theta.shape[1]}.")
    length = np.ones(len(theta)) if lengths is None else np.asarray(lengths, float)
    if length.shape != (len(theta),) or not (length >= 0).all() or not length.sum() > 0:
        raise ValidationError(f"intertopic_map: lengths of shape {length.shape} for {len(theta)} documents.")
    frequency = length @ theta / length.sum()
    points = principal_coordinates(distances)
    rank = np.empty(len(frequency), int)
    rank[np.argsort(-frequency, kind="stable")] = np.arange(1, len(frequency) + 1)
    values: Values = {
        "x": (("topic",), points[:, 0], "1", "first principal coordinate"),
        "y": (("topic",), points[:, 1], "1", "second principal coordinate"),
        "distance": (("topic", "other"), distances, "nat", "Jensen-Shannon divergence of the shares of words"),
        "frequency": (("topic",), frequency, "1", "share of all documents"),
        "rank": (("topic",), rank, "1", "1 for the most frequent topic"),
    }
    return labelled(values)


def match_topics(topics: Any, others: Any) -> xr.Dataset:
    """Give each topic a partner among the topics of another model or seed, so that cosines sum to the most.

    Parameters
    ----------
    topics, others : array_like, shape (n_topics, n_words)
        Weights of 0 or more for the same words.

    Returns
    -------
    xarray.Dataset
        ``partner(topic)``, -1 where there are fewer others; ``cosine(topic)`` with it, NaN without one and 0 for a
        topic without words; ``mean_cosine`` and ``median_cosine``.

    Raises
    ------
    ValidationError
        If the words are not as many.

    References
    ----------
    Kuhn HW (1955) The Hungarian method for the assignment problem, Naval Research Logistics Quarterly 2:83-97.
    """
    a, b = topic_matrix(topics, "match_topics"), topic_matrix(others, "match_topics")
    if a.shape[1] != b.shape[1]:
        raise ValidationError(f"match_topics: topics over {a.shape[1]} and {b.shape[1]} words; the same are needed.")
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    cosines = np.nan_to_num(ratio(a @ b.T, lengths))
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    partner, cosine = np.full(len(a), -1), np.full(len(a), np.nan)
    partner[rows], cosine[rows] = columns, cosines[rows, columns]
    values: Values = {
        "partner": (("topic",), partner, "1", "topic of the other model, -1 for none"),
        "cosine": (("topic",), cosine, "1", "cosine of the weights of the two"),
        "mean_cosine": ((), np.nanmean(cosine), "1", "mean over pairs"),
        "median_cosine": ((), np.nanmedian(cosine), "1", "median over pairs"),
    }
    return labelled(values)
