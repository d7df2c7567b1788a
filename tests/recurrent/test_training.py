"""Training: against plain torch loops, to the bit when resumed after a kill, and what it says when it cannot go on."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.protocols import addition

torch = pytest.importorskip("torch")

from neurocircuits.recurrent import GRU, LSTM, RNN, Images, SubLSTM, Training, Words, evaluate, train  # noqa: E402

SIZES = {"train": 200, "validation": 60, "test": 60}
SHORT = Training(epochs=3, batch=20, rate=1e-2)


def small(**settings: Any) -> Any:
    return addition.delayed(length=6, sizes=SIZES, **settings)


@pytest.mark.parametrize(
    ("training", "rule"),
    [
        (SHORT, lambda parameters: torch.optim.RMSprop(parameters, lr=1e-2, momentum=0.9)),
        (
            replace(SHORT, optimiser="adam", weight_decay=2.0),
            lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, weight_decay=2.0),
        ),
        (
            replace(SHORT, momentum=0.0, epsilon=0.1),
            lambda parameters: torch.optim.RMSprop(parameters, lr=1e-2, eps=0.1),
        ),
        (
            replace(SHORT, optimiser="adam", epsilon=0.1),
            lambda parameters: torch.optim.Adam(parameters, lr=1e-2, eps=0.1),
        ),
    ],
    ids=("rmsprop", "adam with decay", "rmsprop that divides by more", "adam that divides by more"),
)
def test_a_plain_loop_finds_the_same_parameters(training: Training, rule: Any) -> None:
    """Rejects a loop that clips after the step, forgets to zero gradients, or evaluates with the last parameters.

    And a decay that is added to gradients, or not multiplied by the rate.
    """
    task, seed = small(), 4
    network, result = train(task, LSTM, 5, training, seed=seed, progress=False)
    streams = nc.randomness.Streams(seed)
    with torch.random.fork_rng():
        torch.manual_seed(int(streams.generator("recurrent weights").integers(2**31)))
        layer, readout = LSTM(2, 5), torch.nn.Linear(5, 1)
        bound = math.sqrt(6 / 6)
        torch.nn.init.uniform_(readout.weight, -bound, bound)
        torch.nn.init.zeros_(readout.bias)
    parameters = [*layer.parameters(), *readout.parameters()]
    optimiser = rule(parameters)
    generator, best, losses = streams.generator("recurrent batches"), None, []
    for _ in range(3):
        for _ in range(10):
            x, y = task.draw(generator, 20)
            error = readout(layer(torch.from_numpy(x))[0][-1])[:, 0] - torch.from_numpy(y)
            optimiser.zero_grad()
            (error**2).mean().backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
        batches = list(task.epoch("validation", 20, np.random.default_rng(0)))
        with torch.no_grad():
            outputs = torch.cat([readout(layer(torch.from_numpy(x))[0][-1])[:, 0] for x, _ in batches])
        losses.append(float(((outputs - torch.from_numpy(np.concatenate([y for _, y in batches]))) ** 2).mean()))
        if losses[-1] == min(losses):
            best = [p.detach().clone() for p in parameters]
    assert best is not None
    np.testing.assert_allclose(result["/curves"]["validation_loss"].values, losses, rtol=1e-4)
    for ours, theirs in zip(network.parameters(), best, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert result["/curves"]["updates"].values.tolist() == [10, 20, 30]
    assert result["/scores"]["test_loss"] == pytest.approx(evaluate(network, task, "test", 20)["loss"])


def test_a_seed_gives_the_same_results_and_another_gives_others() -> None:
    runs = [train(small(), SubLSTM, 4, SHORT, seed=seed, progress=False)[1] for seed in (1, 1, 2)]
    assert runs[0]["/curves"].equals(runs[1]["/curves"])
    assert not runs[0]["/curves"].equals(runs[2]["/curves"])


def words(n: int = 400) -> Words:
    generator = np.random.default_rng(3)
    streams = {part: generator.integers(0, 7, n).astype(np.int32) for part in ("train", "validation", "test")}
    return Words("digits", streams, 7, unroll=5)


def test_embeddings_of_words_that_do_not_occur_decay_by_their_share() -> None:
    """Rejects a decay that RMSProp divides by its own size: such rows would go to 0 by the full rate each update."""
    streams = {part: np.array([0, 1] * 20, np.int32) for part in ("train", "validation", "test")}
    task, settings = Words("two of seven", streams, 7, unroll=5), Training(epochs=2, batch=2, rate=0.01)
    rows = []
    for decay in (0.0, 0.1):
        network, result = train(task, SubLSTM, 4, replace(settings, weight_decay=decay), progress=False)
        assert network.embedding is not None
        rows.append(network.embedding.weight.detach()[2:])
    kept = (1 - 0.01 * 0.1) ** result["/curves"]["updates"].values[
        np.argmin(result["/curves"]["validation_loss"].values)
    ]
    assert kept < 1
    torch.testing.assert_close(rows[1], rows[0] * float(kept))


def test_tied_words_are_read_and_predicted_by_one_vector(tmp_path: Path) -> None:
    """Rejects two vectors that drift apart: while learning, in a checkpoint, or in what is returned."""
    settings, file = Training(epochs=2, batch=4, rate=0.1, tied=True), tmp_path / "run.pt"
    network, result = train(words(), SubLSTM, 6, settings, progress=False)
    other, plain = train(words(), SubLSTM, 6, replace(settings, tied=False), progress=False)
    assert network.embedding is not None and other.embedding is not None
    assert network.readout.weight is network.embedding.weight
    assert not torch.equal(other.readout.weight, other.embedding.weight)
    assert plain.attrs["n_parameters"] - result.attrs["n_parameters"] == 7 * 6
    train(words(), SubLSTM, 6, settings, checkpoint=file, pause_after=1, progress=False)
    resumed, again = train(words(), SubLSTM, 6, settings, checkpoint=file, progress=False)
    assert resumed.embedding is not None and resumed.readout.weight is resumed.embedding.weight
    assert again["/curves"].equals(result["/curves"])
    with pytest.raises(nc.ValidationError, match=r"tied needs words .* Give tied=False"):
        train(small(), SubLSTM, 4, settings, progress=False)


def test_a_killed_training_goes_on_to_the_same_end(tmp_path: Path) -> None:
    """Kills a real process within an epoch, with dropout, momentum and a state that is carried over."""
    program = (
        "import sys, neurocircuits.recurrent as r, neurocircuits.recurrent.course as t\n"
        "from tests.recurrent.test_training import words, SubLSTM, Training\n"
        "t._SAVE_EVERY = 3\n"
        "_, result = r.train(words(), SubLSTM, 6, Training(epochs=int(sys.argv[2]), batch=4, input_dropout=0.2),\n"
        "    num_layers=2, update_dropout=0.3, checkpoint=sys.argv[1] or None, progress=False)\n"
        "print(result['/curves']['validation_loss'].values.tolist())\n"
    )
    file = tmp_path / "run.pt"
    whole = subprocess.run([sys.executable, "-c", program, "", "12"], capture_output=True, text=True, check=True)
    broken = subprocess.Popen([sys.executable, "-c", program, str(file), "12"], stdout=subprocess.PIPE)
    while not file.exists():
        assert broken.poll() is None
        time.sleep(0.001)
    time.sleep(0.03)
    broken.send_signal(signal.SIGKILL)
    broken.wait()
    before = torch.load(file, weights_only=True)["counts"][0]
    assert 0 < before < 12 * 20
    resumed = subprocess.run(
        [sys.executable, "-c", program, str(file), "12"], capture_output=True, text=True, check=True
    )
    assert resumed.stdout == whole.stdout


def test_a_paused_training_goes_on_to_the_same_end(tmp_path: Path) -> None:
    """Rejects a pause that ends a training, counts epochs of a call only, or leaves the best parameters to go on from."""
    settings = Training(epochs=5, batch=4, rate=0.1, input_dropout=0.2)
    given = {"checkpoint": tmp_path / "run.pt", "progress": False}
    epochs = [
        train(words(), SubLSTM, 6, settings, pause_after=last, **given)[1]["/curves"].sizes["epoch"]
        for last in (2, 1, 4)
    ]
    paused = train(words(), SubLSTM, 6, settings, **given)[1]
    whole = train(words(), SubLSTM, 6, settings, progress=False)[1]
    assert epochs == [2, 2, 4]
    assert paused["/curves"].equals(whole["/curves"]) and paused["/scores"].equals(whole["/scores"])


def test_states_are_carried_over_in_text_only() -> None:
    """Rejects a language model that forgets at each piece, and sums that know of the sequences before."""
    task = words()
    network, _ = train(task, RNN, 4, Training(epochs=1, batch=4), progress=False)
    batches = list(task.epoch("test", 4, np.random.default_rng(0)))
    whole = np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])
    with torch.no_grad():
        outputs, _ = network(torch.from_numpy(whole[0]))
        likelihood = torch.log_softmax(outputs, 2).gather(2, torch.from_numpy(whole[1])[..., None])
    assert evaluate(network, task, "test", 4)["loss"] == pytest.approx(-float(likelihood.mean()), rel=1e-6)
    assert evaluate(network, task, "test", 4)["score"] == pytest.approx(math.exp(-float(likelihood.mean())), rel=1e-6)


def test_losses_of_classes_know_one_softmax_only() -> None:
    """Rejects a softmax before the cross-entropy, with which no loss falls below 1.46 for ten classes."""
    values = np.eye(10)[np.arange(200) % 10]
    parts = dict.fromkeys(("train", "validation", "test"), (values, np.arange(200) % 10))
    task = Images("ten", parts, n_inputs=10)
    assert task.baselines["uniform"] == pytest.approx(math.log(10))
    _, result = train(task, LSTM, 20, Training(epochs=30, batch=20, rate=1e-2), progress=False)
    assert result["/curves"]["validation_loss"].values.min() < 0.2
    assert result["/scores"]["test_score"] == 1.0


def test_training_stops_when_patience_or_the_wish_is_over() -> None:
    _, result = train(small(), SubLSTM, 4, Training(epochs=50, batch=20, rate=1e-30, patience=4), progress=False)
    assert len(result["/curves"]["epoch"]) == 5
    _, result = train(small(), SubLSTM, 4, SHORT, stop_below=1e9, progress=False)
    assert len(result["/curves"]["epoch"]) == 1
    assert json.loads(result.attrs["training"])["epochs"] == 3


def test_a_loss_that_is_not_finite_names_the_update() -> None:
    with pytest.raises(nc.DivergenceError, match=r"is nan at update 1\. Lower Training\.rate"):
        task = small()
        bad = addition.Drawn("bad", lambda g, n: tuple(each * np.nan for each in task.draw(g, n)), 2, SIZES)
        train(bad, SubLSTM, 4, SHORT, progress=False)


def test_a_checkpoint_without_an_option_of_today_goes_on_at_its_default(tmp_path: Path) -> None:
    """Rejects trainings of days that a new version calls those of other settings."""
    file = tmp_path / "run.pt"
    train(small(), SubLSTM, 4, SHORT, checkpoint=file, pause_after=1, progress=False)
    held = torch.load(file, weights_only=True)
    described = json.loads(held["described"])
    del described["training"]["epsilon"]
    torch.save({**held, "described": json.dumps(described)}, file)
    with pytest.raises(nc.StorageError, match="of other settings"):
        train(small(), SubLSTM, 4, replace(SHORT, epsilon=1e-3), checkpoint=file, progress=False)
    resumed, _ = train(small(), SubLSTM, 4, SHORT, checkpoint=file, progress=False)
    straight, _ = train(small(), SubLSTM, 4, SHORT, progress=False)
    for ours, theirs in zip(resumed.parameters(), straight.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.pt"
    train(small(), SubLSTM, 4, SHORT, checkpoint=file, progress=False)
    with pytest.raises(nc.StorageError, match="is of other settings"):
        train(small(), SubLSTM, 5, SHORT, checkpoint=file, progress=False)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(nc.StorageError, match="cannot be read .* Delete it"):
        train(small(), SubLSTM, 4, SHORT, checkpoint=file, progress=False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rate": 0.0}, "Training.rate: 0.0"),
        ({"optimiser": "lion"}, "one of rmsprop, adam, sgd"),
        ({"batch": 0}, "batch"),
        ({"decay_after": None}, "Training.decay_after: None is not allowed. Give 0 or a positive whole number"),
        ({"rate": float("inf")}, "Training.rate: inf"),
        ({"epsilon": 0.0}, "Training.epsilon: 0.0 is not allowed. Give a positive number"),
        ({"rate": 0.01, "weight_decay": 150.0}, r"turn the signs .* Give less than 100"),
        ({"tied": 1}, "Training.tied: 1 is not allowed"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(nc.ValidationError, match=words):
        Training(**settings)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    given = Training(epochs=np.int64(1), batch=20.0, rate=np.float32(0.5), patience=np.int32(2))
    assert given == Training(epochs=1, batch=20, rate=0.5, patience=2)
    file = tmp_path / "run.pt"
    train(
        small(), SubLSTM, np.int64(4), given, seed=np.int64(1), num_layers=np.int64(1), checkpoint=file, progress=False
    )
    assert train(small(), SubLSTM, 4, given, seed=1, checkpoint=file, progress=False)[1].attrs["hidden_size"] == 4


@pytest.mark.parametrize("cell", [LSTM, SubLSTM, GRU])
def test_double_precision_reaches_inputs_and_answers(cell: Any) -> None:
    network, result = train(small(), cell, 3, SHORT, dtype=torch.float64, progress=False)
    assert network.readout.weight.dtype == torch.float64
    single = train(small(), cell, 3, replace(SHORT, epochs=1), progress=False)[1]
    assert result["/curves"]["train_loss"].values[0] == pytest.approx(
        single["/curves"]["train_loss"].values[0], rel=0.5
    )


def test_layers_that_take_sequences_before_time_are_refused() -> None:
    """Rejects a training on transposed batches: trials as time steps."""
    with pytest.raises(
        nc.ValidationError, match="tasks have time before sequences. Give layers with batch_first=False"
    ):
        train(small(), SubLSTM, 4, SHORT, batch_first=True, progress=False)


def test_a_part_that_does_not_fill_a_batch_is_refused_by_evaluate() -> None:
    network, _ = train(words(), SubLSTM, 4, replace(SHORT, epochs=1), progress=False)
    with pytest.raises(nc.ValidationError, match="part 'test' .* does not fill a batch of 500"):
        evaluate(network, words(), "test", 500)


def test_a_vocabulary_that_does_not_fit_is_refused() -> None:
    parts = dict.fromkeys(("train", "validation", "test"), np.array([0, 1, 7]))
    with pytest.raises(nc.ValidationError, match=r"numbered 0 to 7\. Give two or more, numbered 0 to 6"):
        Words("seven", parts, 7)


def test_what_is_no_task_no_training_and_no_device_is_refused() -> None:
    with pytest.raises(nc.ValidationError, match=r"train: task is a str\. Give a Task"):
        train("words", SubLSTM, 4, SHORT, progress=False)
    with pytest.raises(nc.ValidationError, match=r"train: training is a dict\. Give a Training"):
        train(small(), SubLSTM, 4, {"epochs": 3}, progress=False)
    with pytest.raises(nc.UnsupportedError, match=r"device 'gpu' is not there: .* Use device='cpu'"):
        train(small(), SubLSTM, 4, SHORT, progress=False, device="gpu")


@pytest.mark.parametrize(
    ("cell", "hidden_size", "batch", "words"),
    [
        ("SubLSTM", 4, 4, r"cell 'SubLSTM' is no class .* such as SubLSTM"),
        (SubLSTM, 0, 4, r"hidden_size 0 is not a positive"),
        (SubLSTM, 4, 50, r"part 'validation' of Words\('seven'\) does not fill a batch of 50\. Lower Training\.batch"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_begins(
    cell: Any, hidden_size: int, batch: int, words: str
) -> None:
    parts = {"train": np.arange(700) % 7, "validation": np.arange(70) % 7, "test": np.arange(700) % 7}
    with pytest.raises(nc.ValidationError, match=words):
        train(Words("seven", parts, 7), cell, hidden_size, Training(epochs=1, batch=batch), progress=False)
