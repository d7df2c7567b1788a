"""The command `topics`: from a corpus to the topics of the circuit, as a table and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits import analysis
from neurocircuits.cli import catalogue, settings
from neurocircuits.cli.reports import size_text, table
from neurocircuits.errors import DataError, StorageError, ValidationError
from neurocircuits.learn import DisynapticTopics

if TYPE_CHECKING:
    from neurocircuits.datasets import Corpus

N_TOPICS, DOCUMENTS_PER_TOPIC = 20, 5
PREFIXES = ("data", "words")
OWN = {"n_components": "--topics", "random_state": "--seed"}


@dataclass(frozen=True)
class Learned:
    """Hold what was learned: documents, words of the columns, counts, the estimator and the scores of documents."""

    corpus: Corpus
    words: list[str]
    counts: Any
    model: Any
    scores: Any

    @property
    def made(self) -> str:
        """How the topics were made, as one line."""
        from neurocircuits import __version__

        usual = DisynapticTopics().get_params() | {"n_components": None, "verbose": True}
        chosen = {name: value for name, value in self.model.get_params().items() if value != usual[name]}
        stated = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
        return f"Learned by neurocircuits {__version__} from {self.corpus!r} with DisynapticTopics({stated})."

    def page(self) -> str:
        """Return the page (`neurocircuits.pages.topic_page`)."""
        from neurocircuits.pages import topic_page

        topics = self.model.components_
        return topic_page(self.corpus, self.words, self.counts, topics, self.scores, made=self.made)

    def tree(self) -> Any:
        """Return the result of the run, with the name of the corpus and, as JSON, the words as attributes."""
        tree = self.model.tree_
        tree.attrs |= {"corpus": self.corpus.name, "words": json.dumps(self.words)}
        return tree

    def table(self, n_words: int = 8) -> str:
        """Return number, share and first words of each topic."""
        lengths = np.asarray(self.counts.sum(axis=1)).ravel()
        placed = analysis.intertopic_map(self.model.components_, self.scores, lengths)
        first = analysis.top_words(self.model.components_, n_words, self.words)
        rows = [
            (n + 1, f"{100 * float(placed['frequency'][k]):.1f} %", " ".join(first[k]) or "no words")
            for n, k in enumerate(np.argsort(placed["rank"].values))
        ]
        return table(rows, ["topic", "share", "first words"])


def learn(
    source: str, n_topics: int | None, given: dict[str, Any], pairs: Iterable[str], seed: int, say: Any = print
) -> Learned:
    """Read a corpus and learn its topics.

    Parameters
    ----------
    source : str
        Name of a public corpus, or the path of a folder or table.
    n_topics : int or None
        How many; unless given, 20, or a fifth of the documents where these are fewer than 100, two at least.
    given : dict
        Settings of `DisynapticTopics` that have an option of their own; None for those that were not given.
    pairs : iterable of str
        ``key=value`` for the other settings, ``data.key=value`` for what reads the corpus, ``words.key=value`` for the
        vectorizer.
    seed : int
        Seed.
    say : callable
        What prints a line before the learning starts.

    Raises
    ------
    DataError, ValidationError
        If the corpus cannot be read, no words are left, or there are fewer documents than topics.
    """
    texts = settings.split(pairs, PREFIXES)
    estimator = catalogue.of_function("DisynapticTopics", DisynapticTopics)
    own = {name: value for name, value in given.items() if value is not None}
    if both := [name for name in [*OWN, *own] if name in texts[""]]:
        raise ValidationError(f"--set {both[0]}: this has an option of its own, {OWN.get(both[0], f'--{both[0]}')}.")
    corpus = read(source, texts["data"])
    words, documents, counts = vectorised(corpus, texts["words"])
    n_known = int((documents.sum(axis=1) > 0).sum())
    if n_topics is None:
        n_topics = min(N_TOPICS, max(2, n_known // DOCUMENTS_PER_TOPIC))
    if n_topics > n_known:
        raise ValidationError(
            f"{corpus!r}: only {n_known} of its documents have words, fewer than the {n_topics} topics to be learned. "
            + (f"Ask for fewer: --topics {n_known // 2}." if n_known > 1 else "Topics need more documents than one.")
        )
    own |= {"n_components": n_topics, "random_state": seed, "verbose": True}
    if n_known <= DisynapticTopics().batch:  # a minibatch holds all documents: a rate that falls would average nothing
        own["learning_offset"] = None
    model = settings.make(estimator, texts[""], own)
    say(f"{corpus!r}: {n_known} documents with {len(words)} words; {n_topics} topics, seed {seed}")
    return Learned(corpus, words, counts, model.fit(documents), model.transform(documents))


def read(source: str, texts: dict[str, str]) -> Corpus:
    """Return a corpus by its name, or what a path leads to; a name that is a folder, too, is written ``./name``."""
    from neurocircuits import datasets

    known = catalogue.corpora()
    if source in known:
        return settings.make(known[source], texts, {}, "data.")
    if not Path(source).expanduser().exists():
        near = catalogue.unknown("corpus", source, known, "CORPUS")
        near.message += " A folder of texts or a table .csv or .tsv would do, but no file is called so."
        raise near
    own = catalogue.of_function("datasets.corpus", datasets.corpus)
    try:
        return settings.make(own, texts, {"path": source}, "data.")
    except DataError as error:
        raise DataError(f"{error} Such settings are given as --set data.key=value.") from error


def vectorised(corpus: Corpus, texts: dict[str, str]) -> tuple[list[str], Any, Any]:
    """Return the words that occur, and documents as tf-idf and as counts of them, CSR."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = catalogue.of_function("TfidfVectorizer", TfidfVectorizer).settings
    given = settings.make(catalogue.Factory("the vectorizer", dict, known), texts, {}, "words.")
    try:
        vectorizer = corpus.vectorizer(**given)
        documents = vectorizer.fit_transform(corpus.documents)
        counts = corpus.vectorizer("counts", **(given | {"vocabulary": vectorizer.vocabulary_}))
    except (ValueError, TypeError) as error:
        reason = str(error).rstrip(".")
        raise ValidationError(
            f"{corpus!r}: its documents cannot be turned into counts of words: {reason}. Texts are split into words of "
            "two letters or more, without English stop words; other settings are --set words.key=value."
        ) from error
    counted = counts.fit_transform(corpus.documents)
    occurring = np.flatnonzero(np.asarray(counted.sum(axis=0)).ravel())
    words = vectorizer.get_feature_names_out()[occurring].tolist()
    return words, documents[:, occurring], counted[:, occurring]


def write(page: str, path: Path) -> str:
    """Write a page and return how large it is."""
    content = page.encode("ascii")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"'{path}' cannot be written: {error}.") from error
    return size_text(len(content))
