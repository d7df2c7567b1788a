"""Words as vectors: their nearest words, those of latent semantic analysis beside them, and how far two kinds agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from neurocircuits.analysis._select import Array, Values, labelled
from neurocircuits.errors import ValidationError

_AT_ONCE = 1024  # words whose cosines with all others are held at a time


def lsa_word_vectors(documents: Any, n_dimensions: int = 20) -> Array:
    """Return words as latent semantic analysis has them: right singular vectors times their singular values.

    Parameters
    ----------
    documents : array_like or sparse, shape (n_documents, n_words)
        Documents, best tf-idf.
    n_dimensions : int
        Singular values that are kept, the largest.

    Returns
    -------
    ndarray, shape (n_words, n_dimensions)
        Vectors; the sign of a dimension means nothing.

    Raises
    ------
    ValidationError
        If there are not more documents and words than dimensions, or a value is not finite.

    References
    ----------
    Deerwester S, Dumais ST, Furnas GW, Landauer TK, Harshman R (1990) Indexing by latent semantic analysis, Journal of
    the American Society for Information Science 41:391-407. Words are compared by the rows of T S, section "Comparing
    two terms".
    """
    x = csr_array(documents, dtype=float)
    if not 1 <= n_dimensions < min(x.shape):
        raise ValidationError(
            f"lsa_word_vectors: n_dimensions = {n_dimensions!r} for {x.shape[0]} documents of {x.shape[1]} words; it "
            "is at least 1 and below both."
        )
    if not np.isfinite(x.data).all():
        raise ValidationError("lsa_word_vectors: documents hold values that are not finite.")
    _, values, vectors = svds(x, k=n_dimensions, v0=np.ones(min(x.shape)))
    order = np.argsort(-values)
    return np.asarray(vectors[order].T * values[order])


def word_neighbours(vectors: Any, n_neighbours: int = 10) -> xr.Dataset:
    """Find the nearest other words of each word, by the cosine of their vectors.

    Parameters
    ----------
    vectors : array_like, shape (n_words, n_dimensions)
        A vector for each word, such as the columns of the weights of topics, ``components_.T``.
    n_neighbours : int
        How many, fewer than there are words.

    Returns
    -------
    xarray.Dataset
        ``neighbour(word, place)``, the nearest first, and ``cosine(word, place)``; -1 and NaN for a word whose vector
        is zero, and where there are no further words with a vector.

    Raises
    ------
    ValidationError
        If the vectors are no matrix of finite numbers, or words are too few.
    """
    v = np.asarray(vectors, float)
    if v.ndim != 2 or not np.isfinite(v).all():
        raise ValidationError(f"word_neighbours: vectors of shape {v.shape} are not a matrix of finite numbers.")
    if not 1 <= n_neighbours < len(v):
        raise ValidationError(f"word_neighbours: {n_neighbours!r} neighbours of {len(v)} words; there are 1 to n - 1.")
    lengths = np.linalg.norm(v, axis=1)
    unit = np.divide(v, lengths[:, None], out=np.zeros_like(v), where=lengths[:, None] > 0)
    neighbours = np.empty((len(v), n_neighbours), int)
    cosines = np.empty((len(v), n_neighbours))
    for start in range(0, len(v), _AT_ONCE):
        found = unit[start : start + _AT_ONCE] @ unit.T
        rows = np.arange(len(found))
        found[:, lengths == 0] = -np.inf
        found[rows, start + rows] = -np.inf
        found[lengths[start : start + _AT_ONCE] == 0] = -np.inf
        first = np.argsort(-found, axis=1, kind="stable")[:, :n_neighbours]
        neighbours[start : start + _AT_ONCE] = first
        cosines[start : start + _AT_ONCE] = np.take_along_axis(found, first, axis=1)
    none = np.isneginf(cosines)
    neighbours[none], cosines[none] = -1, np.nan
    values: Values = {
        "neighbour": (("word", "place"), neighbours, "1", "nearest other words, -1 for none"),
        "cosine": (("word", "place"), cosines, "1", "cosine of the vectors of the two"),
    }
    return labelled(values)


def neighbour_overlap(neighbours: Any, others: Any) -> Array:
    """Return the share of the nearest words of each word that another kind of vectors has, too, (n_words,).

    Where the other kind has nothing to do with it, n_neighbours/(n_words - 1) is expected.

    Parameters
    ----------
    neighbours, others : array_like of int, shape (n_words, n_neighbours)
        As of `word_neighbours`; -1 is never in common.

    Raises
    ------
    ValidationError
        If the shapes differ.

    Examples
    --------
    >>> neighbour_overlap([[1, 2], [2, 0], [-1, -1]], [[2, 1], [2, 3], [-1, -1]])
    array([1. , 0.5, 0. ])
    """
    a, b = np.asarray(neighbours), np.asarray(others)
    if a.shape != b.shape or a.ndim != 2 or not a.size:
        raise ValidationError(f"neighbour_overlap: neighbours of shape {a.shape} and {b.shape}; the same is needed.")
    common = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] >= 0)
    return np.asarray(common.any(axis=2).mean(axis=1))
