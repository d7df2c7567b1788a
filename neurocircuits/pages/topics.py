"""The intertopic map as a page: topics on a plane, their words by relevance, their leading documents, search of words.

Python chooses and counts, ``topics.js`` draws. What is shown of a corpus travels as JSON that cannot end its element,
and is put on the page as text, never as HTML; the policy of the page admits its own script and style by their hashes
and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from neurocircuits import analysis
from neurocircuits.datasets import Corpus
from neurocircuits.errors import ValidationError

_FOLDER = Path(__file__).parent
_STEPS = np.linspace(0, 1, 101)  # of the slider
_SEARCHED = 5000  # words that can be searched besides those of the lists
_SMALLEST = 0.01  # share of the occurrences of a word below which a topic is not named
_LONGEST = 200  # characters of a document


def topic_page(
    corpus: Corpus,
    words: Sequence[str],
    counts: Any,
    topics: Any,
    scores: Any,
    *,
    made: str = "",
    n_words: int = 20,
    n_documents: int = 12,
) -> str:
    """Return a page that shows topics of any model, to be kept as a file ``.html`` and opened in a browser.

    Parameters
    ----------
    corpus : Corpus
        What the model learned from; names, classes and beginnings of documents are shown.
    words : sequence of str
        Words of the columns.
    counts : array_like or sparse, shape (n_documents, n_words_in_all)
        How often each word occurs in each document.
    topics : array_like, shape (n_topics, n_words_in_all)
        Weights of 0 or more.
    scores : array_like, shape (n_documents, n_topics)
        Scores of topics in documents.
    made : str
        How the topics were made, shown at the foot of the page.
    n_words : int
        Words of a topic that are shown at a time; the page holds those that are among them at any relevance.
    n_documents : int
        Leading documents of each topic, those of the largest scores.

    Returns
    -------
    str
        The page, of ASCII characters alone.

    Raises
    ------
    ValidationError
        If shapes do not fit each other, or no document has a known word.

    Notes
    -----
    Topics stand where `neurocircuits.analysis.intertopic_map` puts them, and are numbered by their share of all words.
    Of the occurrences of a word in a document a topic has as many as is its share of the document
    (`neurocircuits.analysis.topic_shares`), so that those of all topics add up to those of the corpus. The order of
    words is `neurocircuits.analysis.relevance`.

    References
    ----------
    Sievert C, Shirley K (2014) LDAvis: a method for visualizing and interpreting topics, ACL workshop on interactive
    language learning, 63-70, doi:10.3115/v1/W14-3110.
    """
    found = csr_array(counts, dtype=float)
    if found.shape != (len(corpus), len(words)):
        raise ValidationError(
            f"topic_page: counts of shape {found.shape} for {len(corpus)} documents and {len(words)} words."
        )
    lengths = np.asarray(found.sum(axis=1)).ravel()
    if not lengths.sum() > 0:
        raise ValidationError(f"topic_page: none of the {len(corpus)} documents has one of the {len(words)} words.")
    placed = analysis.intertopic_map(topics, scores, lengths)
    order = np.argsort(placed["rank"].values)
    shares = analysis.topic_shares(scores)[:, order]
    weights, scored = analysis.word_shares(topics)[order], np.asarray(scores, float)[:, order]
    weights[np.asarray(topics, float)[order].sum(axis=1) == 0] = 0.0  # a topic without words lists none
    if weights.shape[1] != len(words):
        raise ValidationError(f"topic_page: topics over {weights.shape[1]} words, but {len(words)} words.")
    total = np.asarray(found.sum(axis=0)).ravel()
    parts = np.asarray((found.T @ shares).T)
    listed = [_listed(row, total, n_words) for row in weights]
    frequent = np.argsort(-total, kind="stable")[:_SEARCHED]
    kept = np.unique(np.concatenate([*listed, frequent[total[frequent] > 0]]))
    place = {int(column): k for k, column in enumerate(kept)}
    leading = [_leading(column, n_documents) for column in scored.T]
    cited = sorted({k for row in leading for k in row})
    number = {k: n for n, k in enumerate(cited)}
    data = {
        "nWords": n_words,
        "total": int(total.sum()),
        "words": [str(words[k]) for k in kept],
        "counts": [int(total[k]) for k in kept],
        "parts": [_parts(parts[:, k] / max(total[k], 1.0)) for k in kept],
        "topics": [
            {
                "x": _short(placed["x"].values[k]),
                "y": _short(placed["y"].values[k]),
                "share": _short(placed["frequency"].values[k]),
                "words": [[place[int(c)], _short(weights[n, c]), _short(parts[n, c])] for c in listed[n]],
                "documents": [[number[d], _short(shares[d, n])] for d in leading[n]],
            }
            for n, k in enumerate(order)
        ],
        "documents": [_document(corpus, k) for k in cited],
    }
    facts = f"{len(corpus)} documents, {int(total.sum())} occurrences of {len(words)} words, {len(order)} topics"
    if empty := int((lengths == 0).sum()):
        facts += f"; documents without any of the words: {empty}"
    return _assembled(corpus.name, facts, made, data)


def _listed(weights: np.ndarray, total: np.ndarray, n_words: int) -> np.ndarray:
    """Return the columns that are among the most relevant words of a topic at any place of the slider."""
    columns = np.flatnonzero((weights > 0) & (total > 0))
    if columns.size > n_words:
        relevances = np.log(weights[columns]) - np.outer(1 - _STEPS, np.log(total[columns] / total.sum()))
        columns = columns[np.unique(np.argpartition(-relevances, n_words, axis=1)[:, :n_words])]
    return columns


def _leading(scores: np.ndarray, n_documents: int) -> list[int]:
    first = np.argsort(-scores, kind="stable")[:n_documents]
    return [int(k) for k in first if scores[k] > 0]


def _parts(shares: np.ndarray) -> list[float]:
    """Return topics and their shares of the occurrences of a word, one after the other, the largest first."""
    named = [k for k in np.argsort(-shares, kind="stable") if shares[k] >= _SMALLEST]
    return [value for k in named for value in (int(k), round(float(shares[k]), 3))]


def _document(corpus: Corpus, k: int) -> dict[str, str]:
    content, name = corpus.documents[k], corpus.names[k] if corpus.names else f"document {k + 1}"
    text = " ".join(content[: 8 * _LONGEST].split() if isinstance(content, str) else content[:_LONGEST])
    shown = text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + "\u2026"
    label = "" if corpus.labels is None else corpus.label_names[int(corpus.labels[k])]
    return {"name": name, "first": shown} | ({"label": label} if label else {})


def _short(value: Any) -> float:
    return float(f"{float(value):.4g}")


def _assembled(title: str, facts: str, made: str, data: dict[str, Any]) -> str:
    """Return the page; its parts are put in once, so that nothing within them is read as a place for another."""
    style, script = ((_FOLDER / f"topics.{kind}").read_text(encoding="ascii") for kind in ("css", "js"))
    page = Template((_FOLDER / "topics.html").read_text(encoding="ascii")).substitute(
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'",
        style=style,
        script=script,
        title=html.escape(title),
        facts=html.escape(facts),
        made=html.escape(made),
        data=_json(data),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _json(data: dict[str, Any]) -> str:
    """Return JSON that stands in an element of HTML: nothing in it can end the element or begin another."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
