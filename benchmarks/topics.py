"""Topics of 20 Newsgroups, 11 314 posts of 5000 words: the circuit against LDA and NMF of scikit-learn.

Each fit has a process of its own, so that its peak memory is its own. Without the posts on this machine, documents are
written at random instead. Documents in parts show that memory does not grow with the corpus.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from benchmarks.harness import Result, one_thread, peak_memory, result
from neurocircuits import analysis
from neurocircuits.datasets import newsgroups20
from neurocircuits.errors import DataError
from neurocircuits.figures import _topics as shared
from neurocircuits.learn import DisynapticTopics

N_TOPICS, N_WORDS = 20, 5000
CIRCUIT, ONLINE = "circuit", "LDA online"
MODELS = (CIRCUIT, ONLINE, "LDA batch", "NMF")
ROUNDS = {CIRCUIT: 3, ONLINE: 3}
PART = 10_000
FASTER, GROWTH, LINEAR = 1.0, 1.05, 1.2


def posts(quick: bool) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return tf-idf and counts of the posts to learn from and of those to transform, and what they are."""
    try:
        if quick:
            raise DataError("tiny")
        train, test = (newsgroups20(part, download=False) for part in ("train", "test"))
    except DataError:
        n = 300 if quick else 11_314
        _, texts = shared.written(0, N_TOPICS, 400 if quick else N_WORDS, n, falling=1.0)
        kept = {"tf-idf": texts.documents, "counts": texts.counts}
        return kept, kept, f"{n} written documents"
    chosen = {"min_df": 2, "max_df": 0.5, "max_features": N_WORDS}
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    words = None
    for values in ("tf-idf", "counts"):
        vectorizer = train.vectorizer(values, **({"vocabulary": words} if words is not None else chosen))
        parts[0][values] = vectorizer.fit_transform(train.documents)
        parts[1][values] = vectorizer.transform(test.documents)
        words = vectorizer.get_feature_names_out()
    return *parts, "20 Newsgroups"


def estimator(model: str, quick: bool) -> tuple[Any, str]:
    """Return a model in the settings that it has unless told otherwise, and what it takes."""
    from sklearn.decomposition import NMF, LatentDirichletAllocation

    if model == CIRCUIT:
        return DisynapticTopics(N_TOPICS, random_state=0, n_minibatches=100 if quick else 3000), "tf-idf"
    if model == "NMF":
        return NMF(N_TOPICS, init="nndsvd", random_state=0), "tf-idf"
    method = model.removeprefix("LDA ")
    return LatentDirichletAllocation(N_TOPICS, learning_method=method, random_state=0), "counts"


def measured(model: str, quick: bool) -> dict[str, Any]:
    """Fit, transform and judge a model; time is that of the thread."""
    train, test, corpus = posts(quick)
    fitted, values = estimator(model, quick)
    before = peak_memory()
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.thread_time()
        fitted.fit(train[values])
        middle = time.thread_time()
        fitted.transform(test[values])
        end = time.thread_time()
    coherence = float(analysis.document_coherence(fitted.components_, train["counts"])["mean"])
    diversity = analysis.topic_diversity(fitted.components_)
    found = {"fit": middle - start, "transform": end - middle, "coherence": coherence, "diversity": diversity}
    return {**found, "memory": peak_memory(), "before": before, "corpus": corpus}


def parts(n_documents: int, n_words: int) -> Iterator[csr_array]:
    """Yield documents of 50 words each, some words more frequent than others, in parts."""
    random = np.random.default_rng(0)
    for start in range(0, n_documents, PART):
        n = min(PART, n_documents - start)
        words = (n_words * random.random((n, 50)) ** 3).astype(np.int32)
        ends = np.arange(0, 50 * n + 1, 50)
        documents = csr_array((np.full(50 * n, 50**-0.5), words.ravel(), ends), shape=(n, n_words))
        documents.sum_duplicates()
        yield documents


def in_parts(n_documents: int, n_words: int) -> dict[str, float]:
    """Learn from documents that come in parts; time is that of learning."""
    topics, spent = DisynapticTopics(N_TOPICS, random_state=0), 0.0
    with one_thread():
        for documents in parts(n_documents, n_words):
            start = time.thread_time()
            topics.partial_fit(documents)
            spent += time.thread_time() - start
    return {"fit": spent, "memory": peak_memory()}


def alone(*arguments: str) -> dict[str, Any]:
    """Return what a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.topics", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(quick: bool = False) -> list[Result]:
    """Compare the circuit with each other model, then many documents with few."""
    rounds: dict[str, list[dict[str, Any]]] = {model: [] for model in MODELS}
    for k in range(1 if quick else max(ROUNDS.values())):
        for model in MODELS:
            if k < ROUNDS.get(model, 1):
                rounds[model].append(alone(model, str(int(quick))))
    corpus, lines = rounds[CIRCUIT][0]["corpus"], []
    for model in MODELS[1:]:
        n = len(rounds[model])
        for name, unit in (("fit", "s"), ("transform", "s"), ("coherence", "NPMI"), ("memory", "MB")):
            ours, theirs = ([row[name] for row in rounds[m][:n]] for m in (CIRCUIT, model))
            limit = FASTER if (model, name) == (ONLINE, "fit") else None
            if name == "coherence":  # never below 0 by much, and a ratio needs a sign
                ours, theirs = [value + 1 for value in ours], [value + 1 for value in theirs]
                unit = "1 + NPMI"
            lines.append(result(f"{name}, {corpus}, {N_TOPICS} topics", ours, theirs, unit, model, limit))
    few, many, n_words = (200, 400, 100) if quick else (50_000, 500_000, N_WORDS)
    short, long = (alone("parts", str(n), str(n_words)) for n in (few, many))
    name = f"{many} documents in parts of {PART}"
    costs = [1e6 * found["fit"] / n for found, n in ((long, many), (short, few))]
    lines.append(result(f"cost of a document, {name}", costs[:1], costs[1:], "microseconds", f"of {few}", LINEAR))
    lines.append(result(f"peak memory, {name}", [long["memory"]], [short["memory"]], "MB", f"of {few}", GROWTH))
    return lines


if __name__ == "__main__":
    if sys.argv[1] == "parts":
        print(json.dumps(in_parts(int(sys.argv[2]), int(sys.argv[3]))))
    else:
        print(json.dumps(measured(sys.argv[1], bool(int(sys.argv[2])))))
