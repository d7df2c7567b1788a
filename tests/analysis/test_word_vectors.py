"""Words as vectors: scikit-learn's SVD, loops over words, ties and words without a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array
from sklearn.decomposition import TruncatedSVD

from neurocircuits import analysis
from neurocircuits.errors import ValidationError


def documents(seed: int = 0) -> csr_array:
    return csr_array(random_array((60, 30), density=0.2, rng=np.random.default_rng(seed), format="csr"))


def test_vectors_of_lsa_are_those_of_scikit_learn_but_for_signs() -> None:
    """Rejects vectors of documents, singular values left out or squared, and the smallest ones."""
    x = documents()
    found = analysis.lsa_word_vectors(x, 5)
    reference = TruncatedSVD(5, algorithm="arpack", random_state=0).fit(x)
    expected = reference.components_.T * reference.singular_values_
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-9)
    np.testing.assert_array_equal(analysis.lsa_word_vectors(x.toarray(), 5), found)


def test_nearest_words_are_a_loop_over_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks, too. Rejects the word itself, distances instead of cosines, and zero vectors among the nearest."""
    v = np.random.default_rng(1).random((25, 4)) - 0.3
    v[[3, 20]] = 0.0
    for at_once in (1024, 7):
        monkeypatch.setattr("neurocircuits.analysis.word_vectors._AT_ONCE", at_once)
        found = analysis.word_neighbours(v, 6)
        for k in range(25):
            cosine = {
                j: v[k] @ v[j] / np.linalg.norm(v[k]) / np.linalg.norm(v[j])
                for j in range(25)
                if j != k and v[j].any() and v[k].any()
            }
            expected = sorted(cosine, key=lambda j: -cosine[j])[:6] or [-1] * 6
            assert found["neighbour"].values[k].tolist() == expected
            np.testing.assert_allclose(found["cosine"].values[k], [cosine.get(j, np.nan) for j in expected])


def test_where_there_are_too_few_words_with_a_vector() -> None:
    found = analysis.word_neighbours([[1.0, 0.0], [2.0, 1.0], [0.0, 0.0]], 2)
    assert found["neighbour"].values.tolist() == [[1, -1], [0, -1], [-1, -1]]
    assert np.isnan(found["cosine"].values).tolist() == [[False, True], [False, True], [True, True]]


def test_overlap_is_the_share_in_common_whatever_the_order() -> None:
    random = np.random.default_rng(2)
    a, b = (np.array([random.permutation(9)[:5] for _ in range(40)]) for _ in range(2))
    expected = [len({*x} & {*y}) / 5 for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert analysis.neighbour_overlap(a, b).tolist() == expected
    assert analysis.neighbour_overlap([[-1, 2]], [[-1, 2]]).tolist() == [0.5]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: analysis.lsa_word_vectors(documents(), 30), "n_dimensions = 30 for 60 documents of 30 words"),
        (lambda: analysis.lsa_word_vectors(documents(), 0), "n_dimensions = 0"),
        (lambda: analysis.lsa_word_vectors(np.full((5, 6), np.nan), 2), "not finite"),
        (lambda: analysis.word_neighbours(np.ones(4), 1), r"shape \(4,\)"),
        (lambda: analysis.word_neighbours(np.full((4, 2), np.inf), 1), "finite numbers"),
        (lambda: analysis.word_neighbours(np.ones((4, 2)), 4), "4 neighbours of 4 words"),
        (lambda: analysis.neighbour_overlap([[1, 2]], [[1]]), "the same is needed"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        call()
