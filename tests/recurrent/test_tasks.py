"""Tasks: answers from their definitions, baselines by drawing, counts of the corpora, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits import datasets
from neurocircuits.protocols import addition, language, sequential_images
from neurocircuits.recurrent.tasks import PARTS, Images, Words


@pytest.mark.parametrize("form", addition.FORMS)
def test_answers_and_baselines_of_additions(form: str) -> None:
    """Rejects an answer that is not that of the marks, and a baseline that drawing does not find."""
    task, answers = addition.FORMS[form](length=40), []
    generator = np.random.default_rng(1)
    for _ in range(60):
        x, y = task.draw(generator, 500)
        values, marks = x[..., 0].astype(float), x[..., 1]
        added = np.where(marks == 1, values, 0).sum(0)
        np.testing.assert_allclose(y, 0.5 + added / 4 if form == "original" else added, atol=1e-6)
        if form != "original":
            assert (marks.sum(0) == 2).all()
        answers.append(y)
    found = np.concatenate(answers).astype(float)
    deviation = (found - found.mean()) ** 2
    error = deviation.std() / np.sqrt(len(found))
    allowance = 0.06 * task.baselines["mean"] if form == "original" else 0.0  # a marked first value counts as none
    assert abs(deviation.mean() - task.baselines["mean"]) < 4 * error + allowance


def test_places_of_marks() -> None:
    generator = np.random.default_rng(2)
    x, _ = addition.adding(30).draw(generator, 4000)
    assert (x[:15, :, 1].sum(0) == 1).all()
    assert (x[15:, :, 1].sum(0) == 1).all()
    x, _ = addition.original(40).draw(generator, 4000)
    marks = x[..., 1]
    assert (marks[0] == -1).all()
    assert (marks[-1] == -1).all()
    assert 40 <= len(marks) <= 44
    assert not (marks[20:-1] != 0).any()
    x, _ = addition.delayed(12, n_addends=3).draw(generator, 30000)
    np.testing.assert_allclose(x[..., 1].mean(1), 0.25, atol=0.012)  # anywhere, equally often


def test_parts_are_drawn_once_and_training_anew() -> None:
    task = addition.delayed(8, sizes={"train": 70, "validation": 50, "test": 50})
    first, again = (
        {part: list(task.epoch(part, 32, generator)) for part in ("train", "validation", "test")}
        for generator in [np.random.default_rng(3)] * 2
    )
    assert [len(y) for _, y in first["train"]] == [32, 32, 6]
    assert task.n_batches("train", 32) == 3
    for part, same in (("train", False), ("validation", True), ("test", True)):
        assert np.array_equal(first[part][0][0], again[part][0][0]) is same
    assert not np.array_equal(first["validation"][0][0], first["test"][0][0])


@pytest.mark.parametrize("form", ["delayed", "original"])
def test_the_same_sequences_are_tested_whatever_the_batch(form: str) -> None:
    """Rejects scores of two settings on different data."""
    task = addition.FORMS[form](24, sizes={"train": 1, "validation": 130, "test": 1})
    answers = []
    for batch in (7, 50, 1000):
        batches = list(task.epoch("validation", batch, np.random.default_rng(batch)))
        assert len(batches) == task.n_batches("validation", batch)
        assert all(x.shape[1] == len(y) <= batch for x, y in batches)
        answers.append(np.concatenate([y for _, y in batches]))
    assert len(answers[0]) == 130
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_images_are_read_in_scan_order_or_in_one_permutation() -> None:
    digits = datasets.digits()
    task = sequential_images.images(digits[:1200], digits[1200:])
    x, y = next(task.epoch("test", 16, np.random.default_rng(0)))
    assert x.shape == (64, 16, 1)  # guards against an image as one step
    np.testing.assert_allclose(x[:, :, 0].T, digits[1200:1216].values)
    np.testing.assert_array_equal(y, digits.labels[1200:1216])
    rows = sequential_images.images(digits[:1200], digits[1200:], n_inputs=8)
    assert next(rows.epoch("train", 5, np.random.default_rng(0)))[0].shape == (8, 5, 8)
    assert [len(rows.parts[part][0]) for part in ("train", "validation", "test")] == [1000, 200, 597]
    permuted = sequential_images.images(digits[:1200], digits[1200:], permuted=True)
    assert permuted.order is not None
    for part in ("train", "validation", "test"):
        mixed, plain = (next(t.epoch(part, 9, np.random.default_rng(0)))[0] for t in (permuted, task))
        np.testing.assert_array_equal(mixed, plain[permuted.order])


def test_text_is_read_in_columns_that_go_on() -> None:
    stream = np.arange(47)
    task = Words("numbers", dict.fromkeys(("train", "validation", "test"), stream), 47, unroll=4)
    batches = list(task.epoch("train", 3, np.random.default_rng(0)))
    assert len(batches) == task.n_batches("train", 3)
    x, y = (np.concatenate(each) for each in zip(*batches, strict=True))
    np.testing.assert_array_equal(x.T, [np.arange(14), 15 + np.arange(14), 30 + np.arange(14)])
    np.testing.assert_array_equal(y, x + 1)


def corpus(folder: Path, **texts: str) -> dict[str, Path]:
    files = {}
    for part in ("train", "validation", "test"):
        files[part] = folder / f"{part}.txt"
        files[part].write_text(texts.get(part, "a b\n"), encoding="utf-8")
    return files


def test_words_are_numbered_by_training_with_an_end_for_each_line(tmp_path: Path) -> None:
    streams = datasets.word_streams("three", corpus(tmp_path, train=" a b \n\nb <unk> c\n", test="c z\n"))
    assert streams.vocabulary == ("a", "b", "<eos>", "<unk>", "c")
    assert streams.parts["train"].tolist() == [0, 1, 2, 2, 1, 3, 4, 2]
    assert streams.parts["test"].tolist() == [4, 3, 2]


@pytest.mark.parametrize(
    ("texts", "words"),
    [({"test": "a z\n"}, "1 words are not in the training part, such as 'z'"), ({"test": ""}, "is empty")],
)
def test_texts_that_do_not_fit_are_refused(tmp_path: Path, texts: dict[str, str], words: str) -> None:
    with pytest.raises(nc.DataError, match=words):
        datasets.word_streams("bad", corpus(tmp_path, **texts))


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    files = corpus(tmp_path)
    files["test"].write_bytes("naïve\n".encode("latin-1"))
    with pytest.raises(nc.DataError, match="cannot be read as text in UTF-8"):
        datasets.word_streams("bad", files)


@pytest.mark.data("ptb")
def test_penn_treebank_has_the_published_counts() -> None:
    streams = datasets.penn_treebank(download=False)
    assert {k: len(v) for k, v in streams.parts.items()} == {"train": 929_589, "validation": 73_760, "test": 82_430}
    assert len(streams.vocabulary) == 10_000
    without = {part: int((words != streams.vocabulary.index("<eos>")).sum()) for part, words in streams.parts.items()}
    assert without == {"train": 887_521, "validation": 70_390, "test": 78_669}
    task = language.next_words(streams)
    assert task.n_batches("train", 20) == -(-(929_589 // 20 - 1) // 35)


@pytest.mark.data("wikitext-2")
def test_wikitext2_has_the_published_counts() -> None:
    streams = datasets.wikitext2(download=False)
    assert {k: len(v) for k, v in streams.parts.items()} == {"train": 2_088_628, "validation": 217_646, "test": 245_569}
    assert len(streams.vocabulary) == 33_278


def of_images(values: Any = None, labels: Any = None, **settings: Any) -> Images:
    part = (np.zeros((2, 4)) if values is None else values, np.array([0, 1]) if labels is None else labels)
    return Images("two", dict.fromkeys(PARTS, part), **settings)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: addition.delayed(3, n_addends=4), "4 addends do not fit into 3 time steps"),
        (lambda: addition.delayed(low=1, high=1), "no values between low 1 and high 1"),
        (lambda: addition.original(10), "length 10 leaves no room"),
        (lambda: sequential_images.images(datasets.digits(), datasets.digits(), validation=1.0), "leaves none"),
        (
            lambda: sequential_images.images(datasets.digits(), datasets.digits(), n_inputs=7),
            r"images: n_inputs 7 does not divide the 64 pixels of Dataset\('digits'",
        ),
        (
            lambda: sequential_images.images(datasets.digits(), datasets.digits(), n_inputs=0),
            "images: n_inputs 0 does not divide",
        ),
        (lambda: addition.delayed(3, sizes={"train": 5, "test": 5}), "have None sequences for 'validation'"),
        (
            lambda: Images(
                "two", {part: (np.zeros((2, n)), np.array([0, 1])) for part, n in zip(PARTS, (4, 4, 8), strict=True)}
            ),
            "part 'test' has images of 8 pixels, part 'train' of 4. Give images of one size",
        ),
        (lambda: Words("w", dict.fromkeys(PARTS, np.array([0, 1])), 7, unroll=0), "unroll 0 is not a positive"),
        (lambda: Words("w", dict.fromkeys(PARTS, np.array([0, 1])), 7, unroll=1.5), "unroll 1.5 is not a positive"),
        (lambda: of_images(labels=np.array(["a", "b"])), r"labels such as 'a'\. Give whole numbers"),
        (lambda: of_images(labels=np.array([0.5, 1.0])), r"labels such as 0\.5"),
        (lambda: of_images(labels=np.array([1, -1])), r"labels such as -1"),
        (lambda: of_images(values=np.zeros((2, 3, 4))), r"values of shape \(2, 3, 4\)"),
        (lambda: of_images(values=np.full((2, 4), np.nan)), "not finite"),
        (lambda: of_images(order=np.array([0, 1, 2, 2])), "order is no permutation of the 4 pixels"),
        (lambda: of_images(n_inputs=0), "n_inputs 0 does not divide the 4 pixels"),
        (lambda: Words("w", dict.fromkeys(PARTS, np.array([0.5, 1.0])), 7), r"2 words, as float64 of shape \(2,\)"),
    ],
)
def test_what_is_no_task_is_refused(call: Any, words: str) -> None:
    with pytest.raises(nc.ValidationError, match=words):
        call()


def test_tasks_take_lists() -> None:
    task = Images("two", dict.fromkeys(PARTS, ([[0.0, 1.0], [1.0, 0.0]], [0, 1])))
    x, y = next(task.epoch("test", 2, np.random.default_rng(0)))
    assert x[:, :, 0].T.tolist() == [[0.0, 1.0], [1.0, 0.0]] and y.tolist() == [0, 1]
    text = Words("text", dict.fromkeys(PARTS, [0, 1, 2, 0, 1, 2]), 3)
    assert next(text.epoch("test", 1, np.random.default_rng(0)))[1].T.tolist() == [[1, 2, 0, 1, 2]]
