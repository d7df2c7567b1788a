"""Coherence of topics: whether their first words occur together in a reference corpus."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import Array, Values, labelled
from neurocircuits.analysis.topics import top_words
from neurocircuits.errors import UnsupportedError, ValidationError, listed

EPSILON = 1e-12
"""What is added to the probability of a pair, as in gensim."""

WINDOWS = {"npmi": 10, "c_v": 110, "uci": 10, "u_mass": None}
"""Measures of gensim and the words of their window; None for whole documents."""


def document_coherence(topics: Any, counts: Any, n_words: int = 10, reference: str = "the corpus given") -> xr.Dataset:
    """Measure the coherence of topics by normalised pointwise mutual information over whole documents.

    For two words a and b of a topic it is ``log(P(a,b)/(P(a) P(b)))/(-log P(a,b))``, with P the share of documents that
    contain them: 1 for words that always come together, 0 for independent ones. A topic has the mean over all pairs of
    its first words.

    Parameters
    ----------
    topics : array_like, shape (n_topics, n_words_in_all)
        Weights of 0 or more.
    counts : array_like or CSR, shape (n_documents, n_words_in_all)
        Documents of the reference corpus; anything but 0 counts as once.
    n_words : int
        Words of each topic; topics with fewer words count with those that they have.
    reference : str
        What the reference corpus is, kept with the result.

    Returns
    -------
    xarray.Dataset
        ``coherence(topic)``, NaN for topics of fewer than two words, and ``mean`` over the others; attributes
        ``measure``, ``n_words``, ``window``, ``reference``, ``n_documents``.

    Raises
    ------
    ValidationError
        If words are not as many, or a first word is in no document.

    Notes
    -----
    As in gensim 1e-12 is added to P(a,b), so words that never come together have not -1 but -1 + |log(P(a) P(b))|/27.6.
    Two words that are in every document are independent and have 0. With windows of ten words, `coherence` gives other
    values: compare only what has the same window, words and corpus.

    References
    ----------
    Bouma G (2009) Normalized (pointwise) mutual information in collocation extraction, GSCL 31-40. Roeder M, Both A,
    Hinneburg A (2015) Exploring the space of topic coherence measures, WSDM 399-408, doi:10.1145/2684822.2685324.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[1, 2, 0, 0], [3, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    >>> document_coherence([[2, 1, 0, 0], [0, 0, 1, 2]], counts)["coherence"].values.round(6).tolist()
    [1.0, 1.0]
    """
    from scipy.sparse import csc_array

    present = csc_array(counts, dtype=float)
    present.eliminate_zeros()
    present.data[:] = 1.0
    columns = top_words(topics, n_words)
    n_documents, n_known = present.shape
    n_columns = np.shape(topics)[1]
    if n_known != n_columns or not n_documents:
        raise ValidationError(
            f"document_coherence: counts of shape {present.shape} for topics of {n_columns} words; give documents over "
            "the same words."
        )
    values = []
    for topic, chosen in enumerate(columns):
        together = present[:, chosen]
        pairs = (together.T @ together).toarray() / n_documents
        alone = np.diag(pairs)
        if (alone == 0).any():
            missing = chosen[alone == 0][0]
            raise ValidationError(
                f"document_coherence: word {missing}, among the first of topic {topic}, is in none of the "
                f"{n_documents} documents. Take a reference corpus that has the words."
            )
        values.append(_mean_npmi(pairs, alone))
    attrs = {"n_words": n_words, "window": "document", "reference": reference, "n_documents": n_documents}
    return _result(np.array(values), measure="npmi", **attrs)


def coherence(
    topics: Any,
    documents: Sequence[Sequence[str]],
    words: Sequence[str] | None = None,
    measure: str = "npmi",
    n_words: int = 10,
    window: int | None = None,
    reference: str = "the corpus given",
) -> xr.Dataset:
    """Measure the coherence of topics with gensim, an optional package.

    Parameters
    ----------
    topics : array_like of shape (n_topics, n_words_in_all), or sequence of sequences of str
        Weights of 0 or more, or the first words of each topic.
    documents : sequence of sequences of str
        Documents of the reference corpus as words in their order.
    words : sequence of str, optional
        Words of the columns, where topics are weights.
    measure : {"npmi", "c_v", "uci", "u_mass"}
        Mean normalised pointwise mutual information; cosines of vectors of it; without normalisation; log conditional
        probability over whole documents.
    n_words : int
        Words of each topic; topics with fewer words count with those that they have.
    window : int, optional
        Words of the sliding window; 10 for "npmi" and "uci", 110 for "c_v" unless given. A document that is shorter is
        one window. "u_mass" has none.
    reference : str
        What the reference corpus is, kept with the result.

    Returns
    -------
    xarray.Dataset
        ``coherence(topic)``, NaN for topics of fewer than two words, and ``mean`` over the others; attributes
        ``measure``, ``n_words``, ``window``, ``reference``, ``n_documents``, ``version`` of gensim.

    Raises
    ------
    UnsupportedError
        If gensim is not installed.
    ValidationError
        If there is no such measure, or a word is in no document.

    Notes
    -----
    gensim (4.4) takes a word out of its window with the first of two places where it stands, so that words that come
    again within a window count too rarely. Published numbers have the same error.

    References
    ----------
    Roeder, Both, Hinneburg (2015), doi:10.1145/2684822.2685324. Mimno D, Wallach HM, Talley E, Leenders M, McCallum A
    (2011) Optimizing semantic coherence in topic models, EMNLP 262-272, for "u_mass".
    """
    if measure not in WINDOWS:
        raise ValidationError(f"coherence: measure {measure!r} is unknown. Choose from: {', '.join(WINDOWS)}.")
    if measure == "u_mass" and window is not None:
        raise ValidationError("coherence: u_mass counts whole documents and has no window. Leave it out.")
    if window is not None and not window >= 2:
        raise ValidationError(f"coherence: window = {window!r}; pairs of words need 2 or more.")
    first = _first_words(topics, words, n_words)
    try:
        gensim = importlib.import_module("gensim")
        corpora, models = (importlib.import_module(f"gensim.{name}") for name in ("corpora", "models"))
    except ImportError:
        raise UnsupportedError(
            "coherence needs gensim, which is not installed: pip install 'neurocircuits[topics]'"
        ) from None
    texts = [list(document) for document in documents]
    dictionary = corpora.Dictionary(texts)
    for topic, row in enumerate(first):
        if missing := [word for word in row if word not in dictionary.token2id]:
            raise ValidationError(
                f"coherence: topic {topic} has words that none of the {len(texts)} documents contains: "
                f"{listed(missing)}. Take a reference corpus that has them."
            )
    values, many = np.full(len(first), np.nan), [k for k, row in enumerate(first) if len(row) > 1]
    if many:
        model = models.CoherenceModel(
            topics=[first[k] for k in many],
            texts=texts,
            dictionary=dictionary,
            coherence=measure if measure in ("c_v", "u_mass") else f"c_{measure}",
            window_size=window,
            topn=n_words,
            processes=1,
        )
        values[many] = model.get_coherence_per_topic()
    shown = "document" if measure == "u_mass" else window or WINDOWS[measure]
    attrs = {"n_words": n_words, "window": shown, "reference": reference, "n_documents": len(texts)}
    return _result(values, measure=measure, version=str(gensim.__version__), **attrs)


def _mean_npmi(pairs: Array, alone: Array) -> float:
    """Return the mean over pairs of different words, from the shares of documents with both and with each."""
    if len(alone) < 2:
        return float("nan")
    with np.errstate(invalid="ignore"):
        npmi = np.log((pairs + EPSILON) / np.outer(alone, alone)) / -np.log(pairs + EPSILON)
    npmi[pairs == 1.0] = 0.0
    return float(npmi[~np.eye(len(alone), dtype=bool)].mean())


def _first_words(topics: Any, words: Sequence[str] | None, n_words: int) -> list[list[str]]:
    if words is not None:
        return top_words(topics, n_words, words)
    listed_words = not hasattr(topics, "dtype") and len(topics) > 0
    if not listed_words or not all(isinstance(word, str) for row in topics for word in row):
        raise ValidationError("coherence: topics are not lists of words. Give words=... with a matrix of weights.")
    return [list(row)[:n_words] for row in topics]


def _result(values: Array, **attrs: Any) -> xr.Dataset:
    defined = values[np.isfinite(values)]
    data: Values = {
        "coherence": (("topic",), values, "1", f"{attrs['measure']} of the first words of the topic"),
        "mean": ((), defined.mean() if defined.size else np.nan, "1", "mean over topics of two words or more"),
    }
    return labelled(data, **attrs)
