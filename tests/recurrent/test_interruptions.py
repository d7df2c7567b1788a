"""Trainings that are interrupted anywhere go on to the end of unbroken ones; checkpoints know their task."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits import datasets
from neurocircuits.protocols import addition, sequential_images

torch = pytest.importorskip("torch", reason="needs torch: pip install 'neurocircuits[torch]'")

from neurocircuits.recurrent import LSTM, SubLSTM, Training, Words, course, train  # noqa: E402

TEXT = np.random.default_rng(3).integers(0, 7, 400).astype(np.int32)
TRAINING = Training(epochs=3, batch=4, rate=0.05, input_dropout=0.2, weight_decay=0.1)


def text(words: np.ndarray = TEXT, n_words: int = 7) -> Words:
    return Words("digits", {"train": words, "validation": words[::-1], "test": words}, n_words, unroll=5)


def sums(**settings: Any) -> Any:
    return addition.delayed(6, sizes={"train": 40, "validation": 20, "test": 20}, **settings)


def interrupted(monkeypatch: pytest.MonkeyPatch, where: str, at: int, press: Any) -> None:
    """Press before the call of this number, from 1, of a function that an update or the end of an epoch calls."""
    calls, called = iter(range(1, 1000)), getattr(*_PLACES[where])

    def pressing(*arguments: Any, **settings: Any) -> Any:
        if next(calls) == at:
            press()
        return called(*arguments, **settings)

    monkeypatch.setattr(*_PLACES[where], pressing)


_PLACES: dict[str, tuple[Any, str]] = {
    "forward": (course, "loss_of"),
    "backward": (torch.Tensor, "backward"),
    "step": (torch.optim.RMSprop, "step"),
    "validation": (course, "evaluate"),
    "best": (course, "_copy"),
}


def raising() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("task", "where", "at"),
    [
        (text, "forward", 7),
        (text, "backward", 31),
        (text, "step", 21),
        (text, "validation", 2),
        (text, "best", 2),
        (sums, "forward", 1),
        (sums, "step", 11),
    ],
)
def test_an_interruption_that_cannot_wait_loses_no_more_than_since_the_last_checkpoint(
    task: Any, where: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejects a checkpoint of half an update: a mask that was drawn, a state that moved, weights that decayed."""
    monkeypatch.setattr(course, "_SAVE_EVERY", 5)
    given, whole = (
        {"checkpoint": tmp_path / "run.pt", "progress": False},
        train(task(), LSTM, 6, TRAINING, progress=False),
    )
    with monkeypatch.context() as patch, pytest.raises(nc.InterruptedRun, match="interrupted after"):
        interrupted(patch, where, at, raising)
        train(task(), LSTM, 6, TRAINING, **given)  # type: ignore[arg-type]
        raise nc.InterruptedRun("interrupted after the end: a short task has fewer updates")
    found = train(task(), LSTM, 6, TRAINING, **given)  # type: ignore[arg-type]
    assert found[1]["/curves"].equals(whole[1]["/curves"]) and found[1]["/scores"].equals(whole[1]["/scores"])
    for one, other in zip(found[0].parameters(), whole[0].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("where", "at", "updates"), [("forward", 7, 7), ("step", 21, 21), ("best", 2, 20)])
def test_a_signal_waits_for_the_end_of_an_update_and_all_is_kept(
    where: str, at: int, updates: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejects an update that is lost to Ctrl-C, and a handler that stays."""
    file, usual = tmp_path / "run.pt", signal.getsignal(signal.SIGINT)
    with (
        monkeypatch.context() as patch,
        pytest.raises(nc.InterruptedRun, match=f"after {updates} updates. Call it again"),
    ):
        interrupted(patch, where, at, lambda: signal.raise_signal(signal.SIGINT))
        train(text(), SubLSTM, 6, TRAINING, checkpoint=file, progress=False)
    assert signal.getsignal(signal.SIGINT) is usual
    assert torch.load(file, weights_only=True)["counts"][0] == updates
    found = train(text(), SubLSTM, 6, TRAINING, checkpoint=file, progress=False)[1]
    assert found["/curves"].equals(train(text(), SubLSTM, 6, TRAINING, progress=False)[1]["/curves"])


def test_a_second_signal_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    interrupted(monkeypatch, "forward", 3, twice)
    with pytest.raises(nc.InterruptedRun, match="after 2 updates. There is no checkpoint"):
        train(text(), SubLSTM, 6, TRAINING, checkpoint=tmp_path / "run.pt", progress=False)


DIGITS = datasets.digits()
OTHERS = {
    "addends": (sums, lambda: sums(n_addends=3, low=-10, high=10)),
    "seed": (sums, lambda: sums(seed=7)),
    "order of pixels": (
        lambda: sequential_images.images(DIGITS[:90], DIGITS[90:120], 8, permuted=True),
        lambda: sequential_images.images(DIGITS[:90], DIGITS[90:120], 8, permuted=True, seed=1),
    ),
    "vocabulary": (text, lambda: text(n_words=8)),
    "text": (text, lambda: text(TEXT[::-1])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_task_of_the_same_name_is_refused(name: str, tmp_path: Path) -> None:
    """Rejects a training that goes on with other data, as if nothing had happened."""
    one, other = (make() for make in OTHERS[name])
    assert one.name == other.name and one.identity() == OTHERS[name][0]().identity()
    file, short = tmp_path / "run.pt", Training(epochs=1, batch=10)
    train(one, SubLSTM, 4, short, checkpoint=file, progress=False)
    with pytest.raises(nc.StorageError, match=r"is of other settings: its data is '\w+', not '\w+'\. Name another"):
        train(other, SubLSTM, 4, short, checkpoint=file, progress=False)


def test_checkpoints_from_before_tasks_were_told_apart_go_on_and_broken_ones_do_not(tmp_path: Path) -> None:
    file = tmp_path / "run.pt"
    train(text(), SubLSTM, 4, TRAINING, checkpoint=file, pause_after=1, progress=False)
    held = torch.load(file, weights_only=True)
    described = json.loads(held["described"])
    del described["data"]
    torch.save({**held, "described": json.dumps(described)}, file)
    found = train(text(), SubLSTM, 4, TRAINING, checkpoint=file, progress=False)[1]
    assert found["/curves"].equals(train(text(), SubLSTM, 4, TRAINING, progress=False)[1]["/curves"])
    torch.save({**held, "network": {}}, file)
    with pytest.raises(nc.StorageError, match="cannot be read .RuntimeError.. Delete it"):
        train(text(), SubLSTM, 4, TRAINING, checkpoint=file, progress=False)
