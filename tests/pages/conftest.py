"""A small corpus that means harm, its topics and their page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from neurocircuits.datasets import Corpus
from neurocircuits.pages import topic_page

HOSTILE = "</script><script>window.harmed=1</script><img src=x onerror=window.harmed=2>&amp;\"'$title"
WORDS = ["cat", "dog", "the", HOSTILE, "moon", "star", "__proto__", "constructor", "unseen", "d\u00e9j\u00e0"]
NAMES = [f"{HOSTILE}.txt", "\u202egnp.exe", "bad\udcff", "a/b.txt", "javascript:alert(1)", "<b>", "6", "7"]


def made(**settings: Any) -> tuple[Corpus, np.ndarray, np.ndarray, np.ndarray, str]:
    """Return corpus, counts, topics, scores and page: three topics, the second of them the largest, one empty text."""
    counts = np.array(
        [
            [6, 4, 5, 1, 0, 0, 0, 0, 0, 0],
            [3, 5, 6, 1, 0, 0, 0, 0, 0, 1],
            [0, 0, 7, 0, 8, 5, 1, 2, 0, 0],
            [0, 0, 5, 0, 9, 9, 2, 1, 0, 0],
            [0, 1, 6, 2, 7, 8, 0, 1, 0, 0],
            [0, 0, 2, 9, 0, 0, 0, 0, 0, 0],
            [1, 0, 3, 0, 4, 2, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
    )
    topics = np.array(
        [
            [5.0, 5, 6, 1, 0, 0, 0, 0, 0, 0.1],
            [0.2, 0, 7, 0, 6, 5, 1, 1, 0, 0],
            [0, 0, 1, 9, 0, 0, 0, 0, 0, 0],
        ]
    )
    scores = np.array([[2, 0, 0.5], [3, 0, 0], [0, 2, 0], [0, 4, 0], [0.5, 3, 0], [0, 0, 3], [0.4, 1.0, 0], [0, 0, 0]])
    texts = [f"{HOSTILE} {k}\nsecond line" for k in range(7)] + [""]
    corpus = Corpus(HOSTILE, texts, labels=[0, 0, 1, 1, 1, 0, 0, 0], label_names=[HOSTILE, "b"], names=NAMES)
    page = topic_page(corpus, WORDS, csr_array(counts), topics, scores, made=HOSTILE, **settings)
    return corpus, counts, topics, scores, page


@pytest.fixture(scope="session")
def hostile() -> tuple[Corpus, np.ndarray, np.ndarray, np.ndarray, str]:
    return made(n_words=4)
