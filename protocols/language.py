"""Predict the next word of a text, as language models are compared: parallel columns, read on and on."""

from __future__ import annotations

from neurocircuits.datasets import WordStreams
from neurocircuits.recurrent.tasks import Task, Words


def next_words(streams: WordStreams, unroll: int = 35) -> Task:
    """Return a corpus as a task: states are carried over from piece to piece, nothing is shuffled.

    The convention of Zaremba, Sutskever and Vinyals (2014, arXiv:1409.2329). Perplexity is exp of the mean negative
    log-likelihood of a word (Costa et al. 2017, equation 4).

    Parameters
    ----------
    streams : WordStreams
        The corpus.
    unroll : int
        Words of a piece, through which errors are propagated back.

    Raises
    ------
    ValidationError
        If pieces have no word.
    """
    return Words(streams.name, streams.parts, len(streams.vocabulary), unroll)
