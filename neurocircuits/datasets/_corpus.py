"""The container of texts: documents as they were written or as words, what labels them, and how they become counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurocircuits.errors import ValidationError

Document = str | tuple[str, ...]

WORDS = r"(?u)\b[^\W\d_]{2,}\b"
"""What counts as a word of a text: two letters or more, no digits."""

SHARE = 0.005
"""Words in a smaller share of the documents are left out, as in the sets of OCTIS."""


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """Hold documents with their labels. Indexing takes documents and gives a corpus: ``corpus[:100]``.

    Parameters
    ----------
    name : str
        What the corpus is called in messages.
    documents : sequence of str, or of sequences of str
        Texts, or lists of words where the corpus was split into words by others; not both.
    labels : array_like of int, shape (n,), optional
        Class of each document, a place in ``label_names``.
    label_names : sequence of str
        Names of the classes.
    names : sequence of str
        A name for each document, such as its title or file.
    vocabulary : sequence of str
        Words in the order of the columns that they are to have, where the corpus comes with one.
    source : str
        Where the corpus comes from, with its terms where they are known.
    citation : str
        The publication to cite.

    Raises
    ------
    ValidationError
        If texts and lists of words are mixed, or lengths do not fit each other.

    Examples
    --------
    >>> from neurocircuits.datasets import Corpus
    >>> corpus = Corpus("two", ["Cats and dogs.", "Dogs chase cats"], labels=[0, 1], label_names=["a", "b"])
    >>> corpus
    Corpus('two', 2 texts, 2 classes)
    >>> vectorizer = corpus.vectorizer("counts")
    >>> vectorizer.fit_transform(corpus.documents).toarray()
    array([[1, 0, 1],
           [1, 1, 1]])
    >>> vectorizer.get_feature_names_out().tolist()
    ['cats', 'chase', 'dogs']
    """

    name: str
    documents: Sequence[Document]
    labels: NDArray[Any] | None = None
    label_names: Sequence[str] = ()
    names: Sequence[str] = ()
    vocabulary: Sequence[str] = ()
    source: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if isinstance(self.documents, str):
            self._refuse("documents", "a single text was given. Give a list of texts: [text].")
        for k, document in enumerate(self.documents):
            if not isinstance(document, Iterable):
                self._refuse("documents", f"number {k} is {document!r}. Give texts or lists of words; leave out gaps.")
        documents = tuple(d if isinstance(d, str) else tuple(d) for d in self.documents)
        if len({isinstance(document, str) for document in documents}) > 1:
            self._refuse("documents", "texts and lists of words are mixed. Give one or the other.")
        set_(self, "documents", documents)
        for field in ("label_names", "names", "vocabulary"):
            set_(self, field, tuple(str(value) for value in getattr(self, field)))
        if self.names and len(self.names) != len(documents):
            self._refuse("names", f"there are {len(self.names)} for {len(documents)} documents. Give one for each.")
        if self.labels is not None:
            labels = np.asarray(self.labels).view()
            labels.flags.writeable = False
            if labels.shape != (len(documents),) or (labels.size and labels.dtype.kind not in "iu"):
                self._refuse(
                    "labels",
                    f"shape {labels.shape} and type {labels.dtype}; a whole number for each document is needed.",
                )
            if labels.size and not 0 <= labels.min() <= labels.max() < len(self.label_names):
                self._refuse("labels", f"they reach {labels.max()}, but there are {len(self.label_names)} label_names.")
            set_(self, "labels", labels)

    def _refuse(self, attribute: str, problem: str) -> NoReturn:
        raise ValidationError(f"Corpus({self.name!r}).{attribute}: {problem}")

    def __repr__(self) -> str:
        parts = [repr(self.name), f"{len(self)} {'lists of words' if self.in_words else 'texts'}"]
        if self.labels is not None:
            parts.append(f"{len(self.label_names)} classes")
        return f"Corpus({', '.join(parts)})"

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, which: slice | ArrayLike) -> Corpus:
        """Return the corpus of some documents: a slice, numbers or a mask."""
        numbers = np.arange(len(self))[which if isinstance(which, slice) else np.asarray(which)]
        if numbers.ndim != 1:
            raise ValidationError(
                f"Corpus({self.name!r})[{which!r}]: the index must be a slice, a list of numbers or a mask; one "
                "document is corpus.documents[k]."
            )
        return replace(
            self,
            documents=[self.documents[k] for k in numbers],
            labels=None if self.labels is None else self.labels[numbers],
            names=[self.names[k] for k in numbers] if self.names else (),
        )

    @property
    def in_words(self) -> bool:
        """Whether documents are lists of words."""
        return bool(self.documents) and not isinstance(self.documents[0], str)

    def vectorizer(self, values: Literal["tf-idf", "counts"] = "tf-idf", **settings: Any) -> Any:
        """Return a scikit-learn vectorizer, not fitted, that turns documents of this corpus into a CSR matrix.

        Texts are put into lower case and split into words of two letters or more; English stop words, and words in
        fewer than 0.5 % of the documents, are left out. Lists of words are taken as they are, with the vocabulary of
        the corpus if it has one.

        Parameters
        ----------
        values : {"tf-idf", "counts"}
            ``(1 + log count) * idf`` in rows of unit length (a row of zeros for a document without a known word), or
            counts.
        **settings
            Settings of the vectorizer that override these, such as ``max_df=0.35``, ``stop_words=None`` or
            ``vocabulary=other.get_feature_names_out()``.

        Returns
        -------
        sklearn.feature_extraction.text.TfidfVectorizer or CountVectorizer
            Its ``get_feature_names_out()`` are the words of the columns. Words that it did not see when it was fitted
            are left out of what it transforms.

        Raises
        ------
        ValidationError
            If there are no such values. The vectorizer itself raises a ValueError if no words are left.

        Notes
        -----
        The sets of OCTIS were also lemmatised, which takes a model of the language and is not done here.

        References
        ----------
        Terragni S, Fersini E, Galuzzi BG, Tropeano P, Candelieri A (2021) OCTIS: comparing and optimizing topic models
        is simple!, EACL demonstrations 263-270, doi:10.18653/v1/2021.eacl-demos.31, for the steps and the 0.5 %.
        Salton G, Buckley C (1988) Term-weighting approaches in automatic text retrieval, Information Processing and
        Management 24:513-523, doi:10.1016/0306-4573(88)90021-0, for the weights. The pattern of words is a default of
        this package.
        """
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

        if values not in ("tf-idf", "counts"):
            raise ValidationError(f"Corpus.vectorizer: values {values!r} are unknown. Choose from: tf-idf, counts.")
        chosen: dict[str, Any]
        if self.in_words:
            chosen = {"analyzer": words_as_they_are, "vocabulary": self.vocabulary or None}
        else:
            chosen = {"token_pattern": WORDS, "stop_words": "english", "min_df": SHARE}
        if values == "counts":
            return CountVectorizer(**(chosen | settings))
        return TfidfVectorizer(**(chosen | {"sublinear_tf": True, "norm": "l2"} | settings))


def words_as_they_are(document: Sequence[str]) -> Sequence[str]:
    """Return a document that is a list of words already (the analyzer of a vectorizer, by name so that it pickles)."""
    return document
