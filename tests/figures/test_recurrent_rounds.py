"""Trainings in rounds: what an interruption leaves, and that the same call goes on to the same end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'neurocircuits[torch]'")

from neurocircuits import recurrent
from neurocircuits.errors import DivergenceError, InterruptedRun
from neurocircuits.figures import _recurrent, costa2017_perplexity
from neurocircuits.protocols import addition


def jobs() -> list[_recurrent.Job]:
    task = addition.delayed(4, sizes={"train": 40, "validation": 20, "test": 20})
    training = recurrent.Training(epochs=3, batch=20)
    return [_recurrent.Job(f"{cell} 3", task, cell, 3, training) for cell in ("LSTM", "SubLSTM")]


def stopping(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
    """Let the training of this number, from 0, raise an error."""
    calls, train = iter(range(100)), recurrent.train

    def stopped(*arguments: Any, **settings: Any) -> Any:
        if next(calls) == at:
            raise error
        return train(*arguments, **settings, progress=False)

    monkeypatch.setattr(recurrent, "train", stopped, raising=False)


def test_an_interruption_leaves_what_is_there_and_the_same_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rejects: scores of one network under the name of another, a lost round, a partial tree that does not say so.
    with monkeypatch.context() as patch:
        stopping(patch, 3, InterruptedRun("stop"))
        tree = _recurrent.scores(jobs(), (1, 2, 3), 0, tmp_path)
    assert tree["/scores"].ds["epochs"].values.tolist() == [2, 1]
    assert "LSTM 3" in tree.attrs["partial"]
    assert np.isnan([_recurrent.score(tree, name) for name in ("LSTM 3", "SubLSTM 3")]).all()  # others may go further
    assert np.isfinite(tree["/scores"].ds["test"]).all()
    assert np.isnan(tree["/scores"].ds["curve"].values).tolist() == [[False, False], [False, True]]
    with monkeypatch.context() as patch:
        stopping(patch, 2, InterruptedRun("stop"))  # before anything is trained: both are read from their checkpoints
        read = _recurrent.scores(jobs(), (1, 2, 3), 0, tmp_path)
    assert read["/scores"].equals(tree["/scores"])
    whole = _recurrent.scores(jobs(), (1, 2, 3), 0)
    again = _recurrent.scores(jobs(), (1, 2, 3), 0, tmp_path)
    assert "partial" not in again.attrs and again["/scores"].equals(whole["/scores"])


def test_a_training_that_diverges_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping(monkeypatch, 0, DivergenceError("the loss is nan"))
    with pytest.warns(UserWarning, match="LSTM 3: the loss is nan"):
        tree = _recurrent.scores(jobs(), (3,), 0)
    assert np.isnan(_recurrent.score(tree, "LSTM 3")) and _recurrent.score(tree, "SubLSTM 3", "epochs") == 3
    assert tree.attrs["partial"] == "the loss is nan"


def test_the_generated_text_has_its_entropy() -> None:
    # Rejects: a bound of another text. The transitions of the text itself, counted, give it from below.
    text, bound = costa2017_perplexity.generated(0)
    pairs = np.zeros((costa2017_perplexity.N_TYPES,) * 2)
    for part in text.parts.values():
        np.add.at(pairs, (part[:-1], part[1:]), 1)
    shares = pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1)
    counted = np.exp(-(pairs * np.log(np.where(pairs > 0, shares, 1))).sum() / pairs.sum())
    assert bound == pytest.approx(counted, rel=0.1)
